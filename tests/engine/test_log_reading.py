"""How a reader waits: woken when there is something for it, paced without losing order, at no cost to the writer."""

import asyncio
import sys
from typing import Any

import msgspec
import pytest

from tests.engine.fakes import FakeTools
from tests.engine.test_log import Writer, rest_of
from twinspeak.domain.errors import CallerError, Conflict
from twinspeak.domain.events import (
    TextDelta,
    ThinkingDelta,
    ThinkingDone,
    ToolStarted,
    TurnEnded,
    TurnEvent,
    TurnFailed,
    TurnStarted,
)
from twinspeak.domain.turn import Failure, TurnState
from twinspeak.engine import replay
from twinspeak.engine.buffer import TextBuffer
from twinspeak.engine.log import Cursor, LogReader, TurnLog

DISPLAY = FakeTools().display("look")
STARTED = TurnStarted(turn_id="f" * 24)
TOOL = ToolStarted(call_id="c", name="look", arguments={}, display=DISPLAY)


def a_log() -> TurnLog:
    return TurnLog("epoch", text=TextBuffer(), thinking=TextBuffer())


def say(log: TurnLog, text: str) -> None:
    log.append(TextDelta(text=text, end=log.text.append(text)))


def think(log: TurnLog, text: str, number: int = 0) -> None:
    log.thinking.append(text)
    log.append(ThinkingDelta(round=number, text=text))


async def soon(reader: LogReader, **pace: Any) -> TurnEvent | None:
    async with asyncio.timeout(5):
        return await reader.next(**pace)


async def asleep(log: TurnLog, group: asyncio.TaskGroup, **pace: Any) -> asyncio.Task[TurnEvent | None]:
    """Start a reader and return once it waits."""
    before = len(log.waiters)
    task = group.create_task(soon(log.read(), **pace))
    while len(log.waiters) == before:
        await asyncio.sleep(0)
        assert not task.done()
    return task


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_waiting_reader_is_woken_by_anything():
    for write, event in ((lambda log: say(log, "a"), TextDelta("a", 1)), (lambda log: log.append(STARTED), STARTED)):
        log = a_log()
        async with asyncio.TaskGroup() as group:
            one, other = await asleep(log, group), await asleep(log, group, idle_s=60)
            write(log)
        assert one.result() == other.result() == event
        assert not log.waiters


async def test_the_end_wakes_everybody_who_waits():
    log = a_log()
    reader = log.read()
    async with asyncio.TaskGroup() as group:
        task = await asleep(log, group)
        log.append(TurnEnded())
    assert task.result() == TurnEnded()
    assert await soon(reader) == TurnEnded()
    assert await soon(reader) is None
    log.append(STARTED)
    assert len(log) == 1


async def test_an_idle_reader_can_beat_its_heart_and_go_on():
    log = a_log()
    reader = log.read()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await soon(reader, idle_s=0.001)
    say(log, "a")
    assert await soon(reader, idle_s=0.001) == TextDelta("a", 1)
    assert not log.waiters


async def test_a_muted_reader_keeps_its_heart_beating_while_text_comes():
    log = a_log()
    reader = log.read()
    reader.mute()
    say(log, "a")
    with pytest.raises(TimeoutError):
        await soon(reader, idle_s=0.001)


async def test_a_reader_that_is_cancelled_takes_nothing_with_it():
    log = a_log()
    reader = log.read()
    task = asyncio.ensure_future(reader.next())
    await asyncio.sleep(0)
    say(log, "a")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not log.waiters
    assert await soon(reader) == TextDelta("a", 1)


async def test_text_is_held_until_its_time_and_merged():
    log = a_log()
    say(log, "a")
    due = now() + 0.02
    async with asyncio.TaskGroup() as group:
        task = await asleep(log, group, not_before=due)
        say(log, "b")
        await asyncio.sleep(0)
        assert not task.done()
    assert now() >= due - 0.005
    assert task.result() == TextDelta("ab", 2)


