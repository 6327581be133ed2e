"""Credits: wallets, holds and the double-entry ledger (contract section 5, docs/decisions/004).

Invariants, kept inside every function's one transaction: a wallet's balance is the sum of its entries, the entries of
a transfer sum to 0, `held` is the sum of the wallet's open holds, and no wallet but the system's goes below 0.
"""

import msgspec
from sqlalchemy import bindparam, func, insert, select, update

from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import InsufficientCredits
from twinspeak.domain.ids import new_id
from twinspeak.persistence.db import Tx
from twinspeak.persistence.tables import holds, ledger_entries, wallets

SYSTEM_OWNER = "0" * 24
"""Owner of the one system wallet: where awarded credits come from and spent ones go."""


class Wallet(msgspec.Struct, frozen=True):
    """A balance; `available` is what no running turn holds."""

    id: str
    balance: int
    held: int

    @property
    def available(self) -> int:
        """Credits that may be held."""
        return self.balance - self.held


_FIND = (
    select(wallets.c.id, wallets.c.balance, wallets.c.held)
    .where(wallets.c.kind == bindparam("kind_is"), wallets.c.owner_id == bindparam("owner_is"))
    .with_for_update(key_share=True)
)
_ID = select(wallets.c.id).where(wallets.c.kind == bindparam("kind_is"), wallets.c.owner_id == bindparam("owner_is"))
_PEEK = select(wallets.c.balance).where(
    wallets.c.kind == bindparam("kind_is"), wallets.c.owner_id == bindparam("owner_is")
)
_PEEK_FREE = select(wallets.c.balance - wallets.c.held).where(
    wallets.c.kind == bindparam("kind_is"), wallets.c.owner_id == bindparam("owner_is")
)
_GET = (
    select(wallets.c.id, wallets.c.balance, wallets.c.held)
    .where(wallets.c.id == bindparam("wallet"))
    .with_for_update(key_share=True)
)
_HOLD_MORE = (
    update(wallets)
    .where(wallets.c.id == bindparam("wallet"), wallets.c.balance - wallets.c.held >= bindparam("by"))
    .values(held=wallets.c.held + bindparam("by"))
)
_RELEASE = (
    update(wallets)
    .where(wallets.c.id == bindparam("wallet"))
    .values(balance=wallets.c.balance + bindparam("amount"), held=wallets.c.held - bindparam("release"))
)
_OPEN_HOLD = insert(holds).values(
    turn_id=bindparam("turn"), wallet_id=bindparam("wallet"), amount=bindparam("amount_held"), state="open"
)
_GET_HOLD = (
    select(holds.c.wallet_id, holds.c.amount)
    .where(holds.c.turn_id == bindparam("turn"), holds.c.state == "open")
    .with_for_update(key_share=True)
)
_GROW_HOLD = update(holds).where(holds.c.turn_id == bindparam("turn")).values(amount=holds.c.amount + bindparam("by"))
_CLOSE_HOLD = update(holds).where(holds.c.turn_id == bindparam("turn")).values(state=bindparam("closed"))
_ENTRY = insert(ledger_entries)
_CHARGED = (
    select(ledger_entries.c.wallet_id, ledger_entries.c.amount)
    .join(wallets, wallets.c.id == ledger_entries.c.wallet_id)
    .where(ledger_entries.c.turn_id == bindparam("turn"), ledger_entries.c.kind == "turn", wallets.c.kind != "system")
)
_GIVEN_BACK = select(ledger_entries.c.id).where(
    ledger_entries.c.turn_id == bindparam("turn"), ledger_entries.c.kind == "adjust"
)


def ensure(tx: Tx, kind: str, owner_id: str) -> Wallet:
    """Return the wallet of an owner, making an empty one if there is none. `kind`: user, institution, account."""
    found = find(tx, kind, owner_id)
    if found is not None:
        return found
    wallet = Wallet(id=new_id(), balance=0, held=0)
    tx.run(insert(wallets).values(id=wallet.id, kind=kind, owner_id=owner_id))
    return wallet


