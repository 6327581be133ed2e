"""What a model made of conversations: one row each, a cache that is dropped with anything that it tells of."""

import hashlib

from sqlalchemy import ColumnElement, bindparam, delete, insert, select

from twinspeak.domain.caller import Scope
from twinspeak.domain.clock import now_ms
from twinspeak.domain.conversation import SUMMARY_CHARS, Summary
from twinspeak.persistence.conversation_tables import summaries
from twinspeak.persistence.db import Tx
from twinspeak.persistence.scope import ScopedStatement, scoped

_GET = ScopedStatement(select(summaries.c.text, summaries.c.until).where(summaries.c.course_id == bindparam("course")))


def get(tx: Tx, scope: Scope, course_id: int) -> Summary | None:
    """Return the summary of a conversation, as far as it goes."""
    row = tx.scoped(scope, _GET, {"course": course_id}).first()
    return None if row is None else Summary(text=row.text, until=row.until)


def put(tx: Tx, scope: Scope, course_id: int, summary: Summary, *, model: str) -> None:
    """Put a summary in the place of the one there was."""
    forget(tx, scope, course_id)
    row = {
        "id": _key(scope, course_id),
        "course_id": course_id,
        "until": summary.until,
        "text": summary.text[:SUMMARY_CHARS],
        "model": model,
        "created": now_ms(),
    }
    tx.run(scoped(scope, insert(summaries)).values(**row))


def forget(tx: Tx, scope: Scope, course_id: int | None = None) -> int:
    """Drop the summary of a conversation, or (None) of all in the place; return how many there were."""
    which: list[ColumnElement[bool]] = [] if course_id is None else [summaries.c.course_id == course_id]
    return tx.change(scoped(scope, delete(summaries).where(*which)))


def _key(scope: Scope, course_id: int) -> str:
    """Return the one id of a conversation's summary: two that are written at once are one row."""
    named = f"{scope.institution_id} {scope.user_id} {course_id}"
    return hashlib.blake2b(named.encode(), digest_size=12).hexdigest()
