"""A turn's row and its money, through every way a turn can go."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.persistence.turn_tools import end_of, opened, wallet_of
from tests.persistence.world import World
from twinspeak.domain.credits import FREE
from twinspeak.domain.errors import Conflict, InsufficientCredits, NotFound
from twinspeak.domain.ids import new_id
from twinspeak.domain.turn import (
    Settlement,
    TurnState,
)
from twinspeak.services.turn_store import TurnStore


@pytest.fixture
def world(tmp_path: Path, database: str) -> Iterator[World]:
    with opened(tmp_path) as world:
        yield world


@pytest.fixture
def store(world: World) -> TurnStore:
    return TurnStore(world.db, lease_s=30, owner="this start")


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

    async with asyncio.timeout(10):
        while wallet_of(world, "institution", world.oak.id).held:  # noqa: ASYNC110 -- nobody is told of it any more
            await asyncio.sleep(0.01)
    assert (await store.finish(end_of(plan, charge=7))).credits == 3
