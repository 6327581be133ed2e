"""Memories as rows. What is shared in a twin is read by all its members, and written by its author."""

import hashlib
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update

from twinspeak.domain.caller import Scope
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import Conflict
from twinspeak.domain.ids import new_id
from twinspeak.domain.memory import MOST_OWN, MOST_SHARED, Memory
from twinspeak.persistence.conversation_tables import memories
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.scope import SYSTEM, ScopedStatement, scoped
from twinspeak.persistence.tables import users

_COLUMNS = [memories.c[name] for name in Memory.__struct_fields__ if name != "author"]
_NEWEST = (memories.c.updated.desc(), memories.c.id.desc())
# Every turn asks these.
_OWN = ScopedStatement(select(*_COLUMNS).order_by(*_NEWEST).limit(MOST_OWN * 2))
_SHARED = ScopedStatement(
    select(*_COLUMNS, users.c.fname, users.c.lname)
    .join(users, users.c.id == memories.c.user_id)
    .where(memories.c.shared.is_(True))
    .order_by(*_NEWEST)
    .limit(MOST_SHARED)
)


def readable(tx: Tx, scope: Scope) -> list[Memory]:
    """Return what the scope's user may read there: the personal ones, those private to the twin, those shared in it."""
    user_id, institution_id = scope.user_id or "", scope.institution_id
    found = _own(tx, Scope(user_id=user_id, institution_id=None))
    if institution_id is None:
        return found
    return [*found, *(one for one in _own(tx, scope) if not one.shared), *shared_in(tx, institution_id)]


def shared_in(tx: Tx, institution_id: str) -> list[Memory]:
    """Return what is shared in a twin, with the authors' names. That the caller is a member is his to check."""
    twin = Scope(user_id=None, institution_id=None, managed=frozenset({institution_id}))
    return [_memory(row, author=f"{row.fname} {row.lname}".strip()) for row in tx.scoped(twin, _SHARED)]


def administered(tx: Tx, scope: Scope, *, limit: int, offset: int) -> tuple[list[Memory], int]:
    """Return a page of all that is kept within a scope of managed twins, newest first, and how many there are."""
    rows = tx.all(scoped(scope, select(*_COLUMNS).order_by(*_NEWEST).limit(limit).offset(offset)))
    return [_memory(row) for row in rows], tx.value(scoped(scope, select(func.count()).select_from(memories)))


def own(tx: Tx, user_id: str, memory_id: str) -> Memory | None:
    """Return a person's own memory, wherever it is."""
    chosen = select(*_COLUMNS).where(memories.c.id == memory_id, memories.c.user_id == user_id)
    row = tx.first(scoped(SYSTEM, chosen))
    return None if row is None else _memory(row)


def named(tx: Tx, scope: Scope, namespace: str, name: str) -> Memory | None:
    """Return the scope's user's own memory of that name that is not shared."""
    key = _key(scope, namespace, name, shared=False)
    row = tx.first(scoped(scope, select(*_COLUMNS).where(memories.c.key == key)))
    return None if row is None else _memory(row)


def add(tx: Tx, scope: Scope, fields: dict[str, Any]) -> str:
    """Add one; return its id. Raises Conflict for a name that is there, and for one more than there may be."""
    shared = bool(fields.get("shared"))
    key = _key(scope, fields["namespace"], fields["name"], shared=shared)
    if tx.value(scoped(SYSTEM, select(memories.c.id).where(memories.c.key == key))) is not None:
        raise Conflict("There is a memory of that name already.", param="name")
    _make_sure_of_room(tx, scope, shared=shared)
    now = now_ms()
    memory_id = new_id()
    row = {"id": memory_id, "key": key, "version": 1, "created": now, "updated": now, **fields}
    tx.run(scoped(scope, insert(memories)).values(**row))
    return memory_id


def change(tx: Tx, memory: Memory, changes: dict[str, Any]) -> bool:
    """Change one if it is still of the version that is meant; False when it is not.

    Raises Conflict when there is one of that name where it would go, or no room.
    """
    scope = Scope(user_id=memory.user_id, institution_id=memory.institution_id)
    values = {**changes, "version": memory.version + 1, "updated": now_ms()}
    if changes.get("shared", memory.shared) != memory.shared:
        values["key"] = _key(scope, memory.namespace, memory.name, shared=changes["shared"])
        if tx.value(scoped(SYSTEM, select(memories.c.id).where(memories.c.key == values["key"]))) is not None:
            raise Conflict("There is a memory of that name already.", param="shared")
        _make_sure_of_room(tx, scope, shared=changes["shared"])
    meant = (memories.c.id == memory.id, memories.c.version == memory.version)
    return bool(tx.change(scoped(scope, update(memories).where(*meant).values(**values))))


def remove(tx: Tx, scope: Scope, memory_id: str | None = None) -> int:
    """Delete one, or (None) all of the scope; return how many."""
    which = [] if memory_id is None else [memories.c.id == memory_id]
    return tx.change(scoped(scope, delete(memories).where(*which)))


def _own(tx: Tx, scope: Scope) -> list[Memory]:
    return [_memory(row) for row in tx.scoped(scope, _OWN)]


def _make_sure_of_room(tx: Tx, scope: Scope, *, shared: bool) -> None:
    place = scope
    if shared:
        place = Scope(user_id=None, institution_id=None, managed=frozenset({scope.institution_id or ""}))
    held = select(func.count()).select_from(memories).where(memories.c.shared.is_(shared))
    most = MOST_SHARED if shared else MOST_OWN
    if tx.value(scoped(place, held)) >= most:
        raise Conflict(f"There are {most} memories here already: delete some that are needed no more.")


def _key(scope: Scope, namespace: str, name: str, *, shared: bool) -> str:
    """Return what only one memory can have: its name in its place, of its owner unless it is everybody's."""
    owner = "" if shared else scope.user_id
    named = "\n".join((scope.institution_id or "", owner or "", namespace.casefold(), name.casefold()))
    return hashlib.blake2b(named.encode("utf-8", "replace"), digest_size=16).hexdigest()


def _memory(row: Row[Any], *, author: str = "") -> Memory:
    kept = as_dict(row)
    return Memory(**{name: kept[name] for name in Memory.__struct_fields__ if name != "author"}, author=author)
