"""Rows 12 and 13 without the database: what an index costs to build and to ask, how fast text is read and cut.

    python -m bench.retrieval_speed

The database adds the reading of the passages when an index is cold, and of the few that were found when it is warm.
"""

import asyncio
import itertools
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.seeding import vocabulary_of
from twinspeak.knowledge.chunk import chunk
from twinspeak.knowledge.document import Limits
from twinspeak.knowledge.extracting import extract
from twinspeak.knowledge.index.vault import Asked, IndexedChunk, VaultIndex, search

LARGE = 100_000
MANY, SMALL = 100, 1_000
QUESTIONS = 200
WORDS = 120
"""Of a passage."""
TEXT_BYTES = 20_000_000
RESULTS = Path(__file__).parent / "results" / "retrieval-speed.json"


class Writer:
    """Invented words, the n-th of which comes about 1/n as often as the first."""

    def __init__(self) -> None:
        """The same words each time."""
        self._draw = random.Random(12)  # noqa: S311 -- a benchmark
        self._words = vocabulary_of(self._draw)
        self._weights = list(itertools.accumulate(1 / (place + 2) for place in range(len(self._words))))

    def text(self) -> str:
        """Return a passage."""
        return " ".join(self._draw.choices(self._words, cum_weights=self._weights, k=WORDS))

    def question(self) -> str:
        """Return a whole question."""
        return f"What is known about {' '.join(self.text().split()[:8])} and how does it come about?"


def main() -> int:
    """Measure, print, leave the figures behind."""
    writer = Writer()
    figures = {"one vault of 100,000": _asked(writer, 1, LARGE), "100 vaults of 1,000": _asked(writer, MANY, SMALL)}
    figures["reading"] = asyncio.run(_reading(writer))
    print(json.dumps(figures, indent=2))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def _asked(writer: Writer, vaults: int, size: int) -> dict[str, float]:
    built: list[VaultIndex] = []
    taken: list[float] = []
    for _ in range(vaults):
        chunks = [IndexedChunk(str(place), str(place // 100), writer.text()) for place in range(size)]
        began = time.perf_counter()
        built.append(VaultIndex().step(dict.fromkeys((one.document_id for one in chunks), "")).finished(chunks))
        taken.append(time.perf_counter() - began)
    warm: list[float] = []
    for number in range(QUESTIONS):
        question = Asked(writer.question(), limit=18, lexical_floor=0.3)
        began = time.perf_counter()
        search([built[number % vaults]], question)
        warm.append((time.perf_counter() - began) * 1000)
    warm.sort()
    return {
        "built, s": round(max(taken), 3),
        "p50, ms": round(warm[QUESTIONS // 2], 2),
        "p95, ms": round(warm[int(QUESTIONS * 0.95)], 2),
    }


async def _reading(writer: Writer) -> dict[str, Any]:
    page = "".join(f"## Part {number}\n\n{writer.text()}.\n\n" for number in range(2_000))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "book.md"
        await asyncio.to_thread(path.write_text, page * (TEXT_BYTES // len(page)))
        began = time.perf_counter()
        found = await extract(path, path.name, "text/markdown", Limits())
        read = time.perf_counter() - began
        chunks = chunk(found.blocks)
        cut = time.perf_counter() - began
    size = len(page) * (TEXT_BYTES // len(page)) / 1e6
    return {"MB/s read": round(size / read, 2), "MB/s read and cut": round(size / cut, 2), "passages": len(chunks)}


if __name__ == "__main__":
    sys.exit(main())
