"""Credits under fire: whatever is done, in whatever order and however many at once, the books are right."""

import asyncio
import tempfile
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from tests import databases
from tests.persistence.turn_tools import url_of
from tests.persistence.world import World, settle_in
from twinspeak.domain.clock import now_ms
from twinspeak.domain.credits import Usage
from twinspeak.domain.errors import InsufficientCredits
from twinspeak.domain.turn import Settlement, Snapshot, TurnEnd, TurnPlan, TurnState
from twinspeak.persistence.db import Database, Tx, as_dict
from twinspeak.persistence.repos import users, wallets
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import ledger_entries, turns
from twinspeak.persistence.tables import wallets as wallet_table
from twinspeak.services.turn_store import TurnStore

CREDITS = 50
PAYERS: tuple[str, ...] = ("oak's pool", "eve", "ada")
ENDS = [TurnState.DONE, TurnState.CANCELLED, TurnState.FAILED, TurnState.REFUSED, TurnState.INTERRUPTED]


def opened(folder: Path) -> World:
    return settle_in(Database.open(databases.url_for(folder)), credits=CREDITS)


def end_of(turn_id: str, state: TurnState, charge: int) -> TurnEnd:
    return TurnEnd(
        turn_id=turn_id,
        state=state,
        output="text",
        usage=Usage(input=1, completion=1),
        charge=charge,
        duration_ms=1,
        first_token_ms=1,
    )


class Begun(msgspec.Struct, frozen=True):
    """What the model of the books knows about a turn."""

    turn_id: str
    payer: str
    user_id: str
    held: list[int]
    saved: list[str]


