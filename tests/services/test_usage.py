"""Roll-ups are what the ledger says, after whatever happened to turns, and what they answer is what turns used."""

import random
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from tests import databases
from tests.persistence.world import World, settle_in
from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.clock import now_ms
from twinspeak.domain.credits import Dollars, Price, Usage, dollars
from twinspeak.domain.errors import Conflict, NotFound
from twinspeak.domain.ids import new_id
from twinspeak.domain.periods import DAY_MS, Grain, shifted, start_of
from twinspeak.domain.turn import ToolUse, TurnEnd, TurnState
from twinspeak.persistence.credit_tables import usage_people, usage_tools, usage_totals
from twinspeak.persistence.db import Database
from twinspeak.persistence.repos import usage as rollups
from twinspeak.persistence.repos import wallets
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import turns
from twinspeak.services.credits import Credits
from twinspeak.services.turn_store import TurnStore

ENDS = [TurnState.DONE, TurnState.CANCELLED, TurnState.FAILED, TurnState.REFUSED]
BOSS = Actor(caller=Caller(user_id=new_id(), email="", kind="super", session_id=new_id(), account_type="super"))


@pytest.mark.parametrize(
    ("moment", "hour", "day", "week", "month"),
    [
        ("2026-11-21T09:30:01", "2026-11-21T09", "2026-11-21", "2026-11-16", "2026-11-01"),
        ("2024-02-29T23:59:59", "2024-02-29T23", "2024-02-29", "2024-02-26", "2024-02-01"),
        ("2023-01-01T00:00:00", "2023-01-01T00", "2023-01-01", "2022-12-26", "2023-01-01"),
    ],
)
def test_periods_begin_when_they_do(moment: str, hour: str, day: str, week: str, month: str) -> None:
    def at(text: str) -> int:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000

    expected = {Grain.HOUR: f"{hour}:00", Grain.DAY: day, Grain.WEEK: week, Grain.MONTH: month}
    for grain, begins in expected.items():
        assert start_of(at(moment), grain) == at(begins)


@given(st.integers(0, 4_000_000_000_000), st.sampled_from(list(Grain)), st.integers(-500, 500))
def test_periods_follow_one_another(moment: int, grain: Grain, by: int) -> None:
    start = start_of(moment, grain)
    assert start <= moment < shifted(start, grain, 1)
    assert start_of(shifted(start, grain, 1) - 1, grain) == start
    if shifted(start, grain, by) > 0:
        assert shifted(shifted(start, grain, by), grain, -by) == start


def test_money_is_rounded_to_a_millionth() -> None:
    price = Price(dollars=Dollars(input=2_500_000, cached=250_000, completion=10_000_000))
    assert dollars(Usage(input=1_000, cached=400, completion=100), price) == 1_500 + 100 + 1_000
    assert dollars(Usage(input=0, completion=0), price) == 0
    assert dollars(Usage(input=9, completion=9), Price()) == 0


@pytest.fixture
def world(tmp_path: Path, database: str) -> Generator[World]:
    db = Database.open(databases.url_for(tmp_path))
    yield settle_in(db, credits=100_000)
    db.close()


