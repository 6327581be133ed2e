"""Where the bytes of documents are kept: a small port, and the local disk behind it.

A file comes in pieces into a staging place and gets its name only when it is whole and on the disk, so that nobody
ever reads half of one. Everything here blocks: call it from a thread.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from twinspeak.domain.ids import new_id, parse_id

ORIGINAL, EXTRACTED = "original", "extracted"
_STAGING = ".staging"


class Staged(Protocol):
    """A file that is coming in. `size` and `digest` (SHA-256 in hex) are of what was written."""

    size: int

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the bytes so far, in hex."""
        ...

    def write(self, piece: bytes) -> None:
        """Add bytes. Raises OSError when the disk is full."""
        ...

    def discard(self) -> None:
        """Throw it away, unless it has been kept."""
        ...


class Files(Protocol):
    """Keeps one or more parts of each document, under its id."""

    def stage(self) -> Staged:
        """Begin a file."""
        ...

    def keep(self, staged: Staged, document_id: str, part: str = ORIGINAL) -> None:
        """Give a whole file its name, in place of what is there under it."""
        ...

    def path(self, document_id: str, part: str = ORIGINAL) -> Path:
        """Return where a part can be read; it need not be there."""
        ...

    def remove(self, document_id: str, part: str | None = None) -> None:
        """Delete a part, or all of a document's; harmless when there is none."""
        ...

    def ids(self, *, before: float) -> Iterator[str]:
        """Yield the ids of documents that have had something here since `before` (epoch seconds)."""
        ...


class LocalStaged:
    """A file in the staging place."""

    def __init__(self, path: Path) -> None:
        """Make it, for its owner only. Raises OSError."""
        self.path = path
        self.size = 0
        self._digest = sha256()
        self._file = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb")

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the bytes so far, in hex."""
        return self._digest.hexdigest()

    def write(self, piece: bytes) -> None:
        """Add bytes. Raises OSError when the disk is full."""
        self._file.write(piece)
        self._digest.update(piece)
        self.size += len(piece)

    def close(self) -> None:
        """Have all of it on the disk."""
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def discard(self) -> None:
        """Throw it away, unless it has been kept."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class LocalFiles:
    """Files below one folder: `folder`/<last two digits>/<document id>/<part>."""

    def __init__(self, folder: Path) -> None:
        """Keep the folder; nothing is made before it is needed."""
        self._folder = folder

    def stage(self) -> LocalStaged:
        """Begin a file. Raises OSError."""
        place = self._folder / _STAGING
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        return LocalStaged(place / new_id())

    def keep(self, staged: Staged, document_id: str, part: str = ORIGINAL) -> None:
        """Give a whole file its name, in place of what is there under it. Raises OSError."""
        if not isinstance(staged, LocalStaged):
            raise TypeError("a file is kept where it was staged")
        staged.close()
        target = self.path(document_id, part)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        staged.path.replace(target)

    def path(self, document_id: str, part: str = ORIGINAL) -> Path:
        """Return where a part can be read. Raises ValueError for what is no id: no name leads out of the folder."""
        known = parse_id(document_id)
        if known is None or part not in (ORIGINAL, EXTRACTED):
            raise ValueError("a document's file is found by its id alone")
        return self._folder / known[-2:] / known / part

    def remove(self, document_id: str, part: str | None = None) -> None:
        """Delete a part, or all of a document's; harmless when there is none."""
        if part is not None:
            self.path(document_id, part).unlink(missing_ok=True)
            return
        shutil.rmtree(self.path(document_id).parent, ignore_errors=True)

    def ids(self, *, before: float) -> Iterator[str]:
        """Yield the ids of documents that have had something here since `before` (epoch seconds)."""
        for place in sorted(self._folder.glob("[0-9a-f][0-9a-f]/*")):
            if parse_id(place.name) and place.stat().st_mtime < before:
                yield place.name

    def tidy(self) -> None:
        """Drop what was coming in when a server died. Only for who is alone here."""
        with contextlib.suppress(OSError):
            shutil.rmtree(self._folder / _STAGING, ignore_errors=True)
