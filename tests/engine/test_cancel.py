"""Cancelling is a message: wherever it finds the turn, what there is is saved, paid for and told, and that is all."""

import asyncio

import pytest

from tests.engine import models
from tests.engine.fakes import TOOLS, World, call, text
from tests.engine.test_turn import events_of, soon
from twinspeak.domain.errors import ContentBlocked, ProviderFailed, ServerStopping
from twinspeak.domain.events import (
    AnswerReady,
    ModelThinking,
    ModelUsage,
    ThinkingDone,
    ToolFinished,
    TurnEnded,
    TurnFailed,
)
from twinspeak.domain.turn import ToolCall, ToolOutcome, TurnState
from twinspeak.engine import control
from twinspeak.engine.control import CancelReason
from twinspeak.engine.ports import ToolContext
from twinspeak.engine.turn import Turn


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_GIVE_UP_S", 0.02)


async def check_cancelled(world: World, turn: Turn, *, output: str, charge: int) -> None:
    await events_of(turn)
    assert turn.reply is not None
    assert turn.reply.cancelled
    assert turn.reply.output == output
    end = world.end(turn)
    assert (end.state, end.output, end.charge) == (TurnState.CANCELLED, output, charge)
    assert end.stop_reason == "end"
    assert world.store.held == 0
    assert world.provider.opened == world.provider.closed


async def test_before_it_runs():
    world = World()
    turn = world.start([text("x")])
    turn.cancel()
    await soon(turn.admitted())
    await check_cancelled(world, turn, output="", charge=0)
    assert world.provider.opened == 0


async def test_while_it_is_resolved():
    world = World()
    world.resolver.gate = asyncio.Event()
    turn = world.start([text("x")])
    await asyncio.sleep(0)
    turn.cancel()
    world.resolver.gate.set()
    await check_cancelled(world, turn, output="", charge=0)
    assert world.provider.opened == 0


async def test_while_it_is_moderated():
    world = World()
    world.moderator.gate = asyncio.Event()
    turn = world.start([text("x")])
    await soon(world.moderator.entered.wait())
    turn.cancel()
    await check_cancelled(world, turn, output="", charge=0)
    assert world.provider.opened == 0


async def test_a_refused_turn_stays_refused():
    world = World()
    world.moderator.words = "No."
    turn = world.start([text("x")])
    with pytest.raises(ContentBlocked):
        await soon(turn.admitted())
    turn.cancel()
    await events_of(turn)
    assert world.end(turn).state is TurnState.REFUSED


async def test_while_the_vault_is_searched():
    world = World()
    world.retriever.gate = asyncio.Event()
    turn = world.start([text("x")], search_vault=True)
    await soon(world.retriever.entered.wait())
    turn.cancel()
    await check_cancelled(world, turn, output="", charge=0)
    assert [tool.success for tool in world.end(turn).tools] == [False]


async def test_before_the_first_token():
    world = World()
    turn = world.start([[ModelUsage(input=9, cached=0, completion=0)], asyncio.Event(), text("x")])
    await soon(world.provider.reached.wait())
    turn.cancel()
    await check_cancelled(world, turn, output="", charge=0)


async def test_in_the_middle_of_the_answer():
    world = World()
    turn = world.start([text("Half of ["), asyncio.Event(), text("never")])
    await soon(world.provider.reached.wait())
    turn.cancel()
    await check_cancelled(world, turn, output="Half of [", charge=1)
    assert world.end(turn).usage.estimated


async def test_in_the_middle_of_thinking():
    world = World()
    turn = world.start([[ModelThinking(text="Hm")], asyncio.Event()])
    await soon(world.provider.reached.wait())
    turn.cancel()
    await check_cancelled(world, turn, output="", charge=1)
    assert [part.text for part in world.end(turn).thinking] == ["Hm"]
    assert ThinkingDone(round=0, text="Hm") in [event async for event in turn.log]


async def test_in_a_tool_call():
    world = World()
    entered = asyncio.Event()

    async def hang(one: ToolCall, context: ToolContext) -> ToolOutcome:
        entered.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def quick(one: ToolCall, context: ToolContext) -> ToolOutcome:
        return ToolOutcome(text="done")

    world.tools.tools |= {"hang": hang, "quick": quick}
    turn = world.start([text("Let me see."), call("hang"), call("quick", index=1), TOOLS])
    await soon(entered.wait())
    await asyncio.sleep(0)
    turn.cancel()
    await check_cancelled(world, turn, output="Let me see.", charge=1)
    assert {tool.name: tool.success for tool in world.end(turn).tools} == {"hang": False, "quick": True}


async def test_between_rounds():
    world = World()

    async def look(one: ToolCall, context: ToolContext) -> ToolOutcome:
        turn.cancel()
        return ToolOutcome(text="ok")

    world.tools.tools["look"] = look
    turn = world.start([text("a"), call("look"), TOOLS], [text("never")])
    await check_cancelled(world, turn, output="a", charge=1)
    assert world.provider.opened == 1


