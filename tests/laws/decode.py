"""What the law of the text is judged by: a second decoder of chat completions, as plain as can be.

It shares no line with `twinspeak.providers`: the whole body at once, `json.loads` for each event, strings joined.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OWN = ROOT / "tests" / "recordings" / "openai_chat"
SHARED = ROOT.parent / "shared" / "recordings"
_CHAT_WIRES = ("deepseek/*", "groq/*", "mistral/*", "openai/chat-*", "openrouter/*", "xai/chat-*")


def own_recordings() -> list[Path]:
    """The project's own recorded bodies, `<case>.sse`, each with what it says in `<case>.json`."""
    return sorted(OWN.glob("*.sse"))


def shared_recordings() -> list[Path]:
    """Real answers of real providers that lie beside a checkout; none where they are absent."""
    return sorted(path for pattern in _CHAT_WIRES for path in SHARED.glob(f"{pattern}.sse"))


def name_of(path: Path) -> str:
    """A recording's name in a test's id."""
    return f"{path.parent.name}/{path.stem}"


def text_of(body: bytes) -> str:
    """The answer's text, up to the stream's end or to where it fails."""
    return _whole("".join(text for chunk in _chunks(body) for text in _texts(_delta(chunk))))


def thinking_of(body: bytes) -> str:
    """The reasoning, as `text_of`."""
    return _whole("".join(text for chunk in _chunks(body) for text in _thoughts(_delta(chunk))))


def _chunks(body: bytes) -> Iterator[dict[str, Any]]:
    for name, data in _events(body.decode("utf-8-sig", "replace")):
        if data.strip() == "[DONE]" or name == "error":
            return
        try:
            chunk = json.loads(data or "{}")
        except ValueError:
            return
        if chunk.get("error"):
            return
        yield chunk


def _events(text: str) -> Iterator[tuple[str, str]]:
    for block in text.replace("\r\n", "\n").replace("\r", "\n").split("\n\n"):
        lines = [line for line in block.split("\n") if line]
        data = [line[5:].removeprefix(" ") for line in lines if line.startswith("data:")]
        names = [line[6:].strip() for line in lines if line.startswith("event:")]
        if data:
            yield "".join(names[-1:]), "\n".join(data)


def _delta(chunk: dict[str, Any]) -> dict[str, Any]:
    firsts = [choice for choice in chunk.get("choices") or [] if choice.get("index") in {0, "0", None}]
    return firsts[0].get("delta") or {} if firsts else {}


def _texts(delta: dict[str, Any]) -> Iterator[str]:
    content = delta.get("content")
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    yield from (str(part["text"]) for part in parts if part["type"] == "text" and isinstance(part["text"], str))
    yield delta.get("refusal") or ""


def _thoughts(delta: dict[str, Any]) -> Iterator[str]:
    yield delta.get("reasoning_content") or delta.get("reasoning") or ""
    content = delta.get("content")
    for part in content if isinstance(content, list) else []:
        thinking = part.get("thinking") or ""
        yield thinking if isinstance(thinking, str) else "".join(inner["text"] for inner in thinking)


def _whole(text: str) -> str:
    """Join surrogate pairs that two strings shared; half a pair is U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
