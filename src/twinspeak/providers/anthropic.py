"""Anthropic's Messages, streamed: bytes to `ModelEvent`s.

Source: the vendor's reference, "Streaming Messages", "Extended thinking" and "Stop reasons" (platform.claude.com/docs).
`AnthropicDecoder` does no I/O; `AnthropicMessages` is the `engine.ports.ModelProvider` around it.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import msgspec

from twinspeak.domain.errors import ProviderFailed
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
)
from twinspeak.domain.ids import new_id
from twinspeak.domain.models import ModelSpec
from twinspeak.domain.turn import ModelRequest, Opaque
from twinspeak.egress.client import TrustedClient
from twinspeak.providers.anthropic_blocks import Block, finished, kind_of
from twinspeak.providers.anthropic_frames import (
    Counter,
    Frame,
    FrameDelta,
    FrameUsage,
    GarbledFrame,
    read_frame,
    status_of,
)
from twinspeak.providers.anthropic_request import MAKER, continued, encode, limit_of
from twinspeak.providers.claude import ClaudeQuirks
from twinspeak.providers.http import Endpoint
from twinspeak.providers.refusals import Refusal, failure_of, refusal_in
from twinspeak.providers.relay import relay
from twinspeak.providers.wire.loose import is_mapping, text
from twinspeak.providers.wire.sse import SseEvent, SseSplitter, SseTooLong
from twinspeak.providers.wire.surrogates import Joiner

_STOPS = {
    "max_tokens": StopReason.LENGTH,
    "model_context_window_exceeded": StopReason.LENGTH,
    "refusal": StopReason.REFUSED,
}
_PAUSED = "pause_turn"
_MOST_PAUSES = 8
"""A turn that the vendor paused is gone on with at most so often."""


class AnthropicDecoder:
    """A `relay.Decoder`. `tools` and `before`: the calls and tokens of what a paused answer gave already."""

    def __init__(self, provider: str = "anthropic", *, tools: int = 0, before: ModelUsage | None = None) -> None:
        self.finished = False
        self.tools = tools
        self.state: list[Opaque] = []
        self._provider = provider
        self._sse = SseSplitter()
        self._failure: ProviderFailed | None = None
        self._reason = ""
        self._blocks: dict[int, Block] = {}
        self._counter = Counter(before)
        self._joiners = {ModelText: Joiner(), ModelThinking: Joiner()}

    @property
    def whole(self) -> bool:
        """True when the answer is complete: its reason to stop has come."""
        return bool(self._reason)

    @property
    def paused(self) -> bool:
        """True when the vendor wants the answer so far back, to go on with it."""
        return self._reason == _PAUSED

    @property
    def usage(self) -> ModelUsage | None:
        """The tokens so far."""
        return self._counter.total

    def feed(self, data: bytes) -> list[ModelEvent]:
        """Return what `data` completes, in the stream's order; never raises."""
        found: list[ModelEvent] = []
        if not self.finished:
            try:
                self._take(self._sse.feed(data), found)
            except SseTooLong:
                self._fail()
        return found

    def close(self) -> list[ModelEvent]:
        """Return the last events, the stop at the very end. Raises ProviderFailed."""
        found: list[ModelEvent] = []
        if not self.finished:
            self._take(self._sse.close(), found)
        if not self._failure and not self.whole:
            self._fail()
        if self._failure:
            raise self._failure
        for index in list(self._blocks):
            self._end_block(index, found)
        if self._counter.untold:
            found.append(self._counter.untold)
        for kind, joiner in self._joiners.items():
            if rest := joiner.rest():
                found.append(kind(rest))
        found.append(ModelStop(self._stop()))
        self.finished = True
        return found

    def _take(self, events: list[SseEvent], found: list[ModelEvent]) -> None:
        for name, data in events:
            if self.finished:
                return
            if data.strip() in {b"", b"[DONE]"}:
                continue
            try:
                frame = read_frame(name, data)
            except GarbledFrame:
                self._fail()
                return
            self._frame(frame, found)

    def _frame(self, frame: Frame, found: list[ModelEvent]) -> None:
        kind = frame.type
        if kind == "content_block_delta":
            self._delta(frame.index or 0, frame.delta or FrameDelta(), found)
        elif kind == "content_block_start":
            self._begin_block(frame.index or 0, frame.content_block or {}, found)
        elif kind == "content_block_stop":
            self._end_block(frame.index or 0, found)
        elif kind == "message_start" and frame.message and frame.message.usage:
            # Not told yet: of an answer that is cancelled it would say that almost nothing was written.
            self._counter.take(frame.message.usage)
        elif kind == "message_delta":
            self._reason = (frame.delta and frame.delta.stop_reason) or self._reason
            if frame.usage:
                self._count(frame.usage, found)
        elif kind == "message_stop":
            self._reason = self._reason or "end_turn"
            self.finished = True
        elif kind == "error" or (not kind and frame.error):
            self._fail(frame.error)

    def _fail(self, error: object = None) -> None:
        refusal = refusal_in({"error": error}, status=status_of(error)) if error else Refusal(0)
        self._failure = failure_of(self._provider, refusal)
        self.finished = True

    def _count(self, usage: FrameUsage, found: list[ModelEvent]) -> None:
        if tokens := self._counter.take(usage):
            found.append(tokens)
            self._counter.untold = None

    def _begin_block(self, index: int, raw: dict[str, Any], found: list[ModelEvent]) -> None:
        self._end_block(index, found)
        number = None
        if raw.get("type") == "tool_use":
            number = self.tools
            self.tools += 1
            call_id, name = text(raw.get("id")) or f"call_{new_id()}", text(raw.get("name")) or ""
            found.append(ModelToolDelta(index=number, call_id=call_id, name=name))
        self._blocks[index] = Block(raw, number)
        if raw.get("type") in {"text", "thinking"}:
            # Empty at the vendor; servers that call themselves compatible may send all of it.
            opening = FrameDelta(None, text(raw.get("text")), text(raw.get("thinking")), text(raw.get("signature")))
            self._delta(index, opening, found)

    def _delta(self, index: int, delta: FrameDelta, found: list[ModelEvent]) -> None:
        block = self._blocks.get(index)
        if block is None:
            block = self._blocks[index] = Block({"type": kind_of(delta)}, None)
        if delta.text and delta.type in {None, "text_delta"}:
            self._say(ModelText, block, delta.text, found)
        if delta.thinking and delta.type in {None, "thinking_delta"}:
            self._say(ModelThinking, block, delta.thinking, found)
        if delta.signature:
            block.signature += delta.signature
            found.append(ModelSignature(block.signature))
        if delta.partial_json:
            block.pieces.append(delta.partial_json)
            if block.number is not None:
                found.append(ModelToolDelta(index=block.number, arguments=delta.partial_json))
        if delta.citation is not None:
            block.citations.append(delta.citation)

    def _say(
        self, kind: type[ModelText] | type[ModelThinking], block: Block, piece: str, found: list[ModelEvent]
    ) -> None:
        block.pieces.append(piece)
        if piece := self._joiners[kind].feed(piece):
            found.append(kind(piece))

    def _end_block(self, index: int, found: list[ModelEvent]) -> None:
        """Keep a block as the vendor wants it back."""
        block = self._blocks.pop(index, None)
        if block is None:
            return
        given = block.raw.get("input")
        if block.number is not None and not block.pieces and is_mapping(given) and given:
            found.append(ModelToolDelta(index=block.number, arguments=msgspec.json.encode(given).decode()))
        if (value := finished(block)) is not None:
            self.state.append(Opaque(MAKER, value))
            found.append(ModelState(self.state[-1]))

    def _stop(self) -> StopReason:
        if self._reason in _STOPS:
            return _STOPS[self._reason]
        return StopReason.TOOLS if self.tools else StopReason.END


