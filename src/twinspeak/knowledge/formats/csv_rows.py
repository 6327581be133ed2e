"""CSV and its cousins with tabs, semicolons or bars (RFC 4180, read leniently)."""

import csv
import io
from collections.abc import Iterator

from twinspeak.domain.file_errors import FileDamaged
from twinspeak.knowledge.document import Block
from twinspeak.knowledge.formats.reading import Reading
from twinspeak.knowledge.formats.tables import sheet_blocks
from twinspeak.knowledge.formats.words import clean

_SEPARATORS = ",;\t|"
_SAMPLE_LINES = 20


def read(reading: Reading) -> Iterator[Block]:
    """Yield the rows under the names of their columns. Raises FileDamaged, FileTooLarge."""
    text = clean(reading.text())
    csv.field_size_limit(1_000_000)
    rows = csv.reader(io.StringIO(text), delimiter=separator(text) or ",")
    try:
        yield from sheet_blocks(reading, rows)
    except csv.Error as error:
        raise FileDamaged(details={"format": "csv"}) from error


def separator(text: str) -> str:
    """Return what parts the cells: what occurs equally often in each of the first lines; "" where nothing does."""
    lines = [line for line in text[:50_000].split("\n")[:_SAMPLE_LINES] if line.strip()]
    counts = {mark: [len(row) for row in csv.reader(lines, delimiter=mark)] for mark in _SEPARATORS}
    even = [mark for mark, widths in counts.items() if widths and min(widths) == max(widths) > 1]
    return max(even, key=lambda mark: counts[mark][0], default="")
