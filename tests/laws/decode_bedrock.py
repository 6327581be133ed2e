"""The judge of ConverseStream: frames walked by their lengths over the whole body, `json.loads` for each payload."""

import json
import zlib
from collections.abc import Iterator
from typing import Any

from tests.laws.reading import Reading

_STOPS = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "refused",
    "content_filtered": "refused",
}


def read(body: bytes) -> Reading:
    """Read a body up to its end or to where it fails."""
    found = Reading(fails=True)
    tools: dict[int, list[str]] = {}
    reason = None
    for kind, payload in _events(body):
        if kind in {"", "error"} or payload.get("stopReason", "").startswith("malformed"):
            reason = None
            break
        delta, at = payload.get("delta"), payload.get("contentBlockIndex", 0)
        delta = delta if isinstance(delta, dict) else {}
        if use := (payload.get("start") or {}).get("toolUse"):
            tools[at] = [use["toolUseId"], use["name"], ""]
        if isinstance(delta.get("text"), str):
            found.text += delta["text"]
        found.thinking += (delta.get("reasoningContent") or {}).get("text") or ""
        if at in tools:
            tools[at][2] += (delta.get("toolUse") or {}).get("input") or ""
        reason = payload.get("stopReason") or reason
        if counts := payload.get("usage"):
            found.usage = _usage(counts)
            if reason:
                break
    found.tools = [(call_id, name, arguments) for call_id, name, arguments in tools.values()]
    found.fails = reason is None
    found.stop = "" if reason is None else _STOPS.get(reason, "tools" if tools else "end")
    return found


def _usage(counts: dict[str, Any]) -> tuple[int, int, int]:
    prompt, completion = int(counts["inputTokens"]), int(counts["outputTokens"])
    read, written = counts.get("cacheReadInputTokens") or 0, counts.get("cacheWriteInputTokens") or 0
    apart = counts["totalTokens"] != prompt + completion
    return (prompt + (read + written if apart else 0), read, completion)


def _events(body: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events by name; "" for what is none, "error" for an exception."""
    at = 0
    while at < len(body):
        total = int.from_bytes(body[at : at + 4], "big")
        frame = body[at : at + total]
        if len(frame) < 16 or len(frame) != total:
            if len(frame) >= 12 and zlib.crc32(frame[:8]) == int.from_bytes(frame[8:12], "big"):
                return  # cut
            if len(frame) < 12:
                return
        if zlib.crc32(frame[:-4]) != int.from_bytes(frame[-4:], "big"):
            yield "", {}
            return
        size = int.from_bytes(frame[4:8], "big")
        names = frame[12 : 12 + size]
        try:
            payload = json.loads(frame[12 + size : -4])
        except ValueError:
            payload = None
        if b":exception-type" in names or b":error-code" in names:
            yield "error", {}
        elif payload is None:
            yield "", {}
        else:
            yield "event", payload
        at += total
