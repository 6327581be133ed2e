"""Credits that change hands between accounts, twins and the system, each with a row of its own beside the ledger's.

Whoever locks several wallets locks the twin's first, then the account's, then the system's.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, bindparam, func, insert, or_, select

from twinspeak.domain.administration import AUTOMATIC, Transfer
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import InsufficientCredits
from twinspeak.persistence.credit_tables import account_transfers
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.repos import reach, wallets
from twinspeak.persistence.repos.wallets import Wallet
from twinspeak.persistence.tables import accounts, holds, institutions
from twinspeak.persistence.tables import wallets as wallet_rows

LOW = 500
"""Below this many free credits a twin is filled up, where its account does that by itself (admin 4.1)."""
TOP_UP = 1_000
"""How many at a time: as many as an administrator pulls by default (admin 4.5)."""

_COLUMNS = [account_transfers.c[name] for name in Transfer.__struct_fields__]
_FILLS_UP = (
    select(accounts.c.id)
    .select_from(institutions.join(accounts, accounts.c.id == institutions.c.account_id))
    .where(
        institutions.c.id == bindparam("institution"),
        accounts.c.status == "active",
        accounts.c.transfer_mode == AUTOMATIC,
    )
)
_TWIN_OF_HOLD = (
    select(wallet_rows.c.owner_id)
    .select_from(holds.join(wallet_rows, wallet_rows.c.id == holds.c.wallet_id))
    .where(holds.c.turn_id == bindparam("turn"), wallet_rows.c.kind == "institution")
)


class Booking(msgspec.Struct, frozen=True):
    """Who books, how, and why. `user_id` None is the server; `once` is the same when the same request comes again."""

    user_id: str | None
    mode: int
    note: str = ""
    once: str | None = None


def between(tx: Tx, account_id: str, institution_id: str, amount: int, by: Booking) -> Transfer:
    """Move credits from an account to a twin, or back with a negative amount.

    Raises InsufficientCredits when the giving side has not that many free.
    """
    twin, account = wallets.ensure(tx, "institution", institution_id), wallets.ensure(tx, "account", account_id)
    giver, taker, kind = (account, twin, "account") if amount > 0 else (twin, account, "institution")
    if giver.available < abs(amount):
        raise _short(kind, giver)
    transfer_id = wallets.move(tx, giver, taker, abs(amount), note=by.note)
    return _keep(tx, transfer_id, amount, by, account_id=account_id, institution_id=institution_id)


def adjust(
    tx: Tx, amount: int, by: Booking, *, account_id: str | None = None, institution_id: str | None = None
) -> Transfer:
    """Give credits from the system to an account or a twin, or take them back.

    Raises InsufficientCredits when it has not that many free.
    """
    kind, owner = ("account", account_id) if institution_id is None else ("institution", institution_id)
    wallet = wallets.ensure(tx, kind, owner or "")
    if wallet.available + amount < 0:
        raise _short(kind, wallet)
    transfer_id = wallets.adjust(tx, wallet, amount, note=by.note)
    return _keep(tx, transfer_id, amount, by, account_id=account_id, institution_id=institution_id)


def top_up(tx: Tx, institution_id: str, wallet: Wallet) -> Wallet:
    """Fill a twin's wallet up, read in this transaction, where it is low and its account does that; return it anew."""
    if wallet.available >= LOW:
        return wallet
    account_id = tx.value(_FILLS_UP, {"institution": institution_id})
    account = None if account_id is None else wallets.find(tx, "account", account_id)
    amount = 0 if account is None else min(TOP_UP, account.available)
    if account is None or amount <= 0:
        return wallet
    by = Booking(user_id=None, mode=AUTOMATIC)
    transfer_id = wallets.move(tx, account, wallet, amount, note=by.note)
    _keep(tx, transfer_id, amount, by, account_id=account_id, institution_id=institution_id)
    return msgspec.structs.replace(wallet, balance=wallet.balance + amount)


def top_up_for(tx: Tx, turn_id: str) -> bool:
    """Fill up the wallet of the twin that pays for a running turn; return whether anything came."""
    institution_id: str = tx.value(_TWIN_OF_HOLD, {"turn": turn_id}) or ""
    wallet = wallets.find(tx, "institution", institution_id) if institution_id else None
    return wallet is not None and top_up(tx, institution_id, wallet) is not wallet


def booked(tx: Tx, once: str) -> Transfer | None:
    """Return what was booked under a key, if anything was."""
    row = tx.first(select(*_COLUMNS).where(account_transfers.c.once_key == once))
    return None if row is None else Transfer(**as_dict(row))


class TransferFilter(msgspec.Struct, frozen=True):
    """Which transfers: of `managed` accounts and of their twins (None: of all), and of these alone, where named."""

    managed: frozenset[str] | None
    accounts: frozenset[str] | None = None
    institutions: frozenset[str] | None = None


def listing(tx: Tx, wanted: TransferFilter, *, skip: int, most: int) -> tuple[Sequence[Transfer], int]:
    """Return a page of transfers, newest first, and how many there are."""
    columns = account_transfers.c
    conditions: list[ColumnElement[bool]] = []
    if wanted.managed is not None:
        twins = reach.of_accounts(tx, wanted.managed)
        within = (columns.account_id.in_(sorted(wanted.managed)), columns.institution_id.in_(sorted(twins)))
        conditions.append(or_(*within))
    if wanted.accounts is not None:
        conditions.append(columns.account_id.in_(sorted(wanted.accounts)))
    if wanted.institutions is not None:
        conditions.append(columns.institution_id.in_(sorted(wanted.institutions)))
    total = tx.value(select(func.count()).select_from(account_transfers).where(*conditions))
    page = select(*_COLUMNS).where(*conditions).order_by(account_transfers.c.id.desc()).offset(skip).limit(most)
    return [Transfer(**as_dict(row)) for row in tx.all(page)], total


def _keep(
    tx: Tx, transfer_id: str, amount: int, by: Booking, *, account_id: str | None, institution_id: str | None
) -> Transfer:
    made = Transfer(
        id=transfer_id,
        institution_id=institution_id,
        account_id=account_id,
        user_id=by.user_id,
        credits=amount,
        transfer_mode=by.mode,
        note=by.note,
        created=now_ms(),
    )
    row: dict[str, Any] = msgspec.structs.asdict(made)
    tx.run(insert(account_transfers).values(**row, once_key=by.once))
    return made


def _short(kind: str, wallet: Wallet) -> InsufficientCredits:
    names = {"account": "account", "institution": "digital twin"}
    return InsufficientCredits(
        f"The {names[kind]} has not that many credits free.", details={"payer": kind, "available": wallet.available}
    )
