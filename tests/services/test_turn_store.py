"""A turn's row and its money, through every way a turn can go."""

import asyncio
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import update

from tests.persistence.world import World, own, settle_in
from twinspeak.domain.assistant import Assistant
from twinspeak.domain.clock import now_ms
from twinspeak.domain.credits import FREE, Usage
from twinspeak.domain.errors import Conflict, InsufficientCredits, NotFound
from twinspeak.domain.ids import new_id
from twinspeak.domain.institution import Institution
from twinspeak.domain.turn import (
    Failure,
    Passage,
    Settlement,
    Snapshot,
    ThinkingPart,
    ToolUse,
    TurnEnd,
    TurnPlan,
    TurnState,
)
from twinspeak.persistence.db import Database
from twinspeak.persistence.migrations import migrate
from twinspeak.persistence.repos import assistants, memberships, running, turns, wallets
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import turns as turn_table
from twinspeak.services.turn_store import TurnStore

USED = Usage(input=10_000, cached=0, completion=20_000)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    url = f"sqlite:///{tmp_path / 'twinspeak.sqlite3'}"
    migrate(url)
    db = Database.open(url)
    yield settle_in(db)
    assert db.read_sync(wallets.discrepancies) == []
    db.close()


@pytest.fixture
def store(world: World) -> TurnStore:
    return TurnStore(world.db, lease_s=30, owner="this start")


def end_of(plan: TurnPlan, state: TurnState = TurnState.DONE, *, charge: int = 3, output: str = "Because.") -> TurnEnd:
    return TurnEnd(
        turn_id=plan.ask.turn_id,
        state=state,
        output=output,
        usage=USED,
        charge=charge,
        duration_ms=1_200,
        first_token_ms=300,
        failure=Failure(code="provider_failed", status=502, type="api_error", message="Sorry.")
        if state is TurnState.FAILED
        else None,
    )


def wallet_of(world: World, kind: str, owner: str) -> wallets.Wallet:
    return world.db.write_sync(lambda tx: wallets.ensure(tx, kind, owner))


async def test_the_pool_pays_and_the_user_is_told_what_he_used(world: World, store: TurnStore) -> None:
    plan = world.plan(world.ada, world.oak)

    assert await store.begin(plan, wanted=20, least=1) == 20
    assert wallet_of(world, "institution", world.oak.id).available == 30
    settled = await store.finish(end_of(plan, charge=3))

    assert settled == Settlement(credits=3, total_credits=47, credits_used=3, institution_credits=47)
    pool = wallet_of(world, "institution", world.oak.id)
    assert (pool.balance, pool.held) == (47, 0)
    assert wallet_of(world, "user", world.ada).balance == 50


async def test_without_a_pool_the_user_pays(world: World, store: TurnStore) -> None:
    plan = world.plan(world.eve, world.elm)
    await store.begin(plan, wanted=20, least=1)

    settled = await store.finish(end_of(plan, charge=3))

    assert settled == Settlement(credits=3, total_credits=47, credits_used=3, institution_credits=50)


async def test_a_personal_turn_knows_no_institution(world: World, store: TurnStore) -> None:
    plan = world.plan(world.eve)
    await store.begin(plan, wanted=20, least=1)

    assert await store.finish(end_of(plan, charge=3)) == Settlement(
        credits=3, total_credits=47, credits_used=3, institution_credits=None
    )


async def test_a_hold_is_cut_to_what_there_is(world: World, store: TurnStore) -> None:
    assert await store.begin(world.plan(world.ada, world.oak), wanted=80, least=50) == 50


async def test_too_few_credits_write_nothing(world: World, store: TurnStore) -> None:
    plan = world.plan(world.ada, world.oak)

    with pytest.raises(InsufficientCredits) as caught:
        await store.begin(plan, wanted=80, least=51)

    assert caught.value.details == {"payer": "institution"}
    with pytest.raises(NotFound):
        await store.finish(end_of(plan))
    assert wallet_of(world, "institution", world.oak.id).available == 50


