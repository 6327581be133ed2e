"""Branches of a conversation: an edited or repeated question begins one, and the old path stays (decision 039).

A conversation without any is in order of time, and its turns know nothing of one another. From the first branch on each
new turn is `branched`: it knows the turn before it. So a path is walked back turn by turn, and from the first turn that
is not branched on it is the order of time again.
"""

from typing import Any

from sqlalchemy import Row, bindparam, select

from twinspeak.domain.caller import Scope
from twinspeak.domain.conversation import Exchange
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos.turns import REPLAYED
from twinspeak.persistence.scope import ScopedStatement
from twinspeak.persistence.tables import turns

STEPS = 100
"""Turns of a path that are looked at."""
_COLUMNS = [
    turns.c[name]
    for name in ("id", "number", "parent_id", "branched", "question", "output", "state", "forgotten", "moderated")
]
_NODE = ScopedStatement(
    select(*_COLUMNS).where(turns.c.id == bindparam("turn"), turns.c.course_id == bindparam("course"))
)
_BEFORE = ScopedStatement(
    select(*_COLUMNS)
    .where(
        turns.c.course_id == bindparam("course"),
        turns.c.number <= bindparam("until"),
        turns.c.branched.is_(False),
        turns.c.forgotten.is_(False),
    )
    .order_by(turns.c.number.desc())
    .limit(bindparam("most"))
)


def node(tx: Tx, scope: Scope, course_id: int, turn_id: str) -> Row[Any] | None:
    """Return a turn of a conversation of the scope's user."""
    return tx.scoped(scope, _NODE, {"turn": turn_id, "course": course_id}).first()


def parent_of(tx: Tx, scope: Scope, course_id: int, turn: Row[Any]) -> str | None:
    """Return the turn before another on its path; None when it is the first."""
    if turn.branched:
        return turn.parent_id
    before = tx.scoped(scope, _BEFORE, {"course": course_id, "until": turn.number - 1, "most": 1}).first()
    return None if before is None else before.id


def exchanges(tx: Tx, scope: Scope, course_id: int, last: str | None, *, most: int) -> tuple[Exchange, ...]:
    """Return the last `most` exchanges of the path that ends with turn `last`, oldest first."""
    found: list[Row[Any]] = []
    for _ in range(STEPS):
        turn = node(tx, scope, course_id, last) if last and len(found) < most else None
        if turn is None:
            break
        if not turn.branched:
            # Failed turns are few: twice as many rows hold enough answers in all but the oddest conversations.
            wanted = {"course": course_id, "until": turn.number, "most": 2 * (most - len(found))}
            found += [one for one in tx.scoped(scope, _BEFORE, wanted) if _replayed(one)][: most - len(found)]
            break
        if _replayed(turn):
            found.append(turn)
        last = turn.parent_id
    return tuple(Exchange(question=one.question, answer=one.output, turn_id=one.id) for one in reversed(found))


def _replayed(turn: Row[Any]) -> bool:
    return turn.state in REPLAYED and not turn.forgotten and not turn.moderated and turn.output != ""
