"""The database gone, slow, read-only or full at the end of a turn: the answer comes, and is settled once afterwards."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import NullPool, create_engine, make_url
from sqlalchemy.exc import OperationalError

from tests import databases
from tests.durable.waiting import until
from tests.faces import FACES, Answer, Face
from tests.fakes.upstream import Reply, ending, text_steps
from tests.world import World, charges, stored, world
from twinspeak.app import upkeep
from twinspeak.domain import clock
from twinspeak.domain.clock import now_ms
from twinspeak.engine import saving

pytestmark = pytest.mark.usefixtures("database")

PATIENCE_S = 0.3
ANSWER = "A whole answer, to its last word"


@pytest.fixture
async def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[World]:
    monkeypatch.setattr(saving, "LONGEST_PAUSE_S", 0.3)
    async with world(tmp_path / "data", turn_lease_s=5) as made:
        turns = made.server.live.turns
        turns._limits = msgspec.structs.replace(turns._limits, save_patience_s=PATIENCE_S)
        yield made


@contextmanager
def locked(here: World) -> Generator[None]:
    """Another process keeps everybody else from writing, for longer than anybody waits."""
    url = make_url(databases.url_for(here.server.settings.data_dir))
    sqlite = url.get_backend_name() == "sqlite"
    engine = create_engine(url if sqlite else url.set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect() as other:
        other.exec_driver_sql("BEGIN IMMEDIATE" if sqlite else "LOCK TABLE turns IN EXCLUSIVE MODE")
        yield
        other.rollback()


@contextmanager
def refusing(here: World, message: str) -> Generator[None]:
    """Every write of the server fails as SQLite fails it."""
    store: Any = here.server.live.turns._ports.store
    write = store._db.write

    async def refused(*_: object, **__: object) -> None:
        # Through a real transaction, so that lanes and their translation are part of it.
        def fail(_tx: object) -> None:
            raise OperationalError("BEGIN IMMEDIATE", None, sqlite3.OperationalError(message))

        await write(fail, essential=True)

    store._db.write = refused
    try:
        yield
    finally:
        del store._db.write


@contextmanager
def read_only(here: World) -> Generator[None]:
    with refusing(here, "attempt to write a readonly database"):
        yield


@contextmanager
def full(here: World) -> Generator[None]:
    with refusing(here, "database or disk is full"):
        yield


@contextmanager
def gone(here: World) -> Generator[None]:
    with refusing(here, "unable to open database file"):
        yield


@contextmanager
def slow(here: World) -> Generator[None]:
    """Every writer hangs in somebody's transaction."""
    over = threading.Event()
    store: Any = here.server.live.turns._ports.store
    lane = store._db._writes
    loop = asyncio.get_running_loop()
    hanging = [loop.create_task(store._db.write(lambda _: over.wait(30))) for _ in lane._threads]
    yield
    over.set()
    assert not any(task.cancelled() for task in hanging)


OUTAGES = {"locked": locked, "read-only": read_only, "full": full, "gone": gone, "slow": slow}


@pytest.mark.parametrize("outage", OUTAGES)
@pytest.mark.parametrize("face", FACES)
async def test_the_answer_comes_and_is_settled_once_afterwards(here: World, face: Face, outage: str):
    gate = asyncio.Event()
    here.upstream.script(Reply([*text_steps(ANSWER), gate, *ending()]))
    asking = asyncio.create_task(here.ask(face))
    await here.upstream.exchange()
    turn = await here.running()
    await until(lambda: turn.log.text.text() == ANSWER)
    with OUTAGES[outage](here):
        began = clock.monotonic()
        gate.set()
        answer = await asyncio.wait_for(asking, 20)
        assert clock.monotonic() - began < PATIENCE_S + 2
        assert answer.status == 200
        assert set(answer.texts.values()) == {ANSWER}
        assert turn.finishing
        if face is not Face.OPENAI:
            assert answer.reply["settlementPending"] is True
            assert answer.reply["credits"] == 1
        assert await states_listed(here) == ["finishing"]
        assert stored(here.database, turn.turn_id)["state"] == "running"
    await asyncio.wait_for(turn.saved(), 20)
    await judge(here, answer)


async def states_listed(here: World) -> list[str]:
    status, body = await here.get("/api/ai/turns")
    assert status == 200
    return [one["state"] for one in body["data"]]


async def judge(here: World, answer: Answer) -> None:
    row = stored(here.database, answer.turn_id)
    assert (row["state"], row["output"]) == ("done", ANSWER)
    assert charges(here.database, answer.turn_id) == [1]
    if answer.face is Face.REST:
        assert row["credits"] == answer.reply["credits"]
    assert (await asyncio.to_thread(upkeep.check, here.server.settings)).clean


async def test_the_reaper_leaves_alone_what_waits_to_be_saved(here: World):
    gate = asyncio.Event()
    here.upstream.script(Reply([*text_steps(ANSWER), gate, *ending()]))
    asking = asyncio.create_task(here.ask(Face.REST))
    await here.upstream.exchange()
    turn = await here.running()
    store: Any = here.server.live.turns._ports.store
    with full(here):
        gate.set()
        await asking
    # Years later, by the clock: every lease has run out, and the turn is not saved yet.
    assert turn.finishing
    assert await store.reap(now_ms() + 10**11, spare=here.server.live.turns.unsaved) == []
    await asyncio.wait_for(turn.saved(), 20)
    assert stored(here.database, turn.turn_id)["state"] == "done"


@pytest.mark.parametrize("outage", ["full", "read-only", "gone"])
async def test_no_question_is_taken_while_the_database_takes_nothing(here: World, outage: str):
    with OUTAGES[outage](here):
        refused = await here.ask(Face.REST)
    assert refused.status == 503
    assert "retry-after" in refused.headers
    assert here.upstream.exchanges == []
    assert (await here.ask(Face.REST)).status == 200


async def test_a_clock_that_is_set_back_ends_nothing_early_and_charges_nothing_twice(
    here: World, monkeypatch: pytest.MonkeyPatch
):
    gate = asyncio.Event()
    here.upstream.script(Reply([*text_steps(ANSWER), gate, *ending()]))
    asking = asyncio.create_task(here.ask(Face.REST))
    await here.upstream.exchange()
    turn = await here.running()
    store: Any = here.server.live.turns._ports.store
    real = clock.time.time_ns
    monkeypatch.setattr(clock.time, "time_ns", lambda: real() - 3_600 * 10**9)
    assert await store.reap(now_ms()) == []
    gate.set()
    answer = await asyncio.wait_for(asking, 10)
    assert answer.status == 200
    await judge(here, answer)
    assert (await here.ask(Face.SSE)).status == 200
    monkeypatch.setattr(clock.time, "time_ns", lambda: real() + 3_600 * 10**9)
    assert await store.reap(now_ms()) == []
    assert charges(here.database, turn.turn_id) == [1]