async def test_a_free_model_needs_no_credits(world: World, store: TurnStore) -> None:
    await store.begin(world.plan(world.ada, world.oak), wanted=50, least=50)
    free = msgspec.structs.replace(
        world.plan(world.ada, world.oak), model=msgspec.structs.replace(world.plan(world.ada).model, price=FREE)
    )

    assert await store.begin(free, wanted=0, least=0) == 0
    assert (await store.finish(end_of(free, charge=0))).credits == 0


async def test_an_id_is_used_once(world: World, store: TurnStore) -> None:
    plan = world.plan(world.ada, world.oak)
    await store.begin(plan, wanted=10, least=1)

    with pytest.raises(Conflict):
        await store.begin(plan, wanted=10, least=1)
    assert wallet_of(world, "institution", world.oak.id).held == 10


async def test_extending_takes_what_is_free(world: World, store: TurnStore) -> None:
    plan = world.plan(world.ada, world.oak)
    await store.begin(plan, wanted=40, least=1)

    assert await store.extend(plan.ask.turn_id, by=6) == 6
    assert await store.extend(plan.ask.turn_id, by=6) == 4
    assert await store.extend(plan.ask.turn_id, by=6) == 0
    assert (await store.finish(end_of(plan, charge=50))).credits == 50
    assert await store.extend(plan.ask.turn_id, by=1) == 0
    assert await store.extend(new_id(), by=1) == 0


async def test_a_charge_is_cut_to_what_is_held(world: World, store: TurnStore) -> None:
    plan = world.plan(world.ada, world.oak)
    await store.begin(plan, wanted=5, least=1)

    assert (await store.finish(end_of(plan, charge=40))).credits == 5


@pytest.mark.parametrize("state", [TurnState.FAILED, TurnState.REFUSED])
async def test_failed_and_refused_turns_cost_nothing(world: World, store: TurnStore, state: TurnState) -> None:
    plan = world.plan(world.ada, world.oak)
    await store.begin(plan, wanted=5, least=1)

    settled = await store.finish(end_of(plan, state, charge=5))

    assert settled.credits == 0
    assert wallet_of(world, "institution", world.oak.id).available == 50


@pytest.mark.parametrize("state", [TurnState.CANCELLED, TurnState.INTERRUPTED])
async def test_partial_answers_are_paid_for(world: World, store: TurnStore, state: TurnState) -> None:
    plan = world.plan(world.ada, world.oak)
    await store.begin(plan, wanted=5, least=1)

    assert (await store.finish(end_of(plan, state, charge=2))).credits == 2


async def test_a_second_finish_changes_nothing_and_answers_the_same(world: World, store: TurnStore) -> None:
    plan = world.plan(world.ada, world.oak)
    await store.begin(plan, wanted=20, least=1)
    first = await store.finish(end_of(plan, charge=3))
    between = world.plan(world.bob, world.oak)
    await store.begin(between, wanted=20, least=1)
    await store.finish(end_of(between, charge=9))

    again = await store.finish(end_of(plan, TurnState.FAILED, charge=8, output="something else"))

    assert again == first
    record = await store.record(world.caller(world.ada), plan.ask.turn_id)
    assert (record.state, record.output, record.settlement) == (TurnState.DONE, "Because.", first)
    assert wallet_of(world, "institution", world.oak.id).balance == 50 - 3 - 9


async def test_finishing_survives_the_cancellation_of_its_task(world: World, store: TurnStore) -> None:
    plan = world.plan(world.ada, world.oak)
    await store.begin(plan, wanted=20, least=1)

    finishing = asyncio.create_task(store.finish(end_of(plan, charge=3)))
    await asyncio.sleep(0)
    finishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await finishing

    assert (await store.finish(end_of(plan, charge=7))).credits == 3


