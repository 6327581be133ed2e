"""Documents to chunks: pieces small enough to cite, cut where the writer paused.

Pure functions. A chunk never crosses a heading, holds whole paragraphs where they fit and whole sentences where those
fit. No word is lost, repeated or reordered (a law of tests/knowledge/test_chunk.py), so a chunk can be quoted as it is.
"""

import re
import unicodedata
from collections.abc import Iterator

import msgspec

TARGET_CHARS = 900
"""A chunk is closed when the next piece would take it past this: about 200 tokens, several of which fit a prompt."""

_LONGEST_HEADING = 200
_HEADING = re.compile(r"(#{1,6})[ \t]+(.+?)(?:[ \t]+#*)?[ \t]*")
_UNDERLINE = re.compile(r"(=+|-{3,})[ \t]*")
_FENCE = re.compile(r"[ ]{0,3}(```|~~~)")
_SENTENCE_END = re.compile(r"(?:[.!?\u2026][\"'\u2019\u201d)\]]*(?=\s)|[\u3002\uff01\uff1f])")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Za-z]|e\.g|i\.e|etc|vs|cf|ca|approx|no|fig|vol|pp|mr|mrs|ms|dr|prof|st|jr|sr|inc|ltd|co)\.$",
    re.IGNORECASE,
)
_STRUCTURE = re.compile(r"[ ]{0,3}(?:[-*+|>]|\d+[.)][ ]|```|~~~)")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u0085\ufeff\ud800-\udfff]")


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """A piece of a document. `position` counts from 0; `section` is its headings, outermost first, joined by ` > `."""

    position: int
    section: str
    text: str


class _Block(msgspec.Struct, frozen=True, gc=False):
    """A paragraph, a list or a fenced block, and the headings it stands under."""

    section: str
    text: str


def clean(text: str) -> str:
    """Return `text` in Unicode NFC with plain line ends and without characters that no database takes.

    Lone surrogates, NUL and other control characters go; tabs stay.
    """
    plain = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return unicodedata.normalize("NFC", _CONTROL.sub("", plain))


def split(text: str, *, target_chars: int = TARGET_CHARS) -> list[Chunk]:
    """Cut Markdown or plain text into chunks of at most `target_chars` characters.

    A document that has headings but no text gives no chunks.
    """
    packed: list[tuple[str, str]] = []
    for block in _blocks(clean(text)):
        joint = "\n\n"
        for piece, next_joint in _fit(block.text, target_chars):
            section, so_far = packed[-1] if packed else ("", "")
            if packed and section == block.section and len(so_far) + len(joint) + len(piece) <= target_chars:
                packed[-1] = (section, so_far + joint + piece)
            else:
                packed.append((block.section, piece))
            joint = next_joint
    return [Chunk(position, section, piece) for position, (section, piece) in enumerate(packed)]


def sentences(text: str) -> list[str]:
    """Cut a paragraph after its sentences; joined by blanks, they give its words again."""
    found: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        candidate = text[start : match.end()]
        if _ABBREVIATION.search(candidate) or not candidate.strip():
            continue
        found.append(candidate.strip())
        start = match.end()
    rest = text[start:].strip()
    return [*found, rest] if rest else found


def _blocks(text: str) -> Iterator[_Block]:
    headings: list[tuple[int, str]] = []
    lines: list[str] = []
    fence = ""

    def block() -> Iterator[_Block]:
        if any(line.strip() for line in lines):
            yield _Block(" > ".join(title for _, title in headings), "\n".join(lines).strip("\n").rstrip())
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
            headings = [*(held for held in headings if held[0] < heading[0]), heading]
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
        return len(hashes[1]), hashes[2][:_LONGEST_HEADING]
    if len(before) == 1 and _UNDERLINE.fullmatch(line):
        return (1 if line[0] == "=" else 2), before[0].strip()[:_LONGEST_HEADING]
    return None


def _fit(text: str, most: int) -> Iterator[tuple[str, str]]:
    """Cut `text` into (piece, what parts it from the next), each piece at most `most` characters.

    Whole if it fits; else lists, tables and code by their lines, prose by its sentences; else by words; else anywhere.
    """
    if len(text) <= most:
        yield text, "\n"
        return
    structured = _STRUCTURE.match(text)
    for part in text.split("\n") if structured else sentences(text):
        if len(part) <= most:
            yield part, "\n" if structured else " "
        else:
            yield from ((piece, " ") for piece in _by_words(part, most))


def _by_words(text: str, most: int) -> Iterator[str]:
    rest = text
    while len(rest) > most:
        space = max(rest.rfind(" ", 1, most + 1), rest.rfind("\n", 1, most + 1))
        cut = space if space > 0 else most
        yield rest[:cut].rstrip()
        rest = rest[cut:].lstrip()
    if rest:
        yield rest
