"""The other wires that the fake upstream speaks, byte for byte as their vendors do; `bench.wire` has chat completions.

Which one, a request's path says. They know plain answers only: words, at the answer's pace.
"""

import json
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from bench import wire
from bench.answers import Answer

_EVENT_STREAM = wire.RESPONSE_HEAD.replace(b"text/event-stream; charset=utf-8", b"application/vnd.amazon.eventstream")
_PROMPT = 60
_ITEM = {"id": "msg_bench", "type": "message", "role": "assistant"}


class Vendor(msgspec.Struct, frozen=True):
    """A wire: how its answers begin, go on and end. `environment(upstream)` points a server at it.

    `path` is what only its requests' paths hold; `head` is the response's.
    """

    name: str
    path: bytes
    environment: Callable[[str], dict[str, str]]
    opening: Callable[[], bytes]
    word: Callable[[str], bytes]
    ending: Callable[[int], bytes]
    head: bytes = wire.RESPONSE_HEAD


def _piece(data: bytes) -> bytes:
    """Return one chunk of the HTTP body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _named(kind: str, **fields: object) -> bytes:
    """Return an event as Anthropic and OpenAI's Responses name theirs."""
    return _piece(f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode())


def _messages_opening() -> bytes:
    usage = {
        "input_tokens": _PROMPT,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 1,
    }
    message: dict[str, Any] = {"id": "msg_bench", "type": "message", "role": "assistant", "content": [], "usage": usage}
    begun = _named("content_block_start", index=0, content_block={"type": "text", "text": ""})
    return _named("message_start", message=message) + begun + _named("ping")


def _messages_ending(words: int) -> bytes:
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    last = _named("message_delta", delta=end, usage={"output_tokens": words}) + _named("message_stop")
    return _named("content_block_stop", index=0) + last


def _responses_opening() -> bytes:
    made: dict[str, Any] = {"id": "resp_bench", "object": "response", "status": "in_progress", "output": []}
    part: dict[str, Any] = {"type": "output_text", "text": "", "annotations": []}
    return (
        _named("response.created", sequence_number=0, response=made)
        + _named("response.output_item.added", output_index=0, item={**_ITEM, "status": "in_progress", "content": []})
        + _named("response.content_part.added", item_id="msg_bench", output_index=0, content_index=0, part=part)
    )


def _responses_word(text: str) -> bytes:
    where: dict[str, Any] = {"item_id": "msg_bench", "output_index": 0, "content_index": 0, "logprobs": []}
    return _named("response.output_text.delta", sequence_number=1, delta=text, obfuscation="Xk3b9QpZ", **where)


def _responses_ending(words: int) -> bytes:
    item: dict[str, Any] = {
        **_ITEM,
        "status": "completed",
        "content": [{"type": "output_text", "text": "", "annotations": []}],
    }
    counted = {"input_tokens": _PROMPT, "output_tokens": words, "total_tokens": _PROMPT + words}
    made = {"id": "resp_bench", "object": "response", "status": "completed", "usage": counted}
    done = _named("response.output_item.done", output_index=0, item=item)
    return done + _named("response.completed", response=made)


def _gemini(text: str, words: int, finish: str | None = None) -> bytes:
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": finish, "index": 0}
    counted = {"promptTokenCount": _PROMPT, "candidatesTokenCount": words, "totalTokenCount": _PROMPT + words}
    payload = {"candidates": [candidate], "usageMetadata": counted, "modelVersion": "bench", "responseId": "bench"}
    return _piece(f"data: {json.dumps(payload)}\r\n\r\n".encode())


def _frame(event: str, **payload: object) -> bytes:
    """Return a message of AWS's event stream, with both of its checksums."""
    headers = b""
    for name, value in ((":event-type", event), (":content-type", "application/json"), (":message-type", "event")):
        headers += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + body
    return _piece(message + struct.pack(">I", zlib.crc32(message)))


def _bedrock_ending(words: int) -> bytes:
    counted = {"inputTokens": _PROMPT, "outputTokens": words, "totalTokens": _PROMPT + words}
    stopped = _frame("contentBlockStop", contentBlockIndex=0) + _frame("messageStop", stopReason="end_turn")
    return stopped + _frame("metadata", usage=counted, metrics={"latencyMs": 1})


VENDORS = (
    Vendor(
        name="Messages",
        path=b"/v1/messages",
        environment=lambda url: {
            "ANTHROPIC_API_KEY": "bench", "ANTHROPIC_BASE_URL": url, "TWINSPEAK_DEFAULT_MODEL": "claude-haiku-5-5",
        },
        opening=_messages_opening,
        word=lambda text: _named("content_block_delta", index=0, delta={"type": "text_delta", "text": text}),
        ending=_messages_ending,
    ),
    Vendor(
        name="ConverseStream",
        path=b"/converse-stream",
        environment=lambda url: {
            "AWS_BEARER_TOKEN_BEDROCK": "bench", "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url,
            "TWINSPEAK_DEFAULT_MODEL": "us.amazon.nova-pro-v1:0",
        },
        opening=lambda: _frame("messageStart", role="assistant"),
        word=lambda text: _frame("contentBlockDelta", contentBlockIndex=0, delta={"text": text}, p="abcdefghijk"),
        ending=_bedrock_ending,
        head=_EVENT_STREAM,
    ),
    Vendor(
        name="streamGenerateContent",
        path=b":streamGenerateContent",
        environment=lambda url: {
            "GEMINI_API_KEY": "bench", "GEMINI_BASE_URL": url, "TWINSPEAK_DEFAULT_MODEL": "gemini-3.5-flash",
        },
        opening=lambda: b"",
        word=lambda text: _gemini(text, 1),
        ending=lambda words: _gemini("", words, "STOP"),
    ),
    Vendor(
        name="Responses",
        path=b"/v1/responses",
        environment=lambda url: {"OPENAI_BASE_URL": f"{url}/v1", "TWINSPEAK_OPENAI_WIRE": "responses"},
        opening=_responses_opening,
        word=_responses_word,
        ending=_responses_ending,
    ),
)  # fmt: skip


def vendor_of(path: bytes) -> Vendor | None:
    """Tell whose wire a request's path means; None is chat completions."""
    return next((vendor for vendor in VENDORS if vendor.path in path), None)


@cache
def script(vendor: Vendor, answer: Answer) -> list[bytes]:
    """Return what is sent at each tick of the answer's interval, the head of the response aside."""
    words = [vendor.word(f"w{number:04} ") for number in range(answer.words)]
    last = vendor.ending(answer.words) + wire.LAST_CHUNK
    if not words:
        return [vendor.opening() + last]
    words[0] = vendor.opening() + words[0]
    words[-1] += last
    return words
