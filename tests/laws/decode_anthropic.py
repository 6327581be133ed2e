"""The judge of Messages: the whole body at once, `json.loads` for each data line, strings joined."""

import json
from collections.abc import Iterator
from typing import Any

from tests.laws.decode import _events
from tests.laws.reading import Reading, whole

_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
_STOPS = {"max_tokens": "length", "model_context_window_exceeded": "length", "refusal": "refused"}


def read(body: bytes) -> Reading:
    """Read a body up to its end or to where it fails."""
    found = Reading(fails=True)
    text, thinking, counts, reason = "", "", dict.fromkeys(_COUNTS, 0), None
    tools: dict[str, list[str]] = {}
    for frame in _frames(body):
        if frame is None or frame["type"] == "error":
            reason = None
            break
        delta, block, at = frame.get("delta") or {}, frame.get("content_block") or {}, str(frame.get("index"))
        kind = delta.get("type")
        if block.get("type") == "text":
            text += block.get("text") or ""
        if block.get("type") == "tool_use":
            given = json.dumps(block["input"], separators=(",", ":")) if block["input"] else ""
            tools[at] = [block["id"], block["name"], given]
        if kind == "text_delta" and isinstance(delta["text"], str):
            text += delta["text"]
        if kind == "thinking_delta":
            thinking += delta["thinking"]
        if kind == "input_json_delta" and at in tools:
            tools[at][2] += delta["partial_json"]
        usage = (frame.get("message") or {}).get("usage") or frame.get("usage") or {}
        counts |= {name: int(usage[name]) for name in _COUNTS if isinstance(usage.get(name), int | float)}
        reason = delta.get("stop_reason") or reason
        if frame["type"] == "message_stop":
            reason = reason or "end_turn"
            break
    found.text, found.thinking = whole(text), whole(thinking)
    found.tools = [(call_id, name, arguments) for call_id, name, arguments in tools.values()]
    found.fails = reason is None
    found.stop = "" if reason is None else _STOPS.get(reason, "tools" if tools else "end")
    read, written = counts["cache_read_input_tokens"], counts["cache_creation_input_tokens"]
    found.usage = (counts["input_tokens"] + read + written, read, counts["output_tokens"])
    return found


def _frames(body: bytes) -> Iterator[dict[str, Any] | None]:
    """The frames; None for what is none."""
    for _, data in _events(body.decode("utf-8-sig", "replace")):
        if not data:
            continue
        try:
            yield json.loads(data)
        except ValueError:
            yield None
