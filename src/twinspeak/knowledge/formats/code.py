"""Source code, logs and configuration: as it is, cut at blank lines, with the number of the line it begins with."""

from collections.abc import Iterator

from twinspeak.domain.locator import Locator
from twinspeak.knowledge.document import Block
from twinspeak.knowledge.formats.reading import Reading
from twinspeak.knowledge.formats.words import clean


def read(reading: Reading) -> Iterator[Block]:
    """Yield the paragraphs of code."""
    lines: list[str] = []
    began = 1
    for number, line in enumerate([*clean(reading.text()).split("\n"), ""], start=1):
        if line.strip():
            began = began if lines else number
            lines.append(line.rstrip())
        elif lines:
            yield Block("\n".join(lines), (), Locator(point="line", at=began), lines=True)
            lines = []
