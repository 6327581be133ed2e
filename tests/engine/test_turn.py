"""A turn from question to answer, and what stops it on the way; faults are in test_turn_faults.py."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import msgspec
import pytest

from tests.engine import models
from tests.engine.fakes import END, MODEL, TOOLS, Action, World, a_passage, call, text
from twinspeak.domain.credits import FREE, Usage
from twinspeak.domain.errors import (
    CodedError,
    Conflict,
    ContentBlocked,
    InsufficientCredits,
    NotAMember,
    Overloaded,
)
from twinspeak.domain.events import (
    AnswerReady,
    ModelSignature,
    ModelState,
    ModelStop,
    ModelText,
    ModelThinking,
    ModelToolDelta,
    ModelUsage,
    StopReason,
    TextDelta,
    ThinkingDone,
    ToolFinished,
    ToolProgress,
    ToolStarted,
    TurnEnded,
    TurnEvent,
    TurnStarted,
)
from twinspeak.domain.turn import (
    AssistantMessage,
    Opaque,
    ToolCall,
    ToolMessage,
    ToolOutcome,
    TurnState,
    UserMessage,
)
from twinspeak.engine.ports import ToolContext
from twinspeak.engine.turn import Step, Turn

T = TypeVar("T")


async def soon(what: Awaitable[T]) -> T:
    async with asyncio.timeout(5):
        return await what


async def events_of(turn: Turn) -> list[TurnEvent]:
    """Run the turn to its end; return what a reader from the start got, and check what holds for every turn."""
    async with asyncio.timeout(5):
        events = [event async for event in turn.log]
        await turn.ended()
    models.check_frames(events)
    assert turn.step is Step.ENDED
    assert (turn.reply is None) != (turn.failure is None)
    assert isinstance(events[-1], TurnEnded)
    begun = [event.call_id for event in events if isinstance(event, ToolStarted)]
    ended = [event.call_id for event in events if isinstance(event, ToolFinished)]
    assert sorted(begun) == sorted(ended)
    assert len(set(begun)) == len(begun)
    if turn.reply is not None:
        assert isinstance(events[-2], AnswerReady)
        assert models.joined(events) == turn.reply.output == turn.log.text.text()
    return events


async def test_a_question_is_answered():
    world = World()
    counted = ModelUsage(input=10_000, cached=0, completion=10_000)
    turn = world.start([text("Light ", "scatters."), [counted], END], output_limit=20_000)
    plan = await soon(turn.admitted())
    events = await events_of(turn)
    assert plan.ask.turn_id == turn.turn_id
    assert events[0] == TurnStarted(turn_id=turn.turn_id)
    assert turn.reply is not None
    assert turn.reply.output == "Light scatters."
    assert turn.reply.settlement.credits == 2
    end = world.end(turn)
    assert (end.state, end.charge, end.stop_reason) == (TurnState.DONE, 2, "end")
    assert end.usage == Usage(input=10_000, cached=0, completion=10_000)
    assert end.first_token_ms is not None
    assert (world.store.balance, world.store.held) == (48, 0)
    assert world.store.calls == ["begin", "finish"]
    assert world.provider.closed == world.provider.opened == 1
    assert world.observer.began == [turn.turn_id]
    assert world.observer.ended == [end]
    assert len(world.registry) == 0


async def test_the_row_is_there_before_a_model_is_asked():
    world = World()
    gate = asyncio.Event()
    turn = world.start([gate, text("x")])
    await soon(world.provider.reached.wait())
    assert world.row(turn).state is TurnState.RUNNING
    assert world.store.held == world.row(turn).hold > 0
    gate.set()
    await events_of(turn)


async def test_what_no_provider_counts_is_estimated():
    world = World()
    turn = world.start([text("x" * 400)])
    await events_of(turn)
    end = world.end(turn)
    assert end.usage.estimated
    assert end.usage.completion == 100
    assert end.charge == 1


async def test_a_model_that_says_nothing_costs_nothing():
    world = World()
    turn = world.start([END])
    await events_of(turn)
    assert turn.reply is not None
    assert (turn.reply.output, world.end(turn).charge, world.store.balance) == ("", 0, 50)
    assert world.end(turn).usage == Usage()


async def test_a_free_model_needs_no_credits():
    world = World(balance=0)
    model = msgspec.structs.replace(MODEL, price=FREE)
    turn = world.start([text("x")], model=model)
    await events_of(turn)
    assert world.end(turn).charge == 0


@pytest.mark.parametrize(("error", "code"), [(NotAMember(), "not_a_member"), (RuntimeError(), "internal_error")])
async def test_who_may_not_ask_gets_a_plain_error(error: Exception, code: str):
    world = World()
    world.resolver.error = error
    turn = world.start([text("x")])
    with pytest.raises(CodedError) as told:
        await soon(turn.admitted())
    assert told.value.code == code
    assert await events_of(turn) == [TurnEnded()]
    assert turn.failure is not None
    assert turn.failure.code == code
    assert not world.store.rows
    assert not world.provider.opened


async def test_without_credits_nothing_begins():
    world = World(balance=0)
    turn = world.start([text("x")])
    with pytest.raises(InsufficientCredits):
        await soon(turn.admitted())
    assert await events_of(turn) == [TurnEnded()]
    assert not world.store.rows


@pytest.mark.parametrize("error", [Overloaded(), OSError()])
async def test_a_store_that_is_down_refuses(error: Exception):
    world = World()
    world.store.breaks["begin"] = [error]
    turn = world.start([text("x")])
    with pytest.raises(CodedError):
        await soon(turn.admitted())
    await events_of(turn)
    assert not world.provider.opened


async def test_a_moderated_question_is_refused_saved_and_free():
    world = World()
    world.moderator.words = "Not here."
    turn = world.start([text("x")])
    with pytest.raises(ContentBlocked, match="Not here"):
        await soon(turn.admitted())
    assert await events_of(turn) == [TurnEnded()]
    assert (world.end(turn).state, world.end(turn).charge) == (TurnState.REFUSED, 0)
    assert (world.store.held, world.provider.opened, world.observer.began) == (0, 0, [])


async def test_a_moderator_that_breaks_refuses():
    world = World()
    world.moderator.error = RuntimeError()
    turn = world.start([text("x")])
    with pytest.raises(CodedError):
        await soon(turn.admitted())
    await events_of(turn)
    assert (world.end(turn).state, world.store.held) == (TurnState.REFUSED, 0)


async def test_tools_run_between_rounds_and_are_told_of():
    world = World()

    async def look(one: ToolCall, context: ToolContext) -> ToolOutcome:
        for fraction in (None, None, 0.5, 0.501, 0.9):
            context.progress(one.call_id, world.tools.display(one.name), fraction)
        return ToolOutcome(text=f"found {one.arguments}" + "." * 100)

    world.tools.tools["look"] = look
    thought = [ModelThinking(text="Hm. "), ModelThinking(text="Look."), ModelSignature(signature="sig")]
    turn = world.start(
        [thought, text("Let me see."), call("look", '{"at":'), call("look", "1}"), TOOLS],
        [[ModelThinking(text="Now I know.")], text("It is 1."), END],
    )
    events = await events_of(turn)
    assert turn.reply is not None
    assert turn.reply.output == "Let me see.\n\nIt is 1."
    kinds = [type(event) for event in events]
    assert kinds.index(ThinkingDone) < kinds.index(TextDelta) < kinds.index(ToolStarted)
    assert [event.progress for event in events if isinstance(event, ToolProgress)] == [None, 0.5, 0.9]
    (finished,) = (event for event in events if isinstance(event, ToolFinished))
    assert finished.response.startswith("found {'at': 1}.")
    assert finished.response.endswith("more characters]")
    assert finished.response_length == len("found {'at': 1}") + 100
    end = world.end(turn)
    assert end.tools[0].response == "found {'at': 1}" + "." * 100
    assert [(part.round, part.text, part.signature) for part in end.thinking] == [
        (0, "Hm. Look.", "sig"),
        (1, "Now I know.", None),
    ]
    said, result = world.provider.requests[1].messages[-2:]
    assert isinstance(said, AssistantMessage)
    assert (said.text, said.thinking, said.signature) == ("Let me see.", "Hm. Look.", "sig")
    assert result == ToolMessage(call_id=said.tool_calls[0].call_id, name="look", text=end.tools[0].response)


async def test_what_a_provider_wants_back_goes_back_to_it_and_nowhere_else():
    world = World()

    async def look(one: ToolCall, context: ToolContext) -> ToolOutcome:
        return ToolOutcome(text="found")

    world.tools.tools["look"] = look
    first, second, of_call = (Opaque("fake", {"n": number, "secret": "xyzzy"}) for number in range(3))
    opening = [ModelToolDelta(index=0, call_id="c", name="look", arguments="{}", state=of_call)]
    again = [ModelToolDelta(index=0)]
    turn = world.start(
        [[ModelState(first)], text("Hm."), [ModelState(second)], opening, again, TOOLS], [text("x"), END]
    )
    events = await events_of(turn)
    said = world.provider.requests[1].messages[-2]
    assert isinstance(said, AssistantMessage)
    assert said.state == (first, second)
    assert said.tool_calls[0].state == of_call
    assert "xyzzy" not in repr(events) + repr(world.end(turn)) + repr(turn.reply)


async def test_thinking_may_stay_inside():
    world = World()
    turn = world.start([[ModelThinking(text="Hm.")], text("x")], show_thinking=False)
    events = await events_of(turn)
    assert [type(event) for event in events] == [TurnStarted, TextDelta, AnswerReady, TurnEnded]
    assert world.end(turn).thinking == ()
    assert world.end(turn).usage.completion == 1


async def test_passages_are_found_shown_and_cited():
    world = World()
    world.retriever.passages = [a_passage(1), a_passage(2)]
    turn = world.start([text("It is so [", "2]."), END], search_vault=True)
    events = await events_of(turn)
    started = next(event for event in events if isinstance(event, ToolStarted))
    assert (started.name, started.automatic) == ("search_uploads", True)
    assert started.arguments == {"query": turn.ask.question}
    assert "Passage 2." in world.provider.requests[0].system
    assert [passage.cited for passage in world.end(turn).passages] == [False, True]
    assert world.end(turn).tools[0].automatic
    assert not [event for event in events if isinstance(event, TextDelta) and event.text.endswith("[")]


async def test_passages_of_tools_are_numbered_through():
    world = World()
    world.retriever.passages = [a_passage(1, "one")]

    async def search(one: ToolCall, context: ToolContext) -> ToolOutcome:
        return ToolOutcome(text="", passages=(a_passage(1, "two"), a_passage(2, "one")))

    world.tools.tools["search"] = search
    turn = world.start([call("search"), TOOLS], [text("[1] [2]")], search_vault=True)
    await events_of(turn)
    end = world.end(turn)
    assert [(passage.number, passage.chunk_id) for passage in end.passages] == [(1, "one"), (2, "two")]
    assert end.tools[1].response.index("[2]") < end.tools[1].response.index("[1]")


async def test_passages_only_asks_no_model_and_costs_nothing():
    world = World(balance=0)
    world.retriever.passages = [a_passage(1)]
    turn = world.start([text("x")], search_vault=True, passages_only=True)
    await events_of(turn)
    assert turn.reply is not None
    assert turn.reply.passages_only
    assert "Passage 1." in turn.reply.output
    assert (world.provider.opened, world.end(turn).charge) == (0, 0)


async def test_passages_only_says_when_there_are_none():
    world = World()
    turn = world.start(search_vault=True, passages_only=True)
    await events_of(turn)
    assert turn.reply is not None
    assert "no passage" in turn.reply.output


async def test_rounds_are_bounded_and_the_last_may_not_call():
    world = World(max_rounds=3)

    async def look(one: ToolCall, context: ToolContext) -> ToolOutcome:
        return ToolOutcome(text="more")

    world.tools.tools["look"] = look
    again: list[Action] = [call("look"), TOOLS]
    turn = world.start(again, again, again, again)
    await events_of(turn)
    assert world.provider.opened == 3
    assert [request.may_call for request in world.provider.requests] == [True, True, False]
    assert all(request.tools for request in world.provider.requests), "some vendors want the tools of the history named"
    assert len(world.tools.ran) == 2
    assert (world.end(turn).state, world.end(turn).stop_reason) == (TurnState.DONE, "length")


async def test_the_length_of_an_answer_is_bounded():
    world = World(max_answer_chars=100)
    endless = [text("x" * 60) for _ in range(50)]
    turn = world.start([*endless, asyncio.Event()])
    await events_of(turn)
    assert turn.reply is not None
    assert (len(turn.reply.output), turn.reply.stop_reason) == (120, "length")
    assert (world.provider.closed, world.provider.closed_by_others) == (1, 0)


async def test_how_the_model_stopped_is_told():
    world = World()
    turn = world.start([text("x"), [ModelStop(reason=StopReason.LENGTH)]])
    await events_of(turn)
    assert world.end(turn).stop_reason == "length"


async def test_too_many_calls_at_once_are_told_off():
    world = World()

    async def look(one: ToolCall, context: ToolContext) -> ToolOutcome:
        return ToolOutcome(text="ok")

    world.tools.tools["look"] = look
    turn = world.start([[one for n in range(18) for one in call("look", index=n)], TOOLS])
    await events_of(turn)
    assert len(world.tools.ran) == 16
    assert sum(not tool.success for tool in world.end(turn).tools) == 2


async def test_history_and_question_go_to_the_model():
    world = World()
    turn = world.start([text("x")])
    await events_of(turn)
    assert world.provider.requests[0].messages == (UserMessage(text=turn.ask.question),)
    assert world.provider.requests[0].output_limit == 1_000


async def test_an_id_is_taken_once():
    world = World()
    turn = world.start([text("x")])
    with pytest.raises(Conflict):
        world.registry.start(turn.ask)
    await events_of(turn)
    with pytest.raises(Conflict):
        world.registry.start(turn.ask)


async def test_a_turn_without_a_moderator_may_ask_anything():
    world = World()
    ports = msgspec.structs.replace(world.registry._ports, moderator=None)
    world.registry._ports = ports
    turn = world.start([[ModelText(text="x")]])
    await events_of(turn)
    assert turn.reply is not None
