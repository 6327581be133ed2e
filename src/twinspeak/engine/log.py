"""The append-only log of one turn: written by the engine, read by any number of readers on any face.

Text is stored once, in the fold's buffers; the log keeps a byte and an offset per entry. Writers never wait for
readers: a reader that falls behind gets its pending text merged into one event, and nothing is ever dropped.
"""

import asyncio
from array import array
from collections.abc import AsyncIterator

import msgspec

from twinspeak.domain.errors import CallerError
from twinspeak.domain.events import (
    AnswerReady,
    TextDelta,
    ThinkingDelta,
    ThinkingDone,
    TurnEnded,
    TurnEvent,
    TurnFailed,
)
from twinspeak.engine.buffer import TextBuffer

_TEXT, _THINKING, _OBJECT = 0, 1, 2
_FINAL = (AnswerReady, TurnFailed, TurnEnded)
_OUTCOME_NUMBER = 1 << 30
"""How a turn ended has the same number in every log of it, beyond all others: no cursor skips it by mistake."""
_LONGEST_TOKEN = 100


class Cursor(msgspec.Struct, frozen=True):
    """A place between two entries. Clients see `token` and must not look inside.

    `text` and `thinking` say how many characters of each lie before it, `objects` the number of the last structural
    event before it: with them a log that was rebuilt from history can be picked up at the same place (decision 014).
    """

    epoch: str
    sequence: int
    text: int = 0
    objects: int = 0
    thinking: int = 0

    @property
    def token(self) -> str:
        """What an SSE `id:` line carries."""
        return f"{self.epoch}-{self.sequence:x}-{self.text:x}-{self.objects:x}-{self.thinking:x}"

    @staticmethod
    def parse(token: str) -> "Cursor":
        """Read a token back. Raises CallerError (invalid_request) when it is none."""
        epoch, *rest = token[: _LONGEST_TOKEN + 1].split("-")
        try:
            places = [int(part, 16) for part in rest]
        except ValueError:
            places = []
        if len(token) > _LONGEST_TOKEN or len(places) != 4 or min(places) < 0:
            raise CallerError("The event id to resume after is not one of ours.", param="Last-Event-ID")
        sequence, text, objects, thinking = places
        return Cursor(epoch=epoch, sequence=sequence, text=text, objects=objects, thinking=thinking)


class TurnLog:
    """Events of one turn, in order. `epoch` tells this log from another one of the same turn."""

    def __init__(self, epoch: str, *, text: TextBuffer, thinking: TextBuffer) -> None:
        """Share the fold's buffers, which must already hold what an appended delta names.

        An entry is a kind and a mark: the end offset of text or thinking, or the number of a structural event.
        """
        self.epoch = epoch
        self.text = text
        self.closed = False
        self.thinking = thinking
        self.kinds = bytearray()
        self.marks = array("I")
        self.objects: list[TurnEvent] = []
        self.rounds: list[tuple[int, int]] = []
        self._text_end = 0
        self._thinking_end = 0
        self._last_object = -1
        self._last_number = 0
        self.waiters: set[LogReader] = set()

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self.kinds)

    @property
    def text_end(self) -> int:
        """Characters of the answer logged so far."""
        return self._text_end

    @property
    def last_number(self) -> int:
        """The number of the last structural event; what history keeps of it, so that a replay has the same."""
        return self._last_number

    def append(self, event: TurnEvent, *, number: int = 0) -> None:
        """Add an event and wake the readers that want it; `TurnEnded` closes the log.

        A replay gives a structural event the `number` that it had; without one it gets the next.
        """
        if self.closed:
            return
        if isinstance(event, TextDelta):
            self._text_end = event.end
            self._add(_TEXT, event.end)
        elif isinstance(event, ThinkingDelta):
            if not self.rounds or self.rounds[-1][1] != event.round:
                self.rounds.append((len(self.kinds), event.round))
            self._thinking_end += len(event.text)
            self._add(_THINKING, self._thinking_end)
        else:
            if isinstance(event, AnswerReady | TurnFailed):
                number = _OUTCOME_NUMBER
            self._last_number = max(self._last_number + 1, number)
            self._last_object = len(self.kinds)
            self.objects.append(event)
            self._add(_OBJECT, self._last_number)
            self.closed = isinstance(event, TurnEnded)
        for waiter in self.waiters:
            waiter.notice()

    def read(self, after: Cursor | None = None) -> "LogReader":
        """Return a reader from the start, or from just after `after` (of this log, or of another one of the turn)."""
        return LogReader(self, after)

    async def __aiter__(self) -> AsyncIterator[TurnEvent]:
        """Yield every event from the start to the end, as they come."""
        reader = self.read()
        while (event := await reader.next()) is not None:
            yield event

    def has_object_from(self, position: int) -> bool:
        """Whether a structural event waits at or after `position`: text before it should not be held back."""
        return self._last_object >= position

    def _add(self, kind: int, mark: int) -> None:
        self.kinds.append(kind)
        self.marks.append(mark)


