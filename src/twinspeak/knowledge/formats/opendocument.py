"""OpenDocument text and presentations (ISO 26300): headings, paragraphs, lists, tables, slides and their notes."""

from collections.abc import Iterator

from twinspeak.domain.file_errors import FileDamaged, FileEncrypted
from twinspeak.domain.locator import NOWHERE, Locator
from twinspeak.knowledge.document import Block
from twinspeak.knowledge.formats.package import Element, Package, attribute, child, local, walk, words
from twinspeak.knowledge.formats.reading import Reading
from twinspeak.knowledge.formats.tables import table_block
from twinspeak.knowledge.formats.words import one_line, tidy, titles, under

_INDEXES = frozenset({"table-of-content", "alphabetical-index", "illustration-index", "bibliography", "user-index"})
_LEFT_OUT = _INDEXES | {"tracked-changes", "annotation", "forms"}
_MOST_REPEATS = 100


def read(reading: Reading) -> Iterator[Block]:
    """Yield what the document says, a presentation slide by slide."""
    package = Package(reading)
    _refuse_encrypted(package)
    root = package.xml("content.xml")
    reading.title = _title(package)
    body = child(root, "body")
    slides = [item for item in walk(body) if local(item) == "page"] if body is not None else []
    if body is not None and not slides:
        yield from _blocks(body, (), NOWHERE)
    reading.units = len(slides)
    for number, slide in enumerate(slides, start=1):
        yield from _slide(slide, number)
        reading.report(number, len(slides))


def _slide(slide: Element, number: int) -> Iterator[Block]:
    place = Locator("slide", str(number))
    frames = [item for item in slide if local(item) != "notes"]
    title = one_line(" ".join(_text(frame) for frame in frames if attribute(frame, "class") == "title"))
    headings = (title[:200],) if title else ()
    said = False
    for frame in frames:
        if attribute(frame, "class") != "title":
            for block in _blocks(frame, headings, place):
                said = True
                yield block
    notes = child(slide, "notes")
    if notes is not None:
        yield from _blocks(notes, (*headings, "Notes"), place)
    if title and not said:
        yield Block(title, headings, place)


def _blocks(element: Element, above: tuple[str, ...], place: Locator) -> Iterator[Block]:
    """Yield the paragraphs, lists and tables under an element, outermost first, each once."""
    headings: list[tuple[int, str]] = []
    pending = list(reversed(element))
    while pending:
        item = pending.pop()
        name = local(item)
        if name in _LEFT_OUT:
            continue
        here = (*above, *titles(headings))
        if name == "h":
            level = attribute(item, "outline-level")
            headings = under(headings, int(level) if level.isdigit() and len(level) < 3 else 1, one_line(_text(item)))
        elif name == "p":
            text = tidy(_text(item))
            if text:
                yield Block(text, here, place)
        elif name == "list":
            text = "\n".join(f"- {line}" for line in (one_line(_text(entry)) for entry in _entries(item)) if line)
            if text:
                yield Block(text, here, place, lines=True)
        elif name == "table":
            block = table_block(_rows(item), here, place)
            if block is not None:
                yield block
        else:
            pending.extend(reversed(item))


def _entries(item: Element) -> Iterator[Element]:
    """Yield the paragraphs of a list, those of lists inside it too."""
    return (entry for entry in walk(item) if local(entry) in {"p", "h"})


def _rows(table: Element) -> list[list[str]]:
    """Return a table's cells. Repeats are honoured as far as anybody reads them."""
    found: list[list[str]] = []
    for row in walk(table):
        if local(row) != "table-row":
            continue
        cells: list[str] = []
        for cell in row:
            if local(cell) == "table-cell":
                times = attribute(cell, "number-columns-repeated")
                text = _text(cell)
                cells += [text] * (min(int(times), _MOST_REPEATS) if times.isdigit() and len(times) < 9 else 1)
        found.append(cells)
    return found


def _text(element: Element) -> str:
    """Return the text under an element; blanks, tabs and line breaks are elements here."""
    parts = [element.text or ""]
    # A tail belongs to what is around its element, so it is put behind the element's own descendants.
    pending: list[Element | str] = []

    def push(parent: Element) -> None:
        for item in reversed(parent):
            pending.append(item.tail or "")
            pending.append(item)

    push(element)
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        name = local(item)
        if name in _LEFT_OUT or name == "note-citation":
            continue
        if name in {"s", "tab"}:
            parts.append(" ")
        elif name == "line-break" or (name in {"p", "h"} and parts[-1:] != [""]):
            parts.append("\n")
        elif name == "note-body":
            parts.append(" (")
            pending.append(")")
        parts.append(item.text or "")
        push(item)
    return "".join(parts)


def _title(package: Package) -> str:
    root = package.xml_if_there("meta.xml")
    found = [item for item in walk(root) if local(item) == "title"] if root is not None else []
    return one_line(words(found[0])) if found else ""


def _refuse_encrypted(package: Package) -> None:
    manifest = package.xml_if_there("META-INF/manifest.xml")
    if manifest is not None and any(local(item) == "encryption-data" for item in manifest.iter()):
        raise FileEncrypted
    if "content.xml" not in package.names:
        raise FileDamaged(details={"format": "opendocument"})