def find(tx: Tx, kind: str, owner_id: str) -> Wallet | None:
    """Return the wallet of an owner, locked where the database locks rows."""
    row = tx.first(_FIND, {"kind_is": kind, "owner_is": owner_id})
    return None if row is None else Wallet(id=row.id, balance=row.balance, held=row.held)


def balance(tx: Tx, kind: str, owner_id: str) -> int:
    """Return the credits of an owner; 0 without a wallet. What running turns hold still counts."""
    return tx.value(_PEEK, {"kind_is": kind, "owner_is": owner_id}) or 0


def available(tx: Tx, kind: str, owner_id: str) -> int:
    """Return the credits of an owner that no running turn holds; 0 without a wallet."""
    return tx.value(_PEEK_FREE, {"kind_is": kind, "owner_is": owner_id}) or 0


def award(tx: Tx, kind: str, owner_id: str, amount: int, *, note: str) -> int:
    """Give `amount` credits from the system to an owner; return the new balance.

    A negative amount takes them back. Raises InsufficientCredits when that much is not free.
    """
    wallet = ensure(tx, kind, owner_id)
    if wallet.available + amount < 0:
        raise InsufficientCredits
    _transfer(tx, wallet.id, amount, kind="award" if amount >= 0 else "adjust", turn_id=None, note=note)
    tx.run(_RELEASE, {"wallet": wallet.id, "amount": amount, "release": 0})
    return wallet.balance + amount


def adjust(tx: Tx, wallet: Wallet, amount: int, *, note: str) -> str:
    """Give credits from the system to a wallet, read in this transaction, or take them back; return the transfer's id.

    Raises InsufficientCredits when that much is not free.
    """
    if wallet.available + amount < 0:
        raise InsufficientCredits
    transfer_id = _transfer(tx, wallet.id, amount, kind="adjust", turn_id=None, note=note)
    tx.run(_RELEASE, {"wallet": wallet.id, "amount": amount, "release": 0})
    return transfer_id


def move(tx: Tx, giver: Wallet, taker: Wallet, amount: int, *, note: str, kind: str = "adjust") -> str:
    """Move `amount` (> 0) between wallets that were read in this transaction; return the transfer's id.

    Raises InsufficientCredits when that much is not free.
    """
    if giver.available < amount:
        raise InsufficientCredits
    transfer_id = new_id()
    entry = {"transfer_id": transfer_id, "kind": kind, "turn_id": None, "note": note, "created": now_ms()}
    sides = ((giver, -amount), (taker, amount))
    tx.run(_ENTRY, [{**entry, "wallet_id": wallet.id, "amount": signed} for wallet, signed in sides])
    for wallet, signed in sides:
        tx.run(_RELEASE, {"wallet": wallet.id, "amount": signed, "release": 0})
    return transfer_id


def was_given(tx: Tx, kind: str, owner_id: str, *, note: str) -> bool:
    """Tell whether an owner has been given something under this note."""
    mine = wallets.join(ledger_entries, ledger_entries.c.wallet_id == wallets.c.id)
    given = (wallets.c.kind == kind, wallets.c.owner_id == owner_id, ledger_entries.c.note == note)
    return tx.value(select(ledger_entries.c.id).select_from(mine).where(*given).limit(1)) is not None


def hold(tx: Tx, wallet: Wallet, turn_id: str, *, wanted: int, least: int) -> int:
    """Hold `wanted` credits for a turn, or what there is; return how many.

    Raises InsufficientCredits when fewer than `least` are free. `wallet` was read in this transaction.
    """
    amount = max(0, min(wanted, wallet.available))
    if amount < least:
        raise InsufficientCredits
    tx.run(_OPEN_HOLD, {"turn": turn_id, "wallet": wallet.id, "amount_held": amount})
    if amount and not tx.change(_HOLD_MORE, {"wallet": wallet.id, "by": amount}):
        raise InsufficientCredits
    return amount


def extend(tx: Tx, turn_id: str, by: int) -> int:
    """Hold up to `by` more for a turn whose hold is open; return how many were added, 0 when none can be."""
    found = tx.first(_GET_HOLD, {"turn": turn_id})
    if found is None or by <= 0:
        return 0
    row = tx.first(_GET, {"wallet": found.wallet_id})
    amount = 0 if row is None else max(0, min(by, row.balance - row.held))
    if not amount or not tx.change(_HOLD_MORE, {"wallet": found.wallet_id, "by": amount}):
        return 0
    tx.run(_GROW_HOLD, {"turn": turn_id, "by": amount})
    return amount


