"""What lists show of the owners, twins and accounts of their rows, each looked up once."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import msgspec
from sqlalchemy import Row, select

from twinspeak.persistence.db import Tx
from twinspeak.persistence.tables import accounts, institutions, users


class Owned(Protocol):
    """A row that somebody owns, somewhere."""

    @property
    def owner_id(self) -> str | None:
        """Return the user."""
        ...

    @property
    def institution_id(self) -> str | None:
        """Return the twin."""
        ...


class UserCard(msgspec.Struct, frozen=True):
    """Of a person."""

    email: str
    fname: str
    lname: str
    account_type: str


class TwinCard(msgspec.Struct, frozen=True):
    """Of a twin."""

    name: str
    ai_name: str
    status: str
    picture: str
    account_id: str | None


class AccountCard(msgspec.Struct, frozen=True):
    """Of an account."""

    id: str
    name: str
    status: str


class Cards(msgspec.Struct, frozen=True):
    """By id."""

    users: dict[str, UserCard]
    twins: dict[str, TwinCard]
    accounts: dict[str, AccountCard]


def of(tx: Tx, rows: Iterable[Owned]) -> Cards:
    """Return what is shown of whose these rows are."""
    rows = list(rows)
    found_users = _by_id(tx, users, {row.owner_id for row in rows})
    found_twins = _by_id(tx, institutions, {row.institution_id for row in rows})
    found_accounts = _by_id(tx, accounts, {row.account_id for row in found_twins if row.account_id})
    return Cards(
        users={
            row.id: UserCard(email=row.email, fname=row.fname, lname=row.lname, account_type=row.account_type)
            for row in found_users
        },
        twins={
            row.id: TwinCard(
                name=row.name, ai_name=row.ai_name, status=row.status, picture=row.picture, account_id=row.account_id
            )
            for row in found_twins
        },
        accounts={row.id: AccountCard(id=row.id, name=row.name, status=row.status) for row in found_accounts},
    )


def _by_id(tx: Tx, table: Any, ids: set[str | None]) -> Sequence[Row[Any]]:  # noqa: ANN401 -- any of the three tables
    wanted = sorted(one for one in ids if one is not None)
    return tx.all(select(table).where(table.c.id.in_(wanted))) if wanted else []
