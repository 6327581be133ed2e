"""Turns: the durable row of a running turn, which becomes its history record (contract section 4, reference 4.2)."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, Select, bindparam, func, select

from twinspeak.domain.assistant import Assistant
from twinspeak.domain.caller import Scope
from twinspeak.domain.conversation import Exchange
from twinspeak.domain.credits import Usage
from twinspeak.domain.prompts import PromptSeen
from twinspeak.domain.turn import Failure, Passage, Settlement, ThinkingPart, ToolUse, TurnRecord, TurnState
from twinspeak.persistence import fulltext
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.scope import SYSTEM, ScopedStatement, scoped
from twinspeak.persistence.tables import assistants, institutions, memberships, turn_details, turns

HISTORY = ("done", "cancelled", "failed", "interrupted")
"""States of history records: running turns have no answer yet, refused ones were never begun."""
REPLAYED = ("done", "cancelled", "interrupted")
"""States whose answers go back into prompts."""

LIST_LIMIT = 100
LIST_LIMIT_MAX = 1000
SEARCH_MAX = 1000
"""Characters of a search that are looked at."""
RECENT = 400
"""So many of somebody's newest records are looked through before the index is asked."""


class HistoryFilter(msgspec.Struct, frozen=True):
    """Which records (reference 4.1). `before` and `after` are epoch milliseconds, both exclusive.

    `search` is words of question and answer, all of which must be there: see `domain.searching`. `limit` is clamped to
    1..1000. `faces` are those that a question may have come in by; `favorites` asks for favourites alone.
    """

    limit: int = LIST_LIMIT
    course_id: int | None = None
    before: int | None = None
    after: int | None = None
    history_id: str | None = None
    search: str = ""
    faces: tuple[str, ...] | None = None
    favorites: bool = False


class Conversation(msgspec.Struct, frozen=True):
    """What a new turn takes over from its conversation, but for what was said."""

    course_name: str
    assistant_id: str | None
    last_id: str
    branched: bool


_RECORD = [
    turns.c[name]
    for name in (
        "id", "created", "state", "institution_id", "user_id", "course_id", "course_name", "question", "output",
        "model", "usage_input", "usage_cached", "usage_completion", "usage_estimated", "credits", "duration_ms",
        "first_token_ms", "assistant_id", "failure", "moderated", "stop_reason", "thinking_count", "favorite",
        "settlement", "passages_only", "favorite_name", "thumb", "face", "parent_id", "replaces_id", "branched",
    )
]  # fmt: skip
_NEWEST_FIRST = (turns.c.created.desc(), turns.c.id.desc())
_BY_ID = ScopedStatement(select(*_RECORD).where(turns.c.id == bindparam("turn"), turns.c.state != "running"))
_DETAILS = ScopedStatement(select(turn_details).where(turn_details.c.turn_id == bindparam("turn")))
_LIST_DETAILS = ScopedStatement(
    select(turn_details.c.turn_id, turn_details.c.tools, turn_details.c.passages).where(
        turn_details.c.turn_id.in_(bindparam("ids", expanding=True))
    )
)
_RECALL = ScopedStatement(
    select(turns.c.id, turns.c.question, turns.c.output)
    .where(
        turns.c.course_id == bindparam("course"),
        turns.c.state.in_(REPLAYED),
        turns.c.forgotten.is_(False),
        turns.c.moderated.is_(False),
        turns.c.output != "",
    )
    .order_by(*_NEWEST_FIRST)
    .limit(bindparam("most"))
)
_LATEST = ScopedStatement(
    select(turns.c.course_name, turns.c.assistant_id, turns.c.id, turns.c.branched)
    .where(turns.c.course_id == bindparam("course"), turns.c.forgotten.is_(False))
    .order_by(*_NEWEST_FIRST)
    .limit(1)
)
_FIRST = ScopedStatement(
    select(turns.c.question)
    .where(turns.c.course_id == bindparam("course"), turns.c.forgotten.is_(False))
    .order_by(turns.c.number)
    .limit(1)
)
_PERSONAS = select(*(assistants.c[name] for name in ("id", "name", "picture_url", "liked_count")))
_WITH_HOME = turns.outerjoin(
    memberships,
    (memberships.c.institution_id == turns.c.institution_id)
    & (memberships.c.user_id == turns.c.user_id)
    & (memberships.c.status == "active"),
).outerjoin(institutions, institutions.c.id == turns.c.institution_id)
_AT_HOME = turns.c.institution_id.is_(None) | (memberships.c.id.is_not(None) & (institutions.c.status == "active"))
_HOME = scoped(
    SYSTEM,
    select(turns.c.institution_id)
    .select_from(_WITH_HOME)
    .where(turns.c.id == bindparam("turn"), turns.c.user_id == bindparam("user"), _AT_HOME),
)
_SHOWN = (turns.c.state.in_(HISTORY), turns.c.forgotten.is_(False))

