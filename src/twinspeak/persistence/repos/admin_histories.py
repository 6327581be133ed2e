"""Everybody's history records, as administrators look through them (reference: admin 7.1, 7.2).

Where the roll-ups count exactly what is asked for they are the guide: they tell how many there are, and in which hours
or days the wanted page is, so that a page costs the same wherever it is in however long a history.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, Select, func, or_, select, union

from twinspeak.domain.caller import Scope
from twinspeak.domain.periods import DAY_MS, HOUR_MS, Grain
from twinspeak.persistence import fulltext
from twinspeak.persistence.conversation_tables import feedbacks
from twinspeak.persistence.credit_tables import usage_people, usage_totals
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos.turns import HISTORY
from twinspeak.persistence.repos.usage_reading import Span, Within
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import assistants, institutions, turns, users, wallets

COUNTED = 10_000
"""Where no roll-up counts, more than so many are not counted."""
PEOPLE_SEARCHED = 200
"""A word is looked for in the records of at most so many people at once."""
FEW_PEOPLE = 20
"""So many people's records are read each by their own index; those of more by time."""
TEXT_CHARS = 200
_FIRST, _LAST = 0, 253_402_300_800_000


class RecordFilter(msgspec.Struct, frozen=True):
    """Which records; what is empty does not matter.

    `people` is in address or name; `course_name` is a conversation's whole name; `keyword` words of question and
    answer; `feedback` asks for records with a thumb or a comment. `span` is whole days.
    """

    span: Span | None = None
    people: str = ""
    user_id: str = ""
    account_type: str = ""
    course_name: str = ""
    model: str = ""
    assistant_id: str = ""
    keyword: str = ""
    feedback: bool = False

    @property
    def of_people(self) -> bool:
        """Whether it says anything of who asked."""
        return bool(self.people or self.user_id or self.account_type)

    @property
    def of_words(self) -> bool:
        """Whether it says anything that no roll-up knows."""
        return bool(self.course_name or self.keyword or self.feedback)


class Found(msgspec.Struct, frozen=True):
    """A page of records, newest first. `more_than` True: there are at least `total`."""

    rows: Sequence[Row[Any]]
    total: int
    more_than: bool = False


class TooManyPeople(Exception):
    """A word is looked for in the records of more people than can be looked through at once."""


_LEAN = (
    turns.c.id, turns.c.created, turns.c.number, turns.c.state, turns.c.institution_id, turns.c.user_id,
    turns.c.course_id, turns.c.course_name, turns.c.model, turns.c.assistant_id, turns.c.credits, turns.c.cost,
    turns.c.usage_input, turns.c.usage_cached, turns.c.usage_completion, turns.c.usage_estimated, turns.c.success,
    turns.c.moderated, turns.c.duration_ms, turns.c.first_token_ms, turns.c.face, turns.c.thumb, turns.c.favorite,
    turns.c.forgotten, turns.c.payer_wallet_id,
)  # fmt: skip
_CUT = (
    func.substr(turns.c.question, 1, TEXT_CHARS).label("question"),
    func.length(turns.c.question).label("question_length"),
    func.substr(turns.c.output, 1, TEXT_CHARS).label("output"),
    func.length(turns.c.output).label("output_length"),
)
_WHOLE = (
    turns.c.question,
    func.length(turns.c.question).label("question_length"),
    turns.c.output,
    func.length(turns.c.output).label("output_length"),
)


class Cards(msgspec.Struct, frozen=True):
    """Who and what records are about, by id."""

    users: dict[str, Row[Any]]
    institutions: dict[str, Row[Any]]
    assistants: dict[str, str]
    pools: frozenset[str]


def search(tx: Tx, where: Within, wanted: RecordFilter, *, skip: int, most: int) -> Found:
    """Return a page of records, newest first, their texts cut short. Raises TooManyPeople."""
    if not wanted.of_words and not (wanted.of_people and (wanted.model or wanted.assistant_id)):
        return _guided(tx, where, wanted, skip, most)
    counted = _found(tx, where, wanted, select(turns.c.id))
    if counted is None:
        return Found((), 0)
    inner = scoped(where.scope, counted.order_by(None).limit(COUNTED + 1)).subquery()
    total = tx.value(scoped(where.scope, select(func.count()).select_from(inner)))
    page = _found(tx, where, wanted, select(*_LEAN, *_CUT))
    rows: Sequence[Row[Any]] = () if page is None else tx.all(scoped(where.scope, page.offset(skip).limit(most)))
    return Found(rows, min(total, COUNTED), more_than=total > COUNTED)


