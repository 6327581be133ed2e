"""What a file holds, between the phases of the pipeline: read once, kept as bytes, then cut into passages."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from twinspeak.domain.file_errors import FileWithoutText
from twinspeak.knowledge.chunk import Sizes, chunk
from twinspeak.knowledge.document import Block, Limits
from twinspeak.knowledge.extracting import extract
from twinspeak.persistence.repos.documents import Piece

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


class FileReader:
    """Reads every kind of file that `knowledge.formats` knows, each in a process of its own."""

    def __init__(self, limits: Limits, sizes: Sizes) -> None:
        """`limits`: what one file may cost; `sizes`: how large passages are."""
        self._limits = limits
        self._sizes = sizes

    async def read(self, source: Source, tell: Tell) -> WasRead:
        """Read a file. Raises FileUnreadable, which says what is wrong with it."""
        limits = msgspec.structs.replace(self._limits, archive_depth=self._limits.archive_depth - source.depth)
        found = await extract(
            source.path, source.name, source.media_type, limits, members_into=source.folder, progress=tell
        )
        return WasRead(
            title=found.title,
            encoded=await asyncio.to_thread(msgspec.msgpack.encode, found.blocks),
            has_text=bool(found.blocks),
            media_type=found.media_type,
            members=tuple(MemberFile(member.name, Path(member.path)) for member in found.members),
        )

    def cut(self, encoded: bytes) -> tuple[list[Piece], str]:
        """Return the passages, and a few words on what it is about. Raises FileWithoutText."""
        chunks = chunk(msgspec.msgpack.decode(encoded, type=list[Block]), self._sizes)
        if not chunks:
            raise FileWithoutText(details={"reason": "blank"})
        pieces = [Piece(one.section, one.text, one.parent, one.locator.fragment) for one in chunks]
        return pieces, " ".join(chunks[0].text.split())[:_SUMMARY_CHARS]
