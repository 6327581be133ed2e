"""What belongs to a twin's vault, to a person's own, and to a conversation."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError

from tests.persistence.turn_tools import end_of
from tests.persistence.world import World, own
from twinspeak.domain.caller import Scope
from twinspeak.domain.conversation import Exchange
from twinspeak.domain.ids import new_id
from twinspeak.domain.turn import TurnState
from twinspeak.domain.vault import Document, Shelf
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import documents, shelves, turns
from twinspeak.persistence.repos.documents import Piece
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import turn_details
from twinspeak.persistence.tables import turns as turn_table
from twinspeak.persistence.vault_tables import chunks
from twinspeak.services.turn_store import TurnStore


def add(world: World, scope: Scope, name: str, **fields: Any) -> Document:
    new = Document(
        id=new_id(),
        institution_id=scope.institution_id,
        user_id=None if scope.institution_id else scope.user_id,
        owner_id=scope.user_id,
        name=name,
        media_type="text/plain",
        bytes=5,
        content_hash=name.ljust(64, "0"),
        status="selected",
        created=1,
        indexed=True,
        **fields,
    )

    def store(tx: Tx) -> None:
        documents.add(tx, new)
        documents.add_chunks(tx, new, 0, [Piece("Intro", f"{name} 1"), Piece("End", f"{name} 2")])

    world.db.write_sync(store)
    return new


def found_on(world: World, shelf: Shelf) -> list[str]:
    return sorted({one.document_name for one in world.db.read_sync(lambda tx: shelves.passages(tx, shelf))})


class TestVaults:
    def test_a_shelf_has_its_own_and_nothing_else(self, world: World) -> None:
        oak, elm = own(world.ada, world.oak), own(world.eve, world.elm)
        made = {
            "oak": add(world, oak, "oak"),
            "elm": add(world, elm, "elm"),
            "own": add(world, own(world.ada), "own"),
            "secret": add(world, oak, "secret", is_private=True),
            "shared": add(world, oak, "shared", account_shared=True),
        }
        shelves_seen = {
            Shelf("twin", world.oak.id): ["oak"],
            Shelf("twin", world.elm.id): ["elm"],
            Shelf("shared", world.oak.id): ["shared"],
            Shelf("shared", world.elm.id): [],
            Shelf("own", world.oak.id, world.ada): ["secret"],
            Shelf("own", world.oak.id, world.bob): [],
            Shelf("personal", user_id=world.ada): ["own"],
            Shelf("personal", user_id=world.bob): [],
        }
        ids = [one for document in made.values() for one in self._chunk_ids(world, document)]
        for shelf, names in shelves_seen.items():
            assert found_on(world, shelf) == names
            fetched = world.db.read_sync(lambda tx, s=shelf: shelves.by_ids(tx, s, ids))
            assert sorted({one.document_name for one in fetched}) == names
        assert {document.shelf for document in made.values()} == {
            shelf for shelf, names in shelves_seen.items() if names
        }

    def _chunk_ids(self, world: World, document: Document) -> list[str]:
        return world.db.read_sync(lambda tx: documents.chunk_ids(tx, document.id))

    def test_what_is_excluded_hidden_or_half_read_is_not_found(self, world: World) -> None:
        scope = own(world.ada, world.oak)
        document = add(world, scope, "oak")
        shelf = document.shelf
        for change, found in (
            ({"status": "active"}, []),
            ({"status": "selected"}, ["oak"]),
            ({"status": "deleted"}, []),
            ({"status": "selected"}, ["oak"]),
            ({"indexed": False}, []),
        ):
            document = world.db.write_sync(lambda tx, c=change, d=document: documents.change(tx, d, **c))
            assert found_on(world, shelf) == found

    def test_the_version_grows_with_every_change_of_a_shelf(self, world: World) -> None:
        scope = own(world.ada, world.oak)
        shelf = Shelf("twin", world.oak.id)

        def version() -> int:
            return world.db.read_sync(lambda tx: shelves.versions(tx, [shelf]).get(shelf.key, 0))

        seen = [version()]
        document = add(world, scope, "first")
        seen.append(version())
        add(world, own(world.ada), "elsewhere")
        assert version() == seen[-1]
        document = world.db.write_sync(lambda tx: documents.change(tx, document, status="active"))
        seen.append(version())
        document = world.db.write_sync(lambda tx: documents.change(tx, document, is_private=True))
        seen.append(version())
        world.db.write_sync(lambda tx: documents.change(tx, document, is_private=False))
        seen.append(version())
        world.db.write_sync(lambda tx: documents.erase(tx, msgspec.structs.replace(document, is_private=False)))
        seen.append(version())
        assert seen == sorted(set(seen))

    def test_a_content_is_once_on_a_shelf(self, world: World) -> None:
        scope = own(world.ada, world.oak)
        document = add(world, scope, "oak")
        with pytest.raises(IntegrityError):
            add(world, own(world.bob, world.oak), "oak")
        secret = add(world, scope, "oak", is_private=True)
        open_now = world.db.write_sync(lambda tx: documents.change(tx, secret, is_private=False))
        assert found_on(world, document.shelf) == ["oak"]
        world.db.write_sync(lambda tx: documents.change(tx, document, status="deleted"))
        assert open_now.shelf == document.shelf

    def test_a_chunk_cannot_hang_on_another_twins_document(self, world: World) -> None:
        document = add(world, own(world.ada, world.oak), "oak").id
        piece = {"id": "c" * 24, "document_id": document, "position": 9, "section": "", "text": "planted"}

        with pytest.raises(IntegrityError):
            world.db.write_sync(lambda tx: tx.run(scoped(own(world.eve, world.elm), insert(chunks)).values(piece)))


async def ask(world: World, scope: Scope, course_id: int, question: str, state: TurnState = TurnState.DONE) -> str:
    assert scope.user_id is not None
    twin = world.oak if scope.institution_id else None
    plan = world.plan(scope.user_id, twin, course_id=course_id, question=question)
    store = TurnStore(world.db, lease_s=30, owner="me")
    await store.begin(plan, wanted=1, least=0)
    if state is not TurnState.RUNNING:
        await store.finish(end_of(plan, state, charge=0, output=f"Answer to {question}"))
    return plan.ask.turn_id


class TestHistory:
    async def test_records_are_the_newest_in_order_of_time(self, world: World) -> None:
        scope = own(world.ada, world.oak)
        ids = [await ask(world, scope, 5, f"question {number}") for number in range(6)]

        def found(**wanted: object) -> list[str]:
            asked = turns.HistoryFilter(**wanted)  # pyright: ignore[reportArgumentType]
            return [one.id for one in world.db.read_sync(lambda tx: turns.history(tx, scope, asked))]

        assert found() == ids
        assert found(limit=2) == ids[-2:]
        assert found(limit=0) == ids[-1:]
        assert found(limit=10**9) == ids
        assert found(course_id=5) == ids
        assert found(course_id=0) == []
        assert found(history_id=ids[2]) == [ids[2]]
        assert found(search="QUESTION 3") == [ids[3]]
        assert found(search="answer to question 4") == [ids[4]]
        assert found(search="question_3") == [ids[3]]
        assert found(search="100%") == found(search="%") == found(search="\\") == []

    async def test_before_and_after_exclude_their_moment(self, world: World) -> None:
        scope = own(world.ada, world.oak)
        ids = [await ask(world, scope, 5, f"question {number}") for number in range(3)]
        for number, turn_id in enumerate(ids):
            moved = update(turn_table).where(turn_table.c.id == turn_id).values(created=1_000 + number)
            world.db.write_sync(lambda tx, s=moved: tx.run(scoped(SYSTEM, s)))

        def found(wanted: turns.HistoryFilter) -> list[str]:
            return [one.id for one in world.db.read_sync(lambda tx: turns.history(tx, scope, wanted))]

        assert found(turns.HistoryFilter(before=1_001)) == ids[:1]
        assert found(turns.HistoryFilter(after=1_001)) == ids[2:]
        assert found(turns.HistoryFilter(after=1_000, before=1_002)) == ids[1:2]

    async def test_what_is_no_history_is_left_out(self, world: World) -> None:
        scope = own(world.ada, world.oak)
        kept = [await ask(world, scope, 5, "q", state) for state in (TurnState.CANCELLED, TurnState.FAILED)]
        forgotten = await ask(world, scope, 5, "q")
        for state in (TurnState.RUNNING, TurnState.REFUSED):
            await ask(world, scope, 5, "q", state)
        forget = update(turn_table).where(turn_table.c.id == forgotten).values(forgotten=True)
        world.db.write_sync(lambda tx: tx.run(scoped(scope, forget)))

        found = world.db.read_sync(lambda tx: turns.history(tx, scope, turns.HistoryFilter()))
        assert [one.id for one in found] == kept

    async def test_a_conversation_remembers_answers_oldest_first(self, world: World) -> None:
        scope = own(world.ada, world.oak)
        last = ""
        for number in range(4):
            last = await ask(world, scope, 5, f"q{number}")
        await ask(world, scope, 5, "failed", TurnState.FAILED)
        await ask(world, scope, 6, "elsewhere")
        await ask(world, own(world.ada), 5, "same number, at home")

        talk = world.db.read_sync(lambda tx: turns.conversation(tx, scope, 5))
        assert talk is not None
        assert talk.course_name == "Talk"
        said = world.db.read_sync(lambda tx: turns.exchanges(tx, scope, 5, most=2))
        assert [(one.question, one.answer) for one in said] == [("q2", "Answer to q2"), ("q3", "Answer to q3")]
        assert said[1] == Exchange("q3", "Answer to q3", turn_id=last)
        assert world.db.read_sync(lambda tx: turns.exchanges(tx, scope, 5, most=0)) == ()
        assert world.db.read_sync(lambda tx: turns.conversation(tx, scope, 99)) is None

    async def test_details_cannot_hang_on_another_twins_turn(self, world: World) -> None:
        turn_id = await ask(world, own(world.ada, world.oak), 5, "q")

        with pytest.raises(IntegrityError):
            world.db.write_sync(
                lambda tx: tx.run(scoped(own(world.eve, world.elm), insert(turn_details)).values(turn_id=turn_id))
            )
