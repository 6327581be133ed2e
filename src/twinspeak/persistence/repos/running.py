"""The statements of a turn that runs: begin, checkpoint, end. The system's own work, keyed by the turn's id.

`services.turn_store` puts them together into transactions; `turns` reads what they leave behind.
"""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, bindparam, insert, literal_column, select, update
from sqlalchemy.exc import IntegrityError

from twinspeak.domain.caller import Scope
from twinspeak.domain.credits import FREE, Price, Usage, dollars
from twinspeak.domain.errors import Conflict
from twinspeak.domain.turn import Settlement, Snapshot, TurnEnd, TurnPlan, TurnState
from twinspeak.persistence import fulltext
from twinspeak.persistence.db import Tx
from twinspeak.persistence.faults import is_duplicate
from twinspeak.persistence.repos import usage as rollups
from twinspeak.persistence.scope import SYSTEM, ScopedStatement, scoped
from twinspeak.persistence.tables import turn_details, turns, users, wallets
from twinspeak.persistence.text import storable

SUCCESSFUL = frozenset({TurnState.DONE, TurnState.CANCELLED, TurnState.INTERRUPTED})
"""States in which the person got an answer, whole or partial: they are paid for, the others are not."""

# Spelled out, because SQLite only uses the small index of running turns when it can read the word in the statement.
_IS_RUNNING = turns.c.state == literal_column("'running'")
_OF_TURN = (turns.c.id == bindparam("turn"), _IS_RUNNING)

_INSERT = ScopedStatement(insert(turns))
_INSERT_DETAILS = ScopedStatement(insert(turn_details))
_STATE = scoped(
    SYSTEM,
    select(
        turns.c.state,
        turns.c.institution_id,
        turns.c.user_id,
        turns.c.payer_wallet_id,
        turns.c.settlement,
        turns.c.question,
        turns.c.number,
        turns.c.created,
        turns.c.model,
        turns.c.assistant_id,
        turns.c.price,
    )
    .where(turns.c.id == bindparam("turn"))
    .with_for_update(key_share=True),
)
_CHECKPOINT = scoped(
    SYSTEM,
    update(turns)
    .where(*_OF_TURN)
    .values(
        output=bindparam("text_so_far"),
        usage_input=bindparam("input_tokens"),
        usage_cached=bindparam("cached_tokens"),
        usage_completion=bindparam("completion_tokens"),
        usage_estimated=bindparam("is_estimate"),
        lease_until=bindparam("lease"),
    ),
)
_SWITCH = scoped(
    SYSTEM,
    update(turns)
    .where(*_OF_TURN)
    .values(model=bindparam("new_model"), provider=bindparam("new_provider"), price=bindparam("new_price")),
)
_END_COLUMNS = (
    "state", "output", "usage_input", "usage_cached", "usage_completion", "usage_estimated", "credits", "success",
    "moderated", "stop_reason", "failure", "settlement", "has_thinking", "thinking_count", "duration_ms",
    "first_token_ms", "ended", "words", "cost",
)  # fmt: skip
_END = scoped(SYSTEM, update(turns).where(*_OF_TURN).values({name: bindparam(f"new_{name}") for name in _END_COLUMNS}))
_ABANDONED = scoped(
    SYSTEM,
    select(
        turns.c.id, turns.c.question, turns.c.output, turns.c.price, turns.c.created, turns.c.lease_until,
        turns.c.usage_input, turns.c.usage_cached, turns.c.usage_completion, turns.c.usage_estimated,
    )
    .where(
        _IS_RUNNING,
        ((turns.c.owner == bindparam("mine")) & (turns.c.lease_until < bindparam("mine_before")))
        | ((turns.c.owner != bindparam("mine")) & (turns.c.lease_until < bindparam("others_before"))),
    )
    .order_by(turns.c.lease_until)
    .limit(bindparam("most"))
    # One that somebody is ending, or has just heard of, is not abandoned.
    .with_for_update(key_share=True, skip_locked=True),
)  # fmt: skip
_SPEND = (
    update(users)
    .where(users.c.id == bindparam("user"))
    .values(credits_used=users.c.credits_used + bindparam("charged"))
    .returning(users.c.credits_used)
)
_SPENT = select(users.c.credits_used).where(users.c.id == bindparam("user"))
_BALANCE = select(wallets.c.balance).where(wallets.c.id == bindparam("wallet"))
_POOL = select(wallets.c.balance, wallets.c.id).where(
    wallets.c.kind == "institution", wallets.c.owner_id == bindparam("institution")
)

STOP_REASON_MAX = 100
"""Characters of a vendor's word that are kept."""

_price = msgspec.json.Decoder(Price)


