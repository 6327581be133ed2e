"""EPUB books: the chapters in reading order, each under its headings (EPUB 3.3, packages)."""

from collections.abc import Iterator

from twinspeak.domain.file_errors import FileDamaged, FileEncrypted
from twinspeak.domain.locator import Locator
from twinspeak.knowledge.document import Block
from twinspeak.knowledge.formats import html
from twinspeak.knowledge.formats.encodings import decode
from twinspeak.knowledge.formats.package import Package, attribute, local, resolve, walk, words
from twinspeak.knowledge.formats.reading import Reading
from twinspeak.knowledge.formats.words import one_line

_PAGES = frozenset({"application/xhtml+xml", "text/html"})


def read(reading: Reading) -> Iterator[Block]:
    """Yield the chapters. Fonts may be encrypted; a book whose text is cannot be read."""
    package = Package(reading)
    rights = package.xml_if_there("META-INF/encryption.xml")
    locked = {attribute(item, "URI") for item in walk(rights)} if rights is not None else set[str]()
    opf = _package_document(package)
    root = package.xml(opf)
    pages: dict[str, str] = {}
    spine: list[str] = []
    for item in walk(root):
        name = local(item)
        if name == "title" and not reading.title:
            reading.title = one_line(words(item))
        elif name == "item" and attribute(item, "media-type") in _PAGES:
            pages[attribute(item, "id")] = resolve(opf, attribute(item, "href"))
        elif name == "itemref":
            spine.append(attribute(item, "idref"))
    parts = [pages[part] for part in spine if pages.get(part) in package.names]
    reading.units = len(parts)
    for number, part in enumerate(parts, start=1):
        if part in locked:
            raise FileEncrypted("This book is protected against copying.")
        page = html.parse(decode(package.read(part)))
        if page is not None:
            yield from html.blocks(page, (), Locator("chapter", str(number)))
        reading.report(number, len(parts))


def _package_document(package: Package) -> str:
    container = package.xml("META-INF/container.xml")
    for item in walk(container):
        path = attribute(item, "full-path")
        if local(item) == "rootfile" and path in package.names:
            return path
    raise FileDamaged(details={"format": "epub"})
