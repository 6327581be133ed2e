"""Assistants: personas that conversations run under. A tenant table: `scope.py` decides who sees which.

What an account's twins share is the exception: a scope names one twin, so those rows come by a statement of their own,
which names the twin that looks.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, Select, bindparam, delete, func, insert, or_, select, update

from twinspeak.domain.assistant import ARGUMENTS, Assistant, AssistantTool, Listed, Sharing
from twinspeak.domain.caller import Scope
from twinspeak.domain.clock import now_ms
from twinspeak.domain.ids import new_id
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import assistant_likes, assistants, institutions, turns

_JSON = ("rag_collections", "tools", "arguments")
_COLUMNS = [assistants.c[name] for name in Assistant.__struct_fields__]
_LISTED = [*_COLUMNS, assistants.c.scope, assistants.c.owner_user_id, assistants.c.institution_id, assistants.c.created]
_NOT_DELETED = assistants.c.status != "deleted"
_SYSTEM_BY_ID = scoped(SYSTEM, select(*_LISTED).where(assistants.c.id == bindparam("assistant"), _NOT_DELETED))
_DISABLED = select(institutions.c.assistants_disabled).where(institutions.c.id == bindparam("institution"))
_LIKED = select(assistant_likes.c.assistant_id).where(assistant_likes.c.user_id == bindparam("user"))

_mine = institutions.alias("mine")
_sibling = institutions.alias("sibling")

_texts = msgspec.json.Decoder(tuple[str, ...])
_slots = msgspec.json.Decoder(tuple[str | None, ...])
_tools = msgspec.json.Decoder(tuple[AssistantTool, ...])


def visible(tx: Tx, scope: Scope, assistant_id: str) -> Listed | None:
    """Return an assistant of any status but deleted that `scope` may see, else None: unknown and foreign alike.

    Which of them may be used or changed is for the services to say.
    """
    found = _select(tx, scope, [assistants.c.id == assistant_id])
    return found[0] if found else None


def listing(tx: Tx, scope: Scope, *conditions: ColumnElement[bool]) -> list[Listed]:
    """Return all assistants that `scope` may see, oldest first, but for deleted ones."""
    return _select(tx, scope, conditions)


def by_id(tx: Tx, assistant_id: str) -> Listed | None:
    """Return an assistant that is not deleted, whoever's. Rights are the caller's to check."""
    row = tx.first(_SYSTEM_BY_ID, {"assistant": assistant_id})
    return None if row is None else _listed(row, frozenset())


def page(
    tx: Tx, scope: Scope, conditions: Sequence[ColumnElement[bool]], *, skip: int, most: int
) -> tuple[list[Listed], int]:
    """Return a page of what is in the twins of an administrator's scope, newest first, and how many there are."""
    total = tx.value(scoped(scope, select(func.count()).select_from(assistants).where(_NOT_DELETED, *conditions)))
    newest = _listing(conditions).order_by(assistants.c.created.desc(), assistants.c.id.desc())
    rows = tx.all(scoped(scope, newest.offset(skip).limit(most)))
    return [_listed(row, frozenset()) for row in rows], total


def history_counts(tx: Tx, scope: Scope, assistant_ids: Sequence[str]) -> dict[str, int]:
    """Return how many turns in an administrator's twins ran under each assistant."""
    if not assistant_ids:
        return {}
    counted = select(turns.c.assistant_id, func.count().label("ran")).where(turns.c.assistant_id.in_(assistant_ids))
    return {row.assistant_id: row.ran for row in tx.all(scoped(scope, counted.group_by(turns.c.assistant_id)))}


def like(text: str) -> ColumnElement[bool]:
    """Look for a text in name and description, whatever the letter case; it is no pattern."""
    return or_(
        assistants.c.name.icontains(text, autoescape=True), assistants.c.description.icontains(text, autoescape=True)
    )


def create(tx: Tx, scope: Scope, kind: str, assistant: Assistant) -> Assistant:
    """Add an assistant of `kind`, one of `Sharing`; with the system's scope one of kind system.

    An empty `assistant.id` gets a new one. Entitlement is the caller's to check.
    """
    made = assistant if assistant.id else msgspec.structs.replace(assistant, id=new_id())
    tx.run(scoped(scope, insert(assistants)).values(**_row(made), scope=kind, created=now_ms()))
    return made


