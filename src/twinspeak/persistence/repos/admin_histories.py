"""Everybody's history records, as administrators look through them (reference: admin 7.1, 7.2).

Where the roll-ups count exactly what is asked for they are the guide: they tell how many there are, and in which hours,
days or months the wanted page is, so that a page costs the same wherever it is in however long a history.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, Select, func, literal_column, or_, select, union

from twinspeak.domain.caller import Scope
from twinspeak.domain.periods import DAY_MS, Grain, shifted, start_of
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
_FIRST, _LAST = 0, 253_370_764_800_000
_THUMBED = turns.c.thumb != literal_column("''")
"""Written out: neither database takes an index of some rows for a parameter that might hold anything."""


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
    few = _few(tx, wanted)
    if wanted.feedback:
        return _judged(tx, where, wanted, skip, most)
    if not wanted.of_words and not (wanted.of_people and (wanted.model or wanted.assistant_id)):
        return _guided(tx, where, wanted, few, skip, most)
    counted = _found(tx, where, wanted, select(turns.c.id), few)
    if counted is None:
        return Found((), 0)
    # The order of the index of words is what makes SQLite begin with that index.
    counted = counted if wanted.keyword else counted.order_by(None)
    inner = scoped(where.scope, counted.limit(COUNTED + 1)).subquery()
    total = tx.value(scoped(where.scope, select(func.count()).select_from(inner)))
    rows = _page(tx, where, wanted, few, skip, most)
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


def _page(
    tx: Tx, where: Within, wanted: RecordFilter, few: Sequence[str] | None, skip: int, most: int
) -> Sequence[Row[Any]]:
    page = _found(tx, where, wanted, select(*_LEAN, *_CUT), few)
    return () if page is None else tx.all(scoped(where.scope, page.offset(skip).limit(most)))


def _found(
    tx: Tx,
    where: Within,
    wanted: RecordFilter,
    statement: Select[*tuple[Any, ...]],
    few: Sequence[str] | None = None,
) -> Select[*tuple[Any, ...]] | None:
    """Limit a statement to what is wanted, newest first; None when there can be nothing.

    `few`: who is meant, where each has an index that is better than the one by time.
    """
    limited = statement.where(*_conditions(where, wanted, few))
    if not wanted.keyword:
        # In the order of time, but for few people not by the index of it, which would read everybody's.
        return limited.order_by(turns.c.number.desc() if few is None else (turns.c.number + 0).desc())
    people = select(usage_people.c.user_id).where(
        usage_people.c.place.in_(where.places), usage_people.c.grain == Grain.MONTH
    )
    if wanted.of_people:
        people = people.where(usage_people.c.user_id.in_(_people(wanted) if few is None else few))
    ids = [row.user_id for row in tx.all(scoped(where.scope, people.distinct().limit(PEOPLE_SEARCHED + 1)))]
    if len(ids) > PEOPLE_SEARCHED:
        raise TooManyPeople
    return fulltext.found_of_many(tx, limited, ids, wanted.keyword)


def _conditions(where: Within, wanted: RecordFilter, few: Sequence[str] | None = None) -> Iterator[ColumnElement[bool]]:
    yield turns.c.institution_id.in_(where.places)
    yield turns.c.state.in_(HISTORY)
    if wanted.span is not None:
        if few is None:  # their own index is by `created`
            yield turns.c.number >= wanted.span.since << 20
            yield turns.c.number < wanted.span.until << 20
        yield turns.c.created >= wanted.span.since
        yield turns.c.created < wanted.span.until
    if wanted.of_people:
        yield turns.c.user_id.in_(_people(wanted) if few is None else few)
    if wanted.model:
        # Of few people's records, not by the index of everybody's with that model.
        yield (turns.c.model if few is None else func.coalesce(turns.c.model, "")) == wanted.model
    if wanted.assistant_id:
        yield turns.c.assistant_id == wanted.assistant_id
    if wanted.course_name:
        yield turns.c.course_name == wanted.course_name
    if wanted.feedback:
        commented = select(feedbacks.c.turn_id).where(feedbacks.c.turn_id.is_not(None), *_comments(where))
        yield or_(_THUMBED, turns.c.id.in_(scoped(where.scope, commented)))


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


def _judged(tx: Tx, where: Within, wanted: RecordFilter, skip: int, most: int) -> Found:
    """Find records with a thumb or a comment: both kinds by number, the newest that are counted of each."""
    key = (turns.c.number, turns.c.id)
    wanted = msgspec.structs.replace(wanted, feedback=False)
    thumbed = _found(tx, where, wanted, select(*key).where(_THUMBED))
    commented = select(*key).join_from(turns, feedbacks, feedbacks.c.turn_id == turns.c.id)
    commented = _found(tx, where, wanted, commented.where(*_comments(where)))
    if thumbed is None or commented is None:
        return Found((), 0)
    newest = [scoped(where.scope, part.limit(COUNTED + 1)).subquery() for part in (thumbed, commented)]
    both = union(*(scoped(where.scope, select(part.c.number, part.c.id)) for part in newest)).subquery()
    ordered = select(both.c.number, both.c.id).order_by(both.c.number.desc()).limit(COUNTED + 1)
    found = tx.all(scoped(where.scope, ordered))
    keys = found[skip : min(skip + most, COUNTED)]
    # By number too: SQLite would rather read all of a twin than a hundred ids.
    meant = (turns.c.number.in_([row.number for row in keys]), turns.c.id.in_([row.id for row in keys]))
    page = select(*_LEAN, *_CUT).where(*meant).order_by(turns.c.number.desc())
    rows = tx.all(scoped(where.scope, page)) if keys else ()
    return Found(rows, min(len(found), COUNTED), more_than=len(found) > COUNTED)


def _comments(where: Within) -> Iterator[ColumnElement[bool]]:
    yield feedbacks.c.institution_id.in_(where.places)
    yield feedbacks.c.status == "active"


# -- with the roll-ups as guide ---------------------------------------------------------------------------------------


def _guided(tx: Tx, where: Within, wanted: RecordFilter, few: Sequence[str] | None, skip: int, most: int) -> Found:
    """Find the months or days that the page is in, then what is shorter, then the rows."""
    counts = list(_coarse(tx, where, wanted, few))
    total = sum(count for _, count in counts)
    if total <= COUNTED and (wanted.model or wanted.assistant_id):
        return Found(_page(tx, where, wanted, None, skip, most), total)
    held, left = _holding(counts, skip, most)
    if not held:
        return Found((), total)
    around = Span(held[-1].since, held[0].until)
    if few is not None:
        # Periods without any may lie between: their own indexes skip those.
        near = msgspec.structs.replace(wanted, span=around)
        return Found(_page(tx, where, near, few, left, most), total)
    if not wanted.of_people:
        held, left = _holding(_counts(tx, where, wanted, Grain.HOUR, around, few), left, most)
    elif any(span.until - span.since > DAY_MS for span in held):
        held, left = _holding(_counts(tx, where, wanted, Grain.DAY, around, few), left, most)
    return Found(_rows(tx, where, wanted, list(_merged(held)), left, most), total)


def _few(tx: Tx, wanted: RecordFilter) -> list[str] | None:
    """Return who is meant, when they are few."""
    if not wanted.of_people:
        return None
    ids = [row.id for row in tx.all(_people(wanted).limit(FEW_PEOPLE + 1))]
    return ids if len(ids) <= FEW_PEOPLE else None


def _coarse(tx: Tx, where: Within, wanted: RecordFilter, few: Sequence[str] | None) -> Iterator[tuple[Span, int]]:
    """Yield (period, records), newest first: of people by month where whole months are asked for, otherwise by day."""
    span = wanted.span or Span(_FIRST, _LAST)
    if not wanted.of_people:
        yield from _counts(tx, where, wanted, Grain.DAY, span, few)
        return
    last, first = start_of(span.until, Grain.MONTH), start_of(span.since, Grain.MONTH)
    first = first if first == span.since else shifted(first, Grain.MONTH, 1)
    if first >= last:
        yield from _counts(tx, where, wanted, Grain.DAY, span, few)
        return
    yield from _counts(tx, where, wanted, Grain.DAY, Span(last, span.until), few)
    yield from _counts(tx, where, wanted, Grain.MONTH, Span(first, last), few)
    yield from _counts(tx, where, wanted, Grain.DAY, Span(span.since, first), few)


def _counts(
    tx: Tx, where: Within, wanted: RecordFilter, grain: Grain, span: Span, few: Sequence[str] | None
) -> list[tuple[Span, int]]:
    """Return (period, records), newest first."""
    if span.since >= span.until:
        return []
    table = usage_people if wanted.of_people else usage_totals
    counted = select(table.c.bucket, func.sum(table.c.turns).label("records")).where(
        table.c.place.in_(where.places),
        table.c.grain == grain,
        table.c.bucket >= span.since,
        table.c.bucket < span.until,
    )
    if wanted.of_people:
        counted = counted.where(usage_people.c.user_id.in_(_people(wanted) if few is None else few))
    if wanted.model:
        counted = counted.where(usage_totals.c.model == wanted.model)
    if wanted.assistant_id:
        counted = counted.where(usage_totals.c.assistant == wanted.assistant_id)
    rows = tx.all(scoped(where.scope, counted.group_by(table.c.bucket).order_by(table.c.bucket.desc())))
    return [(Span(row.bucket, shifted(row.bucket, grain, 1)), int(row.records)) for row in rows]


def _holding(counts: Sequence[tuple[Span, int]], skip: int, most: int) -> tuple[list[Span], int]:
    """Return the periods that hold a page, newest first, and how many records of the first come before it."""
    held: list[Span] = []
    left, wanted = skip, most
    before = 0
    for span, count in counts:
        if not held and left >= count:
            left -= count
            continue
        if not held:
            before = left
            wanted += left
        held.append(span)
        wanted -= count
        if wanted <= 0:
            break
    return held, before


def _merged(held: Sequence[Span]) -> Iterator[Span]:
    """Return periods that follow one another as one."""
    whole = held[0]
    for span in held[1:]:
        if span.until == whole.since:
            whole = Span(span.since, whole.until)
            continue
        yield whole
        whole = span
    yield whole


def _rows(
    tx: Tx, where: Within, wanted: RecordFilter, spans: Sequence[Span], skip: int, most: int
) -> Sequence[Row[Any]]:
    rows: list[Row[Any]] = []
    for span in spans:
        rows += _page(tx, where, msgspec.structs.replace(wanted, span=span), None, skip, most - len(rows))
        skip = 0
        if len(rows) >= most:
            break
    return rows
