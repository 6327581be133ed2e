"""Answers that the moderator withdraws: what was streamed is paid, what is kept is the notice."""

from tests.engine.fakes import END, World, text
from twinspeak.domain.turn import TurnState


async def test_a_withdrawn_answer_is_replaced_by_the_notice():
    world = World()
    world.moderator.notice = "Withdrawn."
    turn = world.start([text("Bad ", "words"), END])
    await turn.ended()
    assert world.moderator.judged == ["Bad words"]
    end = world.end(turn)
    assert (end.output, end.moderated, end.state) == ("Withdrawn.", True, TurnState.DONE)
    assert end.charge >= 1
    assert turn.reply is not None
    assert (turn.reply.output, turn.reply.moderated) == ("Withdrawn.", True)


async def test_an_answer_that_passes_is_left_alone():
    world = World()
    turn = world.start([text("Good words"), END])
    await turn.ended()
    assert (world.end(turn).output, world.end(turn).moderated) == ("Good words", False)


async def test_passages_and_empty_answers_are_not_judged():
    world = World()
    world.moderator.notice = "Withdrawn."
    for turn in (world.start([END]), world.start([END], passages_only=True, search_vault=True)):
        await turn.ended()
        assert not world.end(turn).moderated
    assert world.moderator.judged == []


async def test_a_moderator_that_breaks_on_an_answer_fails_the_turn_and_charges_nothing():
    world = World()
    world.moderator.answer_error = RuntimeError("broken")
    turn = world.start([text("words"), END])
    await turn.ended()
    assert (world.end(turn).state, world.end(turn).charge) == (TurnState.FAILED, 0)
