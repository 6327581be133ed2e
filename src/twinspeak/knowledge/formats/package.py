"""Zip packages of XML (Office, OpenDocument, EPUB): their parts, within bounds and without entities."""

import lzma
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from lxml import etree

from twinspeak.domain.file_errors import FileDamaged, FileEncrypted
from twinspeak.knowledge.formats.reading import Reading

Element = etree._Element  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] -- it has no other name
_DOCTYPE: Final = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_PIECE: Final = 1 << 16
_ENCRYPTED: Final = 0x1
# zipfile says RuntimeError (a subclass of it) to a compression that it does not know.
BROKEN: Final = (KeyError, ValueError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError)


class Package:
    """The parts of a zip file. Everything unpacked counts against the limits of its reading."""

    def __init__(self, reading: Reading) -> None:
        """Open the file. Raises FileDamaged."""
        self._reading = reading
        try:
            self._zip = zipfile.ZipFile(reading.path)
        except (zipfile.BadZipFile, ValueError, OSError) as error:
            raise FileDamaged(details={"format": "zip"}) from error
        self.names: Final = frozenset(self._zip.namelist())

    def read(self, name: str) -> bytes:
        """Return a part. Raises FileDamaged when it is not there or broken, FileEncrypted, FileExpands."""
        found = bytearray()
        for piece in self.pieces(name):
            found += piece
        return bytes(found)

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield a part's bytes; declared sizes are not believed."""
        try:
            if self._zip.getinfo(name).flag_bits & _ENCRYPTED:
                raise FileEncrypted
            with self._zip.open(name) as part:
                while piece := part.read(_PIECE):
                    self._reading.expand(len(piece))
                    yield piece
        except BROKEN as error:
            raise FileDamaged(details={"format": "zip"}) from error

    def xml(self, name: str) -> Element:
        """Return a part's root element."""
        return parse_xml(self.read(name))

    def xml_if_there(self, name: str) -> Element | None:
        """Return a part's root element; None when there is no such part or it is not XML."""
        if name not in self.names:
            return None
        try:
            return self.xml(name)
        except FileDamaged:
            return None

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """Return the relations of an Office part: id -> (last word of the type, the part it leads to)."""
        folder, file = posixpath.split(name)
        root = self.xml_if_there(f"{folder}/_rels/{file}.rels".lstrip("/"))
        found: dict[str, tuple[str, str]] = {}
        for relation in root if root is not None else ():
            if relation.get("TargetMode") != "External":
                kind = relation.get("Type", "").rpartition("/")[2]
                found[relation.get("Id", "")] = (kind, resolve(name, relation.get("Target", "")))
        return found

    def main_part(self, otherwise: str) -> str:
        """Return the part that an Office document begins with."""
        for kind, target in self.relations("").values():
            if kind == "officeDocument" and target in self.names:
                return target
        return otherwise

    def core_title(self) -> str:
        """Return the title in an Office document's properties."""
        root = self.xml_if_there("docProps/core.xml")
        return next((words(part) for part in root if local(part) == "title"), "") if root is not None else ""


def parse_xml(data: bytes) -> Element:
    """Parse XML. No entities, no document types, nothing from elsewhere. Raises FileDamaged."""
    if _DOCTYPE.search(data[:100_000]):
        raise FileDamaged("This file declares XML entities, which no document needs.", details={"format": "xml"})
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise FileDamaged(details={"format": "xml"}) from error


def local(element: Element) -> str:
    """Return an element's name without its namespace: there are two of each in Office, strict and transitional."""
    return str(element.tag).rpartition("}")[2]


def attribute(element: Element, name: str) -> str:
    """Return an attribute by its local name; "" when it is not there."""
    plain = element.get(name)
    if plain is not None:
        return str(plain)
    return next((str(value) for key, value in element.items() if str(key).rpartition("}")[2] == name), "")


def child(element: Element, *path: str) -> Element | None:
    """Return the first descendant along a path of local names."""
    here: Element | None = element
    for step in path:
        here = next((item for item in here if local(item) == step), None) if here is not None else None
    return here


def walk(element: Element, leave_out: frozenset[str] = frozenset()) -> Iterator[Element]:
    """Yield an element's descendants in document order, however deep, but nothing under those left out."""
    pending = list(reversed(element))
    while pending:
        here = pending.pop()
        if local(here) in leave_out:
            continue
        yield here
        pending.extend(reversed(here))


def words(element: Element) -> str:
    """Return all text under an element."""
    return "".join(str(text) for text in element.itertext())


def resolve(base: str, target: str) -> str:
    """Return the part that `target`, written in the part `base`, leads to."""
    target = unquote(target.partition("#")[0])
    if target.startswith("/"):
        return posixpath.normpath(target).lstrip("/")
    return posixpath.normpath(posixpath.join(posixpath.dirname(base), target)).lstrip("/")
