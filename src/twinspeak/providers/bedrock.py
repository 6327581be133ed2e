"""Amazon Bedrock's ConverseStream: bytes to `ModelEvent`s.

Source: the API reference, "ConverseStream" and "ConverseStreamOutput" (docs.aws.amazon.com/bedrock), and real streams:
a block of text or reasoning has no `contentBlockStart`; `inputTokens` holds neither cache reads nor writes.
`BedrockDecoder` does no I/O; `BedrockConverse` is the `engine.ports.ModelProvider` around it.
"""

import base64
import binascii
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Protocol
from urllib.parse import quote

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
from twinspeak.providers.bedrock_request import MAKER, BedrockQuirks, encode
from twinspeak.providers.http import Endpoint
from twinspeak.providers.refusals import Refusal, failure_of, refusal_in
from twinspeak.providers.relay import relay
from twinspeak.providers.wire.eventstream import EventMessage, EventStreamSplitter
from twinspeak.providers.wire.loose import mapping, read_object, text, whole

_STOPS = {
    "max_tokens": StopReason.LENGTH,
    "model_context_window_exceeded": StopReason.LENGTH,
    "guardrail_intervened": StopReason.REFUSED,
    "content_filtered": StopReason.REFUSED,
}
_FAILED_STOPS = frozenset({"malformed_model_output", "malformed_tool_use"})
_STATUSES = {
    "validationException": 400,
    "modelTimeoutException": 408,
    "modelStreamErrorException": 424,
    "throttlingException": 429,
    "internalServerException": 500,
    "serviceUnavailableException": 503,
}


class _Block:
    """A content block under way. `number` is a tool call's place in the round."""

    __slots__ = ("number", "redacted", "signature", "text", "thought")

    def __init__(self) -> None:
        self.number: int | None = None
        self.text: list[str] = []
        self.thought: list[str] = []
        self.signature = ""
        self.redacted = b""

    def finished(self) -> list[dict[str, Any]]:
        """Return what the vendor wants back, a tool call by its number alone."""
        found: list[dict[str, Any]] = []
        if self.redacted:
            found.append({"reasoningContent": {"redactedContent": base64.b64encode(self.redacted).decode()}})
        if self.thought or self.signature:
            thought: dict[str, Any] = {"text": "".join(self.thought)}
            if self.signature:
                thought["signature"] = self.signature
            found.append({"reasoningContent": {"reasoningText": thought}})
        if said := "".join(self.text):
            found += [{"text": said}] if said.strip() else []
        if self.number is not None:
            found.append({"toolUse": self.number})
        return found


