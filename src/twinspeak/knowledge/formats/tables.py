"""Rows of cells as blocks: sheets, CSV and the tables of documents. The names of the columns stand over every piece."""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from twinspeak.domain.file_errors import FileTooLarge
from twinspeak.domain.locator import Locator
from twinspeak.knowledge.document import Block
from twinspeak.knowledge.formats.reading import Reading
from twinspeak.knowledge.formats.words import one_line

_BATCH_CHARS = 300
_LONGEST_LEAD = 300


def cell_text(value: Any) -> str:
    """Return a cell as people read it: no `.0` behind whole numbers, dates without midnight."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()
    return one_line(str(value))


def row_text(cells: Sequence[str]) -> str:
    """Return a row on one line; empty cells at its end are left out."""
    end = len(cells)
    while end and not cells[end - 1]:
        end -= 1
    return " | ".join(cells[:end])


def sheet_blocks(
    reading: Reading, rows: Iterable[Sequence[Any]], *, sheet: str = "", first_row: int = 1
) -> Iterator[Block]:
    """Yield the rows of a sheet, several a block; each block says with which row it begins.

    The first row with two or more cells, all of them words, names the columns. Raises FileTooLarge over `max_rows`.
    """
    headings = (sheet,) if sheet else ()
    lead = ""
    batch: list[str] = []
    begins = 0
    for number, row in enumerate(rows, start=first_row):
        if number - first_row >= reading.limits.max_rows:
            most = reading.limits.max_rows
            raise FileTooLarge(f"A sheet has more than {most:,} rows.", details={"limit": "rows", "most": most})
        cells = [cell_text(value) for value in row]
        text = row_text(cells)
        if not text:
            continue
        if not lead and not batch and _names_columns(row, cells):
            lead = text[:_LONGEST_LEAD]
            continue
        begins = begins or number
        batch.append(text)
        if sum(map(len, batch)) >= _BATCH_CHARS:
            yield _rows(batch, headings, _place(sheet, begins), lead)
            batch, begins = [], 0
    if batch or lead:
        # A sheet of one row is all that there is to find.
        yield _rows(batch or [lead], headings, _place(sheet, begins or first_row), lead if batch else "")


def table_block(rows: list[list[str]], headings: tuple[str, ...], locator: Locator) -> Block | None:
    """Return a table of a document as one block; None when all its cells are empty."""
    texts = [text for text in (row_text([one_line(cell) for cell in row]) for row in rows) if text]
    if not texts:
        return None
    if len(texts) > 2 and " | " in texts[0]:
        return _rows(texts[1:], headings, locator, texts[0][:_LONGEST_LEAD])
    return _rows(texts, headings, locator, "")


def _names_columns(row: Sequence[Any], cells: list[str]) -> bool:
    filled = [value for value, text in zip(row, cells, strict=True) if text]
    return len(filled) >= 2 and all(isinstance(value, str) and not _is_number(value) for value in filled)


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return False
    return True


def _place(sheet: str, row: int) -> Locator:
    return Locator("sheet", sheet, "row", row) if sheet else Locator(point="row", at=row)


def _rows(rows: list[str], headings: tuple[str, ...], locator: Locator, lead: str) -> Block:
    return Block("\n".join(rows), headings, locator, lines=True, lead=lead)
