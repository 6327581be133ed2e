"""What the model behind the server says, by name, and the text that must come out of each."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.upstream import CUT, DONE, Reply, chunk, ending, frame, pieces, text_reply, text_steps, tool_reply

PLAIN = "Answers are streamed as they are made."
LONG = "".join(f"Sentence {number} of an answer that does not want to end. " for number in range(3_000))
ALPHABETS = "Zwölf Äpfel, 漢字かな, עברית, Ελληνικά, ไทย, e\u0301 is not é; \u202eright to left\u202c."
EMOJI = "🙂 👩‍👩‍👧‍👦 🏳️‍🌈 🇨🇭 👍🏽 \U0001f9d1\u200d\U0001f680 x\ufe0f"
LINE_ENDS = "a\nb\r\nc\rd\n\ne\r\n\r\nf\r\rg\u2028h\u2029i\x85j\x0bk\x0cl\x1cm\x1dn\x1eo"
SSE_IN_TEXT = 'data: {"type":"done"}\n\nid: 7\nevent: stop\nretry: 1\n: comment\n\ndata: [DONE]\n\n'
ODD = "\ufeffbefore \x01\x1b[0m \\ \" \\u2028 \\n </script> ' \t\x7f \u200b \ufffd \ufffe \U0010ffff after"
ATTEMPTS = 3
"""How often a provider is asked that fails before its first word (setting TWINSPEAK_PROVIDER_ATTEMPTS)."""
SEARCH = ("search_uploads", {"query": "streaming"})


@dataclass(frozen=True)
class Script:
    """`replies` are the model's, one a round. `text` is the answer, "" when the turn fails after `spoken`."""

    replies: Callable[[], list[Reply]]
    text: str = ""
    kinds: frozenset[str] = frozenset({"connected", "stream", "complete", "done"})
    args: dict[str, Any] = field(default_factory=dict)
    spoken: str = ""


def _says(text: str, *, size: int = 4, args: dict[str, Any] | None = None) -> Script:
    return Script(lambda: [text_reply(text, size=size)], text, args=args or {})


def _fails(*end: Any, spoken: str = PLAIN) -> Script:
    steps = text_steps(spoken) if spoken else []
    kinds = {"connected", "error", "done"} | ({"stream"} if spoken else set())
    # Who has not seen anything yet is asked again.
    asked = 1 if spoken else ATTEMPTS
    return Script(lambda: [Reply([*steps, *end]) for _ in range(asked)], kinds=frozenset(kinds), spoken=spoken)


_TOOLS = Script(
    lambda: [tool_reply(SEARCH, text="I will look."), tool_reply(SEARCH, SEARCH), text_reply(PLAIN)],
    f"I will look.\n\n{PLAIN}",
    frozenset({"connected", "stream", "tool_call", "tool_result", "complete", "done"}),
)
_THINKING = Script(
    lambda: [text_reply(PLAIN, thinking="First, " + LINE_ENDS)],
    PLAIN,
    frozenset({"connected", "thinking", "stream", "complete", "done"}),
)
_PROVIDER_ERROR = frame({"error": {"message": "The model has gone.", "type": "server_error", "code": None}})

SCRIPTS: dict[str, Script] = {
    "plain": _says(PLAIN),
    "one character a chunk": _says(PLAIN, size=1),
    "delta mode": _says(PLAIN, args={"streamMode": "delta"}),
    "alphabets": _says(ALPHABETS, size=1),
    "emoji": _says(EMOJI, size=1),
    "line ends": _says(LINE_ENDS, size=1),
    "line ends at once": _says(LINE_ENDS, size=len(LINE_ENDS)),
    "frames in the text": _says(SSE_IN_TEXT, size=3),
    "odd characters": _says(ODD, size=5),
    "very long": _says(LONG, size=997),
    "very long, delta mode": _says(LONG, size=997, args={"streamMode": "delta"}),
    "blank": _says(" \n"),
    "thinking": _THINKING,
    "tools": _TOOLS,
    "cut": _fails(CUT),
    "cut at once": _fails(CUT, spoken=""),
    "error in the stream": _fails(_PROVIDER_ERROR, DONE),
    "garbage": _fails(b"data: {]\n\n"),
}


def gated(text: str, gate: asyncio.Event) -> Reply:
    """Say `text`, then wait for `gate`, then end."""
    return Reply([*text_steps(text), gate, *ending()])


def split_emoji() -> Reply:
    """An emoji whose two halves come as escapes in two chunks, as some servers cut them."""
    halves = [b'"\\ud83d"', b'"\\ude42"']
    cut = [chunk({"content": "@"}).replace(b'"@"', half) for half in halves]
    return Reply([chunk({"role": "assistant", "content": ""}), *cut, *ending()])


def whole(text: str) -> list[str]:
    """One piece."""
    return pieces(text, max(1, len(text)))