def after(tx: Tx, where: Within, wanted: RecordFilter, number: int | None, *, most: int) -> Sequence[Row[Any]]:
    """Return the next records, newest first, with their whole texts: those before `number`. Raises TooManyPeople."""
    statement = select(*_LEAN, *_WHOLE)
    if number is not None:
        statement = statement.where(turns.c.number < number)
    page = _found(tx, where, wanted, statement)
    return [] if page is None else tx.all(scoped(where.scope, page.limit(most)))


def one(tx: Tx, scope: Scope, turn_id: str) -> Row[Any] | None:
    """Return what one record has beside what its owner sees of it."""
    mine = (turns.c.id == turn_id, turns.c.state.in_(HISTORY))
    return tx.first(scoped(scope, select(*_LEAN, *_CUT).where(*mine)))


def cards(tx: Tx, rows: Sequence[Row[Any]]) -> Cards:
    """Return who and what these records are about."""
    people = sorted({row.user_id for row in rows})
    twins = sorted({row.institution_id for row in rows if row.institution_id})
    personas = sorted({row.assistant_id for row in rows if row.assistant_id})
    payers = sorted({row.payer_wallet_id for row in rows})
    shown = select(users.c.id, users.c.email, users.c.fname, users.c.lname, users.c.account_type)
    named = select(institutions.c.id, institutions.c.name, institutions.c.ai_name, institutions.c.picture)
    pools = select(wallets.c.id).where(wallets.c.id.in_(payers), wallets.c.kind == "institution")
    return Cards(
        users={row.id: row for row in tx.all(shown.where(users.c.id.in_(people)))},
        institutions={row.id: row for row in tx.all(named.where(institutions.c.id.in_(twins)))},
        assistants=_personas(tx, personas),
        pools=frozenset(row.id for row in tx.all(pools)),
    )


def _personas(tx: Tx, ids: list[str]) -> dict[str, str]:
    if not ids:
        return {}
    named = select(assistants.c.id, assistants.c.name).where(assistants.c.id.in_(ids))
    return {row.id: row.name for row in tx.all(scoped(SYSTEM, named))}


# -- without a guide --------------------------------------------------------------------------------------------------


def _found(
    tx: Tx, where: Within, wanted: RecordFilter, statement: Select[*tuple[Any, ...]]
) -> Select[*tuple[Any, ...]] | None:
    """Limit a statement to what is wanted, newest first; None when there can be nothing."""
    limited = statement.where(*_conditions(where, wanted))
    if not wanted.keyword:
        return limited.order_by(turns.c.number.desc())
    people = select(usage_people.c.user_id).where(
        usage_people.c.place.in_(where.places), usage_people.c.grain == Grain.MONTH
    )
    if wanted.of_people:
        people = people.where(usage_people.c.user_id.in_(_people(wanted)))
    ids = [row.user_id for row in tx.all(scoped(where.scope, people.distinct().limit(PEOPLE_SEARCHED + 1)))]
    if len(ids) > PEOPLE_SEARCHED:
        raise TooManyPeople
    return fulltext.found_of_many(tx, limited, ids, wanted.keyword)


def _conditions(where: Within, wanted: RecordFilter) -> Iterator[ColumnElement[bool]]:
    yield turns.c.institution_id.in_(where.places)
    yield turns.c.state.in_(HISTORY)
    if wanted.span is not None:
        yield turns.c.number >= wanted.span.since << 20
        yield turns.c.number < wanted.span.until << 20
        yield turns.c.created >= wanted.span.since
        yield turns.c.created < wanted.span.until
    if wanted.of_people:
        yield turns.c.user_id.in_(_people(wanted))
    if wanted.model:
        yield turns.c.model == wanted.model
    if wanted.assistant_id:
        yield turns.c.assistant_id == wanted.assistant_id
    if wanted.course_name:
        yield turns.c.course_name == wanted.course_name
    if wanted.feedback:
        yield turns.c.id.in_(_judged(where))


def _people(wanted: RecordFilter) -> Select[tuple[str]]:
    statement = select(users.c.id)
    if wanted.user_id:
        statement = statement.where(users.c.id == wanted.user_id)
    if wanted.account_type:
        statement = statement.where(users.c.account_type == wanted.account_type)
    if wanted.people:
        columns = (users.c.email, users.c.fname, users.c.lname)
        statement = statement.where(or_(*(column.icontains(wanted.people, autoescape=True) for column in columns)))
    return statement


def _judged(where: Within) -> Any:  # noqa: ANN401 -- what a union is called is the library's business
    commented = select(feedbacks.c.turn_id).where(
        feedbacks.c.institution_id.in_(where.places), feedbacks.c.turn_id.is_not(None), feedbacks.c.status == "active"
    )
    thumbed = select(turns.c.id).where(turns.c.institution_id.in_(where.places), turns.c.thumb != "")
    return union(scoped(where.scope, commented), scoped(where.scope, thumbed))


