"""Institutions (digital twins) and the accounts above them."""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Row, bindparam, func, insert, literal_column, select, update

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
_LISTS = ("public_authorized_urls", "fallback_models", "moderation_phrases", "tools_disabled")
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


def by_mcp_secret(tx: Tx, secret_hash: str) -> Institution | None:
    """Return the active twin that has MCP switched on and this secret."""
    # The index holds no empty ones; SQLite uses it where the statement says so too.
    wanted = (
        institutions.c.mcp_secret == secret_hash,
        institutions.c.mcp_secret != literal_column("''"),
        institutions.c.mcp_enabled.is_(True),
    )
    return from_row(tx.first(select(*COLUMNS).where(institutions.c.status == "active", *wanted)))


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


class JoiningRules(msgspec.Struct, frozen=True):
    """How one gets into an active twin (admin 3.8)."""

    id: str
    name: str
    ai_name: str
    contact_email: str
    allow_joining: str
    joining_admin_only: bool
    pool_credits: bool
    credit_award: int
    account_id: str | None
    account_name: str
    domains: tuple[str, ...]


def joining_rules(tx: Tx, institution_id: str) -> JoiningRules | None:
    """Return an active twin's rules; `domains` are its account's."""
    names = [name for name in JoiningRules.__struct_fields__ if name not in ("domains", "account_name")]
    columns = [institutions.c[name] for name in names]
    row = tx.first(select(*columns).where(institutions.c.id == institution_id, institutions.c.status == "active"))
    if row is None:
        return None
    active = (accounts.c.id == row.account_id, accounts.c.status == "active")
    above = tx.first(select(accounts.c.name, accounts.c.domain_urls).where(*active))
    domains = _words.decode(above.domain_urls) if above else ()
    return JoiningRules(**as_dict(row), account_name=above.name if above else "", domains=domains)


def joinable(tx: Tx) -> list[str]:
    """Return the active twins that people may join by themselves."""
    open_ones = (institutions.c.status == "active", institutions.c.allow_joining.in_(("account", "public")))
    return [row.id for row in tx.all(select(institutions.c.id).where(*open_ones).order_by(institutions.c.id))]


class UploadRules(msgspec.Struct, frozen=True):
    """Whether members who administer nothing may bring files, and how many files the twin's vault may have."""

    disabled: bool
    max_files: int


def upload_rules(tx: Tx, institution_id: str) -> UploadRules:
    """Return a twin's rules for files."""
    columns = (institutions.c.disable_file_upload_for_user, institutions.c.max_files)
    row = tx.first(select(*columns).where(institutions.c.id == institution_id))
    return UploadRules(disabled=True, max_files=0) if row is None else UploadRules(*row)


def entitles_new_admins(tx: Tx, institution_id: str) -> bool:
    """Tell whether new administrators get verbs by themselves."""
    return bool(tx.value(select(institutions.c.entitle_new_admins).where(institutions.c.id == institution_id)))


def join_id(tx: Tx, institution_id: str, *, new: str) -> str:
    """Return the twin's join id, which is `new` if it had none."""
    mine = institutions.c.id == institution_id
    tx.run(update(institutions).where(mine, institutions.c.join_id.is_(None)).values(join_id=new))
    return tx.value(select(institutions.c.join_id).where(mine))


def account_names(tx: Tx, account_ids: Iterable[str]) -> list[tuple[str, str]]:
    """Return (id, name) of accounts, by name."""
    wanted = accounts.c.id.in_(sorted(account_ids))
    found = tx.all(select(accounts.c.id, accounts.c.name).where(wanted).order_by(accounts.c.name))
    return [(row.id, row.name) for row in found]


def by_join_id(tx: Tx, joining: str) -> str | None:
    """Return the active twin that a join id belongs to."""
    there = (institutions.c.join_id == joining, institutions.c.status == "active")
    return tx.value(select(institutions.c.id).where(*there))


def awarded(tx: Tx, institution_id: str, credits: int) -> None:
    """Count what a twin has given to new members."""
    given = institutions.c.credits_awarded + credits
    tx.run(update(institutions).where(institutions.c.id == institution_id).values(credits_awarded=given))
