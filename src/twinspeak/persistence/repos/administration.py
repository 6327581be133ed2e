"""Twins and accounts of any status but deleted, as administrators search and change them.

Whoever asks has cut what is looked for to what the caller reaches; `services.policy` decides that.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from twinspeak.domain.administration import AccountRow, TwinRow
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import Conflict
from twinspeak.domain.ids import new_id
from twinspeak.domain.periods import Grain
from twinspeak.persistence.credit_tables import usage_totals
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.repos import launches
from twinspeak.persistence.repos import wallets as wallet_rows
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import account_managers, accounts, institutions, turns, wallets

JSON = (
    "public_authorized_urls",
    "fallback_models",
    "assistants_disabled",
    "appearance",
    "moderation_phrases",
    "tools_disabled",
)
"""Columns that hold JSON."""


class TwinFilter(msgspec.Struct, frozen=True):
    """Which twins; `within` None: all. `status` is active, inactive or all."""

    within: frozenset[str] | None = None
    search: str = ""
    status: str = "active"
    skip: int = 0
    most: int = 100


def search_twins(tx: Tx, wanted: TwinFilter) -> tuple[list[TwinRow], int]:
    """Return a page of twins, by name, and how many there are in all."""
    conditions: list[ColumnElement[bool]] = [institutions.c.status != "deleted"]
    if wanted.within is not None:
        conditions.append(institutions.c.id.in_(sorted(wanted.within)))
    if wanted.status == "active":
        conditions.append(institutions.c.status == "active")
    elif wanted.status == "inactive":
        conditions.append(institutions.c.status != "active")
    if wanted.search:
        columns = (institutions.c.name, institutions.c.ai_name, institutions.c.public_id)
        conditions.append(or_(*(column.icontains(wanted.search, autoescape=True) for column in columns)))
    total = tx.value(select(func.count()).select_from(institutions).where(*conditions))
    page = select(institutions).where(*conditions).order_by(institutions.c.name, institutions.c.id)
    return _twins(tx, [as_dict(row) for row in tx.all(page.offset(wanted.skip).limit(wanted.most))]), total


def twin(tx: Tx, institution_id: str) -> TwinRow | None:
    """Return a twin that is not deleted."""
    there = (institutions.c.id == institution_id, institutions.c.status != "deleted")
    return next(iter(_twins(tx, [as_dict(row) for row in tx.all(select(institutions).where(*there))])), None)


def add_twin(tx: Tx, values: Mapping[str, Any], *, credits: int) -> str:
    """Add a twin with a wallet; return its id. `values` are columns, `id` among them."""
    columns = dict(values)
    contexts = columns.pop("lti_context_ids", ())
    tx.run(insert(institutions).values(created=now_ms(), **_encoded(columns)))
    launches.set_contexts(tx, columns["id"], contexts)
    wallet_rows.award(tx, "institution", columns["id"], credits, note="welcome")
    return columns["id"]


def change_twin(tx: Tx, institution_id: str, values: Mapping[str, Any]) -> None:
    """Set columns, and `lti_context_ids`, which has a table of its own. Raises Conflict for another twin's context."""
    columns = dict(values)
    contexts = columns.pop("lti_context_ids", None)
    if contexts is not None:
        launches.set_contexts(tx, institution_id, contexts)
    if columns:
        tx.run(update(institutions).where(institutions.c.id == institution_id).values(_encoded(columns)))


def search_accounts(
    tx: Tx, within: frozenset[str] | None, search: str, *, skip: int, most: int
) -> tuple[list[AccountRow], int]:
    """Return a page of accounts, by name, and how many there are in all."""
    conditions: list[ColumnElement[bool]] = [accounts.c.status != "deleted"]
    if within is not None:
        conditions.append(accounts.c.id.in_(sorted(within)))
    if search:
        conditions.append(accounts.c.name.icontains(search, autoescape=True))
    total = tx.value(select(func.count()).select_from(accounts).where(*conditions))
    page = select(accounts.c.id).where(*conditions).order_by(accounts.c.name).offset(skip).limit(most)
    found = accounts_by_id(tx, [row.id for row in tx.all(page)])
    return sorted(found.values(), key=lambda account: account.name), total


