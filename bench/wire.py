"""The bytes of the fake upstream: OpenAI's chat completion chunks as the vendor sends them, made once."""

import json
from functools import cache
from typing import Any

from bench.answers import Answer

MODEL = "bench-model"
_HEAD = {
    "id": "chatcmpl-CbenchBenchBenchBenchBench01",
    "object": "chat.completion.chunk",
    "created": 1_790_000_000,
    "model": MODEL,
    "service_tier": "default",
    "system_fingerprint": "fp_560af6e559",
}
_SEARCH = json.dumps({"query": "How are answers streamed to a client?"})
LAST_CHUNK = b"0\r\n\r\n"
RESPONSE_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
    b"x-request-id: req_bench\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def json_response(payload: object) -> bytes:
    """Return a whole HTTP response."""
    body = json.dumps(payload).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def _event(payload: str) -> bytes:
    """Return one event as one chunk of the HTTP body."""
    data = f"data: {payload}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


def _chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _event(json.dumps({**_HEAD, "choices": [choice], "usage": None}, separators=(",", ":")))


@cache
def _word(number: int) -> bytes:
    return _chunk({"content": f"w{number:04} "})


@cache
def _thought(number: int) -> bytes:
    return _chunk({"reasoning_content": f"t{number:04} "})


def _usage(answer: Answer) -> bytes:
    completion = answer.words + answer.thinking
    usage = {
        "prompt_tokens": 60,
        "completion_tokens": completion,
        "total_tokens": 60 + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    }
    return _event(json.dumps({**_HEAD, "choices": [], "usage": usage}, separators=(",", ":")))


def _ending(answer: Answer, finish: str) -> bytes:
    return _chunk({}, finish) + _usage(answer) + _event("[DONE]") + LAST_CHUNK


@cache
def script(answer: Answer) -> list[bytes]:
    """Return what is sent at each tick of the answer's interval, the head of the response aside."""
    opening = _chunk({"role": "assistant", "content": "", "refusal": None})
    steps = [_thought(number) for number in range(answer.thinking)]
    steps += [_word(number) for number in range(answer.words)]
    if 0 <= answer.fail < len(steps):
        broken = _event(json.dumps({"error": {"message": "The server had an error.", "type": "server_error"}}))
        return [opening + steps[0], *steps[1 : answer.fail], broken + LAST_CHUNK]
    if 0 <= answer.stall < len(steps):
        return [opening + steps[0], *steps[1 : answer.stall]]
    if not steps:
        return [opening + _ending(answer, "stop")]
    return [opening + steps[0], *steps[1:-1], (steps[-1] if len(steps) > 1 else b"") + _ending(answer, "stop")]


@cache
def tool_script(answer: Answer) -> list[bytes]:
    """Return the round before the answer, in which the model asks for the vault's search."""
    call = {"index": 0, "id": "call_bench", "type": "function"}
    opened = _chunk({"tool_calls": [{**call, "function": {"name": "search_uploads", "arguments": ""}}]})
    pieces = [_SEARCH[at : at + 8] for at in range(0, len(_SEARCH), 8)]
    filled = [_chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in pieces]
    return [opened, *filled, _ending(answer, "tool_calls")]