# -- with the roll-ups as guide ---------------------------------------------------------------------------------------


def _guided(tx: Tx, where: Within, wanted: RecordFilter, skip: int, most: int) -> Found:
    """Find the days that the page is in, then the hours, then the rows."""
    few = _few(tx, wanted)
    people = _people(wanted) if few is None else few
    days = _counts(tx, where, wanted, Grain.DAY, wanted.span or Span(_FIRST, _LAST), people)
    total = sum(count for _, count in days)
    held, left = _holding(days, skip, most)
    if not held:
        return Found((), total)
    if few is not None:
        return Found(_rows_of(tx, where, few, Span(held[-1], held[0] + DAY_MS), left, most), total)
    length = DAY_MS
    if not wanted.of_people:
        hours = _counts(tx, where, wanted, Grain.HOUR, Span(held[-1], held[0] + DAY_MS), people)
        held, left = _holding(hours, left, most)
        length = HOUR_MS
    return Found(_rows(tx, where, wanted, list(_merged(held, length)), left, most), total)


def _few(tx: Tx, wanted: RecordFilter) -> list[str] | None:
    """Return who is meant, when they are few."""
    if not wanted.of_people:
        return None
    ids = [row.id for row in tx.all(_people(wanted).limit(FEW_PEOPLE + 1))]
    return ids if len(ids) <= FEW_PEOPLE else None


def _rows_of(tx: Tx, where: Within, people: Sequence[str], span: Span, skip: int, most: int) -> Sequence[Row[Any]]:
    """Return records of some people. Days without any may lie in the span: their own indexes skip those."""
    conditions = _conditions(where, RecordFilter())
    mine = (turns.c.user_id.in_(people), turns.c.created >= span.since, turns.c.created < span.until)
    # In this order, but not by the index of it, which would read everybody's.
    ordered = select(*_LEAN, *_CUT).where(*conditions, *mine).order_by((turns.c.number + 0).desc())
    return tx.all(scoped(where.scope, ordered.offset(skip).limit(most)))


def _counts(
    tx: Tx,
    where: Within,
    wanted: RecordFilter,
    grain: Grain,
    span: Span,
    people: Sequence[str] | Select[tuple[str]],
) -> list[tuple[int, int]]:
    """Return (period, records), newest first."""
    table = usage_people if wanted.of_people else usage_totals
    counted = select(table.c.bucket, func.sum(table.c.turns).label("records")).where(
        table.c.place.in_(where.places),
        table.c.grain == grain,
        table.c.bucket >= span.since,
        table.c.bucket < span.until,
    )
    if wanted.of_people:
        counted = counted.where(usage_people.c.user_id.in_(people))
    if wanted.model:
        counted = counted.where(usage_totals.c.model == wanted.model)
    if wanted.assistant_id:
        counted = counted.where(usage_totals.c.assistant == wanted.assistant_id)
    rows = tx.all(scoped(where.scope, counted.group_by(table.c.bucket).order_by(table.c.bucket.desc())))
    return [(row.bucket, int(row.records)) for row in rows]


def _holding(counts: Sequence[tuple[int, int]], skip: int, most: int) -> tuple[list[int], int]:
    """Return the periods that hold a page, newest first, and how many records of the first come before it."""
    held: list[int] = []
    left, wanted = skip, most
    before = 0
    for bucket, count in counts:
        if not held and left >= count:
            left -= count
            continue
        if not held:
            before = left
            wanted += left
        held.append(bucket)
        wanted -= count
        if wanted <= 0:
            break
    return held, before


def _merged(held: Sequence[int], length: int) -> Iterator[Span]:
    """Return periods that follow one another as one."""
    start, end = held[0], held[0] + length
    for bucket in held[1:]:
        if bucket + length == start:
            start = bucket
            continue
        yield Span(start, end)
        start, end = bucket, bucket + length
    yield Span(start, end)


def _rows(
    tx: Tx, where: Within, wanted: RecordFilter, spans: Sequence[Span], skip: int, most: int
) -> Sequence[Row[Any]]:
    rows: list[Row[Any]] = []
    for span in spans:
        limited = msgspec.structs.replace(wanted, span=span)
        page = _found(tx, where, limited, select(*_LEAN, *_CUT))
        if page is not None:
            rows += tx.all(scoped(where.scope, page.offset(skip).limit(most - len(rows))))
        skip = 0
        if len(rows) >= most:
            break
    return rows
