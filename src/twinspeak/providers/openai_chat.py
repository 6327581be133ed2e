"""Chat completions, the wire of OpenAI and of every server that calls itself compatible: bytes to `ModelEvent`s.

Source: the vendor's reference of streamed chat completions (developers.openai.com, API reference, Chat Completions).
`OpenAIChatDecoder` does no I/O; `OpenAIChat` is the `engine.ports.ModelProvider` around it.
"""

from collections.abc import AsyncGenerator, Callable

from twinspeak.domain.errors import ProviderFailed
from twinspeak.domain.events import (
    ModelEvent,
    ModelStop,
    ModelText,
    ModelThinking,
    ModelToolDelta,
    StopReason,
)
from twinspeak.domain.ids import new_id
from twinspeak.domain.models import ModelSpec
from twinspeak.domain.turn import ModelRequest
from twinspeak.egress.client import TrustedClient
from twinspeak.providers.http import Endpoint
from twinspeak.providers.openai_chunks import (
    Chunk,
    Delta,
    GarbledChunk,
    Part,
    ToolCallDelta,
    counted,
    read_chunk,
)
from twinspeak.providers.openai_request import Quirks, encode
from twinspeak.providers.refusals import Refusal, failure_of, refusal_in
from twinspeak.providers.relay import relay
from twinspeak.providers.wire.sse import SseEvent, SseSplitter, SseTooLong
from twinspeak.providers.wire.surrogates import Joiner

_STOPS = {
    "length": StopReason.LENGTH,
    "max_tokens": StopReason.LENGTH,
    "model_length": StopReason.LENGTH,
    "tool_calls": StopReason.TOOLS,
    "tool_use": StopReason.TOOLS,
    "function_call": StopReason.TOOLS,
    "content_filter": StopReason.REFUSED,
    "refusal": StopReason.REFUSED,
}
_FAILED_STOPS = {"error": 0, "insufficient_system_resource": 503}


