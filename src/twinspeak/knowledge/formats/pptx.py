"""PowerPoint presentations (PresentationML, ISO 29500): each slide's title, text, tables, drawings and notes."""

from collections.abc import Iterator

from twinspeak.domain.locator import Locator
from twinspeak.knowledge.document import Block
from twinspeak.knowledge.formats.package import Element, Package, attribute, child, local, walk
from twinspeak.knowledge.formats.reading import Reading
from twinspeak.knowledge.formats.tables import table_block
from twinspeak.knowledge.formats.words import one_line, tidy

_LEFT_OUT = frozenset({"Fallback"})
_TITLES = frozenset({"title", "ctrTitle"})
_NOT_TEXT = frozenset({"sldNum", "dt", "ftr", "hdr", "sldImg"})


def read(reading: Reading) -> Iterator[Block]:
    """Yield the text of each slide under the slide's title."""
    package = Package(reading)
    main = package.main_part("ppt/presentation.xml")
    relations = package.relations(main)
    listed = child(package.xml(main), "sldIdLst")
    # A slide has an id of its own beside that of its relation: only the latter leads anywhere.
    targets = [relations.get(_relation_id(item), ("", ""))[1] for item in (listed if listed is not None else ())]
    reading.units = len(targets)
    for number, name in enumerate(targets, start=1):
        if name in package.names:
            yield from _slide(package, name, number)
        reading.report(number, len(targets))
    reading.title = one_line(package.core_title())


def _relation_id(item: Element) -> str:
    return next((str(value) for key, value in item.items() if str(key).endswith("}id")), "")


def _slide(package: Package, name: str, number: int) -> Iterator[Block]:
    place = Locator("slide", str(number))
    root = package.xml(name)
    shapes = [item for item in walk(root, _LEFT_OUT) if local(item) in {"sp", "graphicFrame"}]
    title = one_line(" ".join(_shape_text(shape) for shape in shapes if _kind(shape) in _TITLES))
    headings = (title[:200],) if title else ()
    said = False
    for shape in shapes:
        for block in _shape_blocks(shape, headings, place):
            said = True
            yield block
    for kind, target in package.relations(name).values():
        if kind == "diagramData" and target in package.names:
            text = _paragraphs(package.xml(target))
            said = said or bool(text)
            yield from [Block(text, headings, place)] if text else []
        elif kind == "notesSlide" and target in package.names:
            notes = [_shape_text(item) for item in walk(package.xml(target), _LEFT_OUT) if local(item) == "sp"]
            text = "\n".join(note for note in notes if note)
            yield from [Block(text, (*headings, "Notes"), place)] if text else []
    if title and not said:
        # A slide that is nothing but its title would be found nowhere.
        yield Block(title, headings, place)


def _shape_blocks(shape: Element, headings: tuple[str, ...], place: Locator) -> Iterator[Block]:
    if local(shape) == "sp":
        text = "" if _kind(shape) in _TITLES else _shape_text(shape)
        if text:
            yield Block(text, headings, place, lines="\n" in text)
        return
    for table in walk(shape, _LEFT_OUT):
        if local(table) == "tbl":
            rows = [[_paragraphs(cell) for cell in row if local(cell) == "tc"] for row in table if local(row) == "tr"]
            block = table_block(rows, headings, place)
            if block is not None:
                yield block


def _kind(shape: Element) -> str:
    """Return which of the slide's fields a shape fills: title, body … or "" for none."""
    field = child(shape, "nvSpPr", "nvPr", "ph")
    return attribute(field, "type") if field is not None else ""


def _shape_text(shape: Element) -> str:
    body = child(shape, "txBody")
    return _paragraphs(body) if body is not None and _kind(shape) not in _NOT_TEXT else ""


def _paragraphs(element: Element) -> str:
    """Return the paragraphs under an element, one a line."""
    lines: list[str] = []
    for item in walk(element, _LEFT_OUT):
        name = local(item)
        if name == "p":
            lines.append("")
        elif name == "t" and lines:
            lines[-1] += item.text or ""
        elif name == "br" and lines:
            lines[-1] += "\n"
    return tidy("\n".join(lines))
