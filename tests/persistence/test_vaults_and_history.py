"""What belongs to a twin's vault, to a person's own, and to a conversation."""

import pytest
from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError

from tests.persistence.turn_tools import end_of
from tests.persistence.world import World, own
from twinspeak.domain.caller import Scope
from twinspeak.domain.conversation import Exchange
from twinspeak.domain.turn import TurnState
from twinspeak.persistence.repos import documents, turns
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import chunks, turn_details
from twinspeak.persistence.tables import turns as turn_table
from twinspeak.services.turn_store import TurnStore


def add(world: World, scope: Scope, name: str) -> str:
    new = documents.NewDocument(name=name, content_hash=name.ljust(64, "0"), bytes=5)
    return world.db.write_sync(lambda tx: documents.add(tx, scope, new, [("Intro", f"{name} 1"), ("End", f"{name} 2")]))


class TestVaults:
    def test_a_vault_is_shared_within_the_twin_and_closed_outside(self, world: World) -> None:
        ids = {
            "oak": add(world, own(world.ada, world.oak), "oak"),
            "elm": add(world, own(world.eve, world.elm), "elm"),
            "own": add(world, own(world.ada), "own"),
        }
        seen_by = {
            own(world.ada, world.oak): ["oak"],
            own(world.bob, world.oak): ["oak"],
            own(world.eve, world.elm): ["elm"],
            own(world.ada): ["own"],
            own(world.bob): [],
        }
        for scope, names in seen_by.items():
            found = world.db.read_sync(lambda tx, s=scope: documents.listing(tx, s))
            pieces = world.db.read_sync(lambda tx, s=scope: documents.all_chunks(tx, s))
            assert [one.name for one in found] == names
            assert [piece.text for piece in pieces] == [f"{name} {n}" for name in names for n in (1, 2)]
            for name in ids.keys() - set(names):
                assert not world.db.write_sync(lambda tx, s=scope, i=ids[name]: documents.remove(tx, s, i))
                assert world.db.read_sync(lambda tx, s=scope, n=name: documents.find(tx, s, n.ljust(64, "0"))) is None
        foreign = [piece.id for piece in world.db.read_sync(lambda tx: documents.all_chunks(tx, own(world.ada)))]
        assert world.db.read_sync(lambda tx: documents.chunks_by_id(tx, own(world.bob, world.oak), foreign)) == []

    def test_the_version_follows_what_is_in_it(self, world: World) -> None:
        scope = own(world.ada, world.oak)

        def version() -> str:
            return world.db.read_sync(lambda tx: documents.vault_version(tx, scope))

        empty = version()
        first = add(world, scope, "first")
        one = version()
        add(world, own(world.ada), "elsewhere")
        assert version() == one
        second = add(world, scope, "second")
        two = version()
        assert world.db.write_sync(lambda tx: documents.remove(tx, scope, first))
        assert not world.db.write_sync(lambda tx: documents.remove(tx, scope, first))
        assert len({empty, one, two, version()}) == 4
        assert {piece.document_id for piece in world.db.read_sync(lambda tx: documents.all_chunks(tx, scope))} == {
            second
        }

    def test_a_chunk_cannot_hang_on_another_twins_document(self, world: World) -> None:
        document = add(world, own(world.ada, world.oak), "oak")
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
