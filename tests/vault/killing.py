"""A worker that is killed after each of its writes, in processes of its own: run as a program by `test_kills`.

    python -m tests.vault.killing DATA_DIR DATABASE_URL OWNER COUNT

For each k from 1 on, a document waits, a worker takes it in and is killed (SIGKILL, by itself) right after its k-th
commit, or right before it, and another worker does the rest. Ends when a worker got through unharmed; prints how many
were killed. Everything is forked from one process, so that the interpreter starts once; whoever does the rest also
brings the next document.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twinspeak.domain import ids
from twinspeak.domain.clock import now_ms
from twinspeak.domain.vault import Document
from twinspeak.knowledge.chunk import split
from twinspeak.knowledge.pipeline import Means, Pipeline
from twinspeak.knowledge.reading import Source, Tell, WasRead
from twinspeak.knowledge.worker import Worker
from twinspeak.persistence import jobs
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.files import LocalFiles
from twinspeak.persistence.repos import documents
from twinspeak.persistence.repos.documents import Piece

LEASE_S = 0.1
MOST = 60


def text_of(number: int) -> str:
    sections = "\n\n".join(f"## Part {part}\n\nSentence {part} of text {number} is here." for part in range(8))
    return f"# Text {number}\n\n{sections}"


class TextReader:
    """Reads text without a process for it: what is killed here is the worker."""

    async def read(self, source: Source, tell: Tell) -> WasRead:
        return WasRead(title="", encoded=source.path.read_bytes())

    def cut(self, encoded: bytes) -> tuple[list[Piece], str]:
        return [Piece(one.section, one.text) for one in split(encoded.decode())], ""


def main(data_dir: Path, url: str, owner: str) -> None:
    killed = 0
    _child(lambda: _rest_and_next(data_dir, url, owner, 0))
    for number in range(2 * MOST):
        status = _child(lambda n=number: _killed(data_dir, url, kill_at=1 + n // 2, before=n % 2 == 0))
        killed += os.WIFSIGNALED(status)
        last = not os.WIFSIGNALED(status) and bool(number % 2)
        _child(lambda n=number, over=last: _rest_and_next(data_dir, url, owner, None if over else n + 1))
        if last:
            break
    sys.stdout.write(str(killed))


def _child(work: Callable[[], None]) -> int:
    """Do something in a fork, which has no threads of ours; return its status."""
    child = os.fork()
    if child == 0:
        ids._process = os.urandom(5).hex()  # what makes ids this process's own
        try:
            work()
        except BaseException as error:
            sys.stderr.write(repr(error))
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return status


def _add(db: Database, files: LocalFiles, owner: str, number: int) -> None:
    document_id = f"{number:024x}"
    staged = files.stage()
    staged.write(text_of(number).encode())
    new = Document(
        id=document_id,
        institution_id=None,
        user_id=owner,
        owner_id=owner,
        name=f"{number}.md",
        media_type="text/markdown",
        bytes=staged.size,
        content_hash=staged.digest,
        status="selected",
        created=now_ms(),
        on_disk=True,
        phase="queued",
        progress=0,
    )
    files.keep(staged, document_id)

    def store(tx: Tx) -> None:
        documents.add(tx, new)
        jobs.enqueue(tx, "ingest", document_id, now=now_ms())

    db.write_sync(store)


def _killed(data_dir: Path, url: str, *, kill_at: int, before: bool) -> None:
    db = Database.open(url, readers=1, writers=1)
    _arm(db, kill_at, before=before)
    asyncio.run(_drain(_worker(data_dir, db), db))
    db.close()


def _rest_and_next(data_dir: Path, url: str, owner: str, number: int | None) -> None:
    db = Database.open(url, readers=1, writers=1)
    asyncio.run(_drain(_worker(data_dir, db), db))
    if number is not None:
        _add(db, LocalFiles(data_dir / "vault"), owner, number)
    db.close()


def _worker(data_dir: Path, db: Database) -> Worker:
    means = Means(db=db, files=LocalFiles(data_dir / "vault"), reader=TextReader(), beat_s=1.0)
    return Worker(db, Pipeline(means), lease_s=LEASE_S)


async def _drain(worker: Worker, db: Database) -> None:
    async with asyncio.timeout(20):
        while await db.read(jobs.waiting):
            if not await worker.once():
                await asyncio.sleep(0.02)


def _arm(db: Database, kill_at: int, *, before: bool) -> None:
    """Have this process killed around its `kill_at`-th commit."""
    count = 0
    write = db.write

    async def deadly(fn: Any, **terms: Any) -> Any:
        nonlocal count
        count += 1
        if count == kill_at and before:
            os.kill(os.getpid(), signal.SIGKILL)
        result = await write(fn, **terms)
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    db.write = deadly


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
