"""Killing the worker around every commit loses no passage and doubles none; two workers never both have a document."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert

from tests import databases
from tests.vault.killing import text_of
from twinspeak.domain.clock import now_ms
from twinspeak.domain.ids import new_id
from twinspeak.domain.vault import Shelf
from twinspeak.knowledge.chunk import split
from twinspeak.persistence import jobs
from twinspeak.persistence.db import Database
from twinspeak.persistence.repos import documents, shelves
from twinspeak.persistence.tables import users

pytestmark = pytest.mark.usefixtures("database")

OWNER = "c" * 24


@pytest.fixture
def db(tmp_path: Path, database: str) -> Iterator[Database]:
    opened = Database.open(databases.url_for(tmp_path))
    person = {"id": OWNER, "email": "ann@example.org", "referral_id": "a", "reset_code_id": "a", "created": 1}
    opened.write_sync(lambda tx: tx.run(insert(users), person))
    yield opened
    opened.close()


async def test_killed_around_every_commit(db: Database, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.vault.killing", str(tmp_path), databases.url_for(tmp_path), OWNER),
        env=dict(os.environ),
        stdout=PIPE,
        stderr=PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 55)
    assert process.returncode == 0, err.decode()
    killed = int(out)
    assert killed >= 16, "of claim, begin, extract, chunk (twice), sanitize, embed and finalize, before and after each"
    shelf = Shelf("personal", user_id=OWNER)
    found = await db.read(lambda tx: shelves.passages(tx, shelf))
    by_document: dict[str, list[tuple[str, str]]] = {}
    for one in found:
        by_document.setdefault(one.document_id, []).append((one.section, one.text))
    assert len(by_document) >= killed
    for number in range(len(by_document)):
        expected = [(one.section, one.text) for one in split(text_of(number))]
        assert by_document[f"{number:024x}"] == expected
        document = await db.read(lambda tx, n=number: documents.by_id(tx, f"{n:024x}"))
        assert document
        assert (document.phase, document.chunks, document.trouble) == ("done", len(expected), None)
    assert await db.read(jobs.waiting) == 0


async def test_a_job_is_one_workers_at_a_time(db: Database) -> None:
    for _ in range(5):
        await db.write(lambda tx: jobs.enqueue(tx, "ingest", new_id(), now=now_ms()))

    async def claim(owner: str) -> jobs.Job | None:
        return await db.write(lambda tx: jobs.claim(tx, owner, now=now_ms(), lease_ms=60_000), own_locks=True)

    taken = await asyncio.gather(*(claim(f"w{number}") for number in range(12)))
    there = [job for job in taken if job is not None]
    while (more := await claim("last")) is not None:
        there.append(more)
    assert len(there) == len({job.id for job in there}) == 5


async def test_who_lost_a_job_writes_nothing_more(db: Database) -> None:
    subject = new_id()
    await db.write(lambda tx: jobs.enqueue(tx, "ingest", subject, now=now_ms()))
    assert await db.write(lambda tx: jobs.enqueue(tx, "ingest", subject, now=now_ms()))
    assert await db.read(jobs.waiting) == 1
    now = now_ms()
    first = await db.write(lambda tx: jobs.claim(tx, "one", now=now, lease_ms=10), own_locks=True)
    assert first
    assert await db.write(lambda tx: jobs.claim(tx, "two", now=now + 5, lease_ms=10), own_locks=True) is None
    second = await db.write(lambda tx: jobs.claim(tx, "one", now=now + 11, lease_ms=10), own_locks=True)
    assert second
    assert second.attempts == 2
    assert not await db.write(lambda tx: jobs.hold(tx, first, now=now + 12))
    assert not await db.write(lambda tx: jobs.finish(tx, first, "done", now=now + 12))
    assert await db.write(lambda tx: jobs.hold(tx, second, now=now + 12))
    assert await db.write(lambda tx: jobs.cancel(tx, "ingest", subject, now=now + 13))
    assert not await db.write(lambda tx: jobs.hold(tx, second, now=now + 14))
    assert not await db.write(lambda tx: jobs.finish(tx, second, "done", now=now + 14))
