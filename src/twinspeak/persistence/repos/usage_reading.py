"""What the roll-ups answer: charts, gauges' buckets, and who used how much."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, distinct, func, literal_column, or_, select, tuple_

from twinspeak.domain.access import Reach
from twinspeak.domain.caller import Scope, scope_of_reach
from twinspeak.domain.periods import HOUR_MS, Grain, start_of
from twinspeak.persistence.credit_tables import MEASURES, usage_people, usage_tools, usage_totals
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos.turns import HISTORY
from twinspeak.persistence.scope import scoped
from twinspeak.persistence.tables import accounts, institutions, memberships, turns, users

_TOGETHER = 5_000


class Span(msgspec.Struct, frozen=True):
    """From when to when, epoch milliseconds, the end excluded."""

    since: int
    until: int


class Within(msgspec.Struct, frozen=True):
    """Which twins, twice: as rows may be seen, and as they are looked up."""

    scope: Scope
    places: tuple[str, ...]


class PeopleFilter(msgspec.Struct, frozen=True):
    """Which people: `search` is in address or name, `account_type` what they are everywhere."""

    search: str = ""
    account_type: str = ""
    user_id: str | None = None


class PersonKey(msgspec.Struct, frozen=True):
    """Where a list of people's rows goes on."""

    bucket: int
    place: str
    user_id: str


class Part(msgspec.Struct, frozen=True):
    """How many rows of a list of people, and after which."""

    most: int
    after: PersonKey | None = None


def within(tx: Tx, reach: Reach) -> Within:
    """Return the twins of a reach, deleted ones too where it has everything."""
    if reach.everything:
        return Within(scope_of_reach(reach), tuple(row.id for row in tx.all(select(institutions.c.id))))
    return Within(scope_of_reach(reach), tuple(sorted(reach.institutions)))


def totals(tx: Tx, where: Within, grain: Grain, span: Span, by: Sequence[str]) -> Sequence[Row[Any]]:
    """Return sums of what was used, by some of the columns of `usage_totals`; grain hour or day."""
    columns = [usage_totals.c[name] for name in by]
    summed = select(*columns, *_sums(usage_totals)).where(
        *_in(usage_totals, where, span), usage_totals.c.grain == grain
    )
    return tx.all(scoped(where.scope, summed.group_by(*columns)))


def tools(tx: Tx, where: Within, span: Span, by: Sequence[str]) -> Sequence[Row[Any]]:
    """Return how often tools were called, by some of the columns of `usage_tools`."""
    columns = [usage_tools.c[name] for name in by]
    sums = [func.sum(usage_tools.c[name]).label(name) for name in ("calls", "failures", "duration_ms")]
    summed = select(*columns, *sums).where(*_in(usage_tools, where, span))
    return tx.all(scoped(where.scope, summed.group_by(*columns)))


def people(tx: Tx, where: Within, grain: Grain, span: Span, by: Sequence[str]) -> Sequence[Row[Any]]:
    """Return sums of what people used, by some of the columns of `usage_people`; grain day, week or month."""
    columns = [usage_people.c[name] for name in by]
    summed = select(*columns, *_sums(usage_people)).where(
        *_in(usage_people, where, span), usage_people.c.grain == grain
    )
    return tx.all(scoped(where.scope, summed.group_by(*columns)))


def own(tx: Tx, scope: Scope, grain: Grain, span: Span) -> Sequence[Row[Any]]:
    """Return what somebody used in a place, by period."""
    place = scope.institution_id or ""
    mine = (
        usage_people.c.user_id == scope.user_id,
        usage_people.c.grain == grain,
        usage_people.c.place == place,
        usage_people.c.bucket >= span.since,
        usage_people.c.bucket < span.until,
    )
    return tx.all(
        scoped(scope, select(usage_people.c.bucket, *_sums(usage_people)).where(*mine).group_by(usage_people.c.bucket))
    )


def unique_people(tx: Tx, where: Within, grain: Grain, span: Span, *, together: bool) -> Sequence[tuple[int, str, int]]:
    """Return (period, twin or "", people) where anybody was; `together` counts whoever was in two twins once."""
    if grain is Grain.HOUR:
        return _people_by_hour(tx, where, span, together=together)
    table = usage_people
    there = (*_in(table, where, span), table.c.grain == grain)
    if together:
        counted = select(table.c.bucket, func.count(distinct(table.c.user_id)).label("people")).where(*there)
        return [(row.bucket, "", row.people) for row in tx.all(scoped(where.scope, counted.group_by(table.c.bucket)))]
    counted = select(table.c.bucket, table.c.place, func.count().label("people")).where(*there)
    rows = tx.all(scoped(where.scope, counted.group_by(table.c.place, table.c.bucket)))
    return [(row.bucket, row.place, row.people) for row in rows]


def _people_by_hour(tx: Tx, where: Within, span: Span, *, together: bool) -> Sequence[tuple[int, str, int]]:
    there = (
        turns.c.institution_id.in_(where.places),
        turns.c.number >= span.since << 20,
        turns.c.number < span.until << 20,
        turns.c.state.in_(HISTORY),
    )
    bucket = (turns.c.created - turns.c.created % literal_column(str(HOUR_MS))).label("bucket")
    place: ColumnElement[str] = literal_column("''") if together else turns.c.institution_id
    seen = scoped(
        where.scope, select(bucket, place.label("place"), turns.c.user_id).where(*there).distinct()
    ).subquery()
    counted = select(seen.c.bucket, seen.c.place, func.count().label("people")).group_by(seen.c.bucket, seen.c.place)
    return [(row.bucket, row.place, row.people) for row in tx.all(scoped(where.scope, counted))]


