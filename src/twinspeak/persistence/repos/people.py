"""People and memberships as administrators search them.

Whoever asks has cut `institutions` to what the caller reaches.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, delete, func, or_, select, update

from twinspeak.domain.people import MembershipRow, MemberTwin, PersonRow, User
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.repos import memberships as membership_rows
from twinspeak.persistence.repos import users as user_rows
from twinspeak.persistence.tables import accounts, institutions, memberships, users, wallets


class PeopleFilter(msgspec.Struct, frozen=True):
    """Who is looked for. `institutions` None: everybody, also who is in no twin (super administrators alone).

    `without_twin`: only who is in none.
    """

    institutions: frozenset[str] | None = None
    account_type: str = ""
    search: str = ""
    active_only: bool = False
    without_twin: bool = False
    user_id: str = ""
    skip: int = 0
    most: int = 100


def search(tx: Tx, wanted: PeopleFilter) -> tuple[list[User], int]:
    """Return a page of people, by address, and how many there are in all."""
    conditions = [*_about_users(wanted), users.c.status != "deleted"]
    if wanted.institutions is not None:
        inside = select(memberships.c.user_id).where(memberships.c.institution_id.in_(sorted(wanted.institutions)))
        conditions.append(users.c.id.in_(inside))
    if wanted.without_twin:
        conditions.append(users.c.id.not_in(select(memberships.c.user_id)))
    total = tx.value(select(func.count()).select_from(users).where(*conditions))
    page = select(users).where(*conditions).order_by(users.c.email).offset(wanted.skip).limit(wanted.most)
    found = [user_rows.from_row(row) for row in tx.all(page)]
    return [user for user in found if user is not None], total


def search_memberships(tx: Tx, wanted: PeopleFilter) -> tuple[list[MembershipRow], int]:
    """Return a page of memberships, by address and twin, and how many there are in all."""
    joined = memberships.join(users, users.c.id == memberships.c.user_id).join(
        institutions, institutions.c.id == memberships.c.institution_id
    )
    conditions = [*_about_users(wanted), institutions.c.status != "deleted", users.c.status != "deleted"]
    if wanted.institutions is not None:
        conditions.append(memberships.c.institution_id.in_(sorted(wanted.institutions)))
    total = tx.value(select(func.count()).select_from(joined).where(*conditions))
    page: Select[Any] = select(memberships.c.id).select_from(joined).where(*conditions)
    page = page.order_by(users.c.email, institutions.c.name, memberships.c.id).offset(wanted.skip).limit(wanted.most)
    return rows_of(tx, [row.id for row in tx.all(page)]), total


def rows_of(tx: Tx, membership_ids: Sequence[str]) -> list[MembershipRow]:
    """Return memberships with who and where, in the order of their ids."""
    found = {one.id: one for one in membership_rows.by_ids(tx, membership_ids)}
    people = {
        row.id: user
        for row in tx.all(select(users).where(users.c.id.in_(sorted({one.user_id for one in found.values()}))))
        if (user := user_rows.from_row(row)) is not None
    }
    columns = [institutions.c[name] for name in ("id", "name", "ai_name", "status", "account_id")]
    wanted = sorted({one.institution_id for one in found.values()})
    placed = institutions.outerjoin(accounts, accounts.c.id == institutions.c.account_id)
    statement = select(*columns, accounts.c.name.label("account_name")).select_from(placed)
    twins = {row.id: MemberTwin(**as_dict(row)) for row in tx.all(statement.where(institutions.c.id.in_(wanted)))}
    return [
        MembershipRow(membership=one, user=people[one.user_id], twin=twins[one.institution_id])
        for membership_id in membership_ids
        if (one := found.get(membership_id)) is not None
    ]


def rows_for(tx: Tx, found: Sequence[User], within: frozenset[str] | None) -> list[PersonRow]:
    """Return people with their credits, and with their active twin if it is `within`; None: whichever it is."""
    ids = sorted({user.id for user in found})
    mine = (wallets.c.kind == "user", wallets.c.owner_id.in_(ids))
    balances = {row.owner_id: row.balance for row in tx.all(select(wallets).where(*mine))}
    active = {one for user in found if (one := user.active_institution_id) is not None}
    known = active if within is None else active & within
    columns = [institutions.c[name] for name in ("id", "name", "ai_name")]
    there = (institutions.c.id.in_(sorted(known)), institutions.c.status != "deleted")
    twins = {row.id: (row.id, row.name, row.ai_name) for row in tx.all(select(*columns).where(*there))}
    return [PersonRow(user, balances.get(user.id, 0), twins.get(user.active_institution_id or "")) for user in found]


def twins_of(tx: Tx, user_id: str) -> frozenset[str]:
    """Return the twins, not deleted, that a user is in any way a member of."""
    joined = memberships.join(institutions, institutions.c.id == memberships.c.institution_id)
    found = select(memberships.c.institution_id).select_from(joined)
    there = found.where(memberships.c.user_id == user_id, institutions.c.status != "deleted")
    return frozenset(row.institution_id for row in tx.all(there))


def members_of(tx: Tx, institution_id: str) -> list[str]:
    """Return the users of a twin, whatever their status."""
    found = select(memberships.c.user_id).where(memberships.c.institution_id == institution_id)
    return [row.user_id for row in tx.all(found)]


def eligible(tx: Tx, institution_id: str, wanted: PeopleFilter, *, exact: str = "") -> tuple[list[User], int]:
    """Return whom one might enrol: active people who are no members, among those filtered for, and who has `exact`."""
    inside = select(memberships.c.user_id).where(memberships.c.institution_id == institution_id)
    known: ColumnElement[bool] = users.c.id.is_not(None)
    if wanted.institutions is not None:
        near = select(memberships.c.user_id).where(memberships.c.institution_id.in_(sorted(wanted.institutions)))
        known = or_(users.c.id.in_(near), users.c.email == exact)
    conditions = [users.c.status == "active", users.c.id.not_in(inside), known, *_about_users(wanted)]
    total = tx.value(select(func.count()).select_from(users).where(*conditions))
    page = select(users).where(*conditions).order_by(users.c.email).limit(wanted.most)
    return [user for row in tx.all(page) if (user := user_rows.from_row(row)) is not None], total


def change(tx: Tx, membership_id: str, values: dict[str, Any]) -> None:
    """Set columns of a membership; `entitlements` as a list."""
    kept = dict(values)
    if "entitlements" in kept:
        kept["entitlements"] = msgspec.json.encode(kept["entitlements"]).decode()
    tx.run(update(memberships).where(memberships.c.id == membership_id).values(kept))


def remove(tx: Tx, membership_id: str) -> None:
    """Delete a membership for good; whose active twin it was has none then."""
    one = next(iter(membership_rows.by_ids(tx, [membership_id])), None)
    if one is None:
        return
    tx.run(delete(memberships).where(memberships.c.id == membership_id))
    active = (users.c.id == one.user_id, users.c.active_institution_id == one.institution_id)
    tx.run(update(users).where(*active).values(active_institution_id=None))


def existing(tx: Tx, user_ids: Iterable[str]) -> set[str]:
    """Return those of some users that there are and that are not deleted."""
    found = select(users.c.id).where(users.c.id.in_(sorted(set(user_ids))), users.c.status != "deleted")
    return {row.id for row in tx.all(found)}


def _about_users(wanted: PeopleFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.account_type:
        found.append(users.c.account_type == wanted.account_type)
    if wanted.active_only:
        found.append(users.c.status == "active")
    if wanted.user_id:
        found.append(users.c.id == wanted.user_id)
    if wanted.search:
        columns = (users.c.email, users.c.fname, users.c.lname)
        found.append(or_(*(column.icontains(wanted.search, autoescape=True) for column in columns)))
    return found
