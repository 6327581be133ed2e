"""The turn's log: whatever readers do, each gets everything, in order, once."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.engine import models
from tests.engine.fakes import FakeTools, call, text
from twinspeak.domain.credits import Usage
from twinspeak.domain.events import (
    AnswerReady,
    ModelEvent,
    TextDelta,
    ThinkingDelta,
    ThinkingDone,
    ToolFinished,
    ToolProgress,
    ToolStarted,
    TurnEnded,
    TurnEvent,
    TurnStarted,
)
from twinspeak.domain.turn import (
    Settlement,
    ThinkingPart,
    ToolCall,
    ToolUse,
    TurnRecord,
    TurnReply,
    TurnState,
)
from twinspeak.engine import replay
from twinspeak.engine.fold import TurnFold
from twinspeak.engine.log import Cursor, LogReader, TurnLog

TURN = "f" * 24
PAID = Settlement(credits=1, total_credits=9, credits_used=1, institution_credits=None)


class Writer:
    """Writes a turn's log as the engine does: fold, tools between rounds, the outcome; and its record."""

    def __init__(self, rounds: list[list[ModelEvent]], cuts: list[int]) -> None:
        self.fold = TurnFold(show_thinking=True)
        self.log = TurnLog("epoch", text=self.fold.text, thinking=self.fold.thinking)
        self.thinking: list[ThinkingPart] = []
        self.tools: list[ToolUse] = []
        self._rounds = rounds
        self._cuts = cuts

    def steps(self) -> Iterator[None]:
        """Yield after each thing written: where readers may run."""
        self.log.append(TurnStarted(turn_id=TURN))
        yield
        for number, events in enumerate(self._rounds):
            self.fold.begin_round(number)
            self.fold.hold_markers = number > 0
            for batch in models.cut(events, self._cuts):
                self._tell(self.fold.feed(batch))
                yield
            result, rest = self.fold.end_round()
            self._tell(rest)
            yield
            yield from self._run(result.tool_calls)
        self.log.append(AnswerReady(reply=self.reply()))
        yield
        self.log.append(TurnEnded())
        yield

    def _run(self, calls: tuple[ToolCall, ...]) -> Iterator[None]:
        """Tools in parallel: all begin, one tells how far it is, the last one ends first."""
        began: dict[str, int] = {}
        for one in calls:
            display = FakeTools().display(one.name)
            self.log.append(ToolStarted(one.call_id, one.name, one.arguments, display))
            began[one.call_id] = self.log.last_number
            yield
        for one in reversed(calls):
            self.log.append(ToolProgress(call_id=one.call_id, display=FakeTools().display(one.name), progress=0.5))
            yield
            self.log.append(ToolFinished(one.call_id, one.name, one.arguments, "ok", 2, 1, success=True))
            use = ToolUse(one.call_id, one.name, one.arguments, "ok", 2, 1, success=True)
            self.tools.append(msgspec.structs.replace(use, began=began[one.call_id], ended=self.log.last_number))
            yield

    def _tell(self, events: list[TextDelta | ThinkingDelta | ThinkingDone]) -> None:
        for event in events:
            self.log.append(event)
            if isinstance(event, ThinkingDone):
                number = self.log.last_number
                self.thinking.append(ThinkingPart(event.round, event.text, event.signature, "m", 1, closed=number))

    def reply(self) -> TurnReply:
        return TurnReply(
            turn_id=TURN,
            output=self.fold.text.text(),
            model="m",
            usage=Usage(),
            settlement=PAID,
            course_id=1,
            course_name="",
            duration_ms=1,
        )

    def record(self) -> TurnRecord:
        return TurnRecord(
            id=TURN,
            created=0,
            state=TurnState.DONE,
            institution_id=None,
            user_id="u",
            course_id=1,
            course_name="",
            question="?",
            output=self.fold.text.text(),
            model="m",
            usage=Usage(),
            credits=1,
            duration_ms=1,
            first_token_ms=None,
            assistant=None,
            thinking=tuple(self.thinking),
            tools=tuple(self.tools),
            settlement=PAID,
        )


async def drain(reader: LogReader, into: list[TurnEvent]) -> None:
    """Take what waits, without waiting."""
    while reader.pending:
        before = reader.cursor
        try:
            event = await reader.next(idle_s=0)
        except TimeoutError:
            assert reader.cursor != before
            return
        if event is not None:
            into.append(event)


async def rest_of(log: TurnLog, after: Cursor | None = None) -> list[TurnEvent]:
    reader = log.read(after)
    found: list[TurnEvent] = []
    async with asyncio.timeout(5):
        while (event := await reader.next()) is not None:
            found.append(event)
    return found


def split_again(events: list[TurnEvent]) -> list[TurnEvent]:
    """Events with text and thinking one character each: equal for two readers whatever was merged for either."""
    found: list[TurnEvent] = []
    for event in events:
        if isinstance(event, TextDelta):
            start = event.end - len(event.text)
            found += [TextDelta(text=c, end=start + n) for n, c in enumerate(event.text, 1)]
        elif isinstance(event, ThinkingDelta):
            found += [ThinkingDelta(round=event.round, text=c) for c in event.text]
        else:
            found.append(event)
    return found


CUTS = st.lists(st.integers(0, 14), max_size=8)