async def test_a_record_holds_everything(world: World, store: TurnStore) -> None:
    persona = await world.db.write(
        lambda tx: assistants.create(
            tx, own(world.ada, world.oak), "institution", Assistant(id="", name="Tutor", instructions="secret plan")
        )
    )
    plan = msgspec.structs.replace(world.plan(world.ada, world.oak, question="Warum? 🌳"), assistant=persona)
    await store.begin(plan, wanted=20, least=1)
    parts = {
        "thinking": (ThinkingPart(round=0, text="hm", signature="sig", model="gpt-x", duration_ms=4),),
        "tools": (
            ToolUse(
                id="call_1",
                name="search_uploads",
                arguments={"query": "tree"},
                response="[1] …",
                response_length=5,
                duration_ms=6,
                success=True,
            ),
        ),
        "passages": (Passage(1, "chunk", "document", "Trees.md", "An oak", section="Oaks", score=1.5, cited=True),),
    }
    await store.finish(msgspec.structs.replace(end_of(plan, output="Darum 🌰"), **parts))

    record = await store.record(world.caller(world.ada), plan.ask.turn_id)

    assert {name: getattr(record, name) for name in parts} == parts
    assert (record.question, record.output, record.course_id, record.course_name) == (
        "Warum? 🌳",
        "Darum 🌰",
        7,
        "Talk",
    )
    assert (record.usage, record.credits, record.duration_ms, record.first_token_ms) == (USED, 3, 1_200, 300)
    assert (record.model, record.thinking_count, record.institution_id) == ("gpt-x", 1, world.oak.id)
    assert record.assistant == Assistant(id=persona.id, name="Tutor")
    (listed,) = await world.db.read(lambda tx: turns.history(tx, own(world.ada, world.oak), turns.HistoryFilter()))
    assert msgspec.structs.replace(listed, thinking=parts["thinking"]) == record


async def test_a_failure_is_recorded_with_the_text_so_far(world: World, store: TurnStore) -> None:
    plan = world.plan(world.ada, world.oak)
    await store.begin(plan, wanted=20, least=1)
    end = end_of(plan, TurnState.FAILED, output="Beca")
    await store.finish(end)

    record = await store.record(world.caller(world.ada), plan.ask.turn_id)

    assert (record.output, record.failure) == ("Beca", end.failure)


async def test_text_that_utf8_cannot_hold_does_not_lose_the_turn(world: World, store: TurnStore) -> None:
    plan = world.plan(world.ada, world.oak, question="\ud83d?")
    await store.begin(plan, wanted=20, least=1)
    await store.checkpoint(plan.ask.turn_id, Snapshot(text="half \ud83d", usage=USED))
    tool = ToolUse(
        id="c", name="t", arguments={"q": "\udc00"}, response="", response_length=0, duration_ms=0, success=False
    )
    await store.finish(msgspec.structs.replace(end_of(plan, output="a\ud83d b 🌳"), tools=(tool,)))

    record = await store.record(world.caller(world.ada), plan.ask.turn_id)
    assert (record.question, record.output) == ("\ufffd?", "a\ufffd b 🌳")
    assert record.tools[0].arguments == {"q": "\ufffd"}