def accounts_by_id(tx: Tx, ids: Iterable[str]) -> dict[str, AccountRow]:
    """Return accounts that are not deleted."""
    wanted = sorted(set(ids))
    there = (accounts.c.id.in_(wanted), accounts.c.status != "deleted")
    rows = tx.all(select(accounts).where(*there))
    managers: dict[str, list[str]] = {}
    listed = select(account_managers).where(account_managers.c.account_id.in_(wanted))
    for row in tx.all(listed.order_by(account_managers.c.position, account_managers.c.email)):
        managers.setdefault(row.account_id, []).append(row.email)
    counted = select(institutions.c.account_id, func.count().label("twins")).where(
        institutions.c.account_id.in_(wanted), institutions.c.status != "deleted"
    )
    twins = {row.account_id: row.twins for row in tx.all(counted.group_by(institutions.c.account_id))}
    balances, used = _balances(tx, "account", wanted), _used_of_accounts(tx, wanted)
    return {
        row.id: AccountRow(
            id=row.id,
            name=row.name,
            status=row.status,
            created=row.created,
            domain_urls=tuple(msgspec.json.decode(row.domain_urls, type=list[str])),
            qualification=row.qualification,
            transfer_mode=row.transfer_mode,
            used=used.get(row.id, 0),
            cap_h24=row.cap_h24,
            cap_institution=row.cap_institution,
            cap_account=row.cap_account,
            managers=tuple(managers.get(row.id, ())),
            credits=balances.get(row.id, 0),
            twins=twins.get(row.id, 0),
        )
        for row in rows
    }


def add_account(tx: Tx, name: str, *, credits: int) -> str:
    """Add an account; return its id. Raises Conflict when the name is taken."""
    account_id = new_id()
    try:
        tx.run(insert(accounts).values(id=account_id, name=name, created=now_ms()))
    except IntegrityError as error:
        raise Conflict("There is an account of this name already.", param="name") from error
    if credits:
        wallet_rows.award(tx, "account", account_id, credits, note="welcome")
    return account_id


def change_account(tx: Tx, account_id: str, values: Mapping[str, Any]) -> None:
    """Set columns; `managers` is the whole list, `domain_urls` too. Raises Conflict when a name is taken."""
    kept = dict(values)
    managers = kept.pop("managers", None)
    if managers is not None:
        tx.run(delete(account_managers).where(account_managers.c.account_id == account_id))
        for position, email in enumerate(managers):
            tx.run(insert(account_managers).values(account_id=account_id, email=email, position=position))
    if "domain_urls" in kept:
        kept["domain_urls"] = msgspec.json.encode(kept["domain_urls"]).decode()
    if not kept:
        return
    try:
        tx.run(update(accounts).where(accounts.c.id == account_id).values(kept))
    except IntegrityError as error:
        raise Conflict("There is an account of this name already.", param="name") from error


def _twins(tx: Tx, rows: Sequence[dict[str, Any]]) -> list[TwinRow]:
    ids = [row["id"] for row in rows]
    balances, used, active = _balances(tx, "institution", ids), _used(tx, ids), _active(tx, ids)
    above = accounts_by_id(tx, {row["account_id"] for row in rows if row["account_id"]})
    contexts = launches.contexts_of(tx, ids)
    return [
        TwinRow(
            id=row["id"],
            fields={
                "lti_context_ids": contexts.get(row["id"], []),
                **{name: msgspec.json.decode(value) if name in JSON else value for name, value in row.items()},
            },
            credits=balances.get(row["id"], 0),
            used=used.get(row["id"], 0),
            last_activity=active.get(row["id"]),
            account=above.get(row["account_id"] or ""),
        )
        for row in rows
    ]


def _balances(tx: Tx, kind: str, ids: Sequence[str]) -> dict[str, int]:
    mine = (wallets.c.kind == kind, wallets.c.owner_id.in_(ids))
    return {row.owner_id: row.balance for row in tx.all(select(wallets.c.owner_id, wallets.c.balance).where(*mine))}


def _used(tx: Tx, ids: Sequence[str]) -> dict[str, int]:
    of_days = (usage_totals.c.place.in_(ids), usage_totals.c.grain == Grain.DAY)
    spent = select(usage_totals.c.place, func.sum(usage_totals.c.pooled).label("used")).where(*of_days)
    return {row.place: int(row.used) for row in tx.all(scoped(SYSTEM, spent.group_by(usage_totals.c.place)))}


def _used_of_accounts(tx: Tx, ids: Sequence[str]) -> dict[str, int]:
    statement = select(institutions.c.id, institutions.c.account_id).where(institutions.c.account_id.in_(ids))
    above = {row.id: row.account_id for row in tx.all(statement)}
    found: dict[str, int] = {}
    for twin, used in _used(tx, sorted(above)).items():
        found[above[twin]] = found.get(above[twin], 0) + used
    return found


def _active(tx: Tx, ids: Sequence[str]) -> dict[str, int]:
    latest = select(turns.c.institution_id, func.max(turns.c.created).label("at"))
    mine = latest.where(turns.c.institution_id.in_(ids)).group_by(turns.c.institution_id)
    return {row.institution_id: row.at for row in tx.all(scoped(SYSTEM, mine))}


def _encoded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: msgspec.json.encode(value).decode() if name in JSON else value for name, value in values.items()}
