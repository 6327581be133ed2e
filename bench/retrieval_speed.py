"""Rows 12 and 13 on both databases: what a question costs in one large vault and in many, how fast files are taken in.

    python -m bench.retrieval_speed                         both databases: some minutes
    python -m bench.retrieval_speed --passages 1000 --vaults 5 --each 100 --megabytes 1      a quick look

Passages are written as rows, as a worker would have left them, with a vector each; then `VaultRetriever` is asked whole
questions, as a turn asks it. Cold is the first question after a start, when the index of a vault is made; warm is every
later one; `after a change` is the first question after one document of the vault was changed. Texts come as files to
the same worker that a server starts, one after the other. The vectors are dice: what is measured is what it costs to
search them; a model that makes them has its own line where it is installed.
"""

import argparse
import asyncio
import itertools
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, insert, update

from bench.databases import fresh
from bench.sample import machine
from bench.seeding import BEGAN, TOGETHER, finished, members_of, vocabulary_of
from twinspeak.app.reading import limits_of, sizes_of
from twinspeak.domain.clock import now_ms
from twinspeak.domain.ids import new_id
from twinspeak.domain.vault import Document, Shelf, VaultQuery
from twinspeak.knowledge.embedding import Always, Local
from twinspeak.knowledge.embedding.minilm import MiniLm, model_folder
from twinspeak.knowledge.pipeline import Means, Pipeline
from twinspeak.knowledge.reading import FileReader
from twinspeak.knowledge.retrieve import VaultRetriever
from twinspeak.knowledge.worker import Worker
from twinspeak.persistence import jobs
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.engines import make_engine, parse_url
from twinspeak.persistence.files import LocalFiles
from twinspeak.persistence.repos import documents, shelves
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.vault_tables import chunks as chunks_table
from twinspeak.persistence.vault_tables import documents as documents_table
from twinspeak.settings import Settings

RESULTS = Path(__file__).parent / "results" / "retrieval-speed.json"
WORDS = 120
"""Of a passage."""
OF_A_DOCUMENT = 100
DIMENSIONS = 384
MODEL = "bench"
FOUND = 18
"""Passages that a turn looks at."""
LONGEST_S = 60.0
"""No series of questions goes on for longer."""
FILE_BYTES = 2_000_000
TARGET_MS, TARGET_MB = 40.0, 2.0


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    passages: int
    vaults: int
    each: int
    questions: int
    megabytes: int


@dataclass(frozen=True)
class Figure:
    """A line of the table; `target` None: only stated."""

    row: int
    database: str
    what: str
    figure: float
    unit: str
    target: float | None = None

    @property
    def verdict(self) -> str:
        """Return whether the target was met; "" where there is none."""
        if self.target is None:
            return ""
        met = self.figure >= self.target if self.unit == "MB/s" else self.figure <= self.target
        return "met" if met else "MISSED"


class Writer:
    """Invented words, the n-th of which comes about 1/n as often as the first; and dice for vectors."""

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


class Dice:
    """Stands for an embedding model: vectors of the right size that cost nothing to make."""

    name = MODEL

    def __init__(self) -> None:
        """The same vectors each time."""
        import numpy as np

        self._draw = np.random.default_rng(12)

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return a unit vector for each text."""
        import numpy as np

        rows = self._draw.standard_normal((len(texts), DIMENSIONS), dtype=np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return [row.astype("<f4").tobytes() for row in rows]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, leave the figures behind."""
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval_speed", description=__doc__)
    parser.add_argument("--passages", type=int, default=100_000, help="of the one large vault")
    parser.add_argument("--vaults", type=int, default=100)
    parser.add_argument("--each", type=int, default=1_000, help="passages of each of them")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--megabytes", type=int, default=20, help="of text to be taken in")
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    size = Size(options.passages, options.vaults, options.each, options.questions, options.megabytes)
    began, stands = time.monotonic(), machine()
    lines: list[Figure] = []
    for kind in options.databases.split(","):
        with fresh(kind) as url:
            lines += _measured(kind, url, size)
    lines += _model()
    _print(lines, size)
    figures = {
        "machine": msgspec.to_builtins(stands),
        "took_s": round(time.monotonic() - began),
        "size": asdict(size),
        "figures": [{**asdict(line), "verdict": line.verdict} for line in lines],
    }
    options.results.parent.mkdir(exist_ok=True)
    options.results.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def _measured(kind: str, url: str, size: Size) -> list[Figure]:
    writer = Writer()
    began = time.monotonic()
    owners = _seeded(url, size, writer)
    print(f"{kind}: {size.passages + size.vaults * size.each} passages, {time.monotonic() - began:.0f} s", flush=True)
    lines: list[Figure] = []
    for how, dice in (("by words", None), ("by words and sense", Dice())):
        lines += asyncio.run(_asked(kind, url, size, owners, (how, dice, writer)))
    lines.append(asyncio.run(_taken_in(kind, url, size, owners[0], writer)))
    return lines


