"""What holds for every turn, whatever a model says, however it is cut, whoever reads, whenever it is stopped."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tests.engine import models
from tests.engine.fakes import FakeTools, World
from tests.engine.test_log import split_again
from tests.engine.test_turn import events_of
from twinspeak.domain.events import ModelEvent, ThinkingDelta, ThinkingDone, ToolProgress, ToolStarted, TurnEvent
from twinspeak.domain.turn import ToolCall, ToolOutcome, TurnRecord, TurnState
from twinspeak.engine import replay
from twinspeak.engine.log import Cursor
from twinspeak.engine.ports import ToolContext
from twinspeak.engine.turn import Turn

ENDLESS_PATIENCE = 10


class AnyTools(FakeTools):
    """Whatever a model calls, with or without a name, works."""

    async def run(self, call: ToolCall, context: ToolContext) -> ToolOutcome:
        context.progress(call.call_id, self.display(call.name), 0.5)
        await asyncio.sleep(0)
        return ToolOutcome(text=f"ran {call.name}", success=call.arguments is not None)


def a_world(rounds: list[list[ModelEvent]], cuts: list[int]) -> World:
    world = World(max_rounds=4)
    tools = AnyTools()
    world.tools.run, world.tools.display = tools.run, tools.display
    world.provider.script = [models.cut(events, cuts) for events in rounds]
    world.provider.beyond = []
    return world


async def read_with_pauses(turn: Turn, pauses: list[int], *, resume: bool) -> list[TurnEvent]:
    """Read to the end, doing nothing for some steps of the loop between events; come back with a cursor each time."""
    reader = turn.log.read()
    events: list[TurnEvent] = []
    while (event := await reader.next()) is not None:
        events.append(event)
        for _ in range(pauses[len(events) % len(pauses)] if pauses else 0):
            await asyncio.sleep(0)
        if resume:
            reader = turn.log.read(Cursor.parse(reader.cursor.token))
    return events


def said(world: World, rounds: list[list[ModelEvent]]) -> str:
    return models.whole_text(rounds[: world.provider.opened])


def check_order(events: list[TurnEvent]) -> None:
    """A round's reasoning is closed before its first tool call begins."""
    closed = -1
    open_rounds: set[int] = set()
    for event in events:
        if isinstance(event, ThinkingDone):
            open_rounds.discard(event.round)
            assert event.round > closed
            closed = event.round
        elif isinstance(event, ToolStarted):
            assert not open_rounds
        elif isinstance(event, ThinkingDelta):
            open_rounds.add(event.round)


def record_of(world: World, turn: Turn) -> TurnRecord:
    end = world.end(turn)
    return TurnRecord(
        id=turn.turn_id,
        created=0,
        state=end.state,
        institution_id=None,
        user_id="u",
        course_id=1,
        course_name="Sky",
        question="?",
        output=end.output,
        model="fake-1",
        usage=end.usage,
        credits=end.charge,
        duration_ms=end.duration_ms,
        first_token_ms=None,
        assistant=None,
        thinking=end.thinking,
        tools=end.tools,
        settlement=world.row(turn).settlement,
        failure=end.failure,
        stop_reason=end.stop_reason,
    )


PAUSES = st.lists(st.integers(0, 4), max_size=4)
CUTS = st.lists(st.integers(0, 14), max_size=8)


@given(rounds=models.ROUNDS, cuts=CUTS, slow=PAUSES, slower=PAUSES)
async def test_every_reader_hears_the_same_turn(
    rounds: list[list[ModelEvent]], cuts: list[int], slow: list[int], slower: list[int]
):
    world = a_world(rounds, cuts)
    turn = world.start()
    async with asyncio.timeout(ENDLESS_PATIENCE), asyncio.TaskGroup() as group:
        one = group.create_task(read_with_pauses(turn, slow, resume=False))
        two = group.create_task(read_with_pauses(turn, slower, resume=True))
    events = await events_of(turn)
    assert split_again(one.result()) == split_again(two.result()) == split_again(events)
    assert turn.reply is not None
    assert turn.reply.output == said(world, rounds) == world.end(turn).output
    assert {part.round: part.text for part in world.end(turn).thinking} == models.thinking_of(events)
    check_order(events)


@given(rounds=models.ROUNDS, cuts=CUTS, when=st.integers(0, 60), slow=PAUSES)
async def test_a_turn_stopped_anywhere_is_whole(
    rounds: list[list[ModelEvent]], cuts: list[int], when: int, slow: list[int]
):
    world = a_world(rounds, cuts)
    turn = world.start()

    async def stop() -> None:
        for _ in range(when):
            await asyncio.sleep(0)
        turn.cancel()

    async with asyncio.timeout(ENDLESS_PATIENCE), asyncio.TaskGroup() as group:
        reading = group.create_task(read_with_pauses(turn, slow, resume=True))
        group.create_task(stop())
    events = await events_of(turn)
    assert split_again(reading.result()) == split_again(events)
    assert turn.reply is not None
    assert turn.reply.cancelled == (world.end(turn).state is TurnState.CANCELLED)
    assert said(world, rounds).startswith(turn.reply.output)
    assert (world.store.held, world.provider.opened) == (0, world.provider.closed)
    check_order(events)


@given(rounds=models.ROUNDS, cuts=CUTS, keep=st.integers(0, 30))
async def test_history_goes_on_where_the_log_was_left(rounds: list[list[ModelEvent]], cuts: list[int], keep: int):
    world = a_world(rounds, cuts)
    turn = world.start()
    events = await events_of(turn)
    reader = turn.log.read()
    got = [event for _ in range(keep) if (event := await reader.next()) is not None]
    log = replay.log_of(record_of(world, turn), world.tools, tool_results_max_chars=40)
    rest = log.read(Cursor.parse(reader.cursor.token))
    while (event := await rest.next()) is not None:
        got.append(event)
    lasting = [event for event in models.structure(events) if not isinstance(event, ToolProgress)]
    assert [event for event in models.structure(got) if not isinstance(event, ToolProgress)] == lasting
    assert models.joined(got) == models.joined(events)
    assert models.thinking_of(got) == models.thinking_of(events)
