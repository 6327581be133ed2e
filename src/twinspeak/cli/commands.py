"""The commands and their options. Each imports what it runs when it runs, so that `--help` is quick."""

import contextlib
import os
import sys
import traceback
from collections.abc import Generator
from pathlib import Path
from typing import Annotated, Any, NoReturn, cast

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from twinspeak import __version__
from twinspeak.cli.exits import CommandError, ExitCode
from twinspeak.cli.view import Output
from twinspeak.domain.errors import CodedError, OperatorError


class _Commands(TyperGroup):
    """The top of the command line: what a command raises becomes words and an exit code here."""

    def invoke(self, ctx: Any) -> object:  # noqa: ANN401 - the library hides its type
        """Run the command that `ctx` names."""
        with _reporting(debug=bool(ctx.params.get("debug"))):
            return super().invoke(ctx)


app = typer.Typer(
    name="twinspeak",
    cls=_Commands,
    help="Digital twins that answer from your documents, streamed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
users = typer.Typer(help="People who may sign in.", no_args_is_help=True)
app.add_typer(users, name="user")

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Where everything is kept. Else TWINSPEAK_DATA_DIR, else ./data.")
]
Host = Annotated[str | None, typer.Option(help="Address to listen on. Else TWINSPEAK_HOST, else 127.0.0.1.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on, 0 for a free one. Else TWINSPEAK_PORT, else 8080.")]
PasswordOnStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
]


def run() -> NoReturn:
    """Run the command line and leave the process with one of `cli.exits`' codes."""
    try:
        app(prog_name="twinspeak")
    except SystemExit as leaving:
        _leave(leaving.code)
    _leave(ExitCode.OK)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - as the library calls it
    if wanted:
        print(f"twinspeak {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_show_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback where something goes wrong.")] = False,
) -> None:
    del version, debug  # read by _show_version and _Commands


@app.command()
def serve(host: Host = None, port: Port = None, data_dir: DataDir = None) -> None:
    """Start the server. Every other setting is an environment variable: see docs/settings.md."""
    from twinspeak.cli.config import load_settings

    settings = load_settings(host=host, port=port, data_dir=data_dir)
    from twinspeak.app import server
    from twinspeak.cli.banner import banner

    server.serve(settings, on_ready=banner)


