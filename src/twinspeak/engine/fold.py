"""Fold a model's events, round by round, into a turn's events and parts.

Pure: fed events, returns events. The rules are contract 4.1's:

- texts of successive rounds are parted by a blank line, which is text like any other;
- exactly one `ThinkingDone` closes a round that thought: before its first tool call, else when its text begins, else at
  its end. Reasoning that arrives later in the round goes back to the provider but is not shown (decision 013);
- a citation marker such as ``[2]`` is held back until it is whole, so that no reader ever sees half of one.
"""

import re
from collections.abc import Iterable

import msgspec

from twinspeak.domain.credits import Usage, estimate_tokens
from twinspeak.domain.events import (
    ModelEvent,
    ModelSignature,
    ModelState,
    ModelStop,
    ModelText,
    ModelThinking,
    ModelToolDelta,
    ModelUsage,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ThinkingDone,
)
from twinspeak.domain.ids import new_id
from twinspeak.domain.turn import Opaque, ToolCall
from twinspeak.engine.arguments import parse_arguments
from twinspeak.engine.buffer import TextBuffer, encodable

ROUND_BREAK = "\n\n"
_OPEN_MARKER = re.compile(r"\[(?:\d{1,3}(?:, ?\d{1,3}){0,9}(?:, ?)?)?\Z")
_LONGEST_MARKER = len("[") + 10 * len("123, ")
"""Of an unfinished marker: ten numbers. More than that is not waited for."""

_MOST_TOKENS = 2**31 - 1
"""Of one round. A count beyond is a vendor's slip, and no database could hold the next one: it counts as none."""

FoldEvent = TextDelta | ThinkingDelta | ThinkingDone


class RoundResult(msgspec.Struct, frozen=True):
    """One round, folded. `usage` is None when the provider counted nothing; `state` is for its next request alone."""

    number: int
    text: str
    thinking: str
    signature: str | None
    tool_calls: tuple[ToolCall, ...]
    usage: Usage | None
    stop: StopReason
    state: tuple[Opaque, ...] = ()


class _Assembling:
    __slots__ = ("arguments", "call_id", "name", "state")

    def __init__(self) -> None:
        self.call_id = ""
        self.name = ""
        self.arguments: list[str] = []
        self.state: Opaque | None = None


