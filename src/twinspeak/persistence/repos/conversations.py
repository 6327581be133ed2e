"""Conversations as rows: there is no table of them, a conversation is the turns that carry its number (reference 4)."""

from typing import Any

import msgspec
from sqlalchemy import Row, and_, func, select, update

from twinspeak.domain.assistant import Assistant
from twinspeak.domain.caller import Scope
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos.turns import HISTORY, personas
from twinspeak.persistence.scope import scoped
from twinspeak.persistence.tables import turns

LIST_MAX = 1_000
"""Conversations of one list."""

_LIVE = ("running", *HISTORY)
_SHOWN = (turns.c.state.in_(HISTORY), turns.c.forgotten.is_(False))


class Listed(msgspec.Struct, frozen=True):
    """One conversation: `last` is epoch milliseconds, the assistant that of its newest record."""

    course_id: int
    course_name: str
    count: int
    last: int
    assistant: Assistant | None


def listing(tx: Tx, scope: Scope) -> list[Listed]:
    """Return the conversations of the scope's user, the latest first; the unassigned bucket is none."""
    by_course = select(turns.c.course_id, func.count().label("held"), func.max(turns.c.created).label("last")).where(
        *_SHOWN, turns.c.course_id != 0
    )
    counted = scoped(scope, by_course).group_by(turns.c.course_id).subquery()
    newest = (
        select(turns.c.course_id, turns.c.course_name, turns.c.assistant_id, turns.c.id, counted.c.held, counted.c.last)
        .join(counted, and_(counted.c.course_id == turns.c.course_id, counted.c.last == turns.c.created))
        .where(*_SHOWN)
        .order_by(counted.c.last.desc(), turns.c.id.desc())
    )
    first: dict[int, Any] = {}
    for row in tx.all(scoped(scope, newest)):
        # Two records of one conversation may be of one millisecond: the later id is the newest.
        if row.course_id not in first and len(first) < LIST_MAX:
            first[row.course_id] = row
    known = personas(tx, list(first.values()))
    return [_listed(row, known.get(row.assistant_id)) for row in first.values()]


def _listed(row: Row[Any], assistant: Assistant | None) -> Listed:
    return Listed(
        course_id=row.course_id, course_name=row.course_name, count=row.held, last=row.last, assistant=assistant
    )


def rename(tx: Tx, scope: Scope, course_id: int, name: str) -> int:
    """Rename a conversation in all its records, running turns too; return how many there are."""
    renamed = update(turns).where(*_of_course(course_id)).values(course_name=name)
    return tx.change(scoped(scope, renamed))


def clear(tx: Tx, scope: Scope, course_id: int) -> int:
    """Forget a conversation; return how many records. Favourites are detached from it and stay (reference 4.6).

    A turn that is running is forgotten too: it ends, is paid for, and is not shown.
    """
    of_course = _of_course(course_id)
    kept = update(turns).where(*of_course, turns.c.favorite.is_(True)).values(course_id=0, course_name="")
    forgotten = update(turns).where(*of_course, turns.c.favorite.is_(False)).values(forgotten=True)
    # In this order: in the unassigned bucket, what is detached stays where it is.
    return tx.change(scoped(scope, forgotten)) + tx.change(scoped(scope, kept))


def mark(tx: Tx, scope: Scope, turn_id: str, values: dict[str, Any]) -> bool:
    """Set columns of one record that its owner may set (favorite, favorite_name, thumb, forgotten); False for none."""
    marked = update(turns).where(turns.c.id == turn_id, *_SHOWN).values(**values)
    return bool(tx.change(scoped(scope, marked)))


def _of_course(course_id: int) -> tuple[Any, ...]:
    return (turns.c.course_id == course_id, turns.c.state.in_(_LIVE), turns.c.forgotten.is_(False))
