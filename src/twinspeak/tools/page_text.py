"""What a person sees of a web page, as text. Pure: HTML in, text out; what is hidden from people is hidden from models.

For pages that a model reads in passing; what goes into a vault is taken apart by `knowledge`.
"""

import re
from html.parser import HTMLParser

_SKIPPED = frozenset({"script", "style", "noscript", "template", "svg", "head", "iframe", "object", "select", "canvas"})
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
_BLOCKS = frozenset(
    {
        "address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "figcaption", "footer", "form",
        "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table",
        "td", "th", "tr", "ul",
    }
)  # fmt: skip
_INVISIBLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?![.\d])|font-size\s*:\s*0(?![.\d])", re.IGNORECASE
)
_UNSEEN = dict.fromkeys([*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF, 0xAD])
_TAGS = range(0xE0000, 0xE0080)
_DEEPEST = 500


def text_of(html: str) -> tuple[str, str]:
    """Return the title of a page and its visible text, a line for each block."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = (" ".join(visible(line).split()) for line in "".join(reader.pieces).split("\n"))
    return " ".join(visible(reader.title).split())[:300], "\n".join(line for line in lines if line)


def visible(text: str) -> str:
    """Return a text without signs that nobody sees: of no width, of direction, and tags that spell out of sight."""
    return "".join(sign for sign in text.translate(_UNSEEN) if ord(sign) not in _TAGS)


class _Reader(HTMLParser):
    """Gathers text outside of what is skipped or hidden."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.title = ""
        self._hidden: list[str] = []
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title":
            self._in_title = True
        if tag in _VOID:
            self.pieces.append("\n" if tag in _BLOCKS else "")
        elif self._hidden or tag in _SKIPPED or _is_hidden(dict(attrs)):
            if len(self._hidden) < _DEEPEST:
                self._hidden.append(tag)
        elif tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        if tag in self._hidden:
            # Whatever was left open inside is closed with it.
            while self._hidden.pop() != tag:
                pass
        elif not self._hidden and tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data[: 300 - len(self.title)] if len(self.title) < 300 else ""
        elif not self._hidden:
            self.pieces.append(data)


def _is_hidden(attributes: dict[str, str | None]) -> bool:
    if "hidden" in attributes or (attributes.get("aria-hidden") or "").lower() == "true":
        return True
    return bool(_INVISIBLE.search(attributes.get("style") or ""))