# -- passages ---------------------------------------------------------------------------------------------------------


def _seeded(url: str, size: Size, writer: Writer) -> list[str]:
    """Fill an empty database; return whose the vaults are, the large one's first."""
    engine = make_engine(parse_url(url), read_only=False)
    dice = Dice()
    try:
        with engine.begin() as connection:
            owners = members_of(connection).people[: 1 + size.vaults]
        for owner, passages in zip(
            owners, itertools.chain((size.passages,), itertools.repeat(size.each)), strict=False
        ):
            _vault(engine, owner, passages, (writer, dice))
        finished(engine)
    finally:
        engine.dispose()
    return owners


def _vault(engine: Engine, owner: str, passages: int, of: tuple[Writer, Dice]) -> None:
    """Write somebody's own vault."""
    writer, dice = of
    for first in range(0, passages, TOGETHER):
        count = min(TOGETHER, passages - first)
        with engine.begin() as connection:
            made = [_document(connection, owner) for _ in range(0, count, OF_A_DOCUMENT)]
            rows = [
                {
                    "id": new_id(),
                    "document_id": made[place // OF_A_DOCUMENT],
                    "user_id": owner,
                    "position": place % OF_A_DOCUMENT,
                    "section": "",
                    "text": writer.text(),
                    "parent": 0,
                    "locator": "",
                    "vector": vector,
                }
                for place, vector in enumerate(dice.embed([""] * count))
            ]
            connection.execute(insert(chunks_table), rows)
    with engine.begin() as connection:
        shelves.changed(Tx(connection), Shelf("personal", user_id=owner))


def _document(connection: Connection, owner: str) -> str:
    id_ = new_id()
    row = {"id": id_, "user_id": owner, "owner_id": owner, "name": f"{id_}.md", "content_hash": id_, "created": BEGAN}
    made = {"indexed": True, "embeddings_model": MODEL, "chunks": OF_A_DOCUMENT}
    connection.execute(insert(documents_table).values(**row, **made))
    return id_


# -- row 12 -----------------------------------------------------------------------------------------------------------


async def _asked(
    kind: str, url: str, size: Size, owners: Sequence[str], way: tuple[str, Dice | None, Writer]
) -> list[Figure]:
    how, dice, writer = way
    db = Database.open(url)
    try:
        retriever = VaultRetriever(
            db,
            embedders=Always(Local(dice) if dice else None),
            most_chunks=10 * (size.passages + size.vaults * size.each),
        )

        async def ask(owner: str) -> float:
            query = VaultQuery(owner, None, writer.question(), FOUND)
            began = time.perf_counter()
            await retriever.find(query)
            return (time.perf_counter() - began) * 1000

        large = f"one vault of {size.passages:,}, {how}"
        lines = [Figure(12, kind, f"{large}: cold", await ask(owners[0]), "ms")]
        lines += _quantiles(kind, large, await _series(ask, itertools.repeat(owners[0], size.questions)))
        await db.write(lambda tx: _touch(tx, owners[0]))
        lines.append(Figure(12, kind, f"{large}: after a change", await ask(owners[0]), "ms"))
        if size.vaults:
            many = f"{size.vaults} vaults of {size.each:,}, {how}"
            cold = sorted(await _series(ask, iter(owners[1:])))
            lines.append(Figure(12, kind, f"{many}: cold, p95", cold[int(len(cold) * 0.95)], "ms"))
            lines += _quantiles(
                kind, many, await _series(ask, itertools.islice(itertools.cycle(owners[1:]), size.questions))
            )
        return lines
    finally:
        db.close()


async def _series(ask: Callable[[str], Any], whose: Iterator[str]) -> list[float]:
    ends = time.monotonic() + LONGEST_S
    taken: list[float] = []
    for owner in whose:
        taken.append(await ask(owner))
        if time.monotonic() > ends:
            break
    return taken


def _quantiles(kind: str, what: str, taken: Sequence[float]) -> list[Figure]:
    ordered = sorted(taken)
    return [
        Figure(12, kind, f"{what}: p50", ordered[len(ordered) // 2], "ms"),
        Figure(12, kind, f"{what}: p95", ordered[int(len(ordered) * 0.95)], "ms", TARGET_MS),
    ]


def _touch(tx: Tx, owner: str) -> None:
    """Change one document of a vault."""
    some = tx.value(scoped(SYSTEM, documents_table.select().where(documents_table.c.user_id == owner).limit(1)))
    changed = update(documents_table).where(documents_table.c.id == some)
    tx.run(scoped(SYSTEM, changed.values(revision=documents_table.c.revision + 1)))
    shelves.changed(tx, Shelf("personal", user_id=owner))


def _model() -> list[Figure]:
    """Say what a question's vector costs where the model is installed."""
    folder = model_folder()
    if folder is None:
        return []
    model, writer = MiniLm(folder), Writer()
    model.embed([writer.question()])
    taken: list[float] = []
    for _ in range(20):
        began = time.perf_counter()
        model.embed([writer.question()])
        taken.append((time.perf_counter() - began) * 1000)
    return [Figure(12, "", f"a question's vector by {model.name}: p50", sorted(taken)[10], "ms")]


# -- row 13 -----------------------------------------------------------------------------------------------------------


async def _taken_in(kind: str, url: str, size: Size, owner: str, writer: Writer) -> Figure:
    """Have a worker take text in: from the file that is there to passages that can be found."""
    with tempfile.TemporaryDirectory(prefix="twinspeak-bench-") as folder:
        settings = Settings(data_dir=Path(folder), database_url=url)
        files = LocalFiles(Path(folder) / "vault")
        db = Database.open(url)
        try:
            count = max(1, size.megabytes * 1_000_000 // FILE_BYTES)
            sent = [await asyncio.to_thread(_file, files, owner, f"{number}.md", writer) for number in range(count)]
            await db.write(lambda tx: [_queued(tx, one) for one in sent])
            reader = FileReader(limits_of(settings), sizes_of(settings))
            worker = Worker(db, Pipeline(Means(db=db, files=files, reader=reader)))
            began = time.monotonic()
            while await worker.once():
                pass
            took = time.monotonic() - began
            ended = [await db.read(lambda tx, id_=one.id: documents.by_id(tx, id_)) for one in sent]
        finally:
            db.close()
    assert all(one is not None and one.phase == "done" for one in ended), "not all of it was taken in"
    done = sum(one.bytes for one in sent) / 1e6
    return Figure(13, kind, f"{done:.0f} MB of text taken in", round(done / took, 2), "MB/s", TARGET_MB)


def _file(files: LocalFiles, owner: str, name: str, writer: Writer) -> Document:
    staged = files.stage()
    part = 0
    while staged.size < FILE_BYTES:
        part += 1
        staged.write(f"## Part {part}\n\n{writer.text()}.\n\n".encode())
    id_ = new_id()
    files.keep(staged, id_)
    return Document(
        id=id_,
        institution_id=None,
        user_id=owner,
        owner_id=owner,
        name=name,
        media_type="text/markdown",
        bytes=staged.size,
        content_hash=sha256(name.encode()).hexdigest(),
        status="selected",
        created=now_ms(),
        on_disk=True,
        phase="queued",
        progress=0,
    )


def _queued(tx: Tx, new: Document) -> None:
    documents.add(tx, new)
    jobs.enqueue(tx, "ingest", new.id, now=now_ms())


def _print(lines: Sequence[Figure], size: Size) -> None:
    print(f"\n{size.questions} questions each; {WORDS} words a passage, {OF_A_DOCUMENT} passages a document")
    print(f"{'row':>3}  {'database':<10}  {'measure':<62}  {'figure':>9} unit  target")
    for line in lines:
        target = "" if line.target is None else f"{line.target:g}  {line.verdict}"
        print(f"{line.row:>3}  {line.database:<10}  {line.what:<62}  {line.figure:>9.2f} {line.unit:<4}  {target}")


if __name__ == "__main__":
    sys.exit(main())