_thinking = msgspec.json.Decoder(tuple[ThinkingPart, ...])
_tools = msgspec.json.Decoder(tuple[ToolUse, ...])
_passages = msgspec.json.Decoder(tuple[Passage, ...])
_prompt = msgspec.json.Decoder(PromptSeen)
_failure = msgspec.json.Decoder(Failure)
_settlement = msgspec.json.Decoder(Settlement)


def scope_of_turn(tx: Tx, user_id: str, turn_id: str) -> Scope | None:
    """Return the scope of the user's own turn, wherever it ran; None if it is not his or he left that twin since."""
    row = tx.first(_HOME, {"turn": turn_id, "user": user_id})
    return None if row is None else Scope(user_id=user_id, institution_id=row.institution_id)


def record(tx: Tx, scope: Scope, turn_id: str) -> TurnRecord | None:
    """Return one ended turn with all its details."""
    row = tx.scoped(scope, _BY_ID, {"turn": turn_id}).first()
    if row is None:
        return None
    details = tx.scoped(scope, _DETAILS, {"turn": turn_id}).first()
    return _record(row, details, personas(tx, [row]))


def prompt(tx: Tx, scope: Scope, turn_id: str) -> PromptSeen | None:
    """Return what is kept of the prompt of an ended turn; None when there is no such turn, or nothing is kept."""
    row = tx.scoped(scope, _DETAILS, {"turn": turn_id}).first()
    seen = None if row is None or not row.prompt else _prompt.decode(row.prompt)
    return seen if seen is not None and seen.messages else None


def history(tx: Tx, scope: Scope, wanted: HistoryFilter) -> list[TurnRecord]:
    """Return records of the scope's user, oldest first: the newest `limit` of those that match (reference 4.1)."""
    return _listed(tx, scope, select(*_RECORD), wanted, scope.user_id or "")


def history_everywhere(tx: Tx, user_id: str, wanted: HistoryFilter) -> list[TurnRecord]:
    """As `history`, of all the twins that the user is an active member of, and of the personal space."""
    return _listed(tx, SYSTEM, _everywhere(*_RECORD, user_id=user_id), wanted, user_id)


def count_everywhere(tx: Tx, user_id: str, wanted: HistoryFilter) -> tuple[int, int]:
    """Return how many records `history_everywhere` would find without its limit, and how many there are at all."""
    counted = _everywhere(func.count(), user_id=user_id).where(*_SHOWN)
    ids = _everywhere(turns.c.id, user_id=user_id).where(*_SHOWN, *_matching(wanted))
    matching = _found(tx, ids, wanted, user_id)
    # Ordered, though counted: it is the order of the index of words that makes SQLite begin with that index.
    inner = None if matching is None else scoped(SYSTEM, matching).subquery()
    matched = 0 if inner is None else tx.value(scoped(SYSTEM, select(func.count()).select_from(inner)))
    return matched, tx.value(scoped(SYSTEM, counted))