def edit(tx: Tx, assistant: Assistant, sharing: Sharing) -> None:
    """Write an assistant back. That the caller may is checked by then; likes are counted by `set_liked` alone."""
    values = _row(assistant)
    del values["id"], values["liked_count"]
    changed = update(assistants).where(assistants.c.id == assistant.id).values(**values, scope=sharing.value)
    tx.run(scoped(SYSTEM, changed))


def taken(tx: Tx, owner_id: str | None, institution_id: str | None, name: str, *, but: str = "") -> bool:
    """Tell whether the owner has another assistant by that name there (reference 2.1); letter case does not count."""
    return (
        tx.first(
            scoped(
                SYSTEM,
                select(assistants.c.id).where(
                    _same(assistants.c.owner_user_id, owner_id),
                    _same(assistants.c.institution_id, institution_id),
                    func.lower(assistants.c.name) == name.lower(),
                    assistants.c.id != but,
                    _NOT_DELETED,
                ),
            )
        )
        is not None
    )


def set_liked(tx: Tx, user_id: str, assistant_id: str, *, liked: bool) -> int:
    """Note that somebody likes an assistant, or does no more; return how many do. The same twice changes nothing."""
    mine = (assistant_likes.c.user_id == user_id, assistant_likes.c.assistant_id == assistant_id)
    there = tx.first(select(assistant_likes.c.user_id).where(*mine)) is not None
    if liked and not there:
        tx.run(insert(assistant_likes).values(user_id=user_id, assistant_id=assistant_id, created=now_ms()))
    elif there and not liked:
        tx.run(delete(assistant_likes).where(*mine))
    count = tx.value(select(func.count()).where(assistant_likes.c.assistant_id == assistant_id))
    counted = update(assistants).where(assistants.c.id == assistant_id).values(liked_count=count)
    tx.run(scoped(SYSTEM, counted))
    return count


def disabled(tx: Tx, institution_id: str | None) -> frozenset[str]:
    """Return the ids of assistants that a twin has switched off for its members."""
    if institution_id is None:
        return frozenset()
    return frozenset(_texts.decode(tx.value(_DISABLED, {"institution": institution_id}) or "[]"))


def _select(tx: Tx, scope: Scope, conditions: Sequence[ColumnElement[bool]]) -> list[Listed]:
    statements = [scoped(scope, _listing(conditions))]
    if scope.institution_id is not None:
        statements.append(_of_siblings(scope.institution_id, conditions))
    liked: frozenset[str] = frozenset()
    if scope.user_id is not None:
        liked = frozenset(row.assistant_id for row in tx.all(_LIKED, {"user": scope.user_id}))
    found = {row.id: _listed(row, liked) for statement in statements for row in tx.all(statement)}
    return sorted(found.values(), key=lambda one: (one.created, one.assistant.id))


def _listing(conditions: Iterable[ColumnElement[bool]]) -> Select[*tuple[Any, ...]]:
    return select(*_LISTED).where(_NOT_DELETED, *conditions)


def _of_siblings(institution_id: str, conditions: Iterable[ColumnElement[bool]]) -> Select[*tuple[Any, ...]]:
    """Select what the twins of one account share with one of them, that one's own included."""
    shared = (
        _listing(conditions)
        .join(_sibling, _sibling.c.id == assistants.c.institution_id)
        .join(_mine, _mine.c.account_id == _sibling.c.account_id)
        .where(
            assistants.c.scope == Sharing.ACCOUNT.value,
            _mine.c.id == institution_id,
            _sibling.c.status == "active",
        )
    )
    return scoped(SYSTEM, shared)


def _same(column: ColumnElement[Any], value: str | None) -> ColumnElement[bool]:
    return column.is_(None) if value is None else column == value


def _row(assistant: Assistant) -> dict[str, Any]:
    row = msgspec.structs.asdict(assistant)
    return {name: msgspec.json.encode(value).decode() if name in _JSON else value for name, value in row.items()}


def _listed(row: Row[Any], liked: frozenset[str]) -> Listed:
    kept = as_dict(row)
    fields = {name: kept[name] for name in Assistant.__struct_fields__}
    slots = _slots.decode(fields["arguments"])
    fields |= {
        "rag_collections": _texts.decode(fields["rag_collections"]),
        "tools": _tools.decode(fields["tools"]),
        "arguments": (*slots, *(None,) * (ARGUMENTS - len(slots))),
    }
    return Listed(
        assistant=Assistant(**fields),
        sharing=Sharing(row.scope),
        owner_id=row.owner_user_id,
        institution_id=row.institution_id,
        created=row.created,
        liked=row.id in liked,
    )