def persons(tx: Tx, where: Within, grain: Grain, span: Span, wanted: PeopleFilter, part: Part) -> Sequence[Row[Any]]:
    """Return rows of people by period and twin, in order of period, twin and id, with who they are."""
    table = usage_people
    columns = (
        table.c.bucket, table.c.place, table.c.user_id, table.c.turns, table.c.credits, table.c.usage, table.c.cost,
        users.c.email, users.c.fname, users.c.lname, institutions.c.name, institutions.c.ai_name,
    )  # fmt: skip
    joined = table.join(users, users.c.id == table.c.user_id).join(institutions, institutions.c.id == table.c.place)
    conditions = [*_in(table, where, span), table.c.grain == grain, *_persons(wanted)]
    if (after := part.after) is not None:
        key = tuple_(table.c.bucket, table.c.place, table.c.user_id)
        conditions.append(key > tuple_(after.bucket, after.place, after.user_id))
    page = select(*columns).select_from(joined).where(*conditions)
    order = (table.c.bucket, table.c.place, table.c.user_id)
    return tx.all(scoped(where.scope, page.order_by(*order).limit(part.most)))


def mean_of(tx: Tx, where: Within, grain: Grain, span: Span, wanted: PeopleFilter) -> tuple[int, int, int]:
    """Return credits, people, and memberships (people by twin) of a span."""
    table = usage_people
    joined = table.join(users, users.c.id == table.c.user_id)
    there = (*_in(table, where, span), table.c.grain == grain, *_persons(wanted))
    pairs = select(table.c.user_id, table.c.place, func.sum(table.c.credits).label("credits")).select_from(joined)
    inner = scoped(where.scope, pairs.where(*there).group_by(table.c.user_id, table.c.place)).subquery()
    summed = select(
        func.coalesce(func.sum(inner.c.credits), 0).label("credits"),
        func.count(distinct(inner.c.user_id)).label("people"),
        func.count().label("pairs"),
    ).select_from(inner)
    row = tx.first(scoped(where.scope, summed))
    return (0, 0, 0) if row is None else (int(row.credits), row.people, row.pairs)


def lifetimes(tx: Tx, where: Within, user_ids: Iterable[str]) -> dict[tuple[str, str], int]:
    """Return what people have ever spent of the twins' credits, by person and twin."""
    table, found = usage_people, dict[tuple[str, str], int]()
    wanted = sorted(set(user_ids))
    for first in range(0, len(wanted), _TOGETHER):
        mine = (
            table.c.user_id.in_(wanted[first : first + _TOGETHER]),
            table.c.grain == Grain.MONTH,
            table.c.place.in_(where.places),
        )
        spent = select(table.c.user_id, table.c.place, func.sum(table.c.pooled).label("spent")).where(*mine)
        for row in tx.all(scoped(where.scope, spent.group_by(table.c.user_id, table.c.place))):
            found[row.user_id, row.place] = int(row.spent)
    return found


def caps_for_ever(tx: Tx, places: Iterable[str]) -> dict[str, int]:
    """Return the cap of one person in a twin for ever, by twin, where there is one: the tighter of both tiers'."""
    statement = select(
        institutions.c.id, institutions.c.cap_institution, accounts.c.cap_institution.label("above")
    ).select_from(institutions.outerjoin(accounts, accounts.c.id == institutions.c.account_id))
    found: dict[str, int] = {}
    for row in tx.all(statement.where(institutions.c.id.in_(sorted(places)))):
        real = [cap for cap in (row.cap_institution, row.above) if cap is not None and cap >= 0]
        if real:
            found[row.id] = min(real)
    return found


def members(tx: Tx, places: Iterable[str]) -> Sequence[Row[Any]]:
    """Return (user_id, institution_id) of active memberships."""
    active = (memberships.c.institution_id.in_(sorted(places)), memberships.c.status == "active")
    return tx.all(select(memberships.c.user_id, memberships.c.institution_id).where(*active))


def folded(rows: Sequence[Row[Any]], grain: Grain) -> dict[tuple[int, str], dict[str, int]]:
    """Sum rows with `bucket` and `place` up to longer periods."""
    found: dict[tuple[int, str], dict[str, int]] = {}
    for row in rows:
        sums = found.setdefault((start_of(row.bucket, grain), row.place), dict.fromkeys(MEASURES, 0))
        for name in MEASURES:
            sums[name] += int(getattr(row, name))
    return found


def _persons(wanted: PeopleFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.search:
        columns = (users.c.email, users.c.fname, users.c.lname)
        found.append(or_(*(column.icontains(wanted.search, autoescape=True) for column in columns)))
    if wanted.account_type:
        found.append(users.c.account_type == wanted.account_type)
    if wanted.user_id is not None:
        found.append(usage_people.c.user_id == wanted.user_id)
    return found


def _in(table: Any, where: Within, span: Span) -> list[ColumnElement[bool]]:  # noqa: ANN401 -- any of the three
    return [table.c.place.in_(where.places), table.c.bucket >= span.since, table.c.bucket < span.until]


def _sums(table: Any) -> list[ColumnElement[Any]]:  # noqa: ANN401 -- either of the two
    return [func.sum(table.c[name]).label(name) for name in MEASURES]
