"""What must hold of the whole database, looked at row by row; and the repairs that cannot make anything worse.

Every finding is a sentence for an operator, without anybody's words in it. The foreign keys and CHECKs of the tables
forbid most of this; it happens after a disk error, or when somebody wrote into the database by hand.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Table, bindparam, delete, func, select, text, update

from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import usage
from twinspeak.persistence.repos import wallets as books
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import (
    holds,
    ledger_entries,
    sessions,
    turn_details,
    turn_keys,
    turns,
    users,
    wallets,
)
from twinspeak.persistence.vault_tables import chunks, documents

SHOWN = 20
"""Findings of one kind that are told one by one."""


class Finding(msgspec.Struct, frozen=True):
    """Something that must not be. `repair` undoes it and returns how many rows it changed; None: only a person can."""

    problem: str
    repair: Callable[[Tx], int] | None = None


def look(tx: Tx, *, now: int, served: bool) -> list[Finding]:
    """Return all that is wrong. `served`: a server runs, so turns may be running."""
    if damage := _integrity(tx):
        return [Finding(problem) for problem in damage]
    found = [Finding(problem) for problem in books.discrepancies(tx) if problem.startswith("transfer")]
    found += _misbalanced(tx)
    found += _misheld(tx)
    found += _orphan_holds(tx)
    found += _charges(tx)
    found += [Finding(problem, _rebuilt) for problem in usage.mismatches(tx)]
    found += _stranded(tx, now=now, served=served)
    for child, column, parent, what in _CHILDREN:
        found += _dangling(tx, child, column, parent, what)
    return found


_CHILDREN: Sequence[tuple[Table, ColumnElement[Any], Table, str]] = (
    (turn_details, turn_details.c.turn_id, turns, "details of a turn"),
    (chunks, chunks.c.document_id, documents, "passages of a document"),
    (sessions, sessions.c.user_id, users, "sessions of a person"),
    (turn_keys, turn_keys.c.turn_id, turns, "idempotency keys of a turn"),
)


def _integrity(tx: Tx) -> list[str]:
    if tx.connection.dialect.name != "sqlite":
        return []
    lines = [row[0] for row in tx.all(text("PRAGMA integrity_check"))]
    return [] if lines == ["ok"] else [f"the database file is damaged: {line}" for line in lines[:SHOWN]]


def _misbalanced(tx: Tx) -> list[Finding]:
    """Find wallets whose balance is not the sum of their entries; which of the two is right, nobody can know here."""
    sums = (
        select(ledger_entries.c.wallet_id, func.sum(ledger_entries.c.amount).label("amount"))
        .group_by(ledger_entries.c.wallet_id)
        .subquery()
    )
    entries = func.coalesce(sums.c.amount, 0)
    statement = (
        select(wallets.c.id, wallets.c.balance, entries.label("entries"))
        .outerjoin(sums, sums.c.wallet_id == wallets.c.id)
        .where(wallets.c.balance != entries)
        .limit(SHOWN)
    )
    return [
        Finding(f"wallet {row.id} has a balance of {row.balance}, its entries make {row.entries}")
        for row in tx.all(statement)
    ]


def _misheld(tx: Tx) -> list[Finding]:
    """Find wallets whose held part is not the sum of their open holds; the holds are what turns rely on."""
    held = (
        select(holds.c.wallet_id, func.sum(holds.c.amount).label("amount"))
        .where(holds.c.state == "open")
        .group_by(holds.c.wallet_id)
        .subquery()
    )
    wanted = func.coalesce(held.c.amount, 0)
    statement = (
        select(wallets.c.id, wallets.c.held, wanted.label("wanted"))
        .outerjoin(held, held.c.wallet_id == wallets.c.id)
        .where(wallets.c.held != wanted)
    )

    def mended(wallet_id: str, amount: int) -> Callable[[Tx], int]:
        return lambda tx: tx.change(update(wallets).where(wallets.c.id == wallet_id).values(held=amount))

    return [
        Finding(f"wallet {row.id} holds {row.held} credits, its turns {row.wanted}", mended(row.id, int(row.wanted)))
        for row in tx.all(statement)
    ]


def _rebuilt(tx: Tx) -> int:
    """Write all roll-ups anew; what they are made of is looked at before."""
    usage.rebuild(tx)
    return 1


def _orphan_holds(tx: Tx) -> list[Finding]:
    """Find open holds whose turn has ended or is gone: it has been charged, or never will be."""
    statement = scoped(
        SYSTEM,
        select(holds.c.turn_id, holds.c.wallet_id, holds.c.amount)
        .outerjoin(turns, turns.c.id == holds.c.turn_id)
        .where(holds.c.state == "open", turns.c.id.is_(None) | (turns.c.state != "running")),
    )

    def freed(row: Any) -> Callable[[Tx], int]:  # noqa: ANN401 -- a row of the statement above
        def free(tx: Tx) -> int:
            closed = update(holds).where(holds.c.turn_id == row.turn_id, holds.c.state == "open")
            count = tx.change(closed.values(state="released"))
            if count:
                given_back = update(wallets).where(wallets.c.id == row.wallet_id, wallets.c.held >= row.amount)
                tx.run(given_back.values(held=wallets.c.held - row.amount))
            return count

        return free

    return [
        Finding(f"turn {row.turn_id} has ended and still holds {row.amount} credits", freed(row))
        for row in tx.all(statement)
    ]


def _charges(tx: Tx) -> list[Finding]:
    """Find turns whose record tells another price than the ledger, or that have ended without a settlement."""
    paid = (
        select(ledger_entries.c.turn_id, func.sum(-ledger_entries.c.amount).label("amount"))
        .join(wallets, wallets.c.id == ledger_entries.c.wallet_id)
        .where(ledger_entries.c.turn_id.is_not(None), wallets.c.kind != "system")
        .group_by(ledger_entries.c.turn_id)
        .subquery()
    )
    amount = func.coalesce(paid.c.amount, 0)
    statement = scoped(
        SYSTEM,
        select(turns.c.id, turns.c.credits, amount.label("paid"), turns.c.settlement)
        .outerjoin(paid, paid.c.turn_id == turns.c.id)
        .where((turns.c.credits != amount) | ((turns.c.state != "running") & turns.c.settlement.is_(None)))
        .limit(SHOWN),
    )
    return [
        Finding(f"turn {row.id} tells a price of {row.credits}, the ledger {row.paid}")
        if row.credits != row.paid
        else Finding(f"turn {row.id} has ended without a settlement")
        for row in tx.all(statement)
    ]


def _stranded(tx: Tx, *, now: int, served: bool) -> list[Finding]:
    """Find running turns that nobody runs, or without a hold. The reaper settles them, so there is nothing to repair.

    Beside a server a lease that ran out is no finding until it is old: its reaper comes round every half lease.
    """
    statement = scoped(
        SYSTEM,
        select(turns.c.id, turns.c.lease_until, holds.c.state.label("hold"))
        .outerjoin(holds, holds.c.turn_id == turns.c.id)
        .where(turns.c.state == "running", (turns.c.lease_until < bindparam("before")) | holds.c.turn_id.is_(None))
        .limit(SHOWN),
    )
    late = 10 * 60 * 1000 if served else -(2**62)
    rows = tx.all(statement, {"before": now - late})
    return [
        Finding(f"turn {row.id} runs without a hold")
        if row.hold is None
        else Finding(f"turn {row.id} is marked as running, and nobody runs it: the next start of the server settles it")
        for row in rows
    ]


def _dangling(tx: Tx, child: Table, column: ColumnElement[Any], parent: Table, what: str) -> list[Finding]:
    """Find rows whose parent is gone. They can be shown to nobody, so removing them loses nothing."""
    missing = scoped(
        SYSTEM,
        select(column.label("of"), func.count().label("count"))
        .select_from(child.outerjoin(parent, parent.c.id == column))
        .where(parent.c.id.is_(None))
        .group_by(column)
        .limit(SHOWN),
    )

    def removed(of: str) -> Callable[[Tx], int]:
        return lambda tx: tx.change(scoped(SYSTEM, delete(child).where(column == of)))

    return [Finding(f"{row.count} {what} that is gone ({row.of})", removed(row.of)) for row in tx.all(missing)]
