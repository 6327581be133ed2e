"""The turn's durable row and its money: `engine.ports.TurnStore` over the database.

Begin and finish are one transaction and one hop each. Whatever happens in between, `reap` ends what was begun.
"""

from collections.abc import Collection
from typing import Any

import structlog
from sqlalchemy import Row

from twinspeak.domain.caller import Caller
from twinspeak.domain.clock import now_ms
from twinspeak.domain.credits import Usage, charge_for, estimate_tokens
from twinspeak.domain.errors import InsufficientCredits, NotFound
from twinspeak.domain.turn import Settlement, Snapshot, TurnEnd, TurnPlan, TurnRecord, TurnState
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import caps, running, transfers, turn_keys, turns, wallets
from twinspeak.persistence.repos.turn_keys import KeptTurn

REAP_BATCH = 50
"""Turns ended in one transaction: few enough that a write of somebody else does not wait long behind them."""
NEVER = 2**62

_log = structlog.get_logger(__name__)


class TurnStore:
    """`owner` names this start of the process: rows of any other belong to a process that is gone (on one node)."""

    def __init__(self, db: Database, *, lease_s: float, owner: str) -> None:
        """A turn that is not heard of for `lease_s` seconds counts as abandoned."""
        self._db = db
        self._lease_ms = round(lease_s * 1000)
        self._owner = owner
        self._known: dict[str, running.Known] = {}

    async def begin(self, plan: TurnPlan, *, wanted: int, least: int) -> int:
        """Write the running row and hold credits; return how many are held: `wanted`, or what there is.

        Raises InsufficientCredits or UsageCapReached, and writes nothing, when fewer than `least` are there, or may be
        spent; Conflict for an id or an
        idempotency key that is taken; Overloaded.
        """
        held, known = await self._db.write(lambda tx: self._begin(tx, plan, wanted, least), own_locks=True)
        self._known[plan.ask.turn_id] = known
        return held

    async def extend(self, turn_id: str, *, by: int) -> int:
        """Hold up to `by` more credits; return how many were added: 0 when there are none, or the turn has ended."""
        return await self._db.write(lambda tx: _extend(tx, turn_id, by), own_locks=True)

    async def switch(self, plan: TurnPlan) -> None:
        """Note the model that the turn goes on with, and its price; nothing happens to a turn that has ended."""
        await self._db.write(lambda tx: running.switch(tx, plan), own_locks=True)

    async def checkpoint(self, turn_id: str, snapshot: Snapshot) -> None:
        """Save the text so far and renew the lease; nothing happens to a turn that has ended. Raises Overloaded."""
        lease_until = now_ms() + self._lease_ms
        await self._db.write(
            lambda tx: running.checkpoint(tx, turn_id, snapshot, lease_until=lease_until), own_locks=True
        )

    async def finish(self, end: TurnEnd) -> Settlement:
        """Settle, write history, set the state: one transaction. A second call changes nothing and answers the same.

        The charge is cut to what is held; a failed or refused turn costs nothing, whatever `end` says. After `reap`
        it answers what the reaper settled. Raises NotFound for a turn that was never begun.
        """
        settlement = await self._db.write(lambda tx: _finish(tx, end, now_ms()), essential=True, own_locks=True)
        self._known.pop(end.turn_id, None)
        return settlement

    def expected(self, end: TurnEnd) -> Settlement:
        """Return what `finish` would answer if nothing else had happened since the turn began; asks no database."""
        known = self._known.get(end.turn_id, running.NOTHING_KNOWN)
        return known.after(end.charge if end.state in running.SUCCESSFUL else 0)

    async def reap(self, now: int, spare: Collection[str] = ()) -> list[str]:
        """End every abandoned turn with what its checkpoint holds, as interrupted; return their ids.

        Abandoned: its lease ran out (this process's own get as long again, a stalled loop is not a crash), or, on one
        node, another start of the process began it. `spare` are turns that this process has not let go of: they run,
        or wait to be saved, whatever their lease says.
        """
        reaped: list[str] = []
        while batch := await self._db.write(lambda tx: self._reap(tx, now, spare), essential=True, own_locks=True):
            reaped += batch
        if reaped:
            _log.warning("turns_interrupted", count=len(reaped))
        return reaped

    def reap_sync(self, now: int) -> list[str]:
        """`reap` for the command line: blocks the calling thread."""
        reaped: list[str] = []
        while batch := self._db.write_sync(lambda tx: self._reap(tx, now, ())):
            reaped += batch
        return reaped

    async def record(self, caller: Caller, turn_id: str) -> TurnRecord:
        """Return the caller's own turn, once it has ended, with all details.

        Raises NotFound for an unknown, a running and a foreign one, and for one in a twin that he has left.
        """
        return await self._db.read(lambda tx: _own_record(tx, caller, turn_id))

    async def kept(self, caller: Caller, key: str) -> KeptTurn | None:
        """Return the turn that the caller's idempotency key stands for, None when it stands for none (any more)."""
        return await self._db.read(lambda tx: turn_keys.find(tx, caller.user_id, key, now=now_ms()))

    async def forget_keys(self, now: int) -> int:
        """Drop idempotency keys that are older than a day; return how many."""
        return await self._db.write(lambda tx: turn_keys.purge(tx, now=now))

    def _begin(self, tx: Tx, plan: TurnPlan, wanted: int, least: int) -> tuple[int, running.Known]:
        pooled = plan.payer_institution_id
        kind, owner = ("user", plan.ask.caller.user_id) if pooled is None else ("institution", pooled)
        wallet = wallets.ensure(tx, kind, owner)
        if pooled is not None:
            wallet = transfers.top_up(tx, pooled, wallet)
        if wallet.available < least:
            raise InsufficientCredits(details={"payer": kind})
        if pooled is not None:
            wanted = caps.standing(tx, plan.ask.caller.user_id, pooled).room_for(wanted, least=least)
        now = now_ms()
        begun = running.Begun(
            owner=self._owner, created=now, lease_until=now + self._lease_ms, payer_wallet_id=wallet.id
        )
        running.begin(tx, plan, begun)
        if (once := plan.ask.once) is not None:
            turn_keys.keep(tx, plan.ask.caller.user_id, once, plan.ask.turn_id, now=now)
        held = wallets.hold(tx, wallet, plan.ask.turn_id, wanted=wanted, least=least)
        return held, running.known(tx, plan, balance=wallet.balance)

    def _reap(self, tx: Tx, now: int, spare: Collection[str]) -> list[str]:
        # Where writers work side by side, a transaction that ended turns of several payers could meet another halfway.
        batch = REAP_BATCH if self._db.single_node else 1
        rows = running.abandoned(
            tx,
            mine=self._owner,
            mine_before=now - self._lease_ms,
            others_before=NEVER if self._db.single_node else now,
            most=batch + len(spare),
        )
        abandoned = [row for row in rows if row.id not in spare][:batch]
        for row in abandoned:
            _finish(tx, self._interrupted(row), now)
        return [row.id for row in abandoned]

    def _interrupted(self, row: Row[Any]) -> TurnEnd:
        """Make the end of a turn from its last checkpoint: what was produced is kept and paid for."""
        usage = turns.usage_of(row)
        if row.output and not usage.completion:
            # Nobody counted yet: an estimate of what there is, said to be one.
            counted = Usage(input=estimate_tokens(row.question), completion=estimate_tokens(row.output), estimated=True)
            usage = usage.plus(counted)
        last_seen: int = row.lease_until - self._lease_ms
        return TurnEnd(
            turn_id=row.id,
            state=TurnState.INTERRUPTED,
            output=row.output,
            usage=usage,
            charge=charge_for(usage, running.price_of(row), produced=bool(row.output)),
            duration_ms=max(0, last_seen - row.created),
            first_token_ms=None,
            stop_reason="interrupted",
        )


def _extend(tx: Tx, turn_id: str, by: int) -> int:
    left = caps.standing_of(tx, turn_id).left
    by = by if left is None else min(by, left)
    added = wallets.extend(tx, turn_id, by)
    if added < by and transfers.top_up_for(tx, turn_id):
        added += wallets.extend(tx, turn_id, by - added)
    return added


def _finish(tx: Tx, end: TurnEnd, now: int) -> Settlement:
    found = running.find(tx, end.turn_id)
    if found is None:
        raise NotFound
    if found.state is not TurnState.RUNNING:
        return turns.decode_settlement(found.settlement or "")
    charged = wallets.settle(tx, end.turn_id, end.charge if end.state in running.SUCCESSFUL else 0)
    settlement, pooled = running.balances(tx, found, charged)
    running.end(tx, end, found, settlement, now=now, pooled=pooled)
    return settlement


def _own_record(tx: Tx, caller: Caller, turn_id: str) -> TurnRecord:
    scope = turns.scope_of_turn(tx, caller.user_id, turn_id)
    record = None if scope is None else turns.record(tx, scope, turn_id)
    if record is None:
        raise NotFound
    return record