class LogReader:
    """One reader's place in a log. Whoever stops reading before the end must `close` it."""

    def __init__(self, log: TurnLog, after: Cursor | None = None) -> None:
        """Start at the beginning, or after a cursor."""
        self.log = log
        self._position = 0
        self._text = 0
        self._thinking = 0
        self._objects = 0
        self._taken = 0
        self._muted = False
        self._asleep: asyncio.Future[None] | None = None
        self._wants_text_from: int | None = 0
        self._until: float | None = None
        self._timer: asyncio.Handle | None = None
        self._rings_at = 0.0  # uvloop's handle of a time that has come does not know when that was
        self._after = after or Cursor(epoch=log.epoch, sequence=0)
        if self._after.epoch == log.epoch:
            self._seek(min(self._after.sequence, len(log)))

    @property
    def cursor(self) -> Cursor:
        """The place after the last event returned."""
        return Cursor(
            epoch=self.log.epoch,
            sequence=self._position,
            text=max(self._text, self._after.text),
            objects=max(self._objects, self._after.objects),
            thinking=max(self._thinking, self._after.thinking),
        )

    @property
    def pending(self) -> bool:
        """Whether something waits to be read."""
        return self._position < len(self.log)

    def catch_up(self) -> list[TurnEvent]:
        """Return all there is, as a newcomer should see it, and go on after it.

        Structural events come first, then reasoning that is still open, then the whole text as one delta, then how the
        turn ended, if it has.
        """
        log = self.log
        thinking = TextBuffer()
        body: list[TurnEvent] = []
        end: list[TurnEvent] = []
        last_round = 0
        while self.pending:
            event = self._take()
            if isinstance(event, ThinkingDelta):
                thinking.append(event.text)
                last_round = event.round
            elif isinstance(event, ThinkingDone):
                thinking = TextBuffer()
                body.append(event)
            elif isinstance(event, _FINAL):
                end.append(event)
            elif event is not None and not isinstance(event, TextDelta):
                body.append(event)
        if thinking.length:
            body.append(ThinkingDelta(round=last_round, text=thinking.text()))
        if self._text:
            body.append(TextDelta(text=log.text.slice(0, self._text), end=self._text))
        return body + end

    def mute(self) -> None:
        """Return no more text, thinking or tools of this turn to this reader; how it ends is still told."""
        self._muted = True

    async def next(
        self,
        *,
        idle_s: float | None = None,
        not_before: float = 0,
        text_from: int = 0,
        not_after: float | None = None,
    ) -> TurnEvent | None:
        """Return the next event, merged with the neighbours of its kind that wait already; None at the end of the log.

        Raises TimeoutError after `idle_s` seconds without one. To pace text (loop times in seconds): a text event is
        held until `not_before`, and until the answer has `text_from` characters or it is `not_after`. A structural
        event that waits behind it lets it go at once, so order is kept and nothing but text is ever late.
        """
        log, loop = self.log, asyncio.get_running_loop()
        idle_at = None if idle_s is None else loop.time() + idle_s
        paced = bool(not_before or text_from)
        while True:
            if self._position == len(log.kinds):
                if log.closed:
                    self.close()
                    return None
                await self._sleep(0, idle_at)
                if idle_at is not None and not self.pending and not log.closed and loop.time() >= idle_at:
                    raise TimeoutError
            elif paced and (hold := self._hold(loop.time(), not_before, text_from, not_after)) is not None:
                await self._sleep(*hold)
            elif (event := self._take()) is not None:
                return event

    def notice(self) -> None:
        """Wake up if what was just appended is what this reader sleeps for. The log calls it."""
        log = self.log
        wanted = self._wants_text_from is not None and log.text_end >= self._wants_text_from
        if (wanted or log.has_object_from(len(log.kinds) - 1)) and self._asleep is not None:
            self._wake()

    def close(self) -> None:
        """Let go of the reader's timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hold(
        self, now: float, not_before: float, text_from: int, not_after: float | None
    ) -> tuple[int | None, float | None] | None:
        """Return how to sleep, (text offset that wakes, time that wakes), or None to go on."""
        log = self.log
        kind = log.kinds[self._position]
        if kind == _OBJECT or log.has_object_from(self._position):
            return None
        if kind == _TEXT and log.text_end < text_from and (not_after is None or now < not_after):
            return text_from, not_after
        if now < not_before:
            return None, not_before
        return None

    async def _sleep(self, text_from: int | None, until: float | None) -> None:
        """Wait for any entry (`text_from` 0), or text up to an offset, or a structural event, or the time `until`."""
        self._asleep = asyncio.get_running_loop().create_future()
        self._wants_text_from, self._until = text_from, until
        if until is not None:
            self._be_woken_by(until)
        self.log.waiters.add(self)
        try:
            await self._asleep
        finally:
            self.log.waiters.discard(self)
            self._asleep = self._until = None

    def _wake(self) -> None:
        if self._asleep is not None and not self._asleep.done():
            self._asleep.set_result(None)

    def _be_woken_by(self, until: float) -> None:
        """Set the timer, unless it rings early enough already: a busy stream would set and drop one for every piece."""
        if self._timer is not None:
            if self._rings_at <= until:
                return
            self._timer.cancel()
        self._timer, self._rings_at = asyncio.get_running_loop().call_at(until, self._ring), until

    def _ring(self) -> None:
        self._timer = None
        if self._until is None:
            return
        if asyncio.get_running_loop().time() >= self._until:
            self._wake()
        else:
            self._be_woken_by(self._until)

    def _take(self) -> TurnEvent | None:
        log = self.log
        kinds, marks = log.kinds, log.marks
        first = self._position
        kind = kinds[first]
        last = first
        if kind != _OBJECT:
            while last + 1 < len(kinds) and kinds[last + 1] == kind:
                last += 1
        self._position = last + 1
        mark = marks[last]
        if kind == _TEXT:
            start, self._text = max(self._text, self._after.text), mark
            return None if self._muted or mark <= start else TextDelta(text=log.text.slice(start, mark), end=mark)
        if kind == _THINKING:
            start, self._thinking = max(self._thinking, self._after.thinking), mark
            if self._muted or mark <= start:
                return None
            return ThinkingDelta(round=self._round_at(first), text=log.thinking.slice(start, mark))
        event = log.objects[self._taken]
        self._objects = mark
        self._taken += 1
        if mark <= self._after.objects or (self._muted and not isinstance(event, _FINAL)):
            return None
        return event

    def _round_at(self, position: int) -> int:
        rounds = self.log.rounds
        return next(number for start, number in reversed(rounds) if start <= position)

    def _seek(self, position: int) -> None:
        """Go to `position`: recompute what lies before it."""
        log = self.log
        self._position = position
        for kind, mark in zip(log.kinds[:position], log.marks[:position], strict=True):
            if kind == _TEXT:
                self._text = mark
            elif kind == _THINKING:
                self._thinking = mark
            else:
                self._objects = mark
                self._taken += 1
