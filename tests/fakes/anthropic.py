"""Anthropic for tests: the same upstream, speaking Messages. Steps are written as the vendor's reference shows them."""

import json
from typing import Any

from tests.fakes.upstream import Exchange, Reply, Step, Upstream, pieces

MODEL = "claude-haiku-5-5"
SIGNATURE = "EqQBCgIYAhIM-signature-of-the-thinking+/=="
REDACTED = "EmwKAhgBEgy3va3pzix-redacted=="


class AnthropicUpstream(Upstream):
    """The server; `base_url` is what `ANTHROPIC_BASE_URL` must be."""

    def __init__(self) -> None:
        super().__init__()
        self.default = lambda _: text_reply("Hello from upstream.")

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def event(kind: str, **fields: Any) -> bytes:
    """One event, named twice as the vendor does."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields}, ensure_ascii=False)}\n\n".encode()


PING = event("ping")


def start(prompt: int = 20, *, read: int = 0, written: int = 0) -> bytes:
    """The opening: what the prompt costs is known, what is written is not."""
    usage = {
        "input_tokens": prompt,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": 1,
        "service_tier": "standard",
    }
    message = {"id": "msg_fake", "type": "message", "role": "assistant", "model": MODEL, "content": []}
    return event("message_start", message={**message, "stop_reason": None, "stop_sequence": None, "usage": usage})


def delta(index: int, **fields: Any) -> bytes:
    """A piece of a block."""
    return event("content_block_delta", index=index, delta=fields)


def block(index: int, opening: dict[str, Any], *deltas: bytes) -> list[Step]:
    """A whole block."""
    return [
        event("content_block_start", index=index, content_block=opening),
        *deltas,
        event("content_block_stop", index=index),
    ]


def text_block(index: int, text: str, *, size: int = 4) -> list[Step]:
    """Visible text."""
    deltas = [delta(index, type="text_delta", text=piece) for piece in pieces(text, size)]
    return block(index, {"type": "text", "text": ""}, *deltas)


def thinking_block(index: int, text: str, *, signature: str = SIGNATURE, size: int = 4) -> list[Step]:
    """Reasoning, signed at its end."""
    deltas = [delta(index, type="thinking_delta", thinking=piece) for piece in pieces(text, size)]
    signed = delta(index, type="signature_delta", signature=signature)
    return block(index, {"type": "thinking", "thinking": "", "signature": ""}, *deltas, signed)


def redacted_block(index: int, data: str = REDACTED) -> list[Step]:
    """Reasoning that only the vendor can read."""
    return block(index, {"type": "redacted_thinking", "data": data})


def tool_block(index: int, call_id: str, name: str, arguments: str, *, size: int = 5) -> list[Step]:
    """A call, its arguments in fragments."""
    deltas = [delta(index, type="input_json_delta", partial_json=piece) for piece in ["", *pieces(arguments, size)]]
    return block(index, {"type": "tool_use", "id": call_id, "name": name, "input": {}}, *deltas)


def ending(reason: str = "end_turn", *, completion: int = 9, **usage: int) -> list[Step]:
    """The reason to stop with what was written, and the end."""
    told = {"stop_reason": reason, "stop_sequence": None}
    return [event("message_delta", delta=told, usage={"output_tokens": completion, **usage}), event("message_stop")]


def error(kind: str, message: str = "no") -> bytes:
    """An error inside the stream."""
    return event("error", error={"type": kind, "message": message})


def refused(status: int, kind: str, message: str = "no", *, headers: dict[str, str] | None = None) -> Reply:
    """An error in place of a stream."""
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fake"}
    return Reply([json.dumps(body).encode()], status, {"Content-Type": "application/json", **(headers or {})})


def text_reply(text: str) -> Reply:
    """A whole, well-behaved answer."""
    return Reply([start(), PING, *text_block(0, text), *ending()])


def thinking_tool_reply(thinking: str, text: str, name: str, arguments: dict[str, Any]) -> Reply:
    """A round that thinks (some of it redacted), says something, and calls a tool."""
    steps = [*thinking_block(0, thinking), *redacted_block(1), *text_block(2, text)]
    steps += tool_block(3, "toolu_fake", name, json.dumps(arguments))
    return Reply([start(30, read=10, written=5), *steps, *ending("tool_use", completion=25)])


def answer_to(exchange: Exchange, first: Reply, second: str) -> Reply:
    """Answer with `first`, and with the text `second` once a tool's result is there."""
    last = exchange.json["messages"][-1]["content"][0]
    return text_reply(second) if last["type"] == "tool_result" else first
