"""OpenAI's Responses, the wire on which its models may think and use tools at once: bytes to `ModelEvent`s.

Source: the vendor's reference "Responses > Streaming events" and its guide "Reasoning models" (developers.openai.com).
Events are named by their `type`; output items come in their order, and the last event holds the counts.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from twinspeak.domain.errors import ProviderFailed
from twinspeak.domain.events import (
    ModelEvent,
    ModelState,
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
from twinspeak.providers.http import Endpoint
from twinspeak.providers.openai_request import Quirks
from twinspeak.providers.refusals import Refused
from twinspeak.providers.relay import relay
from twinspeak.providers.responses_request import MAKER, encode
from twinspeak.providers.sse_decoder import SseDecoder
from twinspeak.providers.wire.loose import mapping, text, whole

_TEXTS: dict[str, type[ModelText] | type[ModelThinking]] = {
    "response.output_text.delta": ModelText,
    "response.refusal.delta": ModelText,
    "response.reasoning_summary_text.delta": ModelThinking,
    "response.reasoning_text.delta": ModelThinking,
}
_ENDS = frozenset({"response.completed", "response.incomplete"})
_FAILURES = frozenset({"response.failed", "response.cancelled", "error"})
_BREAK = "\n\n"


class _Call:
    """A function call under way. `number` is its place in the round; `sent` how much of its arguments was told."""

    __slots__ = ("number", "sent")

    def __init__(self, number: int) -> None:
        self.number = number
        self.sent = ""


class ResponsesDecoder(SseDecoder):
    """Decodes one answer. Its items go back with a tool round as they came: reasoning in them is encrypted."""

    def __init__(self, provider: str = "openai", *, max_event_bytes: int = 8_000_000) -> None:
        super().__init__(provider, max_event_bytes=max_event_bytes)
        self._ended = False
        self._incomplete = ""
        self._refused = False
        self._calls: dict[int, _Call] = {}
        self._thought = False
        self._parted = False

    @property
    def whole(self) -> bool:
        """True when the answer is complete: its last event has come."""
        return self._ended

    def _event(self, name: str, payload: dict[str, Any], found: list[ModelEvent]) -> None:
        kind = text(payload.get("type")) or name
        if said := _TEXTS.get(kind):
            self._refused = self._refused or kind == "response.refusal.delta"
            self._say(said, text(payload.get("delta")) or "", found)
        elif kind == "response.reasoning_summary_part.added":
            self._parted = self._thought
        elif kind == "response.function_call_arguments.delta":
            self._arguments(payload, text(payload.get("delta")) or "", found)
        elif kind == "response.output_item.added":
            self._begin(payload, found)
        elif kind == "response.output_item.done":
            self._done(payload, found)
        elif kind in _ENDS:
            self._end(mapping(payload.get("response")), found)
        elif kind in _FAILURES:
            response = mapping(payload.get("response"))
            self._fail(response if response.get("error") else payload)

    def _say(self, kind: type[ModelText] | type[ModelThinking], words: str, found: list[ModelEvent]) -> None:
        """Add text; parts of a summary are paragraphs."""
        if words and kind is ModelThinking:
            words = _BREAK + words if self._parted else words
            self._thought, self._parted = True, False
        if words:
            found.append(kind(words))

    def _begin(self, payload: dict[str, Any], found: list[ModelEvent]) -> _Call | None:
        """Open a function call; other items tell what they are by their events."""
        item = mapping(payload.get("item"))
        index = whole(payload.get("output_index")) or 0
        if item.get("type") != "function_call" or index in self._calls:
            return self._calls.get(index)
        call = self._calls[index] = _Call(len(self._calls))
        given = text(item.get("call_id"))
        found.append(
            ModelToolDelta(
                index=call.number,
                call_id=given or f"call_{new_id()}",
                name=text(item.get("name")) or "",
                state=Opaque(MAKER, {"call_id": given}) if given else None,
            )
        )
        return call

    def _arguments(self, payload: dict[str, Any], piece: str, found: list[ModelEvent]) -> None:
        call = self._calls.get(whole(payload.get("output_index")) or 0)
        if call and piece:
            call.sent += piece
            found.append(ModelToolDelta(index=call.number, arguments=piece))

    def _done(self, payload: dict[str, Any], found: list[ModelEvent]) -> None:
        """Keep a finished item for the next round; tell what no delta told."""
        item = mapping(payload.get("item"))
        if call := self._begin(payload, found):
            arguments = text(item.get("arguments")) or ""
            if arguments.startswith(call.sent):
                self._arguments(payload, arguments[len(call.sent) :], found)
        if item:
            found.append(ModelState(Opaque(MAKER, item)))

    def _end(self, response: dict[str, Any], found: list[ModelEvent]) -> None:
        self._incomplete = text(mapping(response.get("incomplete_details")).get("reason")) or ""
        usage = mapping(response.get("usage"))
        prompt, completion = (max(0, whole(usage.get(name)) or 0) for name in ("input_tokens", "output_tokens"))
        if prompt or completion:
            cached = max(0, whole(mapping(usage.get("input_tokens_details")).get("cached_tokens")) or 0)
            found.append(ModelUsage(prompt, min(cached, prompt), completion))
        self._ended = self.finished = True

    def _stop(self) -> StopReason:
        if self._refused or self._incomplete == "content_filter":
            return StopReason.REFUSED
        if self._incomplete:
            return StopReason.LENGTH
        return StopReason.TOOLS if self._calls else StopReason.END


class OpenAIResponses:
    """Asks OpenAI over Responses. `quirks` tells how a model wants to be asked.

    Summaries of reasoning are only for organisations that the vendor has verified: who is refused them is asked again
    without, and from then on.
    """

    def __init__(
        self,
        client: TrustedClient,
        endpoint: Endpoint,
        quirks: Callable[[ModelSpec], Quirks],
    ) -> None:
        self._client = client
        self._endpoint = endpoint
        self._quirks = quirks
        self._summaries = True

    async def stream(self, request: ModelRequest) -> AsyncGenerator[list[ModelEvent]]:
        """Yield the events of each network read as one batch. Raises ProviderFailed."""
        summaries = self._summaries
        try:
            async with aclosing(self._ask(request, summaries=summaries)) as stream:
                async for events in stream:
                    yield events
        except ProviderFailed as failure:
            if not summaries or not _wants_verification(failure):
                raise
        else:
            return
        self._summaries = False
        async with aclosing(self._ask(request, summaries=False)) as stream:
            async for events in stream:
                yield events

    def _ask(self, request: ModelRequest, *, summaries: bool) -> AsyncGenerator[list[ModelEvent]]:
        body = encode(request, self._quirks(request.model), summaries=summaries)
        return relay(self._client, self._endpoint, body, ResponsesDecoder(self._endpoint.provider))


def _wants_verification(failure: ProviderFailed) -> bool:
    cause = failure.__cause__
    return isinstance(cause, Refused) and cause.refusal.param == "reasoning.summary"
