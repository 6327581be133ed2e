"""Units of work: committed or not at all, not lost with their caller, refused in time."""

import asyncio
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from tests.persistence.world import World
from twinspeak.domain.errors import OperatorError, Overloaded, ServerStopping
from twinspeak.persistence import db as db_module
from twinspeak.persistence import engines
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import memberships, meta
from twinspeak.persistence.tables import users as user_table


class Gate:
    """Holds a lane's thread until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def work(self, tx: Tx) -> None:
        self.entered.set()
        assert self.opened.wait(20)


@pytest.fixture
def narrow(url: str) -> Iterator[Database]:
    """A database whose one writer is easily kept busy."""
    opened = Database.open(url, writers=1)
    yield opened
    opened.close()


async def held(db: Database, gate: Gate, *, write: bool = True) -> "asyncio.Task[None]":
    """Return a task whose unit of work is running and stays so."""
    task = asyncio.create_task(db.write(gate.work) if write else db.read(gate.work))
    assert await asyncio.to_thread(gate.entered.wait, 10)
    return task


async def test_a_write_commits_and_is_seen_by_the_next_read(db: Database) -> None:
    await db.write(lambda tx: meta.put(tx, "colour", "green"))

    assert await db.read(lambda tx: meta.get(tx, "colour")) == "green"


async def test_an_exception_rolls_everything_back_and_arrives(db: Database) -> None:
    def half(tx: Tx) -> None:
        meta.put(tx, "colour", "green")
        raise KeyError("half done")

    with pytest.raises(KeyError, match="half done"):
        await db.write(half)

    assert await db.read(lambda tx: meta.get(tx, "colour")) is None
    await db.write(lambda tx: meta.put(tx, "colour", "blue"))


async def test_a_lost_iterator_arrives_as_an_error_too(db: Database) -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        await db.read(lambda tx: next(iter(())))


async def test_readers_cannot_write(db: Database, world: World) -> None:
    with pytest.raises(DBAPIError, match=r"(?i)read.?only"):
        await db.read(lambda tx: tx.change(update(user_table).values(fname="x")))


async def test_a_read_sees_one_state_while_others_write(db: Database) -> None:
    await db.write(lambda tx: meta.put(tx, "n", "1"))
    entered, written = threading.Event(), threading.Event()

    def twice(tx: Tx) -> tuple[str | None, str | None]:
        before = meta.get(tx, "n")
        entered.set()
        assert written.wait(10)
        return before, meta.get(tx, "n")

    reading = asyncio.create_task(db.read(twice))
    assert await asyncio.to_thread(entered.wait, 10)
    await db.write(lambda tx: meta.put(tx, "n", "2"))
    written.set()

    assert await reading == ("1", "1")


@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "while it waits"])
async def test_a_write_outlives_the_cancellation_of_its_task(narrow: Database, *, running: bool) -> None:
    db = narrow
    gate = Gate()
    blocker = None if running else await held(db, gate)

    def slow(tx: Tx) -> None:
        if running:
            gate.work(tx)
        meta.put(tx, "saved", "yes")

    writing = asyncio.create_task(db.write(slow))
    await (asyncio.to_thread(gate.entered.wait, 10) if running else asyncio.sleep(0))
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    gate.opened.set()
    if blocker is not None:
        await blocker

    await db.write(lambda tx: None)  # behind it in the queue
    assert await db.read(lambda tx: meta.get(tx, "saved")) == "yes"


async def test_a_waiting_read_is_dropped_with_its_task(url: str) -> None:
    ran: list[str] = []
    db = Database.open(url, readers=1)
    gate = Gate()
    blocker = await held(db, gate, write=False)
    reading = asyncio.create_task(db.read(lambda tx: ran.append("ran")))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    gate.opened.set()
    await blocker
    await db.read(lambda tx: None)
    db.close()

    assert ran == []


async def test_a_full_queue_is_overloaded_at_once_but_lets_essential_work_in(url: str) -> None:
    db = Database.open(url, writers=1, queue_limit=3)
    gate = Gate()
    tasks: list[asyncio.Task[Any]] = [await held(db, gate)]
    tasks += [asyncio.create_task(db.write(lambda tx: None)) for _ in range(3)]
    await asyncio.sleep(0)

    assert db.stats().waiting_writes == 3
    assert not db.ready()
    with pytest.raises(Overloaded) as caught:
        await db.write(lambda tx: meta.put(tx, "refused", "yes"))
    assert caught.value.retry_after_s
    tasks.append(asyncio.create_task(db.write(lambda tx: meta.put(tx, "essential", "yes"), essential=True)))

    gate.opened.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 10)
    assert await db.read(lambda tx: (meta.get(tx, "refused"), meta.get(tx, "essential"))) == (None, "yes")
    assert db.ready()
    db.close()


async def test_waiting_too_long_is_overloaded_and_the_work_never_runs(
    narrow: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = narrow
    monkeypatch.setattr(db_module, "WAIT_S", 0.01)
    gate = Gate()
    blocker = await held(db, gate)

    with pytest.raises(Overloaded):
        await db.write(lambda tx: meta.put(tx, "late", "yes"))
    essential = asyncio.create_task(db.write(lambda tx: meta.put(tx, "end", "yes"), essential=True))
    await asyncio.sleep(0.05)
    gate.opened.set()
    await blocker
    await essential

    assert await db.read(lambda tx: (meta.get(tx, "late"), meta.get(tx, "end"))) == (None, "yes")


async def test_another_process_that_holds_the_lock_is_overloaded(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "BUSY_TIMEOUT_MS", 20)
    first, second = Database.open(url), Database.open(url)
    gate = Gate()

    def keep(tx: Tx) -> None:
        meta.put(tx, "x", "mine")
        gate.work(tx)

    blocker = asyncio.create_task(first.write(keep))
    assert await asyncio.to_thread(gate.entered.wait, 10)

    with pytest.raises(Overloaded):
        await second.write(lambda tx: meta.put(tx, "x", "y"))
    gate.opened.set()
    await blocker
    await second.write(lambda tx: meta.put(tx, "x", "z"))
    assert await first.read(lambda tx: meta.get(tx, "x")) == "z"
    first.close()
    second.close()


async def test_closing_finishes_what_is_queued_and_refuses_the_rest(narrow: Database) -> None:
    db = narrow
    gate = Gate()
    blocker = await held(db, gate)
    queued = asyncio.create_task(db.write(lambda tx: meta.put(tx, "queued", "yes")))
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.to_thread(db.close)
    await blocker
    await queued

    assert not db.ready()
    assert not await db.ping()
    with pytest.raises(ServerStopping):
        await db.write(lambda tx: None)
    db.close()


async def test_ping_asks_the_database(db: Database) -> None:
    assert await db.ping()


def test_the_command_line_blocks_its_thread(db: Database) -> None:
    db.write_sync(lambda tx: meta.put(tx, "colour", "red"))

    assert db.read_sync(lambda tx: meta.get(tx, "colour")) == "red"
    with pytest.raises(KeyError):
        db.write_sync(lambda tx: {}["missing"])


def test_foreign_keys_are_on(db: Database) -> None:
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        db.write_sync(lambda tx: memberships.create(tx, "a" * 24, "b" * 24))


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://u:secret@h/d",
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://u:secret@h:port/d",
        "postgresql+nodriver://u:secret@h/d",
        "postgresql+psycopg2://u:secret@h/d",
    ],
)
def test_addresses_that_cannot_work_are_told_without_their_password(url: str) -> None:
    with pytest.raises(OperatorError) as caught:
        Database.open(url)

    assert "TWINSPEAK_DATABASE_URL" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_missing_driver_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(OperatorError, match="driver is not installed"):
        Database.open("postgresql://u:secret@h/d")


async def test_a_thousand_reads_at_once_do_not_pile_up_threads(db: Database) -> None:
    before = threading.active_count()
    results: list[int] = []

    async def one() -> None:
        while True:
            try:
                results.append(await db.read(lambda tx: tx.value(select(1))))
                return
            except Overloaded:
                await asyncio.sleep(0)

    await asyncio.gather(*(one() for _ in range(1_000)))
    assert results == [1] * 1_000
    assert threading.active_count() == before