class Books(RuleBasedStateMachine):
    """Turns of several payers, begun, extended, ended, ended again and reaped, against plain arithmetic."""

    running = Bundle("running")
    ended = Bundle("ended")

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.world = opened(Path(self._folder.name))
        self.loop = asyncio.new_event_loop()
        self.store = TurnStore(self.world.db, lease_s=30, owner="me")
        self.balance = dict.fromkeys(PAYERS, CREDITS)
        self.held = dict.fromkeys(PAYERS, 0)
        self.used = dict.fromkeys((self.world.ada, self.world.bob, self.world.eve), 0)
        self.settled: dict[str, Settlement] = {}

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def plan(self, payer: str) -> TurnPlan:
        world = self.world
        if payer == "oak's pool":
            return world.plan(world.bob, world.oak)
        return world.plan(world.eve, world.elm) if payer == "eve" else world.plan(world.ada)

    @rule(target=running, payer=st.sampled_from(PAYERS), wanted=st.integers(0, 70), least=st.integers(0, 70))
    def begin(self, payer: str, wanted: int, least: int) -> Begun | None:
        plan, free = self.plan(payer), self.balance[payer] - self.held[payer]
        least = min(least, wanted)
        if free < least:
            with pytest.raises(InsufficientCredits):
                self.run(self.store.begin(plan, wanted=wanted, least=least))
            return None
        held = self.run(self.store.begin(plan, wanted=wanted, least=least))
        assert held == min(wanted, free)
        self.held[payer] += held
        return Begun(plan.ask.turn_id, payer, plan.ask.caller.user_id, [held], [])

    @rule(turn=running, by=st.integers(0, 30))
    def extend(self, turn: Begun | None, by: int) -> None:
        if turn is None or turn.turn_id in self.settled:
            return
        added = self.run(self.store.extend(turn.turn_id, by=by))
        assert added == min(by, self.balance[turn.payer] - self.held[turn.payer])
        turn.held.append(added)
        self.held[turn.payer] += added

    @rule(turn=running)
    def checkpoint(self, turn: Begun | None) -> None:
        if turn is not None:
            self.run(self.store.checkpoint(turn.turn_id, Snapshot("text", Usage(input=1, completion=1))))
            turn.saved.append("text")

    @rule(target=ended, turn=consumes(running), state=st.sampled_from(ENDS), charge=st.integers(0, 80))
    def finish(self, turn: Begun | None, state: TurnState, charge: int) -> Begun | None:
        if turn is None or turn.turn_id in self.settled:
            return turn
        expected = 0 if state in (TurnState.FAILED, TurnState.REFUSED) else min(charge, sum(turn.held))
        self._settle(turn, expected, self.run(self.store.finish(end_of(turn.turn_id, state, charge))))
        return turn

    @rule(turn=ended, state=st.sampled_from(ENDS), charge=st.integers(0, 80))
    def finish_again(self, turn: Begun | None, state: TurnState, charge: int) -> None:
        if turn is not None:
            assert self.run(self.store.finish(end_of(turn.turn_id, state, charge))) == self.settled[turn.turn_id]
            assert self.run(self.store.extend(turn.turn_id, by=5)) == 0

    @rule(target=ended, turn=consumes(running))
    def go_silent(self, turn: Begun | None) -> Begun | None:
        """End a turn by the reaper; the others are heard of."""
        if turn is None or turn.turn_id in self.settled:
            return turn
        late = update(turns).where(turns.c.id == turn.turn_id).values(lease_until=0)
        self.world.db.write_sync(lambda tx: tx.run(scoped(SYSTEM, late)))
        assert self.run(self.store.reap(now_ms())) == [turn.turn_id]
        record = self.run(self.store.record(self.world.caller(turn.user_id), turn.turn_id))
        assert record.settlement is not None
        self._settle(turn, min(1, sum(turn.held)) if turn.saved else 0, record.settlement)
        return turn

    @rule(payer=st.sampled_from(PAYERS), amount=st.integers(-20, 20))
    def award(self, payer: str, amount: int) -> None:
        kind, owner = self._owner(payer)
        if self.balance[payer] - self.held[payer] + amount < 0:
            with pytest.raises(InsufficientCredits):
                self._award(kind, owner, amount)
            return
        self.balance[payer] += amount
        assert self._award(kind, owner, amount) == self.balance[payer]

    @invariant()
    def the_books_are_right(self) -> None:
        def look(tx: Tx) -> tuple[list[str], dict[str, tuple[int, int]], dict[str, int]]:
            found = {payer: wallets.ensure(tx, *self._owner(payer)) for payer in PAYERS}
            spent = {user: who.credits_used for user in self.used if (who := users.by_id(tx, user)) is not None}
            return wallets.discrepancies(tx), {p: (w.balance, w.held) for p, w in found.items()}, spent

        wrong, found, spent = self.world.db.write_sync(look)
        assert wrong == []
        assert found == {payer: (self.balance[payer], self.held[payer]) for payer in PAYERS}
        assert all(0 <= held <= balance for balance, held in found.values())
        assert spent == self.used

    def teardown(self) -> None:
        self.world.db.close()
        self.loop.close()
        self._folder.cleanup()

    def _owner(self, payer: str) -> tuple[str, str]:
        if payer == "oak's pool":
            return "institution", self.world.oak.id
        return "user", self.world.eve if payer == "eve" else self.world.ada

    def _award(self, kind: str, owner: str, amount: int) -> int:
        return self.world.db.write_sync(lambda tx: wallets.award(tx, kind, owner, amount, note="test"))

    def _settle(self, turn: Begun, expected: int, settled: Settlement) -> None:
        self.held[turn.payer] -= sum(turn.held)
        self.balance[turn.payer] -= expected
        self.used[turn.user_id] += expected
        assert settled.credits == expected
        assert settled.total_credits == self.balance[turn.payer]
        assert settled.credits_used == self.used[turn.user_id]
        self.settled[turn.turn_id] = settled


@pytest.mark.timeout(240)
def test_books(database: str) -> None:
    run_state_machine_as_test(Books, settings=settings(max_examples=15, stateful_step_count=25, deadline=None))