def settle(tx: Tx, turn_id: str, charge: int) -> int:
    """Charge a turn at most what it holds, free the rest; return what was charged.

    A hold that is settled or released already is left alone and charges 0.
    """
    found = tx.first(_GET_HOLD, {"turn": turn_id})
    if found is None:
        return 0
    charged = max(0, min(charge, found.amount))
    tx.run(_CLOSE_HOLD, {"turn": turn_id, "closed": "settled" if charged else "released"})
    if found.amount:
        tx.run(_RELEASE, {"wallet": found.wallet_id, "amount": -charged, "release": found.amount})
    if charged:
        _transfer(tx, found.wallet_id, -charged, kind="turn", turn_id=turn_id, note="")
    return charged


def refund(tx: Tx, turn_id: str, *, note: str) -> int:
    """Give back what a turn was charged; return how much. 0: it was charged nothing, or has been given back already."""
    row = tx.first(_CHARGED, {"turn": turn_id})
    if row is None:
        return 0
    wallet = tx.first(_GET, {"wallet": row.wallet_id})
    if wallet is None or tx.value(_GIVEN_BACK, {"turn": turn_id}) is not None:
        return 0
    amount: int = -row.amount
    _transfer(tx, row.wallet_id, amount, kind="adjust", turn_id=turn_id, note=note)
    tx.run(_RELEASE, {"wallet": row.wallet_id, "amount": amount, "release": 0})
    return amount


def discrepancies(tx: Tx) -> list[str]:
    """Return what breaks the invariants, in words, for `doctor` and the tests; an empty list means all is well."""
    sums = (
        select(ledger_entries.c.wallet_id, func.sum(ledger_entries.c.amount).label("entries"))
        .group_by(ledger_entries.c.wallet_id)
        .subquery()
    )
    open_holds = (
        select(holds.c.wallet_id, func.sum(holds.c.amount).label("amount"))
        .where(holds.c.state == "open")
        .group_by(holds.c.wallet_id)
        .subquery()
    )
    entries, held = func.coalesce(sums.c.entries, 0), func.coalesce(open_holds.c.amount, 0)
    wrong = (
        select(wallets.c.id, wallets.c.balance, wallets.c.held, entries.label("entries"), held.label("holds"))
        .outerjoin(sums, sums.c.wallet_id == wallets.c.id)
        .outerjoin(open_holds, open_holds.c.wallet_id == wallets.c.id)
        .where((wallets.c.balance != entries) | (wallets.c.held != held))
    )
    lopsided = (
        select(ledger_entries.c.transfer_id)
        .group_by(ledger_entries.c.transfer_id)
        .having(func.sum(ledger_entries.c.amount) != 0)
    )
    found = [
        f"wallet {row.id}: balance {row.balance}, entries {row.entries}; held {row.held}, holds {row.holds}"
        for row in tx.all(wrong)
    ]
    return found + [f"transfer {row.transfer_id} does not sum to 0" for row in tx.all(lopsided)]


def _transfer(tx: Tx, wallet_id: str, amount: int, *, kind: str, turn_id: str | None, note: str) -> str:
    """Write both entries, and the system's balance; the other wallet's is the caller's to write. Return the id.

    The system's row is locked last: on a server with many writers it is the one that all of them want.
    """
    system = {"kind_is": "system", "owner_is": SYSTEM_OWNER}
    system_id: str = tx.value(_ID, system) or ensure(tx, "system", SYSTEM_OWNER).id
    transfer_id = new_id()
    entry = {"transfer_id": transfer_id, "kind": kind, "turn_id": turn_id, "note": note, "created": now_ms()}
    tx.run(
        _ENTRY,
        [
            {**entry, "wallet_id": wallet_id, "amount": amount},
            {**entry, "wallet_id": system_id, "amount": -amount},
        ],
    )
    tx.run(_RELEASE, {"wallet": system_id, "amount": -amount, "release": 0})
    return transfer_id
