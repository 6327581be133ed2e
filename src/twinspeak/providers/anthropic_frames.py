"""The shapes of Messages stream events, and two ways to read them: typed and fast, or by hand and forgiving.

Source: the vendor's reference, "Streaming Messages" and "Errors" (platform.claude.com/docs). Unknown members are left
out; a content block is kept as it came, because it may have to go back as it came.
"""

import json
from typing import Any

import msgspec

from twinspeak.domain.events import ModelUsage
from twinspeak.providers.wire.loose import is_mapping, mapping, text, whole

STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The status that the vendor gives each kind of error, also where it comes inside a 200 stream."""


class GarbledFrame(ValueError):
    """The data is no JSON object."""


class FrameUsage(msgspec.Struct, gc=False):
    """Tokens so far; `input_tokens` holds neither what was read from the cache nor what was written to it."""

    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens: int | None = None


class FrameMessage(msgspec.Struct, gc=False):
    """The opening of an answer."""

    usage: FrameUsage | None = None
    stop_reason: str | None = None


class FrameDelta(msgspec.Struct, gc=False):
    """A piece of a content block, or of the message itself (`stop_reason`)."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    citation: Any = None
    stop_reason: str | None = None


class Frame(msgspec.Struct, gc=False):
    """One event of the stream."""

    type: str | None = None
    index: int | None = None
    message: FrameMessage | None = None
    content_block: dict[str, Any] | None = None
    delta: FrameDelta | None = None
    usage: FrameUsage | None = None
    error: Any = None


_decoder = msgspec.json.Decoder(Frame)


def read_frame(name: str, data: bytes) -> Frame:
    """Read one event's data; its type is the event's name where it does not say. Raises GarbledFrame.

    What the typed reader refuses (bytes that are not UTF-8, half a surrogate pair, a member of another type) is read
    again by hand.
    """
    try:
        frame = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        frame = _by_hand(data)
    if frame.type is None:
        frame.type = name
    return frame


def _by_hand(data: bytes) -> Frame:
    try:
        payload = json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise GarbledFrame("not JSON") from error
    if not is_mapping(payload):
        raise GarbledFrame("not a JSON object")
    raw = mapping(payload)
    message, block, delta = mapping(raw.get("message")), raw.get("content_block"), raw.get("delta")
    return Frame(
        type=text(raw.get("type")),
        index=whole(raw.get("index")),
        message=FrameMessage(_usage(message.get("usage")), text(message.get("stop_reason"))),
        content_block=mapping(block) if is_mapping(block) else None,
        delta=_delta(mapping(delta)) if is_mapping(delta) else None,
        usage=_usage(raw.get("usage")),
        error=raw.get("error"),
    )


def _delta(raw: dict[str, Any]) -> FrameDelta:
    return FrameDelta(
        type=text(raw.get("type")),
        text=text(raw.get("text")),
        thinking=text(raw.get("thinking")),
        signature=text(raw.get("signature")),
        partial_json=text(raw.get("partial_json")),
        citation=raw.get("citation"),
        stop_reason=text(raw.get("stop_reason")),
    )


def _usage(value: object) -> FrameUsage | None:
    if not is_mapping(value):
        return None
    raw = mapping(value)
    return FrameUsage(
        input_tokens=whole(raw.get("input_tokens")),
        cache_read_input_tokens=whole(raw.get("cache_read_input_tokens")),
        cache_creation_input_tokens=whole(raw.get("cache_creation_input_tokens")),
        output_tokens=whole(raw.get("output_tokens")),
    )


class Counter:
    """Adds up what a stream tells of its tokens: each number replaces the one before (contract section 4)."""

    def __init__(self, before: ModelUsage | None = None) -> None:
        """`before` is what an earlier part of the same answer took."""
        self._before = before or ModelUsage(0, 0, 0)
        self._seen = FrameUsage()
        self.total: ModelUsage | None = before
        self.untold: ModelUsage | None = None

    def take(self, usage: FrameUsage) -> ModelUsage | None:
        """Return the tokens so far: cache reads and writes are input; thinking is in the output already."""
        seen = self._seen
        for name in FrameUsage.__struct_fields__:
            told = getattr(usage, name)
            if told is not None:
                setattr(seen, name, max(0, told))
        read, written = seen.cache_read_input_tokens or 0, seen.cache_creation_input_tokens or 0
        prompt, completion = (seen.input_tokens or 0) + read + written, seen.output_tokens or 0
        if not prompt and not completion:
            return None
        before = self._before
        self.total = ModelUsage(
            input=before.input + prompt, cached=before.cached + read, completion=before.completion + completion
        )
        self.untold = self.total
        return self.total


def status_of(error: object) -> int:
    """Return the HTTP status that an error object stands for; 0 = not known."""
    return STATUSES.get(text(mapping(error).get("type")) or "", 0)
