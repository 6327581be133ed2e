"""Whatever a tool does, its turn ends right: every call has its two events and its place in the record, once."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.engine.fakes import END, TOOLS, World, call, text
from twinspeak.domain.events import AnswerReady, DisplayInfo, ToolFinished, ToolProgress, ToolStarted, TurnEnded
from twinspeak.domain.turn import ToolOutcome, TurnState
from twinspeak.engine import toolbox
from twinspeak.engine.ports import ToolContext
from twinspeak.engine.turn import Turn
from twinspeak.tools.registry import CallContext, Registry, Tool
from twinspeak.tools.runner import Runner

SHOWN = DisplayInfo(icon="bell", label="Testing")
STEPS = 6


async def hangs(context: ToolContext) -> ToolOutcome:
    await asyncio.Event().wait()
    return ToolOutcome(text="never")


async def ignores_its_cancellation(context: ToolContext) -> ToolOutcome:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.sleep(0)
    return ToolOutcome(text="late")


async def cancels_itself(context: ToolContext) -> ToolOutcome:
    raise asyncio.CancelledError


async def raises(context: ToolContext) -> ToolOutcome:
    raise RuntimeError("postgresql://secret@inside")


async def gives_nothing(context: ToolContext) -> ToolOutcome:
    return None  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


async def floods(context: CallContext) -> ToolOutcome:
    for step in range(20_000):
        context.progress(context.call_id, SHOWN, step / 20_000)
    return ToolOutcome(text="x" * 1_000_000)


async def odd_text(context: ToolContext) -> ToolOutcome:
    return ToolOutcome(text="half a sign \ud83d and \x00 nothing")


async def slow(context: CallContext) -> ToolOutcome:
    for step in range(STEPS):
        await asyncio.sleep(0)
        context.progress(context.call_id, SHOWN, step / STEPS)
    return ToolOutcome(text="done")


MISBEHAVING: tuple[Callable[..., Any], ...] = (
    hangs, ignores_its_cancellation, cancels_itself, raises, gives_nothing, floods, odd_text,
)  # fmt: skip


def a_world(**limits: Any) -> World:
    world = World(**limits)
    tools = [Tool(function, description="", display=SHOWN) for function in (*MISBEHAVING, slow)]
    runner = Runner(Registry(tools), timeout_s=0.02, max_result_chars=1_000)
    world.registry._ports = msgspec.structs.replace(world.registry._ports, tools=runner)
    return world


async def events_of(turn: Turn) -> list[Any]:
    return [event async for event in turn.log]


def check(world: World, turn: Turn, events: list[Any]) -> None:
    """Each call has begun once and ended once, in this order, and is in the record once; the log is closed."""
    began = [event.call_id for event in events if isinstance(event, ToolStarted)]
    ended = [event.call_id for event in events if isinstance(event, ToolFinished)]
    assert sorted(began) == sorted(ended) == sorted(use.id for use in world.end(turn).tools)
    assert len(set(began)) == len(began)
    for call_id in began:
        kinds = [type(event) for event in events if getattr(event, "call_id", None) == call_id]
        assert (kinds[0], kinds[-1]) == (ToolStarted, ToolFinished)
        assert set(kinds[1:-1]) <= {ToolProgress}
    assert isinstance(events[-1], TurnEnded)
    assert sum(isinstance(event, TurnEnded) for event in events) == 1
    assert world.store.held == 0


@pytest.mark.parametrize("tool", MISBEHAVING, ids=lambda tool: tool.__name__)
async def test_the_turn_goes_on_beside_a_tool_that_misbehaves(tool: Callable[..., Any]):
    world = a_world()
    asked = [*call(tool.__name__), *call("slow", index=1)]
    turn = world.start([asked, TOOLS], [text("Answered."), END])
    await asyncio.wait_for(turn.ended(), 5)
    events = await events_of(turn)
    check(world, turn, events)
    assert (turn.state, turn.reply.output if turn.reply else "") == (TurnState.DONE, "Answered.")
    uses = {use.name: use for use in world.end(turn).tools}
    assert (uses["slow"].response, uses["slow"].success) == ("done", True)
    bad = uses[tool.__name__]
    assert bad.success is (tool in (floods, odd_text, ignores_its_cancellation))
    assert "secret" not in repr(events)
    assert len(bad.response) <= 1_100
    assert sum(isinstance(event, ToolProgress) for event in events) <= 101 + STEPS
    assert isinstance(events[-2], AnswerReady)


@pytest.mark.parametrize("name", ["hangs", "slow", "floods", "ignores_its_cancellation", "raises"])
async def test_cancelled_at_each_moment(name: str):
    seen: set[TurnState] = set()
    for moment in range(60):
        world = a_world()
        turn = world.start([call(name), TOOLS], [text("Answered."), END])
        for _ in range(moment):
            await asyncio.sleep(0)
        turn.cancel()
        await asyncio.wait_for(turn.ended(), 5)
        seen.add(turn.state)
        if turn.refused:
            continue
        events = await events_of(turn)
        check(world, turn, events)
        assert turn.state in (TurnState.CANCELLED, TurnState.DONE)
    assert TurnState.CANCELLED in seen


async def test_a_loop_is_noticed_and_ended():
    world = a_world()
    again = [call("slow"), TOOLS]
    turn = world.start(*[again] * 7, [text("Answered."), END])
    await asyncio.wait_for(turn.ended(), 5)
    uses = world.end(turn).tools
    assert [use.response for use in uses[: toolbox.MAX_SAME]] == ["done"] * toolbox.MAX_SAME
    assert all("same call" in use.response and not use.success for use in uses[toolbox.MAX_SAME :])
    assert len(uses) == toolbox.MAX_SAME + toolbox.PATIENCE
    requests = world.provider.requests
    assert [request.may_call for request in requests] == [True] * (len(requests) - 1) + [False]


async def test_results_of_a_turn_are_bounded_together(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(toolbox, "MAX_TURN_CHARS", 1_500)
    world = a_world()
    rounds = [[call("floods"), TOOLS], [call("floods"), TOOLS], [call("floods"), TOOLS]]
    turn = world.start(*rounds, [text("Answered."), END])
    await asyncio.wait_for(turn.ended(), 5)
    assert [use.success for use in world.end(turn).tools] == [True, True, False]
    assert "used up" in world.end(turn).tools[-1].response