def _everywhere(*columns: Any, user_id: str) -> Select[*tuple[Any, ...]]:  # noqa: ANN401 -- whatever can be selected
    """Select from one user's turns, but for those in twins that he is no active member of any more."""
    return select(*columns).select_from(_WITH_HOME).where(turns.c.user_id == user_id, _AT_HOME)


def _found(
    tx: Tx, statement: Select[*tuple[Any, ...]], wanted: HistoryFilter, user_id: str
) -> Select[*tuple[Any, ...]] | None:
    """Limit a statement to what is searched for, if anything is, newest first; None when that can be in no record."""
    if not wanted.search:
        return statement.order_by(*_NEWEST_FIRST)
    return fulltext.found(tx, statement, user_id, wanted.search[:SEARCH_MAX])


def _listed(
    tx: Tx, scope: Scope, statement: Select[*tuple[Any, ...]], wanted: HistoryFilter, user_id: str
) -> list[TurnRecord]:
    limit = max(1, min(wanted.limit, LIST_LIMIT_MAX))
    limited = statement.where(*_SHOWN, *_matching(wanted))
    found = _found(tx, limited, wanted, user_id)
    if found is None:
        return []
    rows = _recent(tx, scope, limited, wanted, limit) or tx.all(scoped(scope, found.limit(limit)))
    if not rows:
        return []
    by_turn = {row.turn_id: row for row in tx.scoped(scope, _LIST_DETAILS, {"ids": [row.id for row in rows]})}
    known = personas(tx, rows)
    return [_record(row, by_turn.get(row.id), known) for row in reversed(rows)]


def _recent(
    tx: Tx, scope: Scope, limited: Select[*tuple[Any, ...]], wanted: HistoryFilter, limit: int
) -> Sequence[Row[Any]]:
    """Return what is searched for if the newest records of one place hold as many as are wanted; otherwise nothing."""
    of_one = scope.user_id is not None and scope.institution_id is not None
    if not wanted.search or not of_one or limit > RECENT // 4 or fulltext.in_order(tx):
        return ()
    own = (turns.c.user_id == scope.user_id, turns.c.institution_id == scope.institution_id)
    newest = select(turns.c.created).where(*own).order_by(turns.c.created.desc()).offset(RECENT).limit(1)
    since = tx.value(scoped(scope, newest)) or 0
    found = fulltext.among(limited.where(turns.c.created > since), scope.user_id or "", wanted.search[:SEARCH_MAX])
    rows = () if found is None else tx.all(scoped(scope, found.limit(limit)))
    return rows if len(rows) == limit else ()


def pages(tx: Tx, scope: Scope, course_id: int, *, after: int, until: int, most: int) -> tuple[list[TurnRecord], int]:
    """Return a conversation's next records after number `after`, oldest first, and the last one's number.

    `until` is epoch milliseconds: what is newer is left out.
    """
    shown = (*_SHOWN, turns.c.course_id == course_id, turns.c.number > after, turns.c.created <= until)
    rows = tx.all(scoped(scope, select(*_RECORD, turns.c.number).where(*shown).order_by(turns.c.number).limit(most)))
    if not rows:
        return [], after
    by_turn = {row.turn_id: row for row in tx.scoped(scope, _LIST_DETAILS, {"ids": [row.id for row in rows]})}
    known = personas(tx, rows)
    return [_record(row, by_turn.get(row.id), known) for row in rows], rows[-1].number


def conversation(tx: Tx, scope: Scope, course_id: int) -> Conversation | None:
    """Return name, last assistant and last turn of a conversation; None when it has no turn yet."""
    latest = tx.scoped(scope, _LATEST, {"course": course_id}).first()
    return None if latest is None else Conversation(latest.course_name, latest.assistant_id, latest.id, latest.branched)


def first_question(tx: Tx, scope: Scope, course_id: int) -> str:
    """Return what a conversation began with, "" where nothing is left of it."""
    return tx.scoped(scope, _FIRST, {"course": course_id}).scalar() or ""