class Begun(msgspec.Struct, frozen=True):
    """What the row of a running turn says about its process: who runs it, and until when he must be heard of."""

    owner: str
    created: int
    lease_until: int
    payer_wallet_id: str


class Found(msgspec.Struct, frozen=True):
    """A turn's row as the end of the turn needs it; `settlement` is JSON once the turn has ended."""

    state: TurnState
    scope: Scope
    payer_wallet_id: str
    settlement: str | None
    question: str
    number: int
    created: int
    model: str
    assistant_id: str | None
    price: Price


class Known(msgspec.Struct, frozen=True):
    """Balances when a turn began. `pooled`: the institution's is also the payer's."""

    balances: Settlement
    pooled: bool

    def after(self, charged: int) -> Settlement:
        """Return the balances once `charged` has been paid, if nobody else paid anything meanwhile."""
        was = self.balances
        pool = was.institution_credits
        return Settlement(
            credits=charged,
            total_credits=max(0, was.total_credits - charged),
            credits_used=was.credits_used + charged,
            institution_credits=max(0, pool - charged) if self.pooled and pool is not None else pool,
        )


NOTHING_KNOWN = Known(
    balances=Settlement(credits=0, total_credits=0, credits_used=0, institution_credits=None), pooled=False
)


def known(tx: Tx, plan: TurnPlan, *, balance: int) -> Known:
    """Return the balances as they are; `balance` is the payer's, which the caller has just read."""
    twin, pooled = plan.institution, plan.payer_institution_id is not None
    pool = balance if pooled or twin is None else tx.value(_POOL, {"institution": twin.id}) or 0
    return Known(
        balances=Settlement(
            credits=0,
            total_credits=balance,
            credits_used=tx.value(_SPENT, {"user": plan.ask.caller.user_id}),
            institution_credits=None if twin is None else pool,
        ),
        pooled=pooled,
    )


def begin(tx: Tx, plan: TurnPlan, begun: Begun) -> None:
    """Write the running row. Raises Conflict when there is a turn by that id."""
    scope = Scope(
        user_id=plan.ask.caller.user_id, institution_id=plan.institution.id if plan.institution is not None else None
    )
    price = FREE if plan.passages_only else plan.model.price
    row = {
        "id": plan.ask.turn_id,
        "course_id": plan.course.course_id,
        "course_name": plan.course.course_name,
        "parent_id": plan.course.parent_id,
        "replaces_id": plan.course.replaces_id,
        "branched": plan.course.branched,
        "assistant_id": plan.assistant.id if plan.assistant is not None else None,
        "state": TurnState.RUNNING.value,
        "face": plan.ask.face.value,
        "question": plan.ask.question,
        "model": plan.model.id,
        "provider": plan.model.provider,
        "price": to_json(price),
        "passages_only": plan.passages_only,
        "owner": begun.owner,
        "created": begun.created,
        "lease_until": begun.lease_until,
        "payer_wallet_id": begun.payer_wallet_id,
        "number": fulltext.number_of(begun.created, plan.ask.turn_id),
    }
    try:
        tx.scoped(scope, _INSERT, row)
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        raise Conflict("There is a turn by this id already.") from error


def switch(tx: Tx, plan: TurnPlan) -> None:
    """Write another model into a running row, with its price: that is what the turn is paid by."""
    values = {"new_model": plan.model.id, "new_provider": plan.model.provider, "new_price": to_json(plan.model.price)}
    tx.change(_SWITCH, {"turn": plan.ask.turn_id, **values})


def checkpoint(tx: Tx, turn_id: str, snapshot: Snapshot, *, lease_until: int) -> bool:
    """Save the text so far and renew the lease; False when the turn has ended."""
    usage = snapshot.usage
    return bool(
        tx.change(
            _CHECKPOINT,
            {
                "turn": turn_id,
                "text_so_far": snapshot.text,
                "input_tokens": usage.input,
                "cached_tokens": usage.cached,
                "completion_tokens": usage.completion,
                "is_estimate": usage.estimated,
                "lease": lease_until,
            },
        )
    )


def find(tx: Tx, turn_id: str) -> Found | None:
    """Return a turn's state, and lock its row where the database locks rows."""
    row = tx.first(_STATE, {"turn": turn_id})
    if row is None:
        return None
    return Found(
        state=TurnState(row.state),
        scope=Scope(user_id=row.user_id, institution_id=row.institution_id),
        payer_wallet_id=row.payer_wallet_id,
        settlement=row.settlement,
        question=row.question,
        number=row.number,
        created=row.created,
        model=row.model,
        assistant_id=row.assistant_id,
        price=price_of(row),
    )


