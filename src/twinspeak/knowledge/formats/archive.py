"""ZIP archives and common cartridges (IMSCC): their members become files of their own."""

import stat
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from twinspeak.domain.file_errors import FileDamaged, FileEmpty, FileEncrypted, FileTooLarge, FileUnsupported
from twinspeak.knowledge.document import Block
from twinspeak.knowledge.formats.package import BROKEN, Package, child, local, walk
from twinspeak.knowledge.formats.reading import Reading
from twinspeak.knowledge.formats.words import one_line

_RUBBISH = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"})
_MANIFEST = "imsmanifest.xml"


def read(reading: Reading) -> Iterator[Block]:
    """Keep the members: no folders, links or hidden files. An archive has no text of its own.

    Raises FileUnsupported inside too many archives, FileEncrypted when all is locked, FileEmpty when there is nothing.
    """
    if reading.limits.archive_depth < 1:
        raise FileUnsupported("This archive lies too deep inside others.", details={"format": "zip"})
    try:
        with zipfile.ZipFile(reading.path) as archive:
            _keep_all(reading, archive)
    except BROKEN as error:
        raise FileDamaged(details={"format": "zip"}) from error
    if not reading.members and not reading.notes:
        raise FileEmpty("There is no file in this archive.")
    yield from ()


def _keep_all(reading: Reading, archive: zipfile.ZipFile) -> None:
    wanted = [item for item in archive.infolist() if _is_wanted(item)]
    most = reading.limits.max_members
    if len(wanted) > most:
        raise FileTooLarge(f"There are more than {most} files in it.", details={"limit": "members", "most": most})
    locked = [item for item in wanted if item.flag_bits & 1]
    if locked and len(locked) == len(wanted):
        raise FileEncrypted
    called = _course_titles(reading)
    for number, item in enumerate(wanted, start=1):
        if item.flag_bits & 1:
            reading.notes.append("A file that is protected by a password was left out.")
            continue
        with archive.open(item) as source:
            reading.keep(called.get(item.filename, item.filename), cast("BinaryIO", source))
        reading.report(number, len(wanted))


def _course_titles(reading: Reading) -> dict[str, str]:
    """Return what a common cartridge's manifest calls its files; its file names are mere ids (IMS CC 1.3)."""
    package = Package(reading)
    root = package.xml_if_there(_MANIFEST)
    titles: dict[str, str] = {}
    found: dict[str, str] = {}
    for item in walk(root) if root is not None else ():
        title = child(item, "title")
        if local(item) == "item" and title is not None:
            titles[item.get("identifierref", "")] = one_line(title.text or "").replace("/", "-")
        elif local(item) == "resource":
            title_text = titles.get(item.get("identifier", ""), "")
            href = item.get("href") or next((entry.get("href", "") for entry in item if local(entry) == "file"), "")
            if title_text and href:
                found[href] = title_text + PurePosixPath(href).suffix
    return found


def _is_wanted(item: zipfile.ZipInfo) -> bool:
    parts = item.filename.replace("\\", "/").split("/")
    if item.filename == _MANIFEST or item.is_dir() or item.file_size == 0 or stat.S_ISLNK(item.external_attr >> 16):
        return False
    return not any(part in _RUBBISH or (part.startswith(".") and part not in {".", ".."}) for part in parts)