class BedrockDecoder:
    """A `relay.Decoder`."""

    def __init__(self, provider: str = "bedrock") -> None:
        self.finished = False
        self._provider = provider
        self._splitter = EventStreamSplitter()
        self._failure: ProviderFailed | None = None
        self._reason = ""
        self._blocks: dict[int, _Block] = {}
        self._tools = 0

    @property
    def whole(self) -> bool:
        """True when the answer is complete: its reason to stop has come."""
        return bool(self._reason)

    def feed(self, data: bytes) -> list[ModelEvent]:
        """Return what `data` completes, in the stream's order; never raises."""
        found: list[ModelEvent] = []
        if self.finished:
            return found
        messages, broken = self._splitter.feed(data)
        for message in messages:
            if not self.finished:
                self._message(message, found)
        if broken and not self.finished:
            self._fail()
        return found

    def close(self) -> list[ModelEvent]:
        """Return the last events, the stop at the very end. Raises ProviderFailed."""
        found: list[ModelEvent] = []
        if not self._failure and not self.whole:
            self._fail()
        if self._failure:
            raise self._failure
        for index in list(self._blocks):
            self._end_block(index, found)
        found.append(ModelStop(self._stop()))
        self.finished = True
        return found

    def _message(self, message: EventMessage, found: list[ModelEvent]) -> None:
        kind = message.headers.get(":message-type", "event")
        payload = read_object(message.payload)
        if kind != "event":
            name = message.headers.get(":exception-type") or message.headers.get(":error-code") or ""
            self._fail(name, payload)
        elif payload is None:
            self._fail()
        else:
            self._event(message.headers.get(":event-type", ""), payload, found)

    def _event(self, kind: str, payload: dict[str, Any], found: list[ModelEvent]) -> None:
        index = whole(payload.get("contentBlockIndex")) or 0
        if kind == "contentBlockDelta":
            self._delta(index, mapping(payload.get("delta")), found)
        elif kind == "contentBlockStart":
            self._begin_block(index, mapping(payload.get("start")), found)
        elif kind == "contentBlockStop":
            self._end_block(index, found)
        elif kind == "messageStop":
            self._reason = text(payload.get("stopReason")) or "end_turn"
            if self._reason in _FAILED_STOPS:
                self._fail()
        elif kind == "metadata":
            if tokens := _counted(mapping(payload.get("usage"))):
                found.append(tokens)
            self.finished = self.whole

    def _fail(self, name: str = "", payload: dict[str, Any] | None = None) -> None:
        status = _STATUSES.get(name, 0)
        refusal = refusal_in(payload, status=status) if payload and status else Refusal(status)
        self._failure = failure_of(self._provider, refusal)
        self.finished = True

    def _begin_block(self, index: int, start: dict[str, Any], found: list[ModelEvent]) -> None:
        self._end_block(index, found)
        block = self._blocks[index] = _Block()
        tool = mapping(start.get("toolUse"))
        if tool:
            block.number = self._tools
            self._tools += 1
            call_id = text(tool.get("toolUseId")) or f"call_{new_id()}"
            found.append(ModelToolDelta(index=block.number, call_id=call_id, name=text(tool.get("name")) or ""))

    def _delta(self, index: int, delta: dict[str, Any], found: list[ModelEvent]) -> None:
        block = self._blocks.setdefault(index, _Block())
        if said := text(delta.get("text")):
            block.text.append(said)
            found.append(ModelText(said))
        arguments = text(mapping(delta.get("toolUse")).get("input"))
        if arguments and block.number is not None:
            found.append(ModelToolDelta(index=block.number, arguments=arguments))
        if reasoning := mapping(delta.get("reasoningContent")):
            self._reason_of(block, reasoning, found)

    def _reason_of(self, block: _Block, reasoning: dict[str, Any], found: list[ModelEvent]) -> None:
        if thought := text(reasoning.get("text")):
            block.thought.append(thought)
            found.append(ModelThinking(thought))
        if signature := text(reasoning.get("signature")):
            block.signature += signature
            found.append(ModelSignature(block.signature))
        if redacted := text(reasoning.get("redactedContent")):
            block.redacted += _decoded(redacted)

    def _end_block(self, index: int, found: list[ModelEvent]) -> None:
        block = self._blocks.pop(index, None)
        if block:
            found += [ModelState(Opaque(MAKER, value)) for value in block.finished()]

    def _stop(self) -> StopReason:
        if self._reason in _STOPS:
            return _STOPS[self._reason]
        return StopReason.TOOLS if self._tools else StopReason.END


def _decoded(piece: str) -> bytes:
    """Return the bytes of one piece; each is padded by itself, so they are joined as bytes."""
    try:
        return base64.b64decode(piece)
    except (binascii.Error, ValueError):
        return b""


def _counted(usage: dict[str, Any]) -> ModelUsage | None:
    """Normalise tokens (contract section 4). Whether cache reads are in the input already, the total tells."""
    names = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
    prompt, completion, read, written = (max(0, whole(usage.get(name)) or 0) for name in names)
    if not prompt and not completion:
        return None
    if whole(usage.get("totalTokens")) != prompt + completion:
        prompt += read + written
    return ModelUsage(input=prompt, cached=min(read, prompt), completion=completion)


class Signer(Protocol):
    """Lets a request in. Raises ProviderFailed when there is nothing to let it in with."""

    def __call__(self, url: str, body: bytes, /) -> Awaitable[dict[str, str]]:
        """Return the headers of a POST of `body` to `url`."""
        ...


class BedrockConverse:
    """Asks Bedrock in one region. `base` is the runtime's address there."""

    def __init__(
        self,
        client: TrustedClient,
        base: str,
        sign: Signer,
        quirks: Callable[[ModelSpec], BedrockQuirks],
    ) -> None:
        self._client = client
        self._base = base.rstrip("/")
        self._sign = sign
        self._quirks = quirks

    async def stream(self, request: ModelRequest) -> AsyncGenerator[list[ModelEvent]]:
        """Yield the events of each network read as one batch. Raises ProviderFailed."""
        # A model may be an ARN, with a slash in it; AWS signs the path as it is written.
        url = f"{self._base}/model/{quote(request.model.wire_name, safe='')}/converse-stream"
        body = encode(request, self._quirks(request.model))
        endpoint = Endpoint(MAKER, url, await self._sign(url, body))
        async with aclosing(relay(self._client, endpoint, body, BedrockDecoder(MAKER))) as batches:
            async for batch in batches:
                yield batch
