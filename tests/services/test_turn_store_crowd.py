"""Many turns at the same moment, on one pool: whatever meets whatever, the books are right."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import func, select, update

from tests import databases
from tests.persistence.turn_tools import end_of
from tests.persistence.world import World, settle_in
from twinspeak.domain.clock import now_ms
from twinspeak.domain.credits import Usage
from twinspeak.domain.errors import InsufficientCredits, Overloaded
from twinspeak.domain.turn import Settlement, Snapshot, TurnPlan, TurnState
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import wallets
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import ledger_entries, turns
from twinspeak.persistence.tables import users as user_table
from twinspeak.persistence.tables import wallets as wallet_table
from twinspeak.services.turn_store import TurnStore

CREDITS = 40
LEASE_S = 30
ENDS = [TurnState.DONE, TurnState.CANCELLED, TurnState.FAILED, TurnState.INTERRUPTED]

Step: TypeAlias = tuple[str, int, int]
"""What to do, to which of the turns, and how much."""
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "begin", "extend", "checkpoint", "finish", "finish", "cancel", "fail", "reap"]),
        st.integers(0, 5),
        st.integers(0, 15),
    ),
    min_size=2,
    max_size=10,
)


class Crowd(RuleBasedStateMachine):
    """Batches of whatever can happen to turns, each batch all at once; and a process that is killed between two."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.world = settle_in(Database.open(databases.url_for(Path(self._folder.name))), credits=CREDITS)
        self.loop = asyncio.new_event_loop()
        self.starts = 0
        self.store = self._start()
        self.plans: list[TurnPlan] = []
        self.answered: dict[str, Settlement] = {}

    def _start(self) -> TurnStore:
        self.starts += 1
        return TurnStore(self.world.db, lease_s=LEASE_S, owner=f"start {self.starts}")

    @rule(steps=STEPS)
    def at_once(self, steps: Sequence[Step]) -> None:
        async def all_of_them() -> list[Any]:
            return await asyncio.gather(*(self._do(*step) for step in steps), return_exceptions=True)

        for outcome in self.loop.run_until_complete(all_of_them()):
            assert not isinstance(outcome, BaseException) or isinstance(outcome, InsufficientCredits), outcome

    @rule()
    def killed(self) -> None:
        """Leave everything as it is; the next start ends it, two of its kind at the same moment."""
        self.store = self._start()
        silent = update(turns).where(turns.c.state == "running").values(lease_until=0)
        self.world.db.write_sync(lambda tx: tx.run(scoped(SYSTEM, silent)))

        async def twice() -> tuple[list[str], list[str]]:
            return await asyncio.gather(self.store.reap(now_ms()), self._start().reap(now_ms()))

        first, second = self.loop.run_until_complete(twice())
        assert len({*first, *second}) == len(first) + len(second)

    @invariant()
    def the_books_are_right(self) -> None:
        wrong, below, twice, rows, spent = self.world.db.read_sync(_look)
        assert (wrong, below, twice) == ([], 0, [])
        credits_of = {row.id: row.credits for row in rows}
        assert sum(credits_of.values()) == spent == sum(self._paid().values())
        for turn_id, settled in self.answered.items():
            assert settled.credits == credits_of[turn_id]
        assert all(row.settlement for row in rows if row.state != "running")

    def teardown(self) -> None:
        self.world.db.close()
        self.loop.close()
        self._folder.cleanup()

    def _paid(self) -> dict[str, int]:
        world = self.world

        def left(tx: Tx) -> dict[str, int]:
            return {
                "oak": wallets.balance(tx, "institution", world.oak.id),
                "eve": wallets.balance(tx, "user", world.eve),
            }

        return {payer: CREDITS - balance for payer, balance in world.db.read_sync(left).items()}

    async def _do(self, what: str, which: int, amount: int) -> None:
        if what == "begin":
            world = self.world
            plan = world.plan(world.eve, world.elm) if which == 5 else world.plan(world.ada, world.oak)
            await self.store.begin(plan, wanted=amount, least=min(amount, 1))
            self.plans.append(plan)
        elif what == "reap":
            await self.store.reap(now_ms())
        elif self.plans:
            await self._go_on(self.plans[-1 - which % len(self.plans)], what, amount)

    async def _go_on(self, plan: TurnPlan, what: str, amount: int) -> None:
        turn_id = plan.ask.turn_id
        if what == "extend":
            assert 0 <= await self.store.extend(turn_id, by=amount) <= amount
        elif what == "checkpoint":
            await self.store.checkpoint(turn_id, Snapshot("text", Usage(input=1, completion=amount * 1_000)))
        else:
            state = {"finish": TurnState.DONE, "cancel": TurnState.CANCELLED, "fail": TurnState.FAILED}[what]
            settled = await self.store.finish(end_of(plan, state, charge=amount))
            assert self.answered.setdefault(turn_id, settled) == settled