class TurnFold:
    """The fold of one turn; `text` and `thinking` are its whole answer and reasoning so far."""

    def __init__(self, *, show_thinking: bool) -> None:
        """`show_thinking` False folds reasoning for the provider only: no event carries it."""
        self.text = TextBuffer()
        self.thinking = TextBuffer()
        self.show_thinking = show_thinking
        self.hold_markers = False
        self._call_ids: set[str] = set()
        self.begin_round(0)

    def begin_round(self, number: int) -> None:
        """Start round `number`; the one before must have been ended."""
        self._number = number
        self._text_start: int | None = None
        self._thinking_start = self.thinking.length
        self._thinking_closed = False
        self._late_thinking: list[str] = []
        self._held = ""
        self._signature: str | None = None
        self._state: list[Opaque] = []
        self._tools: dict[int, _Assembling] = {}
        self._usage: Usage | None = None
        self._stop: StopReason | None = None

    @property
    def produced(self) -> bool:
        """Whether the model has given anything at all in this turn: text, reasoning or a tool call."""
        return bool(self.text.length or self._held or self._tools or self._call_ids or self.thinking.length)

    @property
    def round_usage(self) -> Usage | None:
        """What the provider has counted in this round so far."""
        return self._usage

    @property
    def round_produced(self) -> bool:
        """Whether the model has given anything in this round."""
        texts = self._text_start is not None or self._held or self._late_thinking
        return bool(texts or self._tools or self.thinking.length > self._thinking_start)

    def round_tokens(self) -> int:
        """Estimate the tokens that this round has produced."""
        start = self.text.length if self._text_start is None else self._text_start
        pieces = [
            self.text.slice(start, self.text.length),
            self._held,
            self.thinking.slice(self._thinking_start, self.thinking.length),
            *self._late_thinking,
            *("".join(tool.arguments) for tool in self._tools.values()),
        ]
        return estimate_tokens("".join(pieces))

    def feed(self, events: Iterable[ModelEvent]) -> list[FoldEvent]:
        """Fold one batch; neighbouring pieces of text come out as one."""
        out: list[FoldEvent] = []
        text: list[str] = []
        for event in events:
            if isinstance(event, ModelText):
                if event.text:
                    text.append(event.text)
                continue
            if text and not isinstance(event, ModelUsage):
                # How the wire was cut into batches must not show: what came after text is folded after it.
                self._feed_text("".join(text), out)
                text.clear()
            self._feed_other(event, out)
        if text:
            self._feed_text("".join(text), out)
        return out

    def end_round(self) -> tuple[RoundResult, list[FoldEvent]]:
        """Close the round, also one that was cut short; let out what was held back."""
        out: list[FoldEvent] = []
        if self._held:
            held, self._held = self._held, ""
            self._emit_text(held, out)
        self._close_thinking(out)
        calls = tuple(self._assembled(tool) for _, tool in sorted(self._tools.items()))
        start = self.text.length if self._text_start is None else self._text_start
        result = RoundResult(
            number=self._number,
            text=self.text.slice(start, self.text.length),
            thinking="".join([self.thinking.slice(self._thinking_start, self.thinking.length), *self._late_thinking]),
            signature=self._signature,
            tool_calls=calls,
            usage=self._usage,
            stop=self._stop or (StopReason.TOOLS if calls else StopReason.END),
            state=tuple(self._state),
        )
        return result, out

    def _feed_other(self, event: ModelEvent, out: list[FoldEvent]) -> None:
        if isinstance(event, ModelThinking):
            self._feed_thinking(encodable(event.text), out)
        elif isinstance(event, ModelSignature):
            self._signature = event.signature
        elif isinstance(event, ModelState):
            self._state.append(event.item)
        elif isinstance(event, ModelToolDelta):
            self._close_thinking(out)
            self._feed_tool(event)
        elif isinstance(event, ModelUsage):
            if min(event.input, event.cached, event.completion) >= 0 and event.input + event.completion <= _MOST_TOKENS:
                self._usage = Usage(input=event.input, cached=event.cached, completion=event.completion)
        elif isinstance(event, ModelStop):
            self._stop = event.reason

    def _feed_text(self, text: str, out: list[FoldEvent]) -> None:
        self._close_thinking(out)
        text = encodable(text)
        if self.hold_markers:
            text = self._held + text
            self._held = ""
            opening = text.rfind("[", -_LONGEST_MARKER)
            if opening >= 0 and _OPEN_MARKER.match(text, opening):
                self._held = text[opening:]
                text = text[:opening]
        if text:
            self._emit_text(text, out)

    def _emit_text(self, text: str, out: list[FoldEvent]) -> None:
        if self._text_start is None:
            if self.text.length:
                text = ROUND_BREAK + text
                self._text_start = self.text.length + len(ROUND_BREAK)
            else:
                self._text_start = 0
        out.append(TextDelta(text=text, end=self.text.append(text)))

    def _feed_thinking(self, text: str, out: list[FoldEvent]) -> None:
        if not text:
            return
        if self._thinking_closed:
            # Kept apart: readers find their thinking by offset, and were never told of this (decision 013).
            self._late_thinking.append(text)
            return
        self.thinking.append(text)
        if self.show_thinking:
            out.append(ThinkingDelta(round=self._number, text=text))

    def _close_thinking(self, out: list[FoldEvent]) -> None:
        if self._thinking_closed:
            return
        text = self.thinking.slice(self._thinking_start, self.thinking.length)
        self._thinking_closed = bool(text)
        if text and self.show_thinking:
            out.append(ThinkingDone(round=self._number, text=text, signature=self._signature))

    def _feed_tool(self, event: ModelToolDelta) -> None:
        tool = self._tools.setdefault(event.index, _Assembling())
        tool.call_id = tool.call_id or encodable(event.call_id or "")
        tool.name = tool.name or encodable(event.name or "")
        tool.state = event.state or tool.state
        if event.arguments:
            tool.arguments.append(event.arguments)

    def _assembled(self, tool: _Assembling) -> ToolCall:
        call_id = tool.call_id
        if not call_id or call_id in self._call_ids:
            # Some compatible servers repeat ids or send none; clients are promised one TOOL_CALL per id.
            call_id = f"call_{new_id()}"
        self._call_ids.add(call_id)
        raw = encodable("".join(tool.arguments))
        return ToolCall(call_id=call_id, name=tool.name, arguments=parse_arguments(raw), raw=raw, state=tool.state)
