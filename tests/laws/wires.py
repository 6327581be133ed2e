"""Independent readings of the vendors' own wires: the whole body at once, `json.loads` for each event, sums by hand.

They share no line with `twinspeak.providers`. A reading stops where the stream fails.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.laws.decode import ROOT, SHARED, _chunks, _events


@dataclass
class Reading:
    """What a body says. `usage` is input, cached, completion, as contract section 4 adds them up."""

    text: str = ""
    thinking: str = ""
    tools: list[tuple[str, Any]] = field(default_factory=list)
    usage: tuple[int, int, int] | None = None


def recordings(vendor: str, pattern: str = "*") -> tuple[list[Path], list[Path]]:
    """The project's own recordings of a wire, and those beside the checkout, if any."""
    own = sorted((ROOT / "tests" / "recordings" / vendor).glob("*.sse"))
    return own, sorted((SHARED / vendor.partition("_")[0]).glob(f"{pattern}.sse"))


def _json_events(body: bytes) -> Iterator[dict[str, Any]]:
    for _, data in _events(body.decode("utf-8-sig", "replace")):
        try:
            payload = json.loads(data)
        except ValueError:
            return
        if not isinstance(payload, dict):
            return
        yield payload


def read_gemini(body: bytes) -> Reading:
    """Parts are whole; the last counts are the answer's."""
    found = Reading()
    for payload in _json_events(body):
        if "error" in payload:
            return found
        for candidate in (payload.get("candidates") or [])[:1]:
            for part in (candidate.get("content") or {}).get("parts") or []:
                if "functionCall" in part:
                    found.tools.append((part["functionCall"]["name"], part["functionCall"].get("args") or {}))
                elif part.get("thought"):
                    found.thinking += part["text"]
                else:
                    found.text += part.get("text", "")
        counts = payload.get("usageMetadata") or {}
        if counts.get("candidatesTokenCount") or (counts and _ended(payload)):
            thoughts = counts.get("thoughtsTokenCount", 0)
            completion = counts.get("candidatesTokenCount", 0) + thoughts
            found.usage = (counts.get("promptTokenCount", 0), counts.get("cachedContentTokenCount", 0), completion)
    return found


def _ended(payload: dict[str, Any]) -> bool:
    finished = any("finishReason" in candidate for candidate in payload.get("candidates") or [])
    return finished or "blockReason" in payload.get("promptFeedback", {})


def read_responses(body: bytes) -> Reading:
    """Text is in deltas, paragraphs of a summary are told by their index; calls are read from their finished items."""
    found = Reading()
    paragraphs: dict[tuple[int, int], str] = {}
    for payload in _json_events(body):
        kind = payload["type"]
        if kind in {"error", "response.failed"}:
            break
        if kind in {"response.output_text.delta", "response.refusal.delta"}:
            found.text += payload["delta"]
        if kind == "response.reasoning_summary_text.delta":
            place = (payload["output_index"], payload["summary_index"])
            paragraphs[place] = paragraphs.get(place, "") + payload["delta"]
        item = payload.get("item") or {}
        if kind == "response.output_item.done" and item["type"] == "function_call":
            found.tools.append((item["name"], json.loads(item["arguments"])))
        usage = (payload.get("response") or {}).get("usage")
        if usage:
            cached = usage.get("input_tokens_details", {}).get("cached_tokens", 0)
            found.usage = (usage["input_tokens"], cached, usage["output_tokens"])
    found.thinking = "\n\n".join(paragraphs.values())
    return found


def chat_usage(body: bytes) -> tuple[int, int, int] | None:
    """The last counts of a chat-completions stream, wherever a server puts them; xAI's reasoning comes on top."""
    found = None
    for chunk in _chunks(body):
        choices = [choice for choice in chunk.get("choices") or [] if isinstance(choice, dict)]
        places = [chunk.get("usage"), *(choice.get("usage") for choice in choices)]
        places.append((chunk.get("x_groq") or {}).get("usage"))
        usage = next((place for place in places if isinstance(place, dict)), {})
        prompt, completion = (_number(usage.get(name)) for name in ("prompt_tokens", "completion_tokens"))
        if not prompt and not completion:
            continue
        thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        beside = thought if usage.get("total_tokens") == prompt + completion + thought else 0
        found = (prompt, cached or usage.get("prompt_cache_hit_tokens") or 0, completion + beside)
    return found


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
