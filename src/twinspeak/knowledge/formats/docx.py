"""Word documents (WordprocessingML, ISO 29500): paragraphs and tables under their headings, and footnotes."""

from collections.abc import Iterator

from twinspeak.domain.locator import NOWHERE, Locator
from twinspeak.knowledge.document import Block
from twinspeak.knowledge.formats.package import Element, Package, attribute, child, local, resolve, walk, words
from twinspeak.knowledge.formats.reading import Reading
from twinspeak.knowledge.formats.tables import table_block
from twinspeak.knowledge.formats.words import one_line, tidy, titles, under

# Alternative content is the same again for older programs; what was deleted with changes tracked is gone.
_LEFT_OUT = frozenset({"Fallback", "del", "moveFrom", "instrText", "delText", "pPr", "rPr"})
_CONTAINERS = frozenset({"sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag"})


class _Document:
    """The body being read: which headings are in force, which page we are on."""

    def __init__(self, package: Package, main: str) -> None:
        self.levels = _heading_levels(package.xml_if_there(resolve(main, "styles.xml")))
        self.notes = _notes(package, main)
        self.headings: list[tuple[int, str]] = []
        self.page = 1
        self.paged = False
        self.title = ""

    @property
    def locator(self) -> Locator:
        return Locator("page", str(self.page)) if self.paged else NOWHERE

    def paragraph(self, element: Element) -> Iterator[Block]:
        place = self.locator
        text, cited = self._text(element)
        level = self._level(element)
        if level is not None and text:
            self.headings = under(self.headings, level, one_line(text))
            self.title = self.title or (one_line(text) if level == 0 else "")
        elif text:
            listed = child(element, "pPr", "numPr") is not None
            yield Block(f"- {text}" if listed else text, titles(self.headings), place, lines=listed)
        for note in cited:
            yield Block(note, titles(self.headings), place)

    def table(self, element: Element) -> Iterator[Block]:
        place = self.locator
        found = (item for item in walk(element, _LEFT_OUT) if local(item) == "tr")
        rows = [[self._text(cell)[0] for cell in row if local(cell) == "tc"] for row in found]
        block = table_block(rows, titles(self.headings), place)
        if block is not None:
            yield block

    def _text(self, element: Element) -> tuple[str, list[str]]:
        """Return an element's text and the footnotes it cites; pages turn on the way."""
        parts: list[str] = []
        cited: list[str] = []
        for item in walk(element, _LEFT_OUT):
            name = local(item)
            if name == "t":
                parts.append(item.text or "")
            elif name in {"tab", "ptab"}:
                parts.append(" ")
            elif name in {"br", "cr"} or (name == "p" and parts):
                parts.append("\n")
            elif name == "noBreakHyphen":
                parts.append("-")
            elif name == "lastRenderedPageBreak":
                self.page += 1
            elif name in {"footnoteReference", "endnoteReference"}:
                cited.append(self.notes.get((name[0], attribute(item, "id")), ""))
        return tidy("".join(parts)), [note for note in cited if note]

    def _level(self, element: Element) -> int | None:
        """Return a heading's level, 0 for the document's title; None for a paragraph."""
        outline = child(element, "pPr", "outlineLvl")
        if outline is not None:
            number = attribute(outline, "val")
            return int(number) + 1 if number in set("012345678") else None
        style = child(element, "pPr", "pStyle")
        return self.levels.get(attribute(style, "val")) if style is not None else None


def read(reading: Reading) -> Iterator[Block]:
    """Yield paragraphs and tables. Pages are known where Word wrote down where it broke them."""
    package = Package(reading)
    main = package.main_part("word/document.xml")
    root = package.xml(main)
    document = _Document(package, main)
    document.paged = any(local(item) == "lastRenderedPageBreak" for item in root.iter())
    body = child(root, "body")
    for element in _contents(body) if body is not None else ():
        yield from document.paragraph(element) if local(element) == "p" else document.table(element)
    reading.title = one_line(package.core_title()) or document.title
    reading.units = document.page if document.paged else 0


def _contents(body: Element) -> Iterator[Element]:
    """Yield the paragraphs and tables of the body, those in content controls too."""
    pending = list(reversed(body))
    while pending:
        element = pending.pop()
        name = local(element)
        if name in {"p", "tbl"}:
            yield element
        elif name in _CONTAINERS:
            pending.extend(reversed(element))


def _heading_levels(styles: Element | None) -> dict[str, int]:
    """Return which styles make a heading of which level. Their names are English in every language's Word."""
    found: dict[str, int] = {}
    based: dict[str, str] = {}
    for style in styles if styles is not None else ():
        if local(style) != "style":
            continue
        key = attribute(style, "styleId")
        name = child(style, "name")
        outline = child(style, "pPr", "outlineLvl")
        parent = child(style, "basedOn")
        label = attribute(name, "val").lower() if name is not None else ""
        if label == "title":
            found[key] = 0
        elif label.startswith("heading ") and label[8:] in set("123456789"):
            found[key] = int(label[8:])
        elif outline is not None and attribute(outline, "val") in set("012345678"):
            found[key] = int(attribute(outline, "val")) + 1
        elif parent is not None:
            based[key] = attribute(parent, "val")
    for key, parent in based.items():
        if parent in found:
            found[key] = found[parent]
    return found


def _notes(package: Package, main: str) -> dict[tuple[str, str], str]:
    """Return the footnotes and endnotes: (f or e, id) -> text."""
    found: dict[tuple[str, str], str] = {}
    for kind in ("footnotes", "endnotes"):
        root = package.xml_if_there(resolve(main, f"{kind}.xml"))
        for note in root if root is not None else ():
            texts = [words(item) for item in walk(note, _LEFT_OUT) if local(item) == "t"]
            found[kind[0], attribute(note, "id")] = one_line("".join(texts))
    return found
