"""Web pages: the article without what is around it, under its headings."""

import re
from collections.abc import Iterator
from typing import Final

from lxml import etree, html

from twinspeak.domain.locator import NOWHERE, Locator
from twinspeak.knowledge.document import Block
from twinspeak.knowledge.formats.package import Element
from twinspeak.knowledge.formats.reading import Reading
from twinspeak.knowledge.formats.tables import table_block
from twinspeak.knowledge.formats.words import one_line, tidy, titles, under

_SILENT: Final = frozenset(
    [
        "script",
        "style",
        "noscript",
        "template",
        "svg",
        "math",
        "head",
        "iframe",
        "object",
        "embed",
        "canvas",
        "audio",
        "video",
        "select",
        "button",
        "input",
        "textarea",
        "dialog",
        "map",
    ]
)
_AROUND: Final = frozenset({"nav", "aside", "footer", "header", "form", "menu"})
_AROUND_ROLES: Final = frozenset({"navigation", "banner", "contentinfo", "complementary", "search", "menu"})
_INLINE: Final = frozenset(
    [
        "a",
        "abbr",
        "b",
        "bdi",
        "bdo",
        "cite",
        "code",
        "data",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "img",
        "ins",
        "kbd",
        "label",
        "mark",
        "q",
        "rp",
        "rt",
        "ruby",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "time",
        "tt",
        "u",
        "var",
        "wbr",
    ]
)
_HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_HIDDEN: Final = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_LEAST_ARTICLE: Final = 200


def read(reading: Reading) -> Iterator[Block]:
    """Yield the article of a page; the title is the page's own."""
    root = parse(reading.text())
    if root is None:
        return
    reading.title = title_of(root)
    yield from blocks(root)


def parse(text: str) -> Element | None:
    """Return the page's root; None where there is nothing. Anything at all is taken as a page."""
    # What a page says of its encoding has been heard; said again to the parser, it would be believed over the text.
    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True)
    try:
        return html.document_fromstring(text.encode("utf-8", "replace"), parser)
    except etree.ParserError:
        return None


def title_of(root: Element) -> str:
    """Return the title that a page gives itself."""
    found = root.find(".//title")
    return one_line(found.text or "")[:500] if found is not None else ""


def blocks(root: Element, above: tuple[str, ...] = (), place: Locator = NOWHERE) -> Iterator[Block]:
    """Yield what a page says, under the headings `above`: its article where it marks one, else all but the frame."""
    yield from _Page(above, place).blocks(_article(root))


def _article(root: Element) -> Element:
    for name in ("main", "article"):
        found = root.findall(f".//{name}")
        if len(found) == 1 and len(_inline_text(found[0])) >= _LEAST_ARTICLE:
            return found[0]
    return root


_END: Final = "\x1e"
"""The end of a block: what comes after it is another paragraph."""


class _Page:
    """A walk over a page without recursion: strangers nest as deep as they like."""

    def __init__(self, above: tuple[str, ...], place: Locator) -> None:
        self._above = above
        self._place = place
        self._headings: list[tuple[int, str]] = []
        self._loose: list[str] = []

    def blocks(self, root: Element) -> Iterator[Block]:
        pending: list[Element | str] = [root]
        while pending:
            item = pending.pop()
            if item == _END:
                yield from self._flush()
            elif isinstance(item, str):
                self._loose.append(item)
            elif _is_inline(item):
                self._loose.append(_inline_text(item))
            else:
                yield from self._flush()
                yield from self._element(item, pending)
        yield from self._flush()

    def _element(self, item: Element, pending: list[Element | str]) -> Iterator[Block]:
        name = _name(item)
        if _is_silent(item):
            return
        if name in _HEADINGS:
            text = one_line(_inline_text(item))
            if text:
                self._headings = under(self._headings, int(name[1]), text)
        elif name in {"pre", "ul", "ol"}:
            text = _pre(item) if name == "pre" else "\n".join(f"- {line}" for line in _entries(item))
            if text.strip():
                yield Block(text, self._here, self._place, lines=True)
        elif name == "table" and item.find(".//table") is None:
            block = table_block(_rows(item), self._here, self._place)
            if block is not None:
                yield block
        else:
            pending.append(_END)
            for inner in reversed(item):
                pending += [inner.tail or "", inner]
            pending.append(item.text or "")

    @property
    def _here(self) -> tuple[str, ...]:
        return (*self._above, *titles(self._headings))

    def _flush(self) -> Iterator[Block]:
        text = tidy(_breaks("".join(self._loose)))
        self._loose.clear()
        if text:
            yield Block(text, self._here, self._place)


_BREAK: Final = "\x1f"
"""Stands for `<br>` until blanks have been folded: line ends in the source mean nothing."""


def _breaks(text: str) -> str:
    return "\n".join(" ".join(line.split()) for line in text.split(_BREAK))


def _inline_text(root: Element) -> str:
    """Return all text under an element, what is not shown left out."""
    parts: list[str] = []
    pending: list[Element | str] = [root]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        name = _name(item)
        if item is not root and _is_silent(item):
            continue
        if name == "br":
            parts.append(_BREAK)
        elif name == "img":
            parts.append(f" {item.get('alt', '')} ")
        elif name not in _INLINE:
            parts.append(" ")
        for inner in reversed(item):
            pending += [inner.tail or "", inner]
        pending.append(item.text or "")
    return "".join(parts)


def _pre(root: Element) -> str:
    return "".join(str(part) for part in root.itertext()).strip("\n")


def _entries(root: Element) -> Iterator[str]:
    """Yield the entries of a list; one that holds a list of its own has that one's entries in its text."""
    for item in root:
        text = one_line(_inline_text(item).replace(_BREAK, " "))
        if text:
            yield text


def _rows(table: Element) -> list[list[str]]:
    return [
        [_inline_text(cell).replace(_BREAK, " ") for cell in row if _name(cell) in {"td", "th"}]
        for row in table.iter("tr")
    ]


def _name(item: Element) -> str:
    return str(item.tag).rpartition("}")[2].lower()


def _is_inline(item: Element) -> bool:
    """Whether an element flows in its paragraph; `<a><div>…` is a block that happens to be a link."""
    name = _name(item)
    if name == "br":
        return True
    return name in _INLINE and not any(_name(inner) not in _INLINE and _name(inner) != "br" for inner in item.iter())


def _is_silent(item: Element) -> bool:
    name = _name(item)
    if name in _SILENT:
        return True
    # The header of an article is its headline; that of a page is not the article.
    if name in _AROUND and not (name == "header" and _inside_article(item)):
        return True
    if item.get("hidden") is not None or item.get("aria-hidden") == "true":
        return True
    return item.get("role") in _AROUND_ROLES or bool(_HIDDEN.search(item.get("style", "")))


def _inside_article(item: Element) -> bool:
    return any(_name(outer) in {"article", "main", "section"} for outer in item.iterancestors())