def abandoned(tx: Tx, *, mine: str, mine_before: int, others_before: int, most: int) -> Sequence[Row[Any]]:
    """Return running turns whose lease ended before `mine_before` (owner `mine`) or `others_before` (any other)."""
    params = {"mine": mine, "mine_before": mine_before, "others_before": others_before, "most": most}
    return tx.all(_ABANDONED, params)


def price_of(row: Row[Any]) -> Price:
    """Return the rates that a turn was begun with."""
    return _price.decode(row.price)


def balances(tx: Tx, found: Found, charged: int) -> tuple[Settlement, bool]:
    """Add `charged` to the user's lifetime use; return all balances, and whether the twin pays.

    The wallets are settled already.
    """
    user = {"user": found.scope.user_id}
    institution_id = found.scope.institution_id
    pool = None if institution_id is None else tx.first(_POOL, {"institution": institution_id})
    pooled = pool is not None and pool.id == found.payer_wallet_id
    settlement = Settlement(
        credits=charged,
        total_credits=pool.balance if pool and pooled else tx.value(_BALANCE, {"wallet": found.payer_wallet_id}),
        credits_used=tx.value(_SPEND, {**user, "charged": charged}) if charged else tx.value(_SPENT, user),
        institution_credits=None if institution_id is None else pool.balance if pool else 0,
    )
    return settlement, pooled


def end(tx: Tx, end: TurnEnd, found: Found, settlement: Settlement, *, now: int, pooled: bool) -> None:
    """Turn the running row into the history record, details included, and count what it used."""
    usage: Usage = end.usage
    cost = dollars(usage, found.price)
    values = {
        "state": end.state.value,
        "output": end.output,
        "usage_input": usage.input,
        "usage_cached": usage.cached,
        "usage_completion": usage.completion,
        "usage_estimated": usage.estimated,
        "credits": settlement.credits,
        "success": end.state in SUCCESSFUL,
        "moderated": end.moderated,
        "stop_reason": end.stop_reason[:STOP_REASON_MAX],
        "failure": None if end.failure is None else to_json(end.failure),
        "settlement": to_json(settlement),
        "has_thinking": bool(end.thinking),
        "thinking_count": len(end.thinking),
        "duration_ms": end.duration_ms,
        "first_token_ms": end.first_token_ms,
        "ended": now,
        "words": fulltext.column_of(tx, found.scope.user_id or "", found.question, end.output),
        "cost": cost,
    }
    tx.run(_END, {"turn": end.turn_id, **{f"new_{name}": value for name, value in values.items()}})
    if end.state is not TurnState.REFUSED:
        fulltext.index(tx, found.number, found.scope.user_id or "", found.question, end.output)
        rollups.record(tx, _used(end, found, settlement, pooled=pooled, cost=cost))
    if end.thinking or end.tools or end.passages or end.prompt.messages:
        details = {
            "turn_id": end.turn_id,
            "thinking": to_json(end.thinking),
            "tools": to_json(end.tools),
            "passages": to_json(end.passages),
            "prompt": to_json(end.prompt),
        }
        tx.scoped(found.scope, _INSERT_DETAILS, details)


def refunded(tx: Tx, turn_id: str, found: Found, amount: int) -> None:
    """Take a charge that has been given back out of the record, the asker's lifetime use and the roll-ups."""
    tx.run(scoped(SYSTEM, update(turns).where(turns.c.id == turn_id).values(credits=0)))
    tx.run(_SPEND, {"user": found.scope.user_id, "charged": -amount})
    twin = found.scope.institution_id
    pool = None if twin is None else tx.first(_POOL, {"institution": twin})
    used = rollups.Used(
        created=found.created,
        institution_id=twin,
        user_id=found.scope.user_id or "",
        model=found.model,
        assistant_id=found.assistant_id,
        usage=Usage(),
        credits=amount,
        pooled=pool is not None and pool.id == found.payer_wallet_id,
    )
    rollups.refund(tx, used)


def _used(end: TurnEnd, found: Found, settlement: Settlement, *, pooled: bool, cost: int) -> rollups.Used:
    return rollups.Used(
        created=found.created,
        institution_id=found.scope.institution_id,
        user_id=found.scope.user_id or "",
        model=found.model,
        assistant_id=found.assistant_id,
        usage=end.usage,
        credits=settlement.credits,
        pooled=pooled,
        cost=cost,
        tools=end.tools,
    )


def to_json(value: object) -> str:
    """Return JSON text of structs; lone surrogates in them become replacement characters."""
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        # json escapes what msgspec refuses; what comes out of the escapes again is mended like any other text.
        return storable(json.dumps(msgspec.to_builtins(value), ensure_ascii=False))
