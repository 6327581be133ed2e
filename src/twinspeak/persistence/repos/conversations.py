"""Conversations as rows: there is no table of them, a conversation is the turns that carry its number (reference 4)."""

from typing import Any

import msgspec
from sqlalchemy import func, select, update

from twinspeak.domain.assistant import Assistant
from twinspeak.domain.caller import Scope
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import summaries
from twinspeak.persistence.repos.turns import HISTORY, course_of, personas
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


def listing(tx: Tx, scope: Scope, faces: tuple[str, ...] | None = None) -> list[Listed]:
    """Return the conversations of the scope's user, the latest first; the unassigned bucket is none.

    With `faces`, only what came in by one of them is looked at.

    Two plain statements, for a join of the table with its own sums is a plan that PostgreSQL can get very wrong.
    """
    last = func.max(turns.c.created).label("last")
    sums = select(turns.c.course_id, func.count().label("held"), last, func.max(turns.c.number).label("newest"))
    by_face = () if faces is None else (turns.c.face.in_(faces),)
    by_course = sums.where(*_SHOWN, turns.c.course_id != 0, *by_face).group_by(turns.c.course_id)
    counted = tx.all(scoped(scope, by_course.order_by(last.desc()).limit(LIST_MAX)))
    newest = select(turns.c.number, turns.c.course_id, turns.c.course_name, turns.c.assistant_id)
    named = tx.all(scoped(scope, newest.where(turns.c.number.in_([row.newest for row in counted]))))
    rows = {(row.course_id, row.number): row for row in named}
    # What was forgotten between the two statements is in no list any more.
    keys = [(row, (row.course_id, row.newest)) for row in counted]
    found = [(row, rows[key]) for row, key in keys if key in rows]
    known = personas(tx, [row for _, row in found])
    return [
        Listed(
            course_id=sums.course_id,
            course_name=row.course_name,
            count=sums.held,
            last=sums.last,
            assistant=known.get(row.assistant_id),
        )
        for sums, row in found
    ]


def rename(tx: Tx, scope: Scope, course_id: int, name: str, *, was: str | None = None) -> int:
    """Rename a conversation in all its records, running turns too; return how many there are.

    With `was`, only records that are still called that.
    """
    still = () if was is None else (turns.c.course_name == was,)
    renamed = update(turns).where(*_of_course(course_id), *still).values(course_name=name)
    return tx.change(scoped(scope, renamed))


def clear(tx: Tx, scope: Scope, course_id: int) -> int:
    """Forget a conversation; return how many records. Favourites are detached from it and stay (reference 4.6).

    A turn that is running is forgotten too: it ends, is paid for, and is not shown.
    """
    of_course = _of_course(course_id)
    kept = update(turns).where(*of_course, turns.c.favorite.is_(True)).values(course_id=0, course_name="")
    forgotten = update(turns).where(*of_course, turns.c.favorite.is_(False)).values(forgotten=True)
    summaries.forget(tx, scope, course_id)
    # In this order: in the unassigned bucket, what is detached stays where it is.
    return tx.change(scoped(scope, forgotten)) + tx.change(scoped(scope, kept))


def mark(tx: Tx, scope: Scope, turn_id: str, values: dict[str, Any]) -> bool:
    """Set columns of one record that its owner may set (favorite, favorite_name, thumb, forgotten); False for none."""
    if values.get("forgotten"):
        # A summary may tell of it.
        course_id = course_of(tx, scope, turn_id)
        summaries.forget(tx, scope, course_id or 0)
    marked = update(turns).where(turns.c.id == turn_id, *_SHOWN).values(**values)
    return bool(tx.change(scoped(scope, marked)))


def _of_course(course_id: int) -> tuple[Any, ...]:
    return (turns.c.course_id == course_id, turns.c.state.in_(_LIVE), turns.c.forgotten.is_(False))