@app.command()
def worker(
    *,
    follow_stdin: Annotated[
        bool, typer.Option("--follow-stdin", help="End with standard input, or when there is nothing to do.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Read the files that wait in the vaults, beside a server. `serve` starts such a process itself."""
    from twinspeak.cli.config import load_settings

    settings = load_settings(data_dir=data_dir)
    from twinspeak.app import ingesting

    ingesting.work(settings, follows_stdin=follow_stdin)


@app.command()
def chat(
    question: Annotated[str | None, typer.Argument(help="What to ask; without it, a conversation begins.")] = None,
    url: Annotated[str | None, typer.Option(help="The server. Or TWINSPEAK_URL.")] = None,
    email: Annotated[str | None, typer.Option(help="Who asks. Or TWINSPEAK_EMAIL.")] = None,
    *,
    password_stdin: PasswordOnStdin = False,
    twin: Annotated[str | None, typer.Option(help="Public id of the twin to ask. Or TWINSPEAK_TWIN.")] = None,
    output: Annotated[Output, typer.Option(help="What to print.")] = Output.FULL,
) -> None:
    """Ask a twin and see the answer come. Ctrl-C stops it and keeps what came.

    The password is asked for, or comes from TWINSPEAK_PASSWORD, or TWINSPEAK_TOKEN stands for both.
    """
    from twinspeak.cli.chat import ClientSettings, run_chat
    from twinspeak.cli.config import load

    if question is not None and not question.strip():
        raise CommandError("The question is empty.", ExitCode.USAGE)
    settings = load(ClientSettings, url=url, email=email, twin=twin)
    raise typer.Exit(run_chat(question, settings, output, password_on_stdin=password_stdin))


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files, and folders whose files are taken, at any depth.")],
    url: Annotated[str | None, typer.Option(help="The server. Or TWINSPEAK_URL.")] = None,
    email: Annotated[str | None, typer.Option(help="Whose files they are. Or TWINSPEAK_EMAIL.")] = None,
    *,
    password_stdin: PasswordOnStdin = False,
    institution: Annotated[
        str | None, typer.Option(help="Id of the twin whose vault they go into; without it, your own.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait until all have been read.")] = True,
) -> None:
    """Bring files into a vault, and watch them being read. What is in the vault already is not taken again."""
    from twinspeak.cli.chat import ClientSettings
    from twinspeak.cli.config import load
    from twinspeak.cli.vault import run_ingest

    settings = load(ClientSettings, url=url, email=email)
    terms = {"institution": institution} if institution else {}
    raise typer.Exit(run_ingest(paths, settings, terms, password_on_stdin=password_stdin, wait=wait))


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    url: Annotated[str | None, typer.Option(help="The server. Or TWINSPEAK_URL.")] = None,
    email: Annotated[str | None, typer.Option(help="Who looks. Or TWINSPEAK_EMAIL.")] = None,
    *,
    password_stdin: PasswordOnStdin = False,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many passages to show.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print the server's reply.")] = False,
) -> None:
    """Search the documents that you may read, and show the passages that fit."""
    from twinspeak.cli.chat import ClientSettings
    from twinspeak.cli.config import load
    from twinspeak.cli.vault import run_search

    settings = load(ClientSettings, url=url, email=email)
    raise typer.Exit(run_search(query, settings, limit=limit, as_json=as_json, password_on_stdin=password_stdin))


@app.command()
def models(data_dir: DataDir = None) -> None:
    """List the models that can be reached with the keys that are set, the default one marked. Asks no vendor."""
    from twinspeak.cli.models import show

    show(data_dir=data_dir)


@app.command()
def migrate(data_dir: DataDir = None) -> None:
    """Bring the database to this version. `serve` does the same when it starts."""
    from twinspeak.cli.config import load_settings

    settings = load_settings(data_dir=data_dir)
    from twinspeak.app import offline

    done = offline.migrate(settings)
    print(f"The database is now at revision {done.head}." if done.changed else f"Nothing to do: {done.head}.")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write, such as twinspeak.tar.gz. It must not exist.")],
    data_dir: DataDir = None,
) -> None:
    """Write database, keys and data directory into one file. The server may run."""
    from twinspeak.cli.upkeep import back_up

    back_up(file, data_dir=data_dir)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `twinspeak backup` wrote.")],
    *,
    force: Annotated[bool, typer.Option("--force", help="Also over what is there, which is moved aside.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Put a backup in place, after checking every byte of it. The server must not run."""
    from twinspeak.cli.upkeep import restore as put_back

    put_back(file, force=force, data_dir=data_dir)


@app.command()
def check(
    *,
    repair: Annotated[bool, typer.Option("--repair", help="Repair what is safe; the server must not run.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Check that the ledger, the turns and the tables agree. Changes nothing without --repair."""
    from twinspeak.cli.upkeep import check as examine

    raise typer.Exit(examine(repair=repair, data_dir=data_dir))


@users.command("add")
def add_user(
    email: Annotated[str, typer.Argument(help="The address to sign in with.")],
    *,
    admin: Annotated[bool, typer.Option("--admin", help="May administer this server.")] = False,
    password_stdin: PasswordOnStdin = False,
    twin: Annotated[str | None, typer.Option(help="Public id of the twin to join; without it, the only one.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Add somebody, with a password that is made and printed once unless --password-stdin gives one."""
    from twinspeak.cli.people import add

    add(email, admin=admin, password_on_stdin=password_stdin, twin=twin, data_dir=data_dir)


@users.command("let-in")
def let_in(
    email: Annotated[str, typer.Argument(help="The address that somebody signs in with.")],
    *,
    password_stdin: PasswordOnStdin = False,
    data_dir: DataDir = None,
) -> None:
    """Let somebody in who lost password or second step: a new password, no second step, every session ended."""
    from twinspeak.cli.people import let_in as open_door

    open_door(email, password_on_stdin=password_stdin, data_dir=data_dir)


@app.command()
def doctor(
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
) -> None:
    """Check that a server can run here, and say what to do where it cannot. Changes nothing."""
    from twinspeak.cli.doctor import examine

    raise typer.Exit(examine(host=host, port=port, data_dir=data_dir))


@contextlib.contextmanager
def _reporting(*, debug: bool) -> Generator[None]:
    """Turn what a command raises into words on standard error and an exit code."""
    try:
        yield
    except (typer.Exit, typer.Abort, TyperException):
        raise
    except BrokenPipeError:  # `twinspeak chat … | head`: whoever reads has seen enough
        raise SystemExit(ExitCode.PROBLEM) from None
    except KeyboardInterrupt:
        print(file=sys.stderr)
        raise SystemExit(ExitCode.INTERRUPTED) from None
    except Exception as problem:
        if debug:
            traceback.print_exc()
        _fail(*_words_for(problem))


def _words_for(problem: Exception) -> tuple[str, ExitCode, str]:
    if isinstance(problem, CommandError):
        return problem.message, problem.code, problem.hint
    if isinstance(problem, OperatorError):
        return str(problem), ExitCode.CANNOT_START, ""
    if isinstance(problem, CodedError):
        fields = cast("list[dict[str, str]]", problem.details.get("fields", []))
        return problem.message, ExitCode.PROBLEM, "\n".join(f"{one['field']}: {one['message']}" for one in fields)
    where = traceback.extract_tb(problem.__traceback__)[-1]
    return (
        f"This should not have happened: {type(problem).__name__} in {Path(where.filename).name}, line {where.lineno}.",
        ExitCode.PROBLEM,
        "`twinspeak --debug …` shows more. Please report it.",
    )


def _fail(message: str, code: ExitCode, hint: str = "") -> NoReturn:
    from twinspeak.cli.terminal import printable

    for line in filter(None, (message, hint)):
        print(printable(line), file=sys.stderr)
    raise SystemExit(code)


def _leave(code: object) -> NoReturn:
    """End the process with `code`; a pipe that nobody reads any more must not make Python complain at its end."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(code)
