"""Credit caps: the rule by itself, and a gauge that never says anything else than the block."""

import asyncio
import random
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select, update

from tests import databases
from tests.persistence.world import World, settle_in
from twinspeak.domain.caps import WINDOW_MS, Cap, CapKind, Charge, Standing, UsageCapReached
from twinspeak.domain.clock import iso
from twinspeak.domain.credits import Usage
from twinspeak.domain.errors import Overloaded
from twinspeak.domain.institution import Institution
from twinspeak.domain.turn import TurnEnd, TurnState
from twinspeak.persistence.db import Database
from twinspeak.persistence.repos import caps, wallets
from twinspeak.persistence.repos import usage as rollups
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import accounts, institutions, turns
from twinspeak.services.turn_store import TurnStore

CREDITS = 100_000


def cap(kind: CapKind, limit: int, spent: int = 0, **more: Any) -> Cap:
    return Cap(kind=kind, source=more.pop("source", "account"), limit=limit, spent=spent, **more)


def test_the_window_lets_go_of_the_oldest_first() -> None:
    charges = (Charge(at=100, credits=3), Charge(at=200, credits=4), Charge(at=300, credits=5))
    assert cap(CapKind.H24, 9, 12, charges=charges).reset_at == 200 + WINDOW_MS
    assert cap(CapKind.H24, 9, 12, charges=charges, held=2).reset_at == 200 + WINDOW_MS
    assert cap(CapKind.H24, 20, 12, charges=charges).reset_at == 100 + WINDOW_MS
    assert cap(CapKind.H24, 0, 12, charges=charges).reset_at is None
    assert cap(CapKind.INSTITUTION, 12, 12).reset_at is None


def test_of_several_that_block_the_lasting_one_is_told() -> None:
    day, twin = cap(CapKind.H24, 5, 5), cap(CapKind.INSTITUTION, 7, 9, source="institution")
    assert Standing((day, twin)).blocking is twin
    assert Standing((day, twin)).source == "institution"
    assert Standing((day, cap(CapKind.INSTITUTION, 9, 7))).blocking is day
    assert Standing((cap(CapKind.H24, 9, 5), cap(CapKind.H24, 6, 5))).left == 1


@pytest.mark.parametrize(
    ("left", "wanted", "least", "room"),
    [(5, 9, 1, 5), (5, 3, 1, 3), (5, 9, 5, 5), (5, 9, 6, None), (0, 1, 1, None), (0, 0, 0, 0), (0, 1, 0, None)],
)
def test_there_is_room_for_what_is_left(left: int, wanted: int, least: int, room: int | None) -> None:
    standing = Standing((cap(CapKind.H24, 10, 10 - left),))
    if room is None:
        with pytest.raises(UsageCapReached):
            standing.room_for(wanted, least=least)
    else:
        assert standing.room_for(wanted, least=least) == room
    assert Standing().room_for(wanted, least=least) == wanted


class Crowd:
    """Twins of one account whose pools pay, and somebody who spends."""

    def __init__(self, world: World) -> None:
        self.world, self.db = world, world.db
        self.store = TurnStore(world.db, lease_s=30, owner="me")
        self.db.write_sync(lambda tx: tx.run(update(institutions).values(pool_credits=True)))
        self.elm = Institution(id=world.elm.id, public_id=world.elm.public_id, name="Elm", ai_name="Elm")
        self.twins = (world.oak, self.elm)

    def set(self, *, account: dict[str, int], twin: dict[str, int]) -> None:
        def store(tx: Any) -> None:
            names = ("cap_h24", "cap_institution")
            tx.run(update(accounts).values({name: account.get(name, -1) for name in (*names, "cap_account")}))
            tx.run(update(institutions).values({name: twin.get(name, -1) for name in names}))

        self.db.write_sync(store)

    async def begin(self, twin: Institution, *, wanted: int = 1, least: int = 1) -> tuple[str, int]:
        plan = self.world.plan(self.world.ada, twin)
        return plan.ask.turn_id, await self.store.begin(plan, wanted=wanted, least=least)

    async def end(self, turn_id: str, charge: int, state: TurnState = TurnState.DONE) -> None:
        usage = Usage(input=100, completion=10)
        await self.store.finish(
            TurnEnd(
                turn_id=turn_id, state=state, output="So.", usage=usage, charge=charge, duration_ms=1, first_token_ms=1
            )
        )

    def gauges(self, twin: Institution) -> caps.Gauges:
        return self.db.read_sync(lambda tx: caps.gauges(tx, self.world.ada, twin.id))

    def right(self) -> None:
        """Make sure that the books and the roll-ups are right."""
        assert self.db.read_sync(wallets.discrepancies) == []
        assert self.db.read_sync(rollups.mismatches) == []


@pytest_asyncio.fixture
async def crowd(tmp_path: Path, database: str) -> AsyncGenerator[Crowd]:
    db = Database.open(databases.url_for(tmp_path), queue_limit=2_000)
    yield Crowd(settle_in(db, credits=CREDITS))
    db.close()


