"""Markdown and plain text: headings with hashes or underlined, paragraphs parted by blank lines, fenced code."""

import re
from collections.abc import Iterator

from twinspeak.domain.locator import NOWHERE, Locator
from twinspeak.knowledge.document import Block
from twinspeak.knowledge.formats.reading import Reading
from twinspeak.knowledge.formats.words import LONGEST_HEADING, clean, under

_HEADING = re.compile(r"(#{1,6})[ \t]+(\S.*)")
_CLOSING = re.compile(r"[ \t]#+$")
_UNDERLINE = re.compile(r"(=+|-{3,})[ \t]*")
_FENCE = re.compile(r"[ ]{0,3}(```|~~~)")
_STRUCTURE = re.compile(r"[ ]{0,3}(?:[-*+|>]|\d+[.)][ ]|```|~~~)")
_FRONT_MATTER = re.compile(r"---[ \t]*\n(?:[\w-]+[ \t]*:.*\n|[ \t]+.*\n|\n)+?(?:---|\.\.\.)[ \t]*(?:\n|$)")
_TITLE = re.compile(r"^title[ \t]*:[ \t]*[\"']?(.*?)[\"']?[ \t]*$", re.MULTILINE | re.IGNORECASE)


def read(reading: Reading) -> Iterator[Block]:
    """Yield the paragraphs. The title is the front matter's, else the first heading of the first level."""
    text = clean(reading.text())
    front = _FRONT_MATTER.match(text[:20_000])
    if front:
        title = _TITLE.search(front[0])
        reading.title = title[1] if title else ""
        text = text[front.end() :]
    for block in blocks(text):
        if not reading.title and block.headings:
            reading.title = block.headings[0]
        yield block


def blocks(text: str, above: tuple[str, ...] = (), locator: Locator = NOWHERE) -> Iterator[Block]:
    """Yield the paragraphs of clean text, under the headings `above`."""
    headings: list[tuple[int, str]] = []
    lines: list[str] = []
    fence = ""

    def block() -> Iterator[Block]:
        if any(line.strip() for line in lines):
            whole = "\n".join(lines).strip("\n").rstrip()
            titles = (*above, *(title for _, title in headings))
            yield Block(whole, titles, locator, lines=bool(_STRUCTURE.match(whole)))
        lines.clear()

    for line in text.split("\n"):
        fence_here = _FENCE.match(line)
        if fence:
            lines.append(line)
            fence = "" if fence_here and fence_here[1] == fence else fence
            continue
        heading = _heading(line, lines)
        if heading:
            if _UNDERLINE.fullmatch(line):
                lines.pop()
            yield from block()
            headings = under(headings, *heading)
        elif not line.strip():
            yield from block()
        else:
            lines.append(line)
            fence = fence_here[1] if fence_here else ""
    yield from block()


def _heading(line: str, before: list[str]) -> tuple[int, str] | None:
    """Return (level, title) if `line` is a heading, or underlines the single line `before` it."""
    hashes = _HEADING.fullmatch(line)
    if hashes:
        title = _CLOSING.sub("", hashes[2].rstrip()).rstrip()
        return len(hashes[1]), title[:LONGEST_HEADING]
    if len(before) == 1 and _UNDERLINE.fullmatch(line):
        return (1 if line[0] == "=" else 2), before[0].strip()[:LONGEST_HEADING]
    return None