async def test_during_the_finish_it_is_too_late():
    world = World()
    gate = world.store.gates["finish"] = asyncio.Event()
    turn = world.start([text("x")])
    await soon(world.store.entered.wait())
    turn.cancel()
    gate.set()
    await events_of(turn)
    assert world.end(turn).state is TurnState.DONE
    assert turn.reply is not None
    assert not turn.reply.cancelled


async def test_after_the_end_and_twice():
    world = World()
    turn = world.start([text("x"), asyncio.Event()])
    await soon(world.provider.reached.wait())
    turn.cancel(CancelReason.CLIENT_GONE)
    turn.cancel(CancelReason.SERVER_STOPPING)
    await check_cancelled(world, turn, output="x", charge=1)
    events = len(turn.log)
    turn.cancel()
    assert len(turn.log) == events
    assert world.store.calls.count("finish") == 1


async def test_a_provider_that_ignores_it_is_not_waited_for_nor_listened_to():
    world = World()
    release = asyncio.Event()
    ignored = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ignored.set()
            await release.wait()

    world.store.gates["finish"] = asyncio.Event()
    turn = world.start([text("Half"), stubborn, text(" too late"), call("late"), text("later")])
    await soon(world.provider.reached.wait())
    turn.cancel()
    await soon(ignored.wait())
    await soon(world.store.entered.wait())
    release.set()
    await soon(world.provider.hung_up.wait())
    world.store.gates["finish"].set()
    await check_cancelled(world, turn, output="Half", charge=1)


async def test_a_provider_that_fails_on_it_is_not_asked_why(caplog: pytest.LogCaptureFixture):
    world = World()

    async def breaks() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ProviderFailed from None

    turn = world.start([text("Half"), breaks])
    await soon(world.provider.reached.wait())
    turn.cancel()
    await check_cancelled(world, turn, output="Half", charge=1)


async def test_a_tool_that_ignores_it_is_told_as_stopped():
    world = World()
    release, entered, left = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def stubborn(one: ToolCall, context: ToolContext) -> ToolOutcome:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await release.wait()
        context.progress(one.call_id, world.tools.display(one.name), 0.5)
        left.set()
        return ToolOutcome(text="too late")

    world.tools.tools["stubborn"] = stubborn
    world.store.gates["finish"] = asyncio.Event()
    turn = world.start([call("stubborn"), TOOLS])
    await soon(entered.wait())
    turn.cancel()
    await soon(world.store.entered.wait())
    release.set()
    await soon(left.wait())
    await asyncio.sleep(0)
    world.store.gates["finish"].set()
    await check_cancelled(world, turn, output="", charge=1)
    assert [tool.response for tool in world.end(turn).tools] == ["Stopped before it ended."]
    finished = [event async for event in turn.log if isinstance(event, ToolFinished)]
    assert [event.success for event in finished] == [False]


async def test_readers_come_and_go_without_the_turn():
    world = World()
    gate = asyncio.Event()
    turn = world.start([text("a"), gate, text("b")])
    reading = asyncio.ensure_future(events_of(turn))
    await soon(world.provider.reached.wait())
    reading.cancel()
    gate.set()
    assert models.joined(await events_of(turn)) == "ab"


async def test_whoever_waits_may_give_up():
    world = World()
    world.resolver.gate = asyncio.Event()
    turn = world.start([text("x")])
    waiting = [asyncio.ensure_future(turn.admitted()), asyncio.ensure_future(turn.ended())]
    await asyncio.sleep(0)
    for one in waiting:
        one.cancel()
    world.resolver.gate.set()
    await events_of(turn)
    assert turn.reply is not None


@pytest.mark.parametrize("where", ["round", "finish", "begin", "moderate"])
async def test_the_supervisor_pulls_the_plug(where: str):
    """Nothing is saved any more: the row is for the reaper. But nobody is left waiting."""
    world = World()
    script = [text("x"), asyncio.Event()] if where == "round" else [text("x")]
    entered = world.provider.reached
    if where in {"finish", "begin"}:
        world.store.gates[where], entered = asyncio.Event(), world.store.entered
    elif where == "moderate":
        world.moderator.gate, entered = asyncio.Event(), world.moderator.entered
    turn = world.start(script)
    await soon(entered.wait())
    await soon(world.registry.aclose())
    events = await events_of(turn)
    assert turn.failure is not None
    assert turn.failure.code == "server_stopping"
    if where in {"round", "finish"}:
        assert isinstance(events[-2], TurnFailed)
        assert world.row(turn).state is TurnState.RUNNING
    else:
        assert events == [TurnEnded()]
        with pytest.raises(ServerStopping):
            await soon(turn.admitted())
    assert world.provider.opened == world.provider.closed
    assert not [event for event in events if isinstance(event, AnswerReady)]
