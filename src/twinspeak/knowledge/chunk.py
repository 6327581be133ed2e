"""Blocks to chunks: pieces small enough to cite, cut where the writer paused.

Pure functions. A chunk never crosses a heading, a page, a slide or a sheet; it holds whole paragraphs where they fit
and whole sentences where those fit. No word is lost, repeated or reordered (a law of tests/knowledge/test_chunk.py), so
a chunk can be quoted as it is; only the names of a table's columns stand over each piece of it.
"""

import re
from collections.abc import Iterable, Iterator

import msgspec

from twinspeak.domain.locator import NOWHERE, Locator
from twinspeak.knowledge.document import Block
from twinspeak.knowledge.formats import markdown
from twinspeak.knowledge.formats.words import clean

_SENTENCE_END = re.compile(r"(?:[.!?\u2026][\"'\u2019\u201d)\]]*(?=\s)|[\u3002\uff01\uff1f])")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Za-z]|e\.g|i\.e|etc|vs|cf|ca|approx|no|fig|vol|pp|mr|mrs|ms|dr|prof|st|jr|sr|inc|ltd|co)\.$",
    re.IGNORECASE,
)
_LONGEST_ABBREVIATION = 12
_FAR_S = 120


class Sizes(msgspec.Struct, frozen=True):
    """How large pieces are, in characters.

    A chunk is closed when the next piece would take it past `chunk`: 900 are about 200 tokens, several of which fit a
    prompt; the vendor's own are 8,000. Chunks of one section share a parent of at most about `parent`.
    """

    chunk: int = 900
    parent: int = 3_600


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """A piece of a document. `position` counts from 0; `section` is its headings, outermost first, joined by ` > `.

    Chunks with the same `parent` follow one another in one section: joined by blank lines they are its text.
    """

    position: int
    section: str
    text: str
    locator: Locator = NOWHERE
    parent: int = 0


class _Piece(msgspec.Struct):
    """A chunk in the making; `rows` is its text without the names of columns."""

    section: str
    locator: Locator
    lead: str
    rows: str

    @property
    def text(self) -> str:
        return f"{self.lead}\n{self.rows}" if self.lead else self.rows


def chunk(blocks: Iterable[Block], sizes: Sizes = Sizes()) -> list[Chunk]:  # noqa: B008 - it is frozen
    """Cut blocks into chunks of at most `sizes.chunk` characters. Headings without text give none."""
    found: list[Chunk] = []
    parent = length = 0
    for piece in _packed(blocks, sizes.chunk):
        before = found[-1] if found else None
        if before is not None:
            same = before.section == piece.section and before.locator.shares_unit(piece.locator)
            if not same or length + len(piece.text) > sizes.parent:
                parent, length = parent + 1, 0
        length += len(piece.text)
        found.append(Chunk(len(found), piece.section, piece.text, piece.locator, parent))
    return found


def split(text: str, *, target_chars: int = Sizes().chunk) -> list[Chunk]:
    """Cut Markdown or plain text into chunks of at most `target_chars` characters."""
    return chunk(markdown.blocks(clean(text)), Sizes(chunk=target_chars))


def sentences(text: str) -> list[str]:
    """Cut a paragraph after its sentences; joined by blanks, they give its words again."""
    found: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        end = match.end()
        if _ABBREVIATION.search(text[max(start, end - _LONGEST_ABBREVIATION) : end]):
            continue
        sentence = text[start:end].strip()
        if sentence:
            found.append(sentence)
            start = end
    rest = text[start:].strip()
    return [*found, rest] if rest else found


def _packed(blocks: Iterable[Block], most: int) -> Iterator[_Piece]:
    """Yield the pieces, as full as they get."""
    held: _Piece | None = None
    for block in blocks:
        section = " > ".join(block.headings)
        lead = block.lead[: most // 3].strip()
        room = most - len(lead) - 1 if lead else most
        joint = "\n" if lead else "\n\n"
        for words, next_joint in _fit(block, room):
            fits = held is not None and len(held.rows) + len(joint) + len(words) <= room
            if held is not None and fits and _together(held, block, section, lead):
                held.rows += joint + words
            elif words.strip():
                if held is not None:
                    yield held
                held = _Piece(section, block.locator, lead, words)
            joint = next_joint
    if held is not None:
        yield held


def _together(held: _Piece, block: Block, section: str, lead: str) -> bool:
    """Whether a block goes into a chunk that is begun: a place cited is a place near by, in time as on pages."""
    before, here = held.locator, block.locator
    if here.point == "t" and here.at - before.at > _FAR_S:
        return False
    return held.section == section and held.lead == lead and before.shares_unit(here)


def _fit(block: Block, most: int) -> Iterator[tuple[str, str]]:
    """Cut a block into (piece, what parts it from the next), each piece at most `most` characters.

    Whole if it fits; else lists, tables and code by their lines, prose by its sentences; else by words; else anywhere.
    """
    if len(block.text) <= most:
        yield block.text, "\n"
        return
    for part in block.text.split("\n") if block.lines else sentences(block.text):
        if len(part) <= most:
            yield part, "\n" if block.lines else " "
        else:
            yield from ((piece, " ") for piece in _by_words(part, most))


def _by_words(text: str, most: int) -> Iterator[str]:
    start = 0
    end = len(text.rstrip())
    while end - start > most:
        space = max(text.rfind(" ", start + 1, start + most + 1), text.rfind("\n", start + 1, start + most + 1))
        cut = space if space > start else start + most
        if text[start:cut].strip():
            yield text[start:cut].rstrip()
        start = cut
        while start < end and text[start].isspace():
            start += 1
    if start < end:
        yield text[start:end]
