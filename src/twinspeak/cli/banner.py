"""What `twinspeak serve` prints when it is ready: where to go, who may sign in, and what answers."""

import sys
from pathlib import Path

LOCAL_MODEL = "local"


def render(url: str, admin_email: str, generated_password: str | None, model_id: str, data_dir: Path) -> str:
    """Return the banner. The password is in it only when this very start made it, because nothing keeps it."""
    lines = [
        "",
        f"  Twinspeak is ready at {url}",
        "",
        f"  Sign in as    {admin_email}",
    ]
    if generated_password is not None:
        lines += [
            f"  Password      {generated_password}",
            "                (made just now and shown only this once: write it down)",
        ]
    lines.append(f"  Answers from  {_model_line(model_id)}")
    if model_id == LOCAL_MODEL:
        lines.append("                (set OPENAI_API_KEY, or OPENAI_BASE_URL for a model of your own, to use another)")
    lines += [
        f"  Data in       {data_dir.resolve()}",
        f"  API           {url}/docs",
        f'  Try it        {_command()} chat --email {admin_email} "What can you tell me?"',
        "",
    ]
    return "\n".join(lines)


def _model_line(model_id: str) -> str:
    return (
        "the built-in local model, which quotes the documents" if model_id == LOCAL_MODEL else f"the model {model_id}"
    )


def _command() -> str:
    """Return how this very process was started, so that the line can be copied."""
    return sys.argv[0] if Path(sys.argv[0]).name == "twinspeak" else "twinspeak"


def banner(url: str, admin_email: str, generated_password: str | None, model_id: str, data_dir: Path) -> None:
    """Print the banner on standard output, at once; never through the log, because of the password."""
    print(render(url, admin_email, generated_password, model_id, data_dir), flush=True)
