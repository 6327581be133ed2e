"""What a file holds, between the phases of the pipeline: read once, kept as bytes, then cut into passages."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from twinspeak.domain.errors import PayloadTooLarge, ValidationFailed
from twinspeak.knowledge.chunk import clean, split
from twinspeak.persistence.repos.documents import Piece

MAX_CHARS = 20_000_000
_SUMMARY_CHARS = 300

Tell = Callable[[float], None]
"""Is told how far the reading is, 0 to 1."""


class Source(msgspec.Struct, frozen=True):
    """A file to be read. `folder` takes the files inside it; `depth` says in how many archives it came itself."""

    path: Path
    name: str
    media_type: str
    folder: Path
    depth: int = 0


class MemberFile(msgspec.Struct, frozen=True):
    """A file that was inside another one."""

    name: str
    path: Path


class WasRead(msgspec.Struct, frozen=True):
    """What was in a file; `encoded` is for `read_pieces`. `media_type` is what it really is, "" for not known."""

    title: str
    encoded: bytes
    has_text: bool = True
    media_type: str = ""
    members: tuple[MemberFile, ...] = ()


class Reader(Protocol):
    """Reads files, and cuts up what was in them."""

    async def read(self, source: Source, tell: Tell) -> WasRead:
        """Return what is in a file. Raises CodedError, which says why it cannot be read."""
        ...

    def cut(self, encoded: bytes) -> tuple[list[Piece], str]:
        """Return the passages, and a few words on what it is about. Raises CodedError when there is no text."""
        ...


class _Kept(msgspec.Struct, frozen=True):
    text: str


class TextReader:
    """Reads plain text and Markdown."""

    async def read(self, source: Source, tell: Tell) -> WasRead:  # noqa: ARG002 -- as `Reader` has it
        """Read a file. Raises PayloadTooLarge and ValidationFailed."""
        return await asyncio.to_thread(_read_text, source.path)

    def cut(self, encoded: bytes) -> tuple[list[Piece], str]:
        """Return the passages, and a few words on what it is about. Raises ValidationFailed when there is no text."""
        kept = msgspec.msgpack.decode(encoded, type=_Kept)
        chunks = split(kept.text)
        if not chunks:
            raise ValidationFailed("There is no text in this file.")
        return [Piece(chunk.section, chunk.text) for chunk in chunks], " ".join(chunks[0].text.split())[:_SUMMARY_CHARS]


def _read_text(path: Path) -> WasRead:
    raw = path.read_bytes()
    try:
        text = clean(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ValidationFailed("This file is not text in UTF-8.") from None
    if len(text) > MAX_CHARS:
        raise PayloadTooLarge(f"A document may have at most {MAX_CHARS} characters.")
    return WasRead(title="", encoded=msgspec.msgpack.encode(_Kept(text)))
