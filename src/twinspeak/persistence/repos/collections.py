"""Folders of vaults, as rows. Who may do what is `services.vault_rights`' to say."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, and_, case, delete, func, insert, select, update

from twinspeak.domain.caller import Scope
from twinspeak.domain.vault import Collection
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.vault_tables import collections, documents

_COLUMNS = [collections.c[name] for name in Collection.__struct_fields__]
MOST = 1_000
"""Folders of one vault."""
DEEPEST = 20


class Contents(msgspec.Struct, frozen=True):
    """What is in a folder itself, not in those below it."""

    files: int = 0
    bytes: int = 0
    included: int = 0
    folders: int = 0


def add(tx: Tx, new: Collection) -> Collection:
    """Add a folder."""
    row = msgspec.structs.asdict(new)
    for owner in ("institution_id", "user_id"):
        del row[owner]
    tx.run(scoped(new.scope, insert(collections)).values(**row))
    return new


def by_id(tx: Tx, collection_id: str) -> Collection | None:
    """Return a folder, whosever it is."""
    return _collection(tx.first(scoped(SYSTEM, select(*_COLUMNS).where(collections.c.id == collection_id))))


def of_vault(tx: Tx, scope: Scope, *, shared: bool | None = None) -> list[Collection]:
    """Return all folders of a twin's vault (`shared`: of its account's part, or without it) or a person's own."""
    if scope.institution_id is None:
        whose = collections.c.user_id == scope.user_id
    else:
        whose = collections.c.institution_id == scope.institution_id
    conditions = [whose, *([] if shared is None else [collections.c.account_shared.is_(shared)])]
    ordered = select(*_COLUMNS).where(*conditions).order_by(func.lower(collections.c.name), collections.c.id)
    return [found for row in tx.all(scoped(SYSTEM, ordered)) if (found := _collection(row))]


def children(tx: Tx, parent_ids: Sequence[str]) -> list[Collection]:
    """Return the folders right below some."""
    ordered = select(*_COLUMNS).where(collections.c.parent_id.in_(list(parent_ids)))
    rows = tx.all(scoped(SYSTEM, ordered.order_by(func.lower(collections.c.name), collections.c.id)))
    return [found for row in rows if (found := _collection(row))]


def below(tx: Tx, collection_id: str) -> list[str]:
    """Return a folder's id and those of all below it."""
    found = [collection_id]
    level = [collection_id]
    for _ in range(DEEPEST + 1):
        level = [one.id for one in children(tx, level) if one.id not in found]
        if not level:
            break
        found += level
    return found


def path(tx: Tx, collection_id: str | None) -> list[Collection]:
    """Return the folders from the top down to one."""
    found: list[Collection] = []
    while collection_id is not None and len(found) <= DEEPEST:
        one = by_id(tx, collection_id)
        if one is None:
            break
        found.insert(0, one)
        collection_id = one.parent_id
    return found


def contents(tx: Tx, collection_ids: Sequence[str]) -> dict[str, Contents]:
    """Return what is in each of some folders."""
    wanted = list(collection_ids)
    searched = func.coalesce(func.sum(case((documents.c.status == "selected", 1), else_=0)), 0)
    inside = and_(documents.c.collection_id.in_(wanted), documents.c.status != "deleted")
    counted = select(
        documents.c.collection_id,
        func.count().label("files"),
        func.coalesce(func.sum(documents.c.bytes), 0).label("size"),
        searched.label("searched"),
    )
    found = {
        row.collection_id: Contents(int(row.files), int(row.size), int(row.searched))
        for row in tx.all(scoped(SYSTEM, counted.where(inside).group_by(documents.c.collection_id)))
    }
    folders = select(collections.c.parent_id, func.count().label("folders")).where(collections.c.parent_id.in_(wanted))
    for row in tx.all(scoped(SYSTEM, folders.group_by(collections.c.parent_id))):
        before = found.get(row.parent_id, Contents())
        found[row.parent_id] = msgspec.structs.replace(before, folders=int(row.folders))
    return found


def change(tx: Tx, collection: Collection, **values: Any) -> Collection:  # noqa: ANN401 -- fields of the struct
    """Write a folder's fields; its owners stay."""
    tx.run(scoped(SYSTEM, update(collections).where(collections.c.id == collection.id).values(**values)))
    return msgspec.structs.replace(collection, **values)


def remove(tx: Tx, collection_ids: Sequence[str]) -> None:
    """Delete folders; what was in them is gone by then."""
    tx.run(scoped(SYSTEM, delete(collections).where(collections.c.id.in_(list(collection_ids)))))


def _collection(row: Row[Any] | None) -> Collection | None:
    return None if row is None else Collection(**as_dict(row))
