"""Jupyter notebooks (nbformat 3 and 4): Markdown cells as text, code cells as code with what they printed."""

from collections.abc import Iterator
from typing import Any

import orjson

from twinspeak.domain.file_errors import FileDamaged
from twinspeak.domain.locator import Locator
from twinspeak.knowledge.document import Block
from twinspeak.knowledge.formats import markdown
from twinspeak.knowledge.formats.reading import Reading
from twinspeak.knowledge.formats.words import clean, is_object, items, mapping

_LONGEST_OUTPUT = 4_000


def read(reading: Reading) -> Iterator[Block]:
    """Yield the cells; the headings of Markdown cells stand over the code below them."""
    try:
        book = orjson.loads(reading.text())
    except orjson.JSONDecodeError as error:
        raise FileDamaged(details={"format": "ipynb"}) from error
    above: tuple[str, ...] = ()
    cells = _cells(book)
    reading.units = len(cells)
    for number, cell in enumerate(cells, start=1):
        place = Locator("cell", str(number))
        source = clean(_joined(cell.get("source", cell.get("input", ""))))
        if cell.get("cell_type") == "code":
            yield from _code(cell, source, above, place)
            continue
        kind = cell.get("cell_type")
        if kind == "heading":
            source = f"{'#' * min(max(int(cell.get('level', 1) or 1), 1), 6)} {source}"
        above = _headings_after(source, above)
        for block in markdown.blocks(source, (), place):
            yield Block(block.text, block.headings or above, place, lines=block.lines)
    reading.title = reading.title or _title(book)


def _cells(book: Any) -> list[dict[str, Any]]:
    if not is_object(book):
        raise FileDamaged(details={"format": "ipynb"})
    whole = mapping(book)
    lists = [whole.get("cells"), *(mapping(sheet).get("cells") for sheet in items(whole.get("worksheets")))]
    return [mapping(cell) for cells in lists for cell in items(cells)]


def _code(cell: dict[str, Any], source: str, above: tuple[str, ...], place: Locator) -> Iterator[Block]:
    if source.strip():
        yield Block(source.strip("\n"), above, place, lines=True)
    printed: list[str] = []
    for output in map(mapping, items(cell.get("outputs"))):
        plain = mapping(output.get("data")).get("text/plain", "")
        printed.append(_joined(output.get("text", "")) or _joined(plain))
    text = clean("\n".join(part.strip("\n") for part in printed if part.strip()))[:_LONGEST_OUTPUT]
    if text.strip():
        yield Block(text, above, place, lines=True)


def _headings_after(source: str, above: tuple[str, ...]) -> tuple[str, ...]:
    """Return the headings in force after a Markdown cell: those of its end, or the ones before."""
    ends = [block.headings for block in markdown.blocks(f"{source}\n\n.")]
    return (ends[-1] if ends else ()) or above


def _joined(lines: Any) -> str:
    if isinstance(lines, str):
        return lines
    return "".join(line for line in items(lines) if isinstance(line, str))


def _title(book: Any) -> str:
    title = mapping(mapping(book).get("metadata")).get("title", "")
    return title[:500] if isinstance(title, str) else ""
