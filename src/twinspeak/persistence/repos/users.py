"""Users: people who sign in."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Row, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import Conflict
from twinspeak.domain.ids import new_id, new_uuid
from twinspeak.domain.people import User
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.repos import wallets
from twinspeak.persistence.tables import users

EDITABLE = frozenset(
    {
        "email", "fname", "lname", "picture", "account_type", "status", "plan", "active_institution_id",
        "remember_history_count", "rag_ignore", "rag_only", "must_change_password", "preferences", "email_verified",
        "last_login",
    }
)  # fmt: skip
"""Columns that `update` takes; credits and password have ways of their own."""

_BY_ID = select(users).where(users.c.id == bindparam("user"))
_BY_EMAIL = select(users).where(users.c.email == bindparam("email_is"))


class NewUser(msgspec.Struct, frozen=True):
    """What `create` needs; `password_hash` None = cannot sign in with a password.

    `email_verified`: whoever is in charge of the installation vouches for the address, or its owner has shown it.
    """

    email: str
    password_hash: str | None = None
    fname: str = ""
    lname: str = ""
    account_type: str = "user"
    plan: str = "free"
    must_change_password: bool = False
    email_verified: bool = False


def create(tx: Tx, new: NewUser, *, credits: int = 0) -> User:
    """Add a user with a wallet that is awarded `credits`. Raises Conflict when the e-mail is taken."""
    now = now_ms()
    user = User(
        id=new_id(),
        email=normal_email(new.email),
        created=now,
        email_verified=now if new.email_verified else None,
        fname=new.fname,
        lname=new.lname,
        account_type=new.account_type,
        plan=new.plan,
        must_change_password=new.must_change_password,
        referral_id=new_uuid(),
        reset_code_id=new_uuid(),
    )
    row = {**msgspec.structs.asdict(user), "preferences": "{}", "password_hash": new.password_hash}
    try:
        tx.run(insert(users).values(row))
    except IntegrityError as error:
        raise Conflict("There is a user with this e-mail address already.", param="email") from error
    if credits:
        wallets.award(tx, "user", user.id, credits, note="welcome")
    else:
        wallets.ensure(tx, "user", user.id)
    return user


def by_id(tx: Tx, user_id: str) -> User | None:
    """Return a user of any status."""
    return from_row(tx.first(_BY_ID, {"user": user_id}))


def by_email(tx: Tx, email: str) -> User | None:
    """Return a user of any status; case and blanks around the address do not count."""
    return from_row(tx.first(_BY_EMAIL, {"email_is": normal_email(email)}))


def credentials(tx: Tx, email: str) -> tuple[User, str | None] | None:
    """Return a user and the stored password hash, to verify outside the transaction."""
    row = tx.first(_BY_EMAIL, {"email_is": normal_email(email)})
    user = from_row(row)
    return None if row is None or user is None else (user, row.password_hash)


def password_hash(tx: Tx, user_id: str) -> str | None:
    """Return the stored hash of a user."""
    return tx.value(select(users.c.password_hash).where(users.c.id == user_id))


def set_password(tx: Tx, user_id: str, hashed: str, *, replacing: str | None = None) -> bool:
    """Store a new hash, a new reset code, and that nothing has to be changed any more; False for no such user.

    With `replacing`, only in place of that hash: of two who change one password at once, the later one is told False.
    """
    values = {"password_hash": hashed, "reset_code_id": new_uuid(), "must_change_password": False}
    mine = update(users).where(users.c.id == user_id)
    if replacing is not None:
        mine = mine.where(users.c.password_hash == replacing)
    return bool(tx.change(mine.values(values)))


def replace_hash(tx: Tx, user_id: str, hashed: str, *, replacing: str) -> None:
    """Store the same password hashed by newer rules, unless another was set meanwhile: nothing else changes."""
    same = update(users).where(users.c.id == user_id, users.c.password_hash == replacing)
    tx.run(same.values(password_hash=hashed))


def edit(tx: Tx, user_id: str, changes: Mapping[str, Any]) -> bool:
    """Set columns (names as in `EDITABLE`; `preferences` as a dict, replaced whole); False for no such user.

    Raises Conflict when the new e-mail is taken, ValueError for a column that is not editable.
    """
    if unknown := changes.keys() - EDITABLE:
        raise ValueError(f"not editable: {', '.join(sorted(unknown))}")
    values = dict(changes)
    if "preferences" in values:
        values["preferences"] = msgspec.json.encode(values["preferences"]).decode()
    if "email" in values:
        values["email"] = normal_email(values["email"])
    if not values:
        return by_id(tx, user_id) is not None
    try:
        return bool(tx.change(update(users).where(users.c.id == user_id).values(values)))
    except IntegrityError as error:
        if "email" in values:
            raise Conflict("There is a user with this e-mail address already.", param="email") from error
        raise


def supers(tx: Tx) -> list[str]:
    """Return two of the active super administrators, or the only one."""
    found = select(users.c.id).where(users.c.account_type == "super", users.c.status == "active")
    return [row.id for row in tx.all(found.order_by(users.c.id).limit(2))]


def erase(tx: Tx, user_id: str) -> None:
    """Take everything personal off a user's row and free the address; the row stays for what refers to it."""
    values: dict[str, Any] = {
        "email": f"deleted-{user_id}@deleted.invalid",
        "password_hash": None,
        "fname": "",
        "lname": "",
        "picture": "",
        "account_type": "user",
        "status": "deleted",
        "active_institution_id": None,
        "preferences": "{}",
        "email_verified": None,
        "reset_code_id": new_uuid(),
        "referral_id": new_uuid(),
    }
    tx.run(update(users).where(users.c.id == user_id).values(values))


def count(tx: Tx, *, account_type: str | None = None) -> int:
    """Return how many users there are, deleted ones aside."""
    statement = select(func.count()).select_from(users).where(users.c.status != "deleted")
    if account_type is not None:
        statement = statement.where(users.c.account_type == account_type)
    return tx.value(statement)


def normal_email(email: str) -> str:
    """Return an address as it is stored and compared: without blanks around it, lower case."""
    return email.strip().lower()


def from_row(row: Row[Any] | None) -> User | None:
    """Make a user of a whole row."""
    if row is None:
        return None
    fields = as_dict(row)
    fields.pop("password_hash")
    fields["preferences"] = msgspec.json.decode(fields["preferences"], type=dict[str, Any])
    return User(**fields)