class TestForeign:
    """Nobody reads a turn that is not his, and nobody learns that there is one."""

    async def test_others_and_unknown_ids_look_the_same(self, world: World, store: TurnStore) -> None:
        plan = world.plan(world.ada, world.oak)
        await store.begin(plan, wanted=20, least=1)
        with pytest.raises(NotFound) as running:
            await store.record(world.caller(world.ada), plan.ask.turn_id)
        await store.finish(end_of(plan))

        for caller in (
            world.caller(world.bob, world.oak),  # same twin
            world.caller(world.eve, world.elm),
            world.caller(world.eve),
        ):
            with pytest.raises(NotFound) as foreign:
                await store.record(caller, plan.ask.turn_id)
            assert foreign.value.message == running.value.message
        with pytest.raises(NotFound):
            await store.record(world.caller(world.ada), new_id())
        assert (await store.record(world.caller(world.ada), plan.ask.turn_id)).id == plan.ask.turn_id

    async def test_personal_and_twin_records_do_not_mix(self, world: World, store: TurnStore) -> None:
        plans = {"oak": world.plan(world.ada, world.oak), "own": world.plan(world.ada)}
        for plan in plans.values():
            await store.begin(plan, wanted=2, least=1)
            await store.finish(end_of(plan))

        def ids(user_id: str, institution: Institution | None = None) -> list[str]:
            scope = own(user_id, institution)
            found = world.db.read_sync(lambda tx: turns.history(tx, scope, turns.HistoryFilter()))
            return [record.id for record in found]

        assert ids(world.ada, world.oak) == [plans["oak"].ask.turn_id]
        assert ids(world.ada) == [plans["own"].ask.turn_id]
        assert ids(world.ada, world.elm) == ids(world.bob, world.oak) == ids(world.eve) == []
        wanted = turns.HistoryFilter(history_id=plans["oak"].ask.turn_id)
        assert world.db.read_sync(lambda tx: turns.history(tx, own(world.ada), wanted)) == []
        assert world.db.read_sync(lambda tx: turns.conversation(tx, own(world.bob, world.oak), 7, remember=3)) is None
        for scope in (own(world.ada), own(world.bob, world.oak), own(world.ada, world.elm)):
            turn_id = plans["oak"].ask.turn_id
            assert world.db.read_sync(lambda tx, s=scope, i=turn_id: turns.record(tx, s, i)) is None

    async def test_who_left_the_twin_lost_its_records(self, world: World, store: TurnStore) -> None:
        plan = world.plan(world.ada, world.oak)
        await store.begin(plan, wanted=2, least=1)
        await store.finish(end_of(plan))
        membership = world.db.read_sync(lambda tx: memberships.get(tx, world.ada, world.oak.id))
        assert membership is not None
        world.db.write_sync(lambda tx: memberships.set_status(tx, membership.id, "deleted"))

        with pytest.raises(NotFound):
            await store.record(world.caller(world.ada), plan.ask.turn_id)


