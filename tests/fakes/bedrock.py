"""Bedrock for tests: the same upstream, speaking ConverseStream in event-stream frames of our own encoding."""

import base64
import json
import struct
import zlib
from typing import Any

from tests.fakes.upstream import Reply, Step, Upstream, pieces

MODEL = "global.anthropic.claude-sonnet-4-6"
SIGNATURE = "EqQBCgIYAhIM-signature-of-the-thinking+/=="
REDACTED = base64.b64encode(b"redacted reasoning, not ours to read").decode()
HEADERS = {"Content-Type": "application/vnd.amazon.eventstream"}
_PADDING = "abcdefghijklmnopqrstuvwxyz"


class BedrockUpstream(Upstream):
    """The server; `base_url` is what `AWS_ENDPOINT_URL_BEDROCK_RUNTIME` must be."""

    def __init__(self) -> None:
        super().__init__()
        self.default = lambda _: text_reply("Hello from upstream.")

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def header(name: str, value: object) -> bytes:
    """One header: a string, bytes, a long, or a truth."""
    head = bytes([len(name)]) + name.encode()
    if isinstance(value, bool):
        return head + (b"\x00" if value else b"\x01")
    if isinstance(value, int):
        return head + b"\x05" + struct.pack(">q", value)
    raw = value.encode() if isinstance(value, str) else bytes(value) if isinstance(value, bytes) else b""
    return head + (b"\x07" if isinstance(value, str) else b"\x06") + struct.pack(">H", len(raw)) + raw


def message(headers: bytes, payload: bytes) -> bytes:
    """A whole message with both checksums."""
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


def event(kind: str, **fields: Any) -> bytes:
    """One event, padded with `p` as the vendor does."""
    headers = header(":event-type", kind) + header(":content-type", "application/json")
    payload = {**fields, "p": _PADDING[: len(kind)]}
    return message(headers + header(":message-type", "event"), json.dumps(payload, ensure_ascii=False).encode())


def exception(kind: str, words: str = "no") -> bytes:
    """An exception inside the stream."""
    headers = header(":exception-type", kind) + header(":content-type", "application/json")
    return message(headers + header(":message-type", "exception"), json.dumps({"message": words}).encode())


def start() -> bytes:
    return event("messageStart", role="assistant")


def delta(index: int, **fields: Any) -> bytes:
    return event("contentBlockDelta", contentBlockIndex=index, delta=fields)


def stop(index: int) -> bytes:
    return event("contentBlockStop", contentBlockIndex=index)


def text_block(index: int, text: str, *, size: int = 4) -> list[Step]:
    """Visible text; the vendor sends no beginning of it."""
    return [*(delta(index, text=piece) for piece in pieces(text, size)), stop(index)]


def thinking_block(index: int, text: str, *, signature: str = SIGNATURE, size: int = 4) -> list[Step]:
    """Reasoning, signed at its end."""
    thoughts = [delta(index, reasoningContent={"text": piece}) for piece in pieces(text, size)]
    return [*thoughts, delta(index, reasoningContent={"signature": signature}), stop(index)]


def redacted_block(index: int, data: str = REDACTED) -> list[Step]:
    """Reasoning that only the vendor can read."""
    return [delta(index, reasoningContent={"redactedContent": data}), stop(index)]


def tool_block(index: int, call_id: str, name: str, arguments: str, *, size: int = 5) -> list[Step]:
    """A call, its arguments in fragments."""
    opening = event(
        "contentBlockStart", contentBlockIndex=index, start={"toolUse": {"toolUseId": call_id, "name": name}}
    )
    deltas = [delta(index, toolUse={"input": piece}) for piece in pieces(arguments, size)]
    return [opening, *deltas, stop(index)]


def usage(prompt: int = 20, completion: int = 9, *, read: int = 0, written: int = 0) -> bytes:
    """The last event: what it took."""
    total = prompt + completion + read + written
    counts = {"inputTokens": prompt, "outputTokens": completion, "totalTokens": total}
    cached = {"cacheReadInputTokens": read, "cacheWriteInputTokens": written} if read or written else {}
    return event("metadata", usage=counts | cached, metrics={"latencyMs": 500})


def ending(reason: str = "end_turn", **counts: int) -> list[Step]:
    """The reason to stop, then the tokens."""
    return [event("messageStop", stopReason=reason), usage(**counts)]


def refused(status: int, kind: str, words: str = "no", *, headers: dict[str, str] | None = None) -> Reply:
    """An error in place of a stream."""
    told = {"Content-Type": "application/json", "x-amzn-ErrorType": f"{kind}:http://internal.amazon.com/"}
    return Reply([json.dumps({"message": words}).encode()], status, {**told, **(headers or {})})


def text_reply(text: str) -> Reply:
    """A whole, well-behaved answer."""
    return Reply([start(), *text_block(0, text), *ending()], headers=dict(HEADERS))


def thinking_tool_reply(thinking: str, text: str, name: str, arguments: dict[str, Any]) -> Reply:
    """A round that thinks (some of it redacted), says something, and calls a tool."""
    steps = [*thinking_block(0, thinking), *redacted_block(1), *text_block(2, text)]
    steps += tool_block(3, "tooluse_fake", name, json.dumps(arguments))
    counts = ending("tool_use", prompt=30, completion=25, read=10, written=5)
    return Reply([start(), *steps, *counts], headers=dict(HEADERS))
