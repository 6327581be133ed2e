"""What an ended turn leaves behind, and who may read it: nobody else, and nobody learns that there is one."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.persistence.turn_tools import USED, end_of, opened
from tests.persistence.world import World, own
from twinspeak.domain.assistant import Assistant
from twinspeak.domain.errors import NotFound
from twinspeak.domain.ids import new_id
from twinspeak.domain.institution import Institution
from twinspeak.domain.turn import (
    Passage,
    Snapshot,
    ThinkingPart,
    ToolUse,
    TurnState,
)
from twinspeak.persistence.repos import assistants, memberships, turns
from twinspeak.services.turn_store import TurnStore


@pytest.fixture
def world(tmp_path: Path, database: str) -> Iterator[World]:
    with opened(tmp_path) as world:
        yield world


@pytest.fixture
def store(world: World) -> TurnStore:
    return TurnStore(world.db, lease_s=30, owner="this start")


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


async def test_others_and_unknown_ids_look_the_same(world: World, store: TurnStore) -> None:
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


async def test_personal_and_twin_records_do_not_mix(world: World, store: TurnStore) -> None:
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
    assert world.db.read_sync(lambda tx: turns.conversation(tx, own(world.bob, world.oak), 7)) is None
    for scope in (own(world.ada), own(world.bob, world.oak), own(world.ada, world.elm)):
        turn_id = plans["oak"].ask.turn_id
        assert world.db.read_sync(lambda tx, s=scope, i=turn_id: turns.record(tx, s, i)) is None


async def test_who_left_the_twin_lost_its_records(world: World, store: TurnStore) -> None:
    plan = world.plan(world.ada, world.oak)
    await store.begin(plan, wanted=2, least=1)
    await store.finish(end_of(plan))
    membership = world.db.read_sync(lambda tx: memberships.get(tx, world.ada, world.oak.id))
    assert membership is not None
    world.db.write_sync(lambda tx: memberships.set_status(tx, membership.id, "deleted"))

    with pytest.raises(NotFound):
        await store.record(world.caller(world.ada), plan.ask.turn_id)