class TestMany:
    """Turns that begin at the same moment share what there is, and no more."""

    @pytest.fixture
    def world(self, tmp_path: Path, database: str) -> Any:
        world = opened(tmp_path)
        yield world
        assert world.db.read_sync(wallets.discrepancies) == []
        world.db.close()

    async def test_parallel_begins_of_one_payer_never_overspend(self, world: World) -> None:
        store = TurnStore(world.db, lease_s=30, owner="me")
        plans = [world.plan(person, world.oak) for person in (world.ada, world.bob) * 20]

        outcomes = await asyncio.gather(
            *(store.begin(plan, wanted=7, least=2) for plan in plans), return_exceptions=True
        )

        held = [outcome for outcome in outcomes if isinstance(outcome, int)]
        assert sorted(held) == [7] * 7  # one credit is left, and nobody takes less than 2
        assert all(isinstance(outcome, int | InsufficientCredits) for outcome in outcomes)

    @pytest.mark.parametrize("processes", [1, 2])
    def test_threads_and_processes_that_begin_extend_and_finish(self, world: World, processes: int) -> None:
        url = url_of(world)
        databases = [world.db, *(Database.open(url) for _ in range(processes - 1))]
        charged: list[int] = []
        problems: list[BaseException] = []
        start = threading.Barrier(8)

        async def one_after_another(store: TurnStore, number: int) -> None:
            for step in range(12):
                plan = world.plan(world.ada if number % 2 else world.bob, world.oak)
                try:
                    held = await store.begin(plan, wanted=6, least=1)
                    held += await store.extend(plan.ask.turn_id, by=step)
                except InsufficientCredits:
                    continue
                end = end_of(plan.ask.turn_id, TurnState.DONE, 2)
                first, second = await asyncio.gather(store.finish(end), store.finish(end))
                assert first == second
                assert first.credits <= held
                charged.append(first.credits)

        def thread(number: int) -> None:
            store = TurnStore(databases[number % processes], lease_s=30, owner=f"start {number % processes}")
            start.wait(10)
            try:
                asyncio.run(one_after_another(store, number))
            except BaseException as error:
                problems.append(error)

        threads = [threading.Thread(target=thread, args=(number,)) for number in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(50)
        for database in databases[1:]:
            database.close()

        assert problems == []
        # What others hold may be all that is left, whenever a turn asks: so not every credit need have been spent.
        assert CREDITS // 2 < sum(charged) <= CREDITS
        pool = world.db.write_sync(lambda tx: wallets.ensure(tx, "institution", world.oak.id))
        assert (pool.balance, pool.held) == (CREDITS - sum(charged), 0)
        spent = [world.db.read_sync(lambda tx, u=user: users.by_id(tx, u)) for user in (world.ada, world.bob)]
        assert sum(user.credits_used for user in spent if user) == sum(charged)


def test_the_ledger_refuses_a_second_charge_of_a_turn(tmp_path: Path, database: str) -> None:
    world = opened(tmp_path)
    store = TurnStore(world.db, lease_s=30, owner="me")
    plan = world.plan(world.ada)

    async def turn() -> None:
        await store.begin(plan, wanted=5, least=1)
        await store.finish(end_of(plan.ask.turn_id, TurnState.DONE, 2))

    asyncio.run(turn())

    def charge_again(tx: Tx) -> None:
        row = tx.first(select(ledger_entries).where(ledger_entries.c.turn_id == plan.ask.turn_id))
        assert row is not None
        again = {**as_dict(row), "transfer_id": "another"}
        del again["id"]
        tx.run(insert(ledger_entries).values(again))

    with pytest.raises(IntegrityError):
        world.db.write_sync(charge_again)
    world.db.close()


@pytest.mark.parametrize("column", ["balance", "held"])
def test_the_database_itself_refuses_impossible_wallets(tmp_path: Path, database: str, column: str) -> None:
    world = opened(tmp_path)

    for value in (-1, CREDITS + 1) if column == "held" else (-1,):
        with pytest.raises(IntegrityError):
            world.db.write_sync(
                lambda tx, v=value: tx.run(
                    update(wallet_table).where(wallet_table.c.kind == "user").values({column: v})
                )
            )
    world.db.close()