def exchanges(tx: Tx, scope: Scope, course_id: int, *, most: int) -> tuple[Exchange, ...]:
    """Return the last `most` exchanges of a conversation, oldest first, with the ids of their turns."""
    if most <= 0:
        return ()
    rows = tx.scoped(scope, _RECALL, {"course": course_id, "most": most}).all()
    return tuple(Exchange(question=row.question, answer=row.output, turn_id=row.id) for row in reversed(rows))


def remembered(tx: Tx, scope: Scope, turn_ids: Collection[str]) -> bool:
    """Tell whether all these turns are still there to be remembered."""
    shown = select(func.count()).where(turns.c.id.in_(sorted(turn_ids)), turns.c.forgotten.is_(False))
    return tx.value(scoped(scope, shown)) == len(turn_ids)


def course_of(tx: Tx, scope: Scope, turn_id: str) -> int | None:
    """Return the number of a turn's conversation."""
    return tx.value(scoped(scope, select(turns.c.course_id).where(turns.c.id == turn_id)))


def decode_settlement(text: str) -> Settlement:
    """Read the `settlement` column."""
    return _settlement.decode(text)


def _matching(wanted: HistoryFilter) -> Iterable[ColumnElement[bool]]:
    if wanted.course_id is not None:
        yield turns.c.course_id == wanted.course_id
    if wanted.before is not None:
        yield turns.c.created < wanted.before
    if wanted.after is not None:
        yield turns.c.created > wanted.after
    if wanted.history_id is not None:
        yield turns.c.id == wanted.history_id
    if wanted.faces is not None:
        yield turns.c.face.in_(wanted.faces)
    if wanted.favorites:
        yield turns.c.favorite.is_(True)


def personas(tx: Tx, rows: Sequence[Row[Any]]) -> dict[str, Assistant]:
    """Return name and picture of the assistants that these records ran under, also of ones deleted since."""
    ids = {row.assistant_id for row in rows if row.assistant_id is not None}
    if not ids:
        return {}
    found = tx.all(scoped(SYSTEM, _PERSONAS.where(assistants.c.id.in_(sorted(ids)))))
    return {row.id: Assistant(**as_dict(row)) for row in found}


def _record(row: Row[Any], details: Row[Any] | None, known: dict[str, Assistant]) -> TurnRecord:
    kept: dict[str, str] = {} if details is None else as_dict(details)
    return TurnRecord(
        id=row.id,
        created=row.created,
        state=TurnState(row.state),
        institution_id=row.institution_id,
        user_id=row.user_id,
        course_id=row.course_id,
        course_name=row.course_name,
        question=row.question,
        output=row.output,
        model=row.model,
        usage=usage_of(row),
        credits=row.credits,
        duration_ms=row.duration_ms,
        first_token_ms=row.first_token_ms,
        assistant=known.get(row.assistant_id),
        thinking=_thinking.decode(kept.get("thinking", "[]")),
        tools=_tools.decode(kept.get("tools", "[]")),
        passages=_passages.decode(kept.get("passages", "[]")),
        failure=None if row.failure is None else _failure.decode(row.failure),
        moderated=row.moderated,
        stop_reason=row.stop_reason,
        thinking_count=row.thinking_count,
        favorite=row.favorite,
        settlement=None if row.settlement is None else _settlement.decode(row.settlement),
        passages_only=row.passages_only,
        favorite_name=row.favorite_name,
        thumb=row.thumb,
        face=row.face,
        parent_id=row.parent_id,
        replaces_id=row.replaces_id,
        branched=row.branched,
    )


def usage_of(row: Row[Any]) -> Usage:
    """Return the token counts of a row that has the usage columns."""
    return Usage(
        input=row.usage_input,
        cached=row.usage_cached,
        completion=row.usage_completion,
        estimated=row.usage_estimated,
    )