class _Tool:
    """A tool call under way. `number` is its place in the round, whatever index the server gives it."""

    __slots__ = ("call_id", "named", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.call_id = ""
        self.named = False


class OpenAIChatDecoder:
    """Feed it the body of a 200 answer; it never raises there, so that nothing decoded before a failure is lost.

    When `finished`, or when the body has ended, `close` gives the last events or raises `ProviderFailed`: for an error
    inside the stream, for data that is no chunk, for a stream that ended without saying so.
    """

    def __init__(self, provider: str = "openai", *, max_event_bytes: int = 8_000_000) -> None:
        self.finished = False
        self._provider = provider
        self._sse = SseSplitter(max_event_bytes=max_event_bytes)
        self._failure: ProviderFailed | None = None
        self._reason = ""
        self._refused = False
        self._done = False
        self._tools: dict[int, _Tool] = {}
        self._tool_count = 0
        self._last_index = 0
        self._joiners = {ModelText: Joiner(), ModelThinking: Joiner()}

    @property
    def whole(self) -> bool:
        """True when the answer is complete, so that a connection that breaks now takes nothing with it."""
        return self._done or bool(self._reason)

    def feed(self, data: bytes) -> list[ModelEvent]:
        """Return what `data` completes, in the stream's order."""
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
            try:
                self._take(self._sse.close(), found)
            except SseTooLong:
                self._fail()
        if not self._failure and not self.whole:
            self._fail()
        if self._failure:
            raise self._failure
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
            if len(data) < 16 and (word := data.strip()) in {b"", b"[DONE]"}:
                self._done = self.finished = word != b""
                continue
            try:
                chunk = read_chunk(data)
            except GarbledChunk:
                self._fail()
                return
            if chunk.error or name == "error":
                self._fail(refusal_in({"error": chunk.error or {}}))
                return
            self._chunk(chunk, found)

    def _fail(self, refusal: Refusal | None = None) -> None:
        self._failure = failure_of(self._provider, refusal or Refusal(0))
        self.finished = True

    def _chunk(self, chunk: Chunk, found: list[ModelEvent]) -> None:
        usage = chunk.usage
        for choice in chunk.choices or ():
            if choice.index:
                continue
            if choice.delta:
                self._delta(choice.delta, found)
            if choice.finish_reason:
                self._reason = choice.finish_reason
                if self._reason in _FAILED_STOPS:
                    self._fail(Refusal(_FAILED_STOPS[self._reason]))
                    return
            usage = usage or choice.usage
        if not usage and chunk.x_groq:
            usage = chunk.x_groq.usage
        if usage and (tokens := counted(usage)):
            found.append(tokens)

    def _delta(self, delta: Delta, found: list[ModelEvent]) -> None:
        if thought := delta.reasoning_content or delta.reasoning:
            self._text(ModelThinking, thought, found)
        content = delta.content
        if content:
            if isinstance(content, str):
                self._text(ModelText, content, found)
            else:
                for part in content:
                    self._part(part, found)
        if delta.refusal:
            self._refused = True
            self._text(ModelText, delta.refusal, found)
        if delta.tool_calls:
            for call in delta.tool_calls:
                self._tool(call, found)

    def _part(self, part: Part, found: list[ModelEvent]) -> None:
        if part.type in {"thinking", "reasoning"}:
            thinking = part.thinking
            if isinstance(thinking, list):
                thinking = "".join(inner.text or "" for inner in thinking)
            self._text(ModelThinking, thinking or part.text or "", found)
        elif part.refusal:
            self._refused = True
            self._text(ModelText, part.refusal, found)
        elif part.type in {"text", "output_text"}:
            self._text(ModelText, part.text or "", found)

    def _text(self, kind: type[ModelText] | type[ModelThinking], text: str, found: list[ModelEvent]) -> None:
        if text := self._joiners[kind].feed(text):
            found.append(kind(text))

    def _tool(self, call: ToolCallDelta, found: list[ModelEvent]) -> None:
        function = call.function
        name = function.name if function else None
        arguments = (function.arguments if function else None) or ""
        tool = self._tool_for(call, name)
        call_id = None
        if not tool.call_id and (call.id or name):
            call_id = tool.call_id = call.id or f"call_{new_id()}"
        name = name if name and not tool.named else None
        tool.named = tool.named or bool(name)
        if call_id or name or arguments:
            found.append(ModelToolDelta(index=tool.number, call_id=call_id, name=name, arguments=arguments))

    def _tool_for(self, call: ToolCallDelta, name: str | None) -> _Tool:
        """Find the call that a delta belongs to: by index, unless it opens another one.

        Some servers give every parallel call index 0 and tell them apart by id; some give no index at all.
        """
        index = call.index
        if index is None or index < 0:
            index = self._last_index
        tool = self._tools.get(index)
        another = tool and name and tool.named and (call.id != tool.call_id if call.id else call.index is None)
        if tool is None or another:
            tool = self._tools[index] = _Tool(self._tool_count)
            self._tool_count += 1
        self._last_index = index
        return tool

    def _stop(self) -> StopReason:
        if self._refused:
            return StopReason.REFUSED
        reason = _STOPS.get(self._reason, StopReason.END)
        if reason in {StopReason.END, StopReason.TOOLS}:
            return StopReason.TOOLS if self._tools else StopReason.END
        return reason


class OpenAIChat:
    """Asks one server over chat completions. `quirks` tells how a model there wants to be asked."""

    def __init__(
        self,
        client: TrustedClient,
        endpoint: Endpoint,
        quirks: Callable[[ModelSpec], Quirks],
    ) -> None:
        self._client = client
        self._endpoint = endpoint
        self._quirks = quirks

    def stream(self, request: ModelRequest) -> AsyncGenerator[list[ModelEvent]]:
        """Yield the events of each network read as one batch. Raises ProviderFailed."""
        body = encode(request, self._quirks(request.model))
        return relay(self._client, self._endpoint, body, OpenAIChatDecoder(self._endpoint.provider))
