"""Pages of everybody's history, with and without the roll-ups as guide, against the same picked row by row."""

from collections.abc import Callable, Generator
from typing import Any

import pytest
from sqlalchemy import Row, select

from bench import accounting, seeding
from tests import databases
from twinspeak.domain.caller import Scope
from twinspeak.domain.periods import DAY_MS, Grain
from twinspeak.persistence.conversation_tables import feedbacks
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import admin_histories, turns
from twinspeak.persistence.repos.admin_histories import RecordFilter
from twinspeak.persistence.repos.turns import HISTORY, HistoryFilter
from twinspeak.persistence.repos.usage_reading import Span, Within, unique_people
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import turns as turns_table
from twinspeak.persistence.tables import users

pytestmark = pytest.mark.usefixtures("database")

RECORDS, PEOPLE, APART_MS = 1_000, 40, 3 * 3_600_000
"""Four months of a small twin."""
BEGAN = seeding.BEGAN - seeding.BEGAN % DAY_MS


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory, database: str) -> Generator[tuple[Database, Within]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seeding, "OTHERS", PEOPLE)
        patch.setattr(accounting, "APART_MS", APART_MS)
        patch.setattr(accounting, "WEIGHTS", (60, 25, 10, 4, 1))
        url = databases.url_for(tmp_path_factory.mktemp("pages"))
        twin = accounting.seed(url, RECORDS)
    db = Database.open(url)
    yield db, Within(SYSTEM, (twin,))
    db.close()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make few what would otherwise be thousands."""
    monkeypatch.setattr(admin_histories, "COUNTED", 100)
    monkeypatch.setattr(admin_histories, "FEW_PEOPLE", 3)
    monkeypatch.setattr(turns, "RECENT", 12)


def everything(db: Database) -> tuple[list[Row[Any]], dict[str, str], set[str]]:
    """Return the records, newest first, people's addresses by id, and which records were commented."""
    shown = select(turns_table).where(turns_table.c.state.in_(HISTORY)).order_by(turns_table.c.number.desc())
    rows = db.read_sync(lambda tx: tx.all(scoped(SYSTEM, shown)))
    people = db.read_sync(lambda tx: {row.id: row.email for row in tx.all(select(users.c.id, users.c.email))})
    said = db.read_sync(lambda tx: {row.turn_id for row in tx.all(scoped(SYSTEM, select(feedbacks.c.turn_id)))})
    return list(rows), people, said


LONG = Span(BEGAN + 9 * DAY_MS, BEGAN + 110 * DAY_MS)
WANTED = {
    "everything": RecordFilter(),
    "a week": RecordFilter(span=Span(BEGAN + 30 * DAY_MS, BEGAN + 37 * DAY_MS)),
    "many people": RecordFilter(people="@"),
    "some people": RecordFilter(people="7"),
    "some people of a long time": RecordFilter(people="7", span=LONG),
    "some people of a week": RecordFilter(people="a", span=Span(BEGAN + 30 * DAY_MS, BEGAN + 37 * DAY_MS)),
    "a common model": RecordFilter(model=accounting.MODELS[0]),
    "a rare model": RecordFilter(model=accounting.MODELS[4]),
    "a rare model of a long time": RecordFilter(model=accounting.MODELS[3], span=LONG),
    "people with a model": RecordFilter(people="7", model=accounting.MODELS[1]),
    "feedback": RecordFilter(feedback=True),
    "feedback of a long time": RecordFilter(feedback=True, span=LONG),
    "feedback for a model": RecordFilter(feedback=True, model=accounting.MODELS[0]),
}


def picked(wanted: RecordFilter, people: dict[str, str], said: set[str]) -> Callable[[Row[Any]], bool]:
    def fits(row: Row[Any]) -> bool:
        return (
            (wanted.span is None or wanted.span.since <= row.created < wanted.span.until)
            and wanted.people in people[row.user_id]
            and (not wanted.user_id or row.user_id == wanted.user_id)
            and (not wanted.model or row.model == wanted.model)
            and (not wanted.feedback or row.thumb != "" or row.id in said)
        )

    return fits


@pytest.mark.parametrize("name", WANTED)
def test_every_page_is_what_it_would_be_row_by_row(seeded: tuple[Database, Within], name: str) -> None:
    db, where = seeded
    rows, people, said = everything(db)
    expected = [row.id for row in filter(picked(WANTED[name], people, said), rows)]
    pages_differ(db, where, WANTED[name], expected)


def test_one_persons_pages_too(seeded: tuple[Database, Within]) -> None:
    db, where = seeded
    rows, people, said = everything(db)
    for person in list(people)[:3]:
        for wanted in (RecordFilter(user_id=person), RecordFilter(user_id=person, model=accounting.MODELS[0])):
            expected = [row.id for row in filter(picked(wanted, people, said), rows)]
            pages_differ(db, where, wanted, expected)


def pages_differ(db: Database, where: Within, wanted: RecordFilter, expected: list[str]) -> None:
    """Fail where a page is not the part of `expected` that it should be."""
    assert expected
    exact = not (wanted.feedback or (wanted.of_people and wanted.model))
    most = len(expected) if exact else min(len(expected), admin_histories.COUNTED)
    for skip in (0, 7, len(expected) // 2, len(expected) - 1, len(expected)):
        found = db.read_sync(lambda tx, skip=skip: admin_histories.search(tx, where, wanted, skip=skip, most=20))
        assert found.total == most
        assert found.more_than == (most < len(expected))
        until = skip + 20 if exact or not wanted.feedback else min(skip + 20, most)
        assert [row.id for row in found.rows] == expected[skip:until]
    taken: list[Row[Any]] = []
    while True:
        number = taken[-1].number if taken else None
        page = db.read_sync(lambda tx, number=number: admin_histories.after(tx, where, wanted, number, most=90))
        if not page:
            break
        taken += page
    assert [row.id for row in taken] == expected


def test_people_are_counted_once_an_hour_and_once_in_two_twins(seeded: tuple[Database, Within]) -> None:
    db, where = seeded
    rows, _, _ = everything(db)
    span = Span(BEGAN + 30 * DAY_MS, BEGAN + 37 * DAY_MS)
    hours: dict[int, set[str]] = {}
    for row in rows:
        if span.since <= row.created < span.until:
            hours.setdefault(row.created // 3_600_000 * 3_600_000, set()).add(row.user_id)
    for together, place in ((True, ""), (False, where.places[0])):

        def counted(tx: Tx, together: bool = together) -> list[tuple[int, str, int]]:  # noqa: FBT001 -- bound here
            return sorted(unique_people(tx, where, Grain.HOUR, span, together=together))

        assert db.read_sync(counted) == sorted((hour, place, len(members)) for hour, members in hours.items())


def test_a_word_is_found_newest_first_whether_it_is_among_the_newest_or_not(seeded: tuple[Database, Within]) -> None:
    db, where = seeded
    rows, people, _ = everything(db)
    person = next(iter(people))
    mine = [row for row in rows if row.user_id == person]
    scope = Scope(user_id=person, institution_id=where.places[0])
    words = {word for row in mine[:3] + mine[-3:] for word in f"{row.question} {row.output}".strip("?.").split()}
    for word in sorted(word for word in words if len(word) > 3)[::3]:
        having = [row.id for row in mine if f" {word}" in f" {row.question} {row.output}"]
        for limit in (1, 3, 50):
            wanted = HistoryFilter(search=word, limit=limit)
            found = db.read_sync(lambda tx, wanted=wanted: turns.history(tx, scope, wanted))
            assert [one.id for one in reversed(found)] == having[:limit], word