class AnthropicMessages:
    """Asks Anthropic, or a server that speaks Messages. `quirks` tells how a model wants to be asked."""

    def __init__(
        self,
        client: TrustedClient,
        endpoint: Endpoint,
        quirks: Callable[[ModelSpec], ClaudeQuirks],
    ) -> None:
        self._client = client
        self._endpoint = endpoint
        self._quirks = quirks

    async def stream(self, request: ModelRequest) -> AsyncGenerator[list[ModelEvent]]:
        """Yield the events of each network read as one batch. Raises ProviderFailed.

        An answer that the vendor pauses is gone on with, within the limit of the first: it is one round for the engine.
        """
        quirks, state, left = self._quirks(request.model), list[Opaque](), limit_of(request)
        decoder = AnthropicDecoder(self._endpoint.provider)
        for _ in range(_MOST_PAUSES):
            body = encode(continued(request, tuple(state), left), quirks)
            batches = relay(self._client, self._endpoint, body, decoder)
            async with aclosing(batches):
                async for batch in batches:
                    yield [event for event in batch if not isinstance(event, ModelStop)] if decoder.paused else batch
            if not decoder.paused:
                return
            state += decoder.state
            left = limit_of(request) - (decoder.usage.completion if decoder.usage else 0)
            if left <= 0:
                break
            decoder = AnthropicDecoder(self._endpoint.provider, tools=decoder.tools, before=decoder.usage)
        yield [ModelStop(StopReason.LENGTH)]
