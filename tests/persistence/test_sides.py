"""What the two databases must do alike though they differ inside: writers side by side, letters, errors, odd text."""

import asyncio
import traceback

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from tests.persistence.turn_tools import end_of
from tests.persistence.world import World, own
from twinspeak.domain.ids import new_id
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.faults import is_duplicate
from twinspeak.persistence.repos import institutions, memberships, meta, turns, users
from twinspeak.persistence.tables import accounts
from twinspeak.persistence.tables import users as user_table
from twinspeak.services.turn_store import TurnStore


async def test_what_is_read_decides_what_is_written(url: str) -> None:
    """Read, add one, write: by four databases that look alike to one another, and nothing is lost."""
    processes = [Database.open(url) for _ in range(4)]

    def count(tx: Tx) -> None:
        meta.put(tx, "n", str(int(meta.get(tx, "n") or 0) + 1))

    await asyncio.gather(*(processes[n % 4].write(count) for n in range(40)))

    assert await processes[0].read(lambda tx: meta.get(tx, "n")) == "40"
    for process in processes:
        await asyncio.to_thread(process.close)


async def test_what_is_made_when_it_is_missing_is_made_once(db: Database) -> None:
    made = await asyncio.gather(*(db.write(lambda tx: institutions.ensure_account(tx, "One")) for _ in range(12)))

    assert len(set(made)) == 1
    assert await db.read(lambda tx: len(tx.all(select(accounts)))) == 1


@pytest.mark.parametrize("words", ["äpfel", "ÄPFEL", "ПРИВЕТ", "100%_\\"])
async def test_a_search_knows_the_case_of_every_alphabet(world: World, words: str) -> None:
    store = TurnStore(world.db, lease_s=30, owner="me")
    plan = world.plan(world.ada, world.oak, question="Äpfel, привет, 100%_\\?")
    await store.begin(plan, wanted=1, least=1)
    await store.finish(end_of(plan))

    def found(tx: Tx) -> list[str]:
        wanted = turns.HistoryFilter(search=words)
        return [record.id for record in turns.history(tx, own(world.ada, world.oak), wanted)]

    assert await world.db.read(found) == [plan.ask.turn_id]


async def test_an_endless_search_finds_nothing_and_breaks_nothing(world: World) -> None:
    wanted = turns.HistoryFilter(search="%" * 200_000)
    assert await world.db.read(lambda tx: turns.history(tx, own(world.ada, world.oak), wanted)) == []


@pytest.mark.parametrize("odd", ["a\0b", "a\ud800b", "\udfff\0"])
async def test_text_that_one_of_them_cannot_hold_is_mended_for_both(world: World, odd: str) -> None:
    store = TurnStore(world.db, lease_s=30, owner="me")
    plan = world.plan(world.ada, world.oak, question=odd)
    await store.begin(plan, wanted=1, least=1)
    await store.finish(end_of(plan, output=odd))

    record = await store.record(world.caller(world.ada), plan.ask.turn_id)
    assert record.question == record.output == "".join("\ufffd" if sign not in "ab" else sign for sign in odd)
    assert await world.db.read(lambda tx: users.by_email(tx, odd)) is None
    assert await world.db.read(lambda tx: memberships.twin_by_public_id(tx, world.ada, odd)) is None


def test_no_error_quotes_a_row(db: Database) -> None:
    """Errors are logged; rows hold questions and addresses."""
    row = {"id": new_id(), "email": "secret@example.org", "referral_id": "secret", "reset_code_id": "x", "created": 1}

    for broken in (row, {**row, "id": new_id()}, {**row, "id": new_id(), "email": "SECRET@example.org"}):
        try:
            db.write_sync(lambda tx, values=broken: tx.run(insert(user_table).values(values)))
        except IntegrityError as error:
            told = "".join(traceback.format_exception(error))
            assert "secret" not in told.lower(), told
        else:
            assert broken is row


def test_a_duplicate_is_told_from_other_broken_rules(db: Database) -> None:
    row = {"id": new_id(), "name": "One", "created": 1}
    db.write_sync(lambda tx: tx.run(insert(accounts).values(row)))

    for values, duplicate in ((row, True), ({**row, "id": new_id(), "name": "Two", "status": "odd"}, False)):
        with pytest.raises(IntegrityError) as caught:
            db.write_sync(lambda tx, v=values: tx.run(insert(accounts).values(v)))
        assert is_duplicate(caught.value) is duplicate