def _look(tx: Tx) -> tuple[list[str], int, list[Any], Sequence[Any], int]:
    below = (wallet_table.c.kind != "system") & ((wallet_table.c.balance < 0) | (wallet_table.c.held < 0))
    twice = (
        select(ledger_entries.c.turn_id, ledger_entries.c.wallet_id)
        .where(ledger_entries.c.turn_id.is_not(None))
        .group_by(ledger_entries.c.turn_id, ledger_entries.c.wallet_id)
        .having(func.count() > 1)
    )
    every = scoped(SYSTEM, select(turns.c.id, turns.c.state, turns.c.credits, turns.c.settlement))
    return (
        wallets.discrepancies(tx),
        tx.value(select(func.count()).select_from(wallet_table).where(below)),
        list(tx.all(twice)),
        tx.all(every),
        tx.value(select(func.sum(user_table.c.credits_used))),
    )


@pytest.mark.timeout(240)
def test_a_crowd(database: str) -> None:
    run_state_machine_as_test(Crowd, settings=settings(max_examples=12, stateful_step_count=8, deadline=None))


@pytest.fixture
def world(tmp_path: Path, database: str) -> Any:
    db = Database.open(databases.url_for(tmp_path))
    made = settle_in(db, credits=CREDITS)
    yield made
    assert db.read_sync(wallets.discrepancies) == []
    db.close()


async def test_two_turns_at_once_with_one_credit_left(world: World) -> None:
    store = TurnStore(world.db, lease_s=LEASE_S, owner="me")
    await store.begin(world.plan(world.bob, world.oak), wanted=CREDITS - 1, least=1)
    plans = [world.plan(world.ada, world.oak) for _ in range(2)]

    outcomes = await asyncio.gather(*(store.begin(plan, wanted=10, least=1) for plan in plans), return_exceptions=True)

    assert sorted(map(str, outcomes)) == sorted(["1", str(InsufficientCredits())])


async def one_of_many(store: TurnStore, plan: TurnPlan) -> int:
    """Run a turn; when too much waits, try again, as a client would."""
    while True:
        try:
            await store.begin(plan, wanted=2, least=1)
            break
        except Overloaded:
            await asyncio.sleep(0.25)
    return (await store.finish(end_of(plan, charge=1))).credits


@pytest.mark.timeout(240)
async def test_a_thousand_turns_on_one_pool(world: World) -> None:
    world.db.write_sync(lambda tx: wallets.award(tx, "institution", world.oak.id, 2_000 - CREDITS, note="more"))
    store = TurnStore(world.db, lease_s=LEASE_S, owner="me")
    people = (world.ada, world.bob)

    charged = await asyncio.gather(*(one_of_many(store, world.plan(people[n % 2], world.oak)) for n in range(1_000)))

    assert sum(charged) == 1_000
    pool = world.db.read_sync(lambda tx: wallets.balance(tx, "institution", world.oak.id))
    assert pool == 1_000
    assert await store.reap(now_ms() + 10**9) == []
