"""What an upstream answer looks like, and its text: every word carries its own number, so that loss can be counted.

An answer is asked for by a spell that travels in the model's name or in the question, `bench(words=200,interval=10)`;
the last one in a request's body counts. It survives every proxy, because it is nothing but text.
"""

import re

import msgspec

WORD = len("w0000 ")
"""Characters of a word: about what an English one takes with its blank."""
MOST_WORDS = 10_000
TEXT = "".join(f"w{number:04} " for number in range(MOST_WORDS))
"""The longest answer; every answer is a beginning of it."""

NEVER = -1

_SPELL = re.compile(rb"bench\(([a-z0-9_=.,-]*)\)")


class Answer(msgspec.Struct, frozen=True):
    """How the upstream answers. One word is one chunk; times are milliseconds, counts are chunks.

    `thinking` chunks of reasoning come first; `tool` 1 asks for the vault's search tool in a round of its own before;
    `fail` puts an error into the stream after that many words, `stall` stops there without a word. `tag` names the
    exchange in the upstream's record.
    """

    words: int = 200
    interval: float = 10
    first: float = 0
    thinking: int = 0
    tool: int = 0
    fail: int = NEVER
    stall: int = NEVER
    tag: str = ""

    def spell(self) -> str:
        """Return the text that asks for it."""
        said = {name: value for name, value in msgspec.structs.asdict(self).items() if value != getattr(_PLAIN, name)}
        return f"bench({','.join(f'{name}={value}' for name, value in said.items())})"

    @property
    def duration_s(self) -> float:
        """How long the stream takes when nobody holds it up."""
        return (self.first + (self.words + self.thinking) * self.interval) / 1000


_PLAIN = Answer()


def asked(body: bytes) -> Answer:
    """Return the answer that a request asks for: the last spell in its body, or the plain one."""
    found = None
    for found in _SPELL.finditer(body):  # noqa: B007 -- the last one is wanted
        pass
    if found is None:
        return _PLAIN
    pairs = (pair.partition("=") for pair in found[1].decode().split(",") if pair)
    return msgspec.convert({name: value for name, _, value in pairs}, Answer, strict=False)


def text_of(words: int) -> str:
    """Return the answer of `words` words."""
    return TEXT[: words * WORD]
