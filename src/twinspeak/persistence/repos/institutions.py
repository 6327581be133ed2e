"""Institutions (digital twins) and the accounts above them."""

from typing import Any

import msgspec
from sqlalchemy import Row, bindparam, func, insert, select

from twinspeak.domain.clock import now_ms
from twinspeak.domain.ids import new_id
from twinspeak.domain.institution import Institution
from twinspeak.domain.people import InstitutionCard
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.repos import wallets
from twinspeak.persistence.tables import account_managers, accounts, institutions

COLUMNS = [institutions.c[name] for name in Institution.__struct_fields__]
"""What `from_row` needs."""

_CARD = [institutions.c[name] for name in InstitutionCard.__struct_fields__]
_BY_ID = select(*COLUMNS).where(institutions.c.id == bindparam("institution"), institutions.c.status == "active")
_BY_PUBLIC_ID = select(*COLUMNS).where(
    institutions.c.public_id == bindparam("public"), institutions.c.status == "active"
)
_LISTS = ("public_authorized_urls", "fallback_models")
_words = msgspec.json.Decoder(tuple[str, ...])


def ensure_account(tx: Tx, name: str, *, manager_email: str = "") -> str:
    """Return the id of the account called `name`, making it if there is none."""
    found = tx.value(select(accounts.c.id).where(accounts.c.name == name))
    if found is not None:
        return found
    account_id = new_id()
    tx.run(insert(accounts).values(id=account_id, name=name, created=now_ms()))
    if manager_email:
        tx.run(insert(account_managers).values(account_id=account_id, email=manager_email))
    return account_id


def create(tx: Tx, institution: Institution, *, account_id: str, about: str = "", credits: int = 0) -> None:
    """Add an active twin with a wallet that is awarded `credits`."""
    row = msgspec.structs.asdict(institution)
    for name in _LISTS:
        row[name] = msgspec.json.encode(row[name]).decode()
    tx.run(insert(institutions).values(**row, account_id=account_id, about=about, created=now_ms()))
    if credits:
        wallets.award(tx, "institution", institution.id, credits, note="welcome")
    else:
        wallets.ensure(tx, "institution", institution.id)


def by_id(tx: Tx, institution_id: str) -> Institution | None:
    """Return an active twin. Membership is the caller's to check: `memberships`."""
    return from_row(tx.first(_BY_ID, {"institution": institution_id}))


def by_public_id(tx: Tx, public_id: str) -> Institution | None:
    """Return an active twin by its UUID. Membership is the caller's to check: `memberships`."""
    return from_row(tx.first(_BY_PUBLIC_ID, {"public": public_id}))


def card(tx: Tx, institution_id: str) -> InstitutionCard | None:
    """Return what profiles show of a twin of any status."""
    row = tx.first(select(*_CARD).where(institutions.c.id == institution_id))
    return None if row is None else InstitutionCard(**as_dict(row))


def authorized_urls(tx: Tx) -> tuple[str, ...]:
    """Return the union of all active twins' `publicAuthorizedUrls`: what a preflight is answered for."""
    statement = select(institutions.c.public_authorized_urls).where(
        institutions.c.status == "active", institutions.c.public_authorized_urls != "[]"
    )
    return tuple(dict.fromkeys(url for row in tx.all(statement) for url in _words.decode(row[0])))


def only(tx: Tx) -> Institution | None:
    """Return the active twin where there is exactly one, else None."""
    rows = tx.all(select(*COLUMNS).where(institutions.c.status == "active").limit(2))
    return from_row(rows[0]) if len(rows) == 1 else None


def count(tx: Tx) -> int:
    """Return how many twins there are, deleted ones aside."""
    return tx.value(select(func.count()).select_from(institutions).where(institutions.c.status != "deleted"))


def from_row(row: Row[Any] | None) -> Institution | None:
    """Make a twin of a row that has `COLUMNS`."""
    if row is None:
        return None
    kept = as_dict(row)
    fields = {name: kept[name] for name in Institution.__struct_fields__}
    for name in _LISTS:
        fields[name] = _words.decode(fields[name])
    return Institution(**fields)
