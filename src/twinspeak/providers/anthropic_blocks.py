"""The content blocks of a Messages answer, gathered as they come, so that the vendor gets back what it gave.

Source: the vendor's reference, "Extended thinking" (thinking blocks go back unchanged, in their place) and "Create a
Message" (what a block of each type may hold when it is sent).
"""

from typing import Any

import msgspec

from twinspeak.providers.anthropic_frames import FrameDelta
from twinspeak.providers.wire.loose import text
from twinspeak.providers.wire.surrogates import Joiner


class Block:
    """A content block under way: as it began, and what came since. `number` is a tool call's place in the round."""

    __slots__ = ("citations", "kind", "number", "pieces", "raw", "signature")

    def __init__(self, raw: dict[str, Any], number: int | None) -> None:
        self.raw = raw
        self.kind = text(raw.get("type")) or ""
        self.number = number
        self.pieces: list[str] = []
        self.signature = ""
        self.citations: list[Any] = []


def kind_of(delta: FrameDelta) -> str:
    """Tell the type of a block whose beginning never came."""
    if delta.thinking is not None or delta.signature is not None:
        return "thinking"
    return "tool_use" if delta.partial_json is not None else "text"


def finished(block: Block) -> dict[str, Any] | None:
    """Return the whole block, a tool call by its number alone; None for one that the vendor would refuse.

    What the vendor ran itself (a search) goes back as it came.
    """
    joined = Joiner.whole("".join(block.pieces))
    if block.kind == "text":
        cited = {"citations": block.citations} if block.citations else {}
        return {"type": "text", "text": joined, **cited} if joined.strip() else None
    if block.kind == "thinking":
        signed = {"signature": block.signature} if block.signature else {}
        return {"type": "thinking", "thinking": joined, **signed} if joined or signed else None
    if block.kind == "tool_use":
        return None if block.number is None else {"type": "tool_use", "number": block.number}
    return {**block.raw, "input": _parsed(joined)} if joined and "input" in block.raw else block.raw


def _parsed(arguments: str) -> object:
    try:
        return msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return {}
