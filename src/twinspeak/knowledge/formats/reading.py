"""What a reader gets: the file, its limits, and where to put what it finds beside text."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from twinspeak.domain.clock import monotonic
from twinspeak.domain.file_errors import FileExpands, FileTooLarge
from twinspeak.knowledge.document import Block, Limits, Member
from twinspeak.knowledge.formats.encodings import decode

_COPY_BYTES = 1 << 16
_LONGEST_NAME = 200


class Reading:
    """One file being read. Readers set `title` and `units`, and add to `notes` and `members`.

    `scratch` is a folder for what is needed meanwhile; `tesseract` is the program that reads pictures, "" for none.
    """

    def __init__(self, path: Path, name: str, limits: Limits, folder: Path | None = None) -> None:
        """`folder` takes the members; None: what is inside this file is not kept."""
        self.path = path
        self.name = name
        self.limits = limits
        self.folder = folder
        self.title = ""
        self.units = 0
        self.notes: list[str] = []
        self.members: list[Member] = []
        self.scratch = path.parent
        self.tesseract = ""
        self.report: Callable[[int, int], None] = _nobody
        self._ends = monotonic() + limits.wall_s
        self._expanded = 0

    def seconds_left(self) -> float:
        """Return how much of the time limit is left, less what handing over takes."""
        return self._ends - monotonic() - 2

    def data(self) -> bytes:
        """Return the whole file."""
        return self.path.read_bytes()

    def text(self, declared: str = "") -> str:
        """Return the whole file as text; `declared` is the encoding that it names itself."""
        return decode(self.data(), declared)

    def expand(self, count: int) -> None:
        """Count bytes that were unpacked. Raises FileExpands."""
        self._expanded += count
        if self._expanded > self.limits.max_expanded_bytes:
            raise FileExpands

    def keep(self, name: str, source: BinaryIO) -> None:
        """Write a member into the folder under a name of our own. Raises FileExpands, FileTooLarge."""
        if self.folder is None:
            return
        if len(self.members) >= self.limits.max_members:
            raise FileTooLarge(
                f"This file holds more than {self.limits.max_members} files.",
                details={"limit": "members", "most": self.limits.max_members},
            )
        target = self.folder / f"{len(self.members):06}"
        size = 0
        with target.open("xb") as out:
            while piece := source.read(_COPY_BYTES):
                size += len(piece)
                self.expand(len(piece))
                if size > self.limits.max_member_bytes:
                    break
                out.write(piece)
        if size > self.limits.max_member_bytes:
            target.unlink()
            self.notes.append(f"{plain_name(name)} is too large and was left out.")
        else:
            self.members.append(Member(plain_name(name), str(target), size))


class Reader(Protocol):
    """A format's `read`."""

    def __call__(self, reading: Reading) -> Iterator[Block]:
        """Yield the blocks in reading order. Raises FileUnreadable."""
        ...


def plain_name(name: str) -> str:
    """Return a member's name as people see it: no path that climbs, no control characters, of bounded length."""
    parts = [part.strip() for part in name.replace("\\", "/").split("/")]
    kept = [part for part in parts if part not in {"", ".", ".."} and not part.endswith(":")]
    shown = "".join(letter for letter in "/".join(kept) if letter.isprintable())
    return shown[-_LONGEST_NAME:].lstrip("/") or "file"


def _nobody(_done: int, _total: int) -> None:
    """Tell nobody how far it is."""
