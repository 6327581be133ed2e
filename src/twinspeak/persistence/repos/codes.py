"""Codes that were sent by mail, by purpose and address; only their hashes are kept."""

from typing import Any

import msgspec
from sqlalchemy import delete, insert, select, update

from twinspeak.domain.clock import now_ms
from twinspeak.persistence.db import Tx
from twinspeak.persistence.identity_tables import codes


class Code(msgspec.Struct, frozen=True):
    """A code that was sent and has not served yet. Times are epoch milliseconds."""

    id: str
    purpose: str
    email: str
    code_hash: str
    created: int
    expires: int
    user_id: str | None = None
    payload: dict[str, Any] = {}
    attempts: int = 0


class NewCode(msgspec.Struct, frozen=True):
    """What `put` needs; `code_hash` is made by whoever made the code."""

    id: str
    purpose: str
    email: str
    code_hash: str
    expires: int
    user_id: str | None = None
    payload: dict[str, Any] = {}


def put(tx: Tx, new: NewCode) -> None:
    """Keep a code in place of every older one for the same purpose and address; forget those that ran out."""
    now = now_ms()
    tx.run(delete(codes).where(codes.c.expires < now))
    tx.run(delete(codes).where(codes.c.purpose == new.purpose, codes.c.email == new.email))
    row = msgspec.structs.asdict(new)
    row["payload"] = msgspec.json.encode(new.payload).decode()
    tx.run(insert(codes).values(**row, created=now))


def find(tx: Tx, purpose: str, email: str, now: int) -> Code | None:
    """Return the code for a purpose and address, if it has not run out."""
    return _one(tx, codes.c.purpose == purpose, codes.c.email == email, codes.c.expires > now)


def by_id(tx: Tx, purpose: str, code_id: str, now: int) -> Code | None:
    """Return a code that has not run out."""
    return _one(tx, codes.c.purpose == purpose, codes.c.id == code_id, codes.c.expires > now)


def wrong(tx: Tx, code_id: str) -> None:
    """Count a wrong try."""
    tx.run(update(codes).where(codes.c.id == code_id).values(attempts=codes.c.attempts + 1))


def spend(tx: Tx, code_id: str) -> bool:
    """Take a code away; False when somebody else was first."""
    return bool(tx.change(delete(codes).where(codes.c.id == code_id)))


def forget_user(tx: Tx, user_id: str) -> None:
    """Take away every code of a user."""
    tx.run(delete(codes).where(codes.c.user_id == user_id))


def _one(tx: Tx, *conditions: Any) -> Code | None:  # noqa: ANN401 -- conditions of SQLAlchemy
    columns = [codes.c[name] for name in Code.__struct_fields__]
    row = tx.first(select(*columns).where(*conditions))
    if row is None:
        return None
    fields = dict(zip(Code.__struct_fields__, row, strict=True))
    fields["payload"] = msgspec.json.decode(fields["payload"], type=dict[str, Any])
    return Code(**fields)
