"""Lines of a PDF's pages, as pdfium finds them, to paragraphs and headings.

A PDF knows letters and places only. Larger or bolder lines are headings; a wider gap, another size or an indented line
begins a paragraph; what stands at the edge of most pages is no text.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from twinspeak.knowledge.formats.words import one_line

_BULLET = re.compile(r"[•▪◦‣●○■□\u2013\u2014*-][ \t]|\(?\d{1,3}[.)][ \t]|[a-z][.)][ \t]")
_ENDS = (".", "!", "?", ":", ";", "…", "。")
_SOFT_HYPHENS = "\ufffe\x02\u00ad"
_EDGE_LINES = 2
_LEAST_PAGES = 4
_LEAST_LINES = 8
_LONGEST_HEADING = 160


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line: `height` is that of its letters, `bottom` and `left` where it stands, in points, from below."""

    text: str
    height: float
    bottom: float
    left: float
    bold: bool


class Style(msgspec.Struct, frozen=True):
    """What the text of a document looks like, and which letter heights are headings, largest first."""

    body: float
    bold: bool
    headings: tuple[float, ...]

    def level(self, line: Line) -> int | None:
        """Return the level of a heading; None for text."""
        if not _may_be_heading(line):
            return None
        if line.height > self.body * 1.15:
            size = _rounded(line)
            return min(self.headings.index(size) + 1, 6) if size in self.headings else None
        return len(self.headings) + 1 if line.bold and not self.bold and line.height > self.body * 0.95 else None


def without_edges(pages: Sequence[list[Line]]) -> list[list[Line]]:
    """Return the pages without running heads and page numbers: what stands at the edge of most of them."""
    if len(pages) < _LEAST_PAGES:
        return list(pages)
    seen = Counter(key for page in pages for key in {_edge_key(line) for line in _edges(page)})
    often = {key for key, count in seen.items() if count >= max(3, len(pages) // 2)}
    return [
        [line for at, line in enumerate(page) if not (_is_edge(at, page) and _edge_key(line) in often)]
        for page in pages
    ]


def style_of(pages: Iterable[list[Line]]) -> Style:
    """Return the style most letters have. Where every fifth line looks like a heading, none is one."""
    lines = [line for page in pages for line in page]
    weights: Counter[tuple[float, bool]] = Counter()
    for line in lines:
        weights[_rounded(line), line.bold] += len(line.text)
    if not weights:
        return Style(0.0, False, ())
    body, bold = weights.most_common(1)[0][0]
    larger = Counter(_rounded(line) for line in lines if line.height > body * 1.15 and _may_be_heading(line))
    if larger.total() * 5 > len(lines) > 20:
        return Style(body, True, ())
    return Style(body, bold, tuple(sorted(larger, reverse=True)))


def paragraphs(page: Sequence[Line], style: Style) -> Iterator[tuple[int | None, str, bool]]:
    """Yield (heading's level or None, text, whether it is a list) for each paragraph and heading of a page."""
    group: list[Line] = []
    level: int | None = None
    for line in page:
        own = style.level(line)
        if group and (own != level or _begins_anew(group[-1], line, heading=level is not None)):
            yield level, *_joined(group)
            group = []
        level = own
        group.append(line)
    if group:
        yield level, *_joined(group)


def _begins_anew(before: Line, line: Line, *, heading: bool) -> bool:
    step = before.bottom - line.bottom
    tall = max(before.height, line.height)
    if step < -tall or step > tall * (1.5 if heading else 1.75):
        return True  # another column, or a wide gap
    if abs(before.height - line.height) > tall * 0.2:
        return True
    if heading or _BULLET.match(line.text):
        return False
    return line.left - before.left > tall and before.text.endswith(_ENDS)


def _joined(group: Sequence[Line]) -> tuple[str, bool]:
    """Return a paragraph's text, words parted at line ends made whole; entries of a list keep their lines."""
    text = ""
    listed = False
    for line in group:
        words = line.text
        if not text:
            text = words
        elif _BULLET.match(words):
            listed = True
            text = f"{text}\n{words}"
        elif text[-1] in _SOFT_HYPHENS:
            text = text[:-1] + words
        else:
            text = f"{text} {words}"
    return text.translate(dict.fromkeys(map(ord, _SOFT_HYPHENS), "-")), listed


def _may_be_heading(line: Line) -> bool:
    text = line.text
    return len(text) <= _LONGEST_HEADING and any(letter.isalpha() for letter in text) and not text.endswith((".", ","))


def _rounded(line: Line) -> float:
    return round(line.height * 2) / 2


def _edges(page: Sequence[Line]) -> list[Line]:
    return [line for at, line in enumerate(page) if _is_edge(at, page)]


def _is_edge(at: int, page: Sequence[Line]) -> bool:
    """Whether a line may be a running head or foot: not on a page that is hardly more than those."""
    return len(page) >= _LEAST_LINES and (at < _EDGE_LINES or at >= len(page) - _EDGE_LINES)


def _edge_key(line: Line) -> str:
    return re.sub(r"\d+", "#", one_line(line.text))[:200]
