"""What counts against credit caps: the numbers that `domain.caps` judges, for the gauge and for the block alike."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Row, Select, bindparam, func, literal_column, select

from twinspeak.domain.caps import NO_CAP, WINDOW_MS, Cap, CapKind, Charge, Standing
from twinspeak.domain.clock import now_ms
from twinspeak.domain.periods import Grain
from twinspeak.persistence.credit_tables import usage_people
from twinspeak.persistence.db import Tx
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import accounts, holds, institutions, turns, users, wallets

_SET = (
    select(
        institutions.c.id,
        institutions.c.account_id,
        institutions.c.pool_credits,
        institutions.c.cap_h24.label("own_h24"),
        institutions.c.cap_institution.label("own_institution"),
        accounts.c.cap_h24,
        accounts.c.cap_institution,
        accounts.c.cap_account,
    )
    .select_from(institutions.outerjoin(accounts, accounts.c.id == institutions.c.account_id))
    .where(institutions.c.id == bindparam("institution"))
)
_LOCK = select(users.c.id).where(users.c.id == bindparam("user")).with_for_update(key_share=True)
_HOLDER = scoped(
    SYSTEM,
    select(turns.c.user_id, wallets.c.owner_id)
    .select_from(holds.join(turns, turns.c.id == holds.c.turn_id).join(wallets, wallets.c.id == holds.c.wallet_id))
    .where(holds.c.turn_id == bindparam("turn"), wallets.c.kind == "institution"),
)
_LOCK_HOLD = select(holds.c.turn_id).where(holds.c.turn_id == bindparam("turn")).with_for_update(key_share=True)


class Counted(msgspec.Struct, frozen=True):
    """What somebody has spent of some twins, by twin: paid for ever, held by running turns, paid in 24 hours."""

    spent: dict[str, int] = {}
    held: dict[str, int] = {}
    charges: list[tuple[str, Charge]] = []

    def cap(self, kind: CapKind, source: str, limit: int, within: Iterable[str]) -> Cap:
        """Return a cap with what counts against it."""
        twins = set(within)
        charges = tuple(charge for twin, charge in self.charges if twin in twins) if kind is CapKind.H24 else ()
        paid = sum(charge.credits for charge in charges)
        return Cap(
            kind=kind,
            source=source,
            limit=limit,
            spent=paid if kind is CapKind.H24 else sum(self.spent.get(twin, 0) for twin in twins),
            held=sum(self.held.get(twin, 0) for twin in twins),
            charges=charges,
        )


class Gauges(msgspec.Struct, frozen=True):
    """How somebody stands in a twin, and each kind as a gauge, also where nothing is capped (`limit` is then -1)."""

    enabled: bool
    standing: Standing
    gauges: Mapping[CapKind, Cap]


def standing(tx: Tx, user_id: str, institution_id: str) -> Standing:
    """Return how a member stands whom the twin pays for, the member's own row locked: what follows can rely on it.

    Nothing is locked, and nothing but the caps is read, where nothing is capped.
    """
    row = tx.first(_SET, {"institution": institution_id})
    if row is None or not _is_capped(row):
        return Standing()
    tx.first(_LOCK, {"user": user_id})
    return _standing(_caps_of(tx, row, user_id))


def standing_of(tx: Tx, turn_id: str) -> Standing:
    """Return how the asker of a running turn stands, its hold and its payer's wallet locked before, in this order."""
    tx.first(_LOCK_HOLD, {"turn": turn_id})
    row = tx.first(_HOLDER, {"turn": turn_id})
    if row is None:
        return Standing()
    mine = (wallets.c.kind == "institution", wallets.c.owner_id == row.owner_id)
    tx.first(select(wallets.c.id).where(*mine).with_for_update(key_share=True))
    return standing(tx, row.user_id, row.owner_id)


def gauges(tx: Tx, user_id: str, institution_id: str) -> Gauges:
    """Return how a member stands, to be shown; locks nothing. A twin whose members pay for themselves caps nothing."""
    row = tx.first(_SET, {"institution": institution_id})
    if row is None or not row.pool_credits:
        return Gauges(enabled=False, standing=Standing(), gauges={})
    caps = _caps_of(tx, row, user_id)
    real = _standing(caps)
    shown = {kind: real.gauge(kind) or next(cap for cap in caps if cap.kind is kind) for kind in CapKind}
    return Gauges(enabled=bool(real.caps), standing=real, gauges=shown)