@pytest.mark.timeout(240)
async def test_caps_hold_under_a_thousand_parallel_turns(crowd: Crowd) -> None:
    crowd.set(account={"cap_h24": 100, "cap_account": 101}, twin={})

    async def ask(number: int) -> tuple[str, int] | UsageCapReached:
        while True:
            try:
                return await crowd.begin(crowd.twins[number % 2])
            except UsageCapReached as refused:
                return refused
            except Overloaded:
                continue  # as clients do who are told to come again

    answers = await asyncio.gather(*(ask(number) for number in range(1_000)))
    refused = [one for one in answers if isinstance(one, UsageCapReached)]
    begun = [one[0] for one in answers if not isinstance(one, UsageCapReached)]
    assert (len(begun), len(refused)) == (100, 900)
    assert {one.details["cap"] for one in refused} == {100}
    assert crowd.gauges(crowd.world.oak).standing.left == 0
    await asyncio.gather(*(crowd.end(one, charge=1) for one in begun))
    blocking = crowd.gauges(crowd.elm).standing.blocking
    assert blocking is not None
    assert (blocking.kind, blocking.used, blocking.held) == (CapKind.H24, 100, 0)
    crowd.right()


async def test_the_gauge_never_disagrees_with_the_block(crowd: Crowd) -> None:
    draw = random.Random(5)  # noqa: S311 -- a test
    running: list[tuple[str, int]] = []
    for step in range(150):
        if step % 15 == 0:
            account = {name: draw.randint(-1, 60) for name in ("cap_h24", "cap_institution", "cap_account")}
            crowd.set(account=account, twin={"cap_h24": draw.randint(-1, 40), "cap_institution": draw.randint(-1, 60)})
        twin = draw.choice(crowd.twins)
        shown = crowd.gauges(twin)
        wanted, left = draw.randint(1, 6), shown.standing.left
        least = draw.randint(1, wanted)
        try:
            turn_id, held = await crowd.begin(twin, wanted=wanted, least=least)
        except UsageCapReached as refused:
            assert left is not None
            assert left < least
            told = refused.details
            if shown.standing.blocking:
                assert told["capType"] == shown.standing.blocking.kind
                assert told["used"] == shown.gauges[shown.standing.blocking.kind].used
            assert told["left"] == left
        else:
            assert held == (wanted if left is None else min(wanted, left))
            assert held >= least
            assert shown.standing.blocking is None
            running.append((turn_id, held))
        if running and draw.random() < 0.5:
            turn_id, held = running.pop(draw.randrange(len(running)))
            more = await crowd.store.extend(turn_id, by=draw.randint(1, 4))
            state = draw.choice([TurnState.DONE, TurnState.CANCELLED, TurnState.FAILED])
            await crowd.end(turn_id, draw.randint(0, held + more), state)
    for turn_id, held in running:
        await crowd.end(turn_id, held)
    crowd.right()


async def test_a_running_turn_is_held_more_only_within_the_cap(crowd: Crowd) -> None:
    crowd.set(account={}, twin={"cap_institution": 10})
    turn_id, held = await crowd.begin(crowd.world.oak, wanted=4)
    assert held == 4
    assert await crowd.store.extend(turn_id, by=20) == 6
    assert await crowd.store.extend(turn_id, by=1) == 0
    with pytest.raises(UsageCapReached):
        await crowd.begin(crowd.world.oak)
    await crowd.begin(crowd.elm)  # another twin, a cap of its own
    await crowd.end(turn_id, charge=3)
    assert crowd.gauges(crowd.world.oak).standing.left == 7


async def test_time_lifts_the_cap_of_a_day_and_of_nothing_else(crowd: Crowd) -> None:
    crowd.set(account={"cap_h24": 3}, twin={})
    turn_id, _ = await crowd.begin(crowd.world.oak, wanted=3)
    await crowd.end(turn_id, charge=3)
    with pytest.raises(UsageCapReached) as refused:
        await crowd.begin(crowd.elm)
    ended = crowd.db.read_sync(lambda tx: tx.value(scoped(SYSTEM, _ended(turn_id))))
    assert refused.value.details["resetAt"] == iso(ended + WINDOW_MS)
    crowd.db.write_sync(
        lambda tx: tx.run(
            scoped(SYSTEM, update(turns).where(turns.c.id == turn_id).values(ended=ended - WINDOW_MS - 1_000))
        )
    )
    assert crowd.gauges(crowd.elm).standing.left == 3
    crowd.set(account={"cap_account": 3}, twin={})
    assert crowd.gauges(crowd.elm).standing.left == 0


def _ended(turn_id: str) -> Any:
    return select(turns.c.ended).where(turns.c.id == turn_id)


async def test_what_costs_nothing_and_what_one_pays_oneself_is_not_capped(crowd: Crowd) -> None:
    crowd.set(account={"cap_account": 0}, twin={})
    assert (await crowd.begin(crowd.world.oak, wanted=0, least=0))[1] == 0
    with pytest.raises(UsageCapReached):
        await crowd.begin(crowd.world.oak)
    plan = crowd.world.plan(crowd.world.ada)
    assert await crowd.store.begin(plan, wanted=1, least=1) == 1
    crowd.db.write_sync(lambda tx: tx.run(update(institutions).values(pool_credits=False)))
    assert crowd.gauges(crowd.world.oak).enabled is False