@given(rounds=models.ROUNDS, cuts=CUTS, data=st.data())
async def test_every_reader_gets_everything_once(rounds: list[list[ModelEvent]], cuts: list[int], data: st.DataObject):
    """Readers at any pace, and some that come back with a cursor, while the turn writes."""
    writer = Writer(rounds, cuts)
    readers: list[LogReader] = [writer.log.read() for _ in range(3)]
    got: list[list[TurnEvent]] = [[] for _ in readers]
    for _ in writer.steps():
        for index in data.draw(st.lists(st.sampled_from([0, 1, 2]), max_size=2, unique=True)):
            await drain(readers[index], got[index])
            if index == 2:
                readers[2] = writer.log.read(Cursor.parse(readers[2].cursor.token))
    for index, reader in enumerate(readers):
        await drain(reader, got[index])
        assert await reader.next() is None
        models.check_frames(got[index])
        assert models.joined(got[index]) == writer.fold.text.text() == models.whole_text(rounds)
        assert split_again(got[index]) == split_again(await rest_of(writer.log))


@given(rounds=models.ROUNDS, cuts=CUTS, data=st.data())
async def test_any_cursor_goes_on_in_a_replay_from_history(
    rounds: list[list[ModelEvent]], cuts: list[int], data: st.DataObject
):
    """Live up to some event, the rest from history, and then from history again: together it is the turn."""
    writer = Writer(rounds, cuts)
    got: list[TurnEvent] = []
    reader = writer.log.read()
    stop = data.draw(st.integers(0, 30))
    for step, _ in enumerate(writer.steps()):
        if step < stop:
            await drain(reader, got)
    tools = FakeTools()
    again = replay.log_of(writer.record(), tools, tool_results_max_chars=100).read(Cursor.parse(reader.cursor.token))
    some = data.draw(st.integers(0, 5))
    got += [event for _ in range(some) if (event := await again.next()) is not None]
    third = replay.log_of(writer.record(), tools, tool_results_max_chars=100)
    got += await rest_of(third, Cursor.parse(again.cursor.token))

    live = await rest_of(writer.log)
    assert models.joined(got) == models.whole_text(rounds)
    assert models.thinking_of(got) == models.thinking_of(live)
    kept = [event for event in models.structure(live) if not isinstance(event, ToolProgress)]
    assert [event for event in models.structure(got) if not isinstance(event, ToolProgress)] == kept


@given(rounds=models.ROUNDS, cuts=CUTS)
async def test_a_whole_replay_keeps_the_rules(rounds: list[list[ModelEvent]], cuts: list[int]):
    writer = Writer(rounds, cuts)
    list(writer.steps())
    events = await rest_of(replay.log_of(writer.record(), FakeTools(), tool_results_max_chars=100))
    models.check_frames(events)
    live = [event for event in models.structure(await rest_of(writer.log)) if not isinstance(event, ToolProgress)]
    assert models.structure(events) == live


@given(rounds=models.ROUNDS, cuts=CUTS, step=st.integers(0, 20))
async def test_a_muted_reader_is_told_only_how_it_ended(rounds: list[list[ModelEvent]], cuts: list[int], step: int):
    writer = Writer(rounds, cuts)
    reader = writer.log.read()
    heard: list[TurnEvent] = []
    for number, _ in enumerate(writer.steps()):
        if number == step:
            await drain(reader, heard)
            reader.mute()
    reader.mute()
    after = [event async for event in _until_end(reader)]
    outcome = [AnswerReady(reply=writer.reply()), TurnEnded()]
    assert after == [event for event in outcome if event not in heard]


async def _until_end(reader: LogReader) -> AsyncIterator[TurnEvent]:
    while (event := await reader.next()) is not None:
        yield event


@given(rounds=models.ROUNDS, cuts=CUTS, step=st.integers(0, 30))
async def test_who_catches_up_goes_on_where_it_got_to(rounds: list[list[ModelEvent]], cuts: list[int], step: int):
    writer = Writer(rounds, cuts)
    reader = writer.log.read()
    caught: list[TurnEvent] = []
    for number, _ in enumerate(writer.steps()):
        if number == step:
            caught = reader.catch_up()
            assert not reader.pending
    rest = [event async for event in _until_end(reader)]
    live = await rest_of(writer.log)
    assert models.structure(caught + rest) == models.structure(live)
    assert models.joined(caught + rest) == models.whole_text(rounds)
    assert sum(isinstance(event, TextDelta) for event in caught) <= 1
    closed = {event.round for event in caught if isinstance(event, ThinkingDone)}
    shown = {number: text for number, text in models.thinking_of(live).items() if number not in closed}
    assert models.thinking_of(caught + rest) == shown


async def test_what_a_crash_left_still_ends_for_a_reader_who_saw_more():
    """The checkpoint knows neither tools nor reasoning; the cursor does."""
    writer = Writer([[*call("a"), *call("b", index=1)]], [])
    steps = writer.steps()
    for _ in range(5):
        next(steps)
    reader = writer.log.read()
    await drain(reader, [])
    left = msgspec.structs.replace(writer.record(), state=TurnState.INTERRUPTED, tools=(), output="half")
    events = await rest_of(replay.log_of(left, FakeTools(), tool_results_max_chars=9), reader.cursor)
    assert events[0] == TextDelta(text="half", end=4)
    assert isinstance(events[1], AnswerReady)
    assert events[1].reply.cancelled
    assert events[2:] == [TurnEnded()]


async def test_who_has_seen_the_answer_is_not_told_again():
    writer = Writer([text("x")], [])
    list(writer.steps())
    reader = writer.log.read()
    while not isinstance(await reader.next(), AnswerReady):
        pass
    log = replay.log_of(writer.record(), FakeTools(), tool_results_max_chars=9)
    assert await rest_of(log, reader.cursor) == [TurnEnded()]
    await reader.next()
    assert await rest_of(log, reader.cursor) == []
