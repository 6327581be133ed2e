"""What a crash leaves behind is ended once, with what was saved."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import text, update

from tests.persistence.turn_tools import USED, end_of, opened, url_of, wallet_of
from tests.persistence.world import World
from twinspeak.domain.clock import now_ms
from twinspeak.domain.credits import Price, Usage
from twinspeak.domain.turn import (
    Snapshot,
    TurnPlan,
    TurnState,
)
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import running
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import turns as turn_table
from twinspeak.services.turn_store import TurnStore

LEASE_S = 30


@pytest.fixture
def world(tmp_path: Path, database: str) -> Iterator[World]:
    with opened(tmp_path) as world:
        yield world


@pytest.fixture
def store(world: World) -> TurnStore:
    return TurnStore(world.db, lease_s=LEASE_S, owner="this start")


def afterwards(world: World) -> int:
    """Return when the turns of a process that is gone count as abandoned: on one node at once."""
    return now_ms() if world.db.single_node else now_ms() + LEASE_S * 1000 + 1


async def crashed(world: World, text: str, usage: Usage = USED) -> TurnPlan:
    """Leave a running turn behind that another start of the process began."""
    before = TurnStore(world.db, lease_s=LEASE_S, owner="an earlier start")
    plan = world.plan(world.ada, world.oak)
    await before.begin(plan, wanted=20, least=1)
    await before.checkpoint(plan.ask.turn_id, Snapshot(text=text, usage=usage))
    return plan


async def test_it_settles_what_the_checkpoint_holds(world: World, store: TurnStore) -> None:
    plan = await crashed(world, "Because th")

    assert await store.reap(afterwards(world)) == [plan.ask.turn_id]

    record = await store.record(world.caller(world.ada), plan.ask.turn_id)
    assert (record.state, record.output, record.usage) == (TurnState.INTERRUPTED, "Because th", USED)
    assert record.credits == 3
    assert wallet_of(world, "institution", world.oak.id).available == 47
    assert await store.reap(afterwards(world)) == []


async def test_without_output_nothing_is_charged(world: World, store: TurnStore) -> None:
    plan = await crashed(world, "", Usage())

    await store.reap(afterwards(world))

    assert (await store.record(world.caller(world.ada), plan.ask.turn_id)).credits == 0
    assert wallet_of(world, "institution", world.oak.id).available == 50


async def test_uncounted_output_is_estimated_and_says_so(world: World, store: TurnStore) -> None:
    plan = await crashed(world, "x" * 60_000, Usage())

    await store.reap(afterwards(world))

    record = await store.record(world.caller(world.ada), plan.ask.turn_id)
    assert record.usage == Usage(input=1, completion=15_000, estimated=True)
    assert record.credits == 2


async def test_it_never_charges_more_than_was_held(world: World, store: TurnStore) -> None:
    plan = await crashed(world, "text", Usage(input=9_000_000, completion=1))

    await store.reap(afterwards(world))

    assert (await store.record(world.caller(world.ada), plan.ask.turn_id)).credits == 20


async def test_finish_after_reap_answers_what_was_settled(world: World, store: TurnStore) -> None:
    plan = await crashed(world, "Because th")
    await store.reap(afterwards(world))

    settled = await store.finish(end_of(plan, charge=19, output="Because that is so."))

    record = await store.record(world.caller(world.ada), plan.ask.turn_id)
    assert settled == record.settlement
    assert (record.output, record.credits) == ("Because th", 3)
    await store.checkpoint(plan.ask.turn_id, Snapshot(text="late", usage=USED))
    assert (await store.record(world.caller(world.ada), plan.ask.turn_id)).output == "Because th"


async def test_a_running_turn_of_this_start_is_left_alone(world: World, store: TurnStore) -> None:
    plan = world.plan(world.ada, world.oak)
    await store.begin(plan, wanted=20, least=1)

    assert await store.reap(afterwards(world)) == []
    assert await store.reap(now_ms() + 45_000) == []  # its lease is over, but a stalled loop is not a crash


async def test_one_that_was_never_heard_of_again_is_ended(world: World, store: TurnStore) -> None:
    plan = world.plan(world.ada, world.oak)
    await store.begin(plan, wanted=20, least=1)

    assert await store.reap(now_ms() + 61_000) == [plan.ask.turn_id]


async def test_a_checkpoint_renews_the_lease(world: World, store: TurnStore) -> None:
    plan = world.plan(world.ada, world.oak)
    await store.begin(plan, wanted=20, least=1)
    world.db.write_sync(lambda tx: tx.run(scoped(SYSTEM, update(turn_table).values(lease_until=0))))

    await store.checkpoint(plan.ask.turn_id, Snapshot(text="still here", usage=USED))

    assert await store.reap(afterwards(world)) == []


async def test_a_killed_process_loses_at_most_what_it_had_not_saved(world: World, store: TurnStore) -> None:
    plan = world.plan(world.ada, world.oak)
    program = (
        "import asyncio, sys, msgspec\n"
        "from twinspeak.domain.credits import Usage\n"
        "from twinspeak.domain.turn import Snapshot, TurnPlan\n"
        "from twinspeak.persistence.db import Database\n"
        "from twinspeak.services.turn_store import TurnStore\n"
        "plan = msgspec.json.decode(sys.argv[2], type=TurnPlan)\n"
        "store = TurnStore(Database.open(sys.argv[1]), lease_s=30, owner='killed')\n"
        "async def main():\n"
        "    await store.begin(plan, wanted=20, least=1)\n"
        "    await store.checkpoint(plan.ask.turn_id, Snapshot('Because', Usage(10_000, 0, 20_000)))\n"
        "    print('saved', flush=True)\n"
        "    while True:\n"
        "        await store.checkpoint(plan.ask.turn_id, Snapshot('Because', Usage(10_000, 0, 20_000)))\n"
        "asyncio.run(main())\n"
    )
    arguments = [sys.executable, "-c", program, url_of(world), msgspec.json.encode(plan).decode()]
    process = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 30) == b"saved\n"
    process.kill()
    await process.wait()

    assert await store.reap(afterwards(world)) == [plan.ask.turn_id]
    record = await store.record(world.caller(world.ada), plan.ask.turn_id)
    assert (record.output, record.credits, record.state) == ("Because", 3, TurnState.INTERRUPTED)


async def test_many_are_ended_in_small_transactions(world: World, store: TurnStore) -> None:
    before = TurnStore(world.db, lease_s=LEASE_S, owner="an earlier start")
    plans = [world.plan(world.ada, world.oak) for _ in range(120)]
    for plan in plans:
        await before.begin(plan, wanted=0, least=0)

    assert sorted(await store.reap(afterwards(world))) == sorted(plan.ask.turn_id for plan in plans)


async def test_the_search_for_them_does_not_read_history(world: World) -> None:
    def explain(tx: Tx) -> str:
        bare = tx.connection.dialect.name == "sqlite"
        if not bare:
            tx.run(text("SET LOCAL enable_seqscan = off"))  # of an empty table it would prefer to read all
        driver: Any = tx.connection.connection.dbapi_connection
        asked = running._ABANDONED.compile(tx.connection)
        given = {"mine": "me", "mine_before": 1, "others_before": 1, "most": 1}
        named = asked.construct_params(given)
        params = [named[name] for name in asked.positiontup] if asked.positiontup else named
        return str(driver.execute(f"{'EXPLAIN QUERY PLAN' if bare else 'EXPLAIN'} {asked}", params).fetchall())

    assert "ix_turns_running" in world.db.write_sync(explain)


async def test_a_turn_that_fell_back_is_settled_at_the_price_of_the_model_that_answered(
    world: World, store: TurnStore
) -> None:
    before = TurnStore(world.db, lease_s=LEASE_S, owner="an earlier start")
    plan = world.plan(world.ada, world.oak)
    await before.begin(plan, wanted=20, least=1)
    dear = msgspec.structs.replace(plan.model, id="other", provider="elsewhere", price=Price(completion=1_000_000))
    await before.switch(msgspec.structs.replace(plan, model=dear))
    await before.checkpoint(plan.ask.turn_id, Snapshot(text="Because", usage=Usage(completion=7)))
    await store.reap(afterwards(world))
    record = await store.record(world.caller(world.ada, world.oak), plan.ask.turn_id)
    assert (record.model, record.credits) == ("other", 7)
    await before.switch(plan)
    assert (await store.record(world.caller(world.ada, world.oak), plan.ask.turn_id)).model == "other"