class Life:
    """Turns of everybody, begun and ended in any way and at any time."""

    def __init__(self, world: World, draw: random.Random) -> None:
        self.world, self.draw = world, draw
        self.store = TurnStore(world.db, lease_s=30, owner="me")
        self.running: list[str] = []
        self.ended: list[str] = []

    async def begin(self) -> None:
        who, where = self.draw.choice(
            [
                (self.world.ada, self.world.oak),
                (self.world.bob, self.world.oak),
                (self.world.eve, self.world.elm),
                (self.world.ada, None),
            ]
        )
        plan = self.world.plan(who, where)
        model = msgspec.structs.replace(plan.model, id=self.draw.choice(["gpt-x", "gpt-y"]))
        await self.store.begin(msgspec.structs.replace(plan, model=model), wanted=self.draw.randint(0, 9), least=0)
        self.running.append(plan.ask.turn_id)
        # It began long ago: at the end of some month, say, and so in another bucket than now.
        ago = self.draw.choice([0, self.draw.randint(0, 400) * DAY_MS + self.draw.randint(0, DAY_MS)])
        when = update(turns).where(turns.c.id == plan.ask.turn_id).values(created=now_ms() - ago)
        await self.world.db.write(lambda tx: tx.run(scoped(SYSTEM, when)))

    async def end(self) -> None:
        turn_id = self.running.pop(self.draw.randrange(len(self.running)))
        tools = tuple(
            ToolUse(
                id="t", name=name, arguments=None, response="", response_length=0, duration_ms=3, success=name != "bad"
            )
            for name in self.draw.choices(["search", "bad"], k=self.draw.randint(0, 2))
        )
        used = Usage(input=self.draw.randint(0, 9_000), cached=0, completion=self.draw.randint(0, 900))
        await self.store.finish(
            TurnEnd(
                turn_id=turn_id,
                state=self.draw.choice(ENDS),
                output="So.",
                usage=used,
                charge=self.draw.randint(0, 12),
                duration_ms=1,
                first_token_ms=1,
                tools=tools,
            )
        )
        self.ended.append(turn_id)

    async def refund(self) -> None:
        turn_id = self.draw.choice(self.ended)
        if await self.world.db.read(lambda tx: tx.value(scoped(SYSTEM, _charge(turn_id)))):
            assert await Credits(self.world.db).refund(BOSS, turn_id, "Sorry") > 0
        with pytest.raises(Conflict):
            await Credits(self.world.db).refund(BOSS, turn_id, "Sorry")


def _charge(turn_id: str) -> Any:
    return select(turns.c.credits).where(turns.c.id == turn_id)


def rows(db: Database) -> dict[str, Any]:
    def read(tx: Any) -> dict[str, Any]:
        tables = (usage_people, usage_tools, usage_totals)
        return {table.name: sorted(map(str, tx.all(scoped(SYSTEM, select(table))))) for table in tables}

    return db.read_sync(read)


async def test_roll_ups_equal_the_ledger_after_whatever_happened(world: World) -> None:
    life = Life(world, random.Random(3))  # noqa: S311 -- a test
    for _ in range(120):
        await life.begin()
        while life.running and life.draw.random() < 0.6:
            await life.end()
        if life.ended and life.draw.random() < 0.2:
            await life.refund()
    assert await life.store.reap(now_ms() + 10 * DAY_MS)  # the rest is late: a crash, and a start days after
    assert world.db.read_sync(wallets.discrepancies) == []
    assert world.db.read_sync(rollups.mismatches) == []
    kept = rows(world.db)
    assert all(kept.values())
    world.db.write_sync(rollups.rebuild)
    assert rows(world.db) == kept


async def test_a_wrong_roll_up_is_found_and_mended(world: World) -> None:
    life = Life(world, random.Random(4))  # noqa: S311 -- a test
    for _ in range(5):
        await life.begin()
        await life.end()
    wrong = scoped(SYSTEM, update(usage_people).where(usage_people.c.grain == "week").values(credits=77))
    world.db.write_sync(lambda tx: tx.run(wrong))
    assert world.db.read_sync(rollups.mismatches)
    world.db.write_sync(rollups.rebuild)
    assert world.db.read_sync(rollups.mismatches) == []


async def test_a_refund_gives_back_all_of_it_once(world: World) -> None:
    credits, store = Credits(world.db), TurnStore(world.db, lease_s=30, owner="me")
    plan = world.plan(world.ada, world.oak)
    turn_id = plan.ask.turn_id
    with pytest.raises(NotFound):
        await credits.refund(BOSS, turn_id, "Sorry")
    await store.begin(plan, wanted=5, least=1)
    with pytest.raises(Conflict):
        await credits.refund(BOSS, turn_id, "Sorry")
    done = TurnEnd(
        turn_id=turn_id,
        state=TurnState.DONE,
        output="So.",
        usage=Usage(input=1, completion=1),
        charge=4,
        duration_ms=1,
        first_token_ms=1,
    )
    before = await store.finish(done)
    assert await credits.refund(BOSS, turn_id, "Sorry") == 4
    assert world.db.read_sync(lambda tx: wallets.balance(tx, "institution", world.oak.id)) == before.total_credits + 4
    assert world.db.read_sync(wallets.discrepancies) == []
    assert world.db.read_sync(rollups.mismatches) == []