def blocked(tx: Tx, account_id: str) -> set[tuple[str, str]]:
    """Return who can spend nothing more in which twin of an account: (user id, twin id)."""
    whole = _twins(tx, account_id)
    everybody = _counted(tx, whole, None)
    rows = [tx.first(_SET, {"institution": twin}) for twin in whole]
    capped = [row for row in rows if row is not None and row.pool_credits and _is_capped(row)]
    return {
        (user_id, row.id)
        for row in capped
        for user_id, counted in everybody.items()
        if _standing(_caps(row, whole, counted)).blocking is not None
    }


def _is_capped(row: Row[Any]) -> bool:
    names = ("own_h24", "own_institution", "cap_h24", "cap_institution", "cap_account")
    return any(getattr(row, name) not in (NO_CAP, None) for name in names)


def _standing(caps: Iterable[Cap]) -> Standing:
    return Standing(tuple(cap for cap in caps if cap.limit != NO_CAP))


def _caps_of(tx: Tx, row: Row[Any], user_id: str) -> list[Cap]:
    whole = _twins(tx, row.account_id) if row.account_id else [row.id]
    return _caps(row, whole, _counted(tx, whole, user_id).get(user_id, Counted()))


def _caps(row: Row[Any], whole: list[str], counted: Counted) -> list[Cap]:
    """Return every cap that may be set. A tier's 24 hours count what is spent in all that the tier is over."""
    above = tuple(NO_CAP if value is None else value for value in (row.cap_h24, row.cap_institution, row.cap_account))
    return [
        counted.cap(CapKind.H24, "institution", row.own_h24, [row.id]),
        counted.cap(CapKind.H24, "account", above[0], whole),
        counted.cap(CapKind.INSTITUTION, "institution", row.own_institution, [row.id]),
        counted.cap(CapKind.INSTITUTION, "account", above[1], [row.id]),
        counted.cap(CapKind.ACCOUNT, "account", above[2], whole),
    ]


def _counted(tx: Tx, twins: list[str], user_id: str | None) -> dict[str, Counted]:
    """Return what one person, or with None everybody, has spent of the credits of some twins, by person."""
    mine = (wallets.c.kind == "institution", wallets.c.owner_id.in_(twins))
    owner = {row.id: row.owner_id for row in tx.all(select(wallets.c.id, wallets.c.owner_id).where(*mine))}
    spent, held, recent = _spent(twins), _held(list(owner)), _recent(list(owner), since=now_ms() - WINDOW_MS)
    if user_id is not None:
        spent = spent.where(usage_people.c.user_id == user_id)
        held, recent = held.where(turns.c.user_id == user_id), recent.where(turns.c.user_id == user_id)
    found: dict[str, Counted] = {}
    for row in tx.all(scoped(SYSTEM, spent)):
        found.setdefault(row.user_id, Counted()).spent[row.place] = int(row.spent)
    for row in tx.all(scoped(SYSTEM, held)):
        found.setdefault(row.user_id, Counted()).held[owner[row.wallet_id]] = int(row.held)
    for row in tx.all(scoped(SYSTEM, recent)):
        charge = Charge(at=row.ended, credits=row.credits)
        found.setdefault(row.user_id, Counted()).charges.append((owner[row.payer_wallet_id], charge))
    return found


def _spent(twins: list[str]) -> Select[*tuple[Any, ...]]:
    people = usage_people.c
    summed = select(people.user_id, people.place, func.sum(people.pooled).label("spent"))
    return summed.where(people.grain == Grain.MONTH, people.place.in_(twins)).group_by(people.user_id, people.place)


def _held(wallet_ids: list[str]) -> Select[*tuple[Any, ...]]:
    """Sum open holds up. Both words are spelled out: SQLite knows its small index of running turns by them."""
    return (
        select(turns.c.user_id, holds.c.wallet_id, func.sum(holds.c.amount).label("held"))
        .select_from(turns.join(holds, holds.c.turn_id == turns.c.id))
        .where(turns.c.state == literal_column("'running'"), holds.c.state == "open", holds.c.wallet_id.in_(wallet_ids))
        .group_by(turns.c.user_id, holds.c.wallet_id)
    )


def _recent(wallet_ids: list[str], *, since: int) -> Select[*tuple[Any, ...]]:
    return (
        select(turns.c.user_id, turns.c.payer_wallet_id, turns.c.ended, turns.c.credits)
        .where(turns.c.payer_wallet_id.in_(wallet_ids), turns.c.ended > since, turns.c.credits > literal_column("0"))
        .order_by(turns.c.ended)
    )


def _twins(tx: Tx, account_id: str) -> list[str]:
    """Return all twins of an account, deleted ones too: what was spent there was spent."""
    of_account = select(institutions.c.id).where(institutions.c.account_id == account_id)
    return [row.id for row in tx.all(of_account.order_by(institutions.c.id))]