async def test_text_is_held_until_there_is_enough():
    log = a_log()
    say(log, "a")
    async with asyncio.TaskGroup() as group:
        task = await asleep(log, group, text_from=3)
        say(log, "b")
        for _ in range(3):
            await asyncio.sleep(0)
        assert not task.done()
        say(log, "c")
    assert task.result() == TextDelta("abc", 3)


async def test_text_is_not_held_for_ever():
    log = a_log()
    say(log, "a")
    assert await soon(log.read(), text_from=1000, not_after=now() + 0.005) == TextDelta("a", 1)


@pytest.mark.parametrize("event", [TOOL, TurnEnded()])
async def test_what_waits_behind_held_text_lets_it_go(event: TurnEvent):
    log = a_log()
    say(log, "a")
    async with asyncio.TaskGroup() as group:
        task = await asleep(log, group, text_from=1000, not_before=now() + 1000)
        log.append(event)
    assert task.result() == TextDelta("a", 1)


async def test_thinking_is_paced_too_and_keeps_its_round():
    log = a_log()
    reader = log.read()
    think(log, "a")
    think(log, "b")
    assert await soon(reader, not_before=now() + 0.005) == ThinkingDelta(0, "ab")
    log.append(ThinkingDone(0, "ab"))
    think(log, "c", 1)
    assert await soon(reader, not_before=now() + 1000) == ThinkingDone(0, "ab")
    log.append(ThinkingDone(1, "c"))
    assert await soon(reader, not_before=now() + 1000) == ThinkingDelta(1, "c")


async def test_a_slow_reader_gets_one_event_for_all_it_missed():
    log = a_log()
    log.append(STARTED)
    for _ in range(500):
        say(log, "ab")
    log.append(TurnEnded())
    assert await rest_of(log) == [STARTED, TextDelta("ab" * 500, 1000), TurnEnded()]
    assert [event async for event in log] == await rest_of(log)


async def test_a_cursor_survives_its_token():
    log = a_log()
    log.append(STARTED)
    think(log, "abc")
    log.append(ThinkingDone(0, "abc"))
    say(log, "hello")
    reader = log.read()
    for _ in range(4):
        await soon(reader)
    cursor = Cursor.parse(reader.cursor.token)
    assert cursor == reader.cursor == Cursor(epoch="epoch", sequence=4, text=5, objects=2, thinking=3)
    assert log.read(Cursor(epoch="epoch", sequence=99)).cursor == cursor


@pytest.mark.parametrize(
    "token", ["", "-", "e", "e-1-2-3", "e-1-2-3-4-5", "e-x-2-3-4", "e--1-2-3-4", "e-1-2-3-", "e-1-1-1-" + "1" * 100]
)
def test_what_is_no_cursor_is_the_callers_fault(token: str):
    with pytest.raises(CallerError):
        Cursor.parse(token)


async def test_a_turn_that_runs_is_not_replayed():
    record = msgspec.structs.replace(Writer([], []).record(), state=TurnState.RUNNING)
    with pytest.raises(Conflict):
        replay.log_of(record, FakeTools(), tool_results_max_chars=9)


async def test_a_failed_turn_is_replayed_as_failed():
    failure = Failure(code="provider_failed", status=502, type="api_error", message="It failed.")
    record = msgspec.structs.replace(Writer([], []).record(), state=TurnState.FAILED, failure=failure, output="ha")
    events = await rest_of(replay.log_of(record, FakeTools(), tool_results_max_chars=9))
    assert events == [
        TurnStarted(turn_id=record.id),
        TextDelta("ha", 2),
        TurnFailed("provider_failed", 502, "api_error", "It failed."),
        TurnEnded(),
    ]


def test_ten_thousand_chunks_cost_their_text_and_little_more():
    log = a_log()
    for _ in range(10_000):
        say(log, "word ")
    held = sys.getsizeof(log.kinds) + sys.getsizeof(log.marks) + sys.getsizeof(log.objects)
    pieces = log.text._pieces
    held += sys.getsizeof(pieces) + sum(sys.getsizeof(piece) for piece in pieces)
    assert len(log) == 10_000
    assert held < 50_000 + 10_000 * 8