class TestReaper:
    """What a crash leaves behind is ended once, with what was saved."""

    @staticmethod
    async def crashed(world: World, text: str, usage: Usage = USED) -> TurnPlan:
        """Leave a running turn behind that another start of the process began."""
        before = TurnStore(world.db, lease_s=30, owner="an earlier start")
        plan = world.plan(world.ada, world.oak)
        await before.begin(plan, wanted=20, least=1)
        await before.checkpoint(plan.ask.turn_id, Snapshot(text=text, usage=usage))
        return plan

    async def test_it_settles_what_the_checkpoint_holds(self, world: World, store: TurnStore) -> None:
        plan = await self.crashed(world, "Because th")

        assert await store.reap(now_ms()) == [plan.ask.turn_id]

        record = await store.record(world.caller(world.ada), plan.ask.turn_id)
        assert (record.state, record.output, record.usage) == (TurnState.INTERRUPTED, "Because th", USED)
        assert record.credits == 3
        assert wallet_of(world, "institution", world.oak.id).available == 47
        assert await store.reap(now_ms()) == []

    async def test_without_output_nothing_is_charged(self, world: World, store: TurnStore) -> None:
        plan = await self.crashed(world, "", Usage())

        await store.reap(now_ms())

        assert (await store.record(world.caller(world.ada), plan.ask.turn_id)).credits == 0
        assert wallet_of(world, "institution", world.oak.id).available == 50

    async def test_uncounted_output_is_estimated_and_says_so(self, world: World, store: TurnStore) -> None:
        plan = await self.crashed(world, "x" * 60_000, Usage())

        await store.reap(now_ms())

        record = await store.record(world.caller(world.ada), plan.ask.turn_id)
        assert record.usage == Usage(input=1, completion=15_000, estimated=True)
        assert record.credits == 2

    async def test_it_never_charges_more_than_was_held(self, world: World, store: TurnStore) -> None:
        plan = await self.crashed(world, "text", Usage(input=9_000_000, completion=1))

        await store.reap(now_ms())

        assert (await store.record(world.caller(world.ada), plan.ask.turn_id)).credits == 20

    async def test_finish_after_reap_answers_what_was_settled(self, world: World, store: TurnStore) -> None:
        plan = await self.crashed(world, "Because th")
        await store.reap(now_ms())

        settled = await store.finish(end_of(plan, charge=19, output="Because that is so."))

        record = await store.record(world.caller(world.ada), plan.ask.turn_id)
        assert settled == record.settlement
        assert (record.output, record.credits) == ("Because th", 3)
        await store.checkpoint(plan.ask.turn_id, Snapshot(text="late", usage=USED))
        assert (await store.record(world.caller(world.ada), plan.ask.turn_id)).output == "Because th"

    async def test_a_running_turn_of_this_start_is_left_alone(self, world: World, store: TurnStore) -> None:
        plan = world.plan(world.ada, world.oak)
        await store.begin(plan, wanted=20, least=1)

        assert await store.reap(now_ms()) == []
        assert await store.reap(now_ms() + 45_000) == []  # its lease is over, but a stalled loop is not a crash

    async def test_one_that_was_never_heard_of_again_is_ended(self, world: World, store: TurnStore) -> None:
        plan = world.plan(world.ada, world.oak)
        await store.begin(plan, wanted=20, least=1)

        assert await store.reap(now_ms() + 61_000) == [plan.ask.turn_id]

    async def test_a_checkpoint_renews_the_lease(self, world: World, store: TurnStore) -> None:
        plan = world.plan(world.ada, world.oak)
        await store.begin(plan, wanted=20, least=1)
        world.db.write_sync(lambda tx: tx.run(scoped(SYSTEM, update(turn_table).values(lease_until=0))))

        await store.checkpoint(plan.ask.turn_id, Snapshot(text="still here", usage=USED))

        assert await store.reap(now_ms()) == []

    async def test_a_killed_process_loses_at_most_what_it_had_not_saved(self, world: World, store: TurnStore) -> None:
        plan = world.plan(world.ada, world.oak)
        file = world.db._engines[0].url.database
        program = (
            "import asyncio, sys, msgspec\n"
            "from twinspeak.domain.credits import Usage\n"
            "from twinspeak.domain.turn import Snapshot, TurnPlan\n"
            "from twinspeak.persistence.db import Database\n"
            "from twinspeak.services.turn_store import TurnStore\n"
            "plan = msgspec.json.decode(sys.argv[2], type=TurnPlan)\n"
            "store = TurnStore(Database.open('sqlite:///' + sys.argv[1]), lease_s=30, owner='killed')\n"
            "async def main():\n"
            "    await store.begin(plan, wanted=20, least=1)\n"
            "    await store.checkpoint(plan.ask.turn_id, Snapshot('Because', Usage(10_000, 0, 20_000)))\n"
            "    print('saved', flush=True)\n"
            "    while True:\n"
            "        await store.checkpoint(plan.ask.turn_id, Snapshot('Because', Usage(10_000, 0, 20_000)))\n"
            "asyncio.run(main())\n"
        )
        arguments = [sys.executable, "-c", program, str(file), msgspec.json.encode(plan).decode()]
        process = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"saved\n"
        process.kill()
        await process.wait()

        assert await store.reap(now_ms()) == [plan.ask.turn_id]
        record = await store.record(world.caller(world.ada), plan.ask.turn_id)
        assert (record.output, record.credits, record.state) == ("Because", 3, TurnState.INTERRUPTED)

    async def test_many_are_ended_in_small_transactions(self, world: World, store: TurnStore) -> None:
        before = TurnStore(world.db, lease_s=30, owner="an earlier start")
        plans = [world.plan(world.ada, world.oak) for _ in range(120)]
        for plan in plans:
            await before.begin(plan, wanted=0, least=0)

        assert sorted(await store.reap(now_ms())) == sorted(plan.ask.turn_id for plan in plans)

    async def test_the_search_for_them_does_not_read_history(self, world: World) -> None:
        params = {"mine": "me", "mine_before": 1, "others_before": 1, "most": 1}
        sql = str(running._ABANDONED)
        file = world.db._engines[0].url.database
        assert file is not None

        with closing(sqlite3.connect(file)) as connection:
            plan = str(connection.execute(f"EXPLAIN QUERY PLAN {sql}", params).fetchall())

        assert "ix_turns_running" in plan
