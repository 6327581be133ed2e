"""The file that a backup is: a tar.gz whose first member, `manifest.json`, names all others with their checksums."""

import hashlib
import os
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO

import msgspec

from twinspeak.domain.errors import OperatorError

FORMAT = 1
MANIFEST = "manifest.json"
DATABASE = "database.sqlite3"
TABLES = "tables"
DATA = "data"

_MANIFEST_MAX_BYTES = 16_000_000
_PIECE = 1 << 20


class Entry(msgspec.Struct, frozen=True):
    """A file of the backup."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a backup says of itself. `created` is ISO-8601; `files` are by their path in the archive."""

    format: int
    twinspeak: str
    created: str
    database: str
    revision: str
    files: Mapping[str, Entry]


def entries_of(folder: Path) -> dict[str, Entry]:
    """Return every file below `folder` with its size and checksum."""
    found: dict[str, Entry] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                digest, size = _copy(file, None)
            found[path.relative_to(folder).as_posix()] = Entry(bytes=size, sha256=digest)
    return found


def pack(folder: Path, manifest: Manifest, target: Path) -> None:
    """Write the files of `folder` that the manifest names into a new archive, for its owner only."""
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6, format=tarfile.PAX_FORMAT) as archive:
            for name in (MANIFEST, *manifest.files):
                archive.add(folder / name, arcname=name, recursive=False, filter=_nobodys)
        file.flush()
        os.fsync(file.fileno())


def unpack(archive: Path, folder: Path) -> Manifest:
    """Unpack into the empty `folder`, checking every byte. Raises OperatorError for what is no whole backup."""
    try:
        with tarfile.open(archive, mode="r:gz") as opened:
            manifest = _manifest(opened)
            missing = set(manifest.files)
            while (member := opened.next()) is not None:
                if member.name not in missing or not member.isreg():
                    raise OperatorError(f"The backup holds {member.name!r}, which its manifest does not name.")
                missing.remove(member.name)
                _take(opened, member, manifest.files[member.name], folder)
            _read_to_the_end(opened)
    except FileNotFoundError:
        raise OperatorError(f"There is no file {archive}.") from None
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise OperatorError(f"{archive} is not a backup, or is damaged ({type(error).__name__}).") from None
    if missing:
        raise OperatorError(f"The backup is not whole: {min(missing)} is missing.")
    return manifest


def _manifest(archive: tarfile.TarFile) -> Manifest:
    first = archive.next()
    file = archive.extractfile(first) if first is not None and first.name == MANIFEST and first.isreg() else None
    if first is None or file is None or first.size > _MANIFEST_MAX_BYTES:
        raise OperatorError("This is not a backup of Twinspeak: it has no manifest.")
    try:
        manifest = msgspec.json.decode(file.read(), type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise OperatorError("The backup's manifest cannot be read.") from None
    if manifest.format != FORMAT:
        raise OperatorError(f"The backup has format {manifest.format}; this version reads format {FORMAT}.")
    for name in manifest.files:
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or parts[0] not in (DATABASE, TABLES, DATA):
            raise OperatorError(f"The backup's manifest names {name!r}, which does not belong into a backup.")
    return manifest


def _read_to_the_end(archive: tarfile.TarFile) -> None:
    """Let the compression check its own sum, which comes last."""
    while archive.fileobj.read(_PIECE):
        pass


def _take(archive: tarfile.TarFile, member: tarfile.TarInfo, entry: Entry, folder: Path) -> None:
    target = folder / member.name
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    source = archive.extractfile(member)
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        digest, size = _copy(source, file) if source is not None and member.size == entry.bytes else ("", -1)
        file.flush()
        os.fsync(file.fileno())
    if (digest, size) != (entry.sha256, entry.bytes):
        raise OperatorError(f"The backup is damaged: {member.name} is not what its manifest says.")


def _copy(source: IO[bytes], target: IO[bytes] | None) -> tuple[str, int]:
    """Read all of `source`, write it to `target` if there is one; return its SHA-256 and size."""
    digest, size = hashlib.sha256(), 0
    while piece := source.read(_PIECE):
        digest.update(piece)
        size += len(piece)
        if target is not None:
            target.write(piece)
    return digest.hexdigest(), size


def _nobodys(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who owned a file on the machine that it came from."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = 0o600
    return info
