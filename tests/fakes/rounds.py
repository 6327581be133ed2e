"""Rounds of every vendor's wire that call several tools at once, or just say something.

A call is (id, name, arguments). The ids are such as each vendor gives.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes import anthropic, bedrock, chat_vendors, gemini, responses
from tests.fakes.speakers import ANTHROPIC, BEDROCK
from tests.fakes.upstream import DONE, Exchange, Reply, Upstream, chunk, pieces

Called = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Vendor:
    """How to point a server at a fake, and what that one answers; `check` raises for a request nobody would take."""

    name: str
    model: str
    settings: Callable[[Upstream], dict[str, Any]]
    calls: Callable[[list[Called]], Reply]
    says: Callable[[str], Reply]
    check: Callable[[Exchange], Any]
    environment: Mapping[str, str] = field(default_factory=dict)
    upstream: Callable[[], Upstream] = Upstream


def _anthropic_calls(calls: list[Called]) -> Reply:
    blocks = [
        step
        for at, (name, arguments) in enumerate(calls)
        for step in anthropic.tool_block(at, f"toolu_{name}", name, json.dumps(arguments))
    ]
    return Reply([anthropic.start(), *blocks, *anthropic.ending("tool_use")])


def _bedrock_calls(calls: list[Called]) -> Reply:
    blocks = [
        step
        for at, (name, arguments) in enumerate(calls)
        for step in bedrock.tool_block(at, f"tooluse_{name}", name, json.dumps(arguments))
    ]
    return Reply([bedrock.start(), *blocks, *bedrock.ending("tool_use")], headers=dict(bedrock.HEADERS))


def _gemini_calls(calls: list[Called]) -> Reply:
    parts: list[dict[str, Any]] = [
        {"functionCall": {"name": name, "args": arguments, "id": f"g-{name}"}} for name, arguments in calls
    ]
    parts[0]["thoughtSignature"] = gemini.SIGNATURE
    counts = {"promptTokenCount": 30, "candidatesTokenCount": 10}
    return Reply([gemini.event(*parts), gemini.event({"text": ""}, finish="STOP", **counts)])


def _responses_calls(calls: list[Called]) -> Reply:
    items = [
        step
        for at, (name, arguments) in enumerate(calls)
        for step in responses.item_events(
            at,
            {
                "id": f"fc_{name}",
                "type": "function_call",
                "call_id": f"call_{name}",
                "name": name,
                "status": "completed",
                "arguments": json.dumps(arguments),
            },
        )
    ]
    return Reply([responses.CREATED, *items, responses.completed(30, 18)])


def _chat_calls(ids: Callable[[str], str], *ends: bytes) -> Callable[[list[Called]], Reply]:
    def reply(calls: list[Called]) -> Reply:
        asked = [
            {
                "id": ids(name),
                "index": at,
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)},
            }
            for at, (name, arguments) in enumerate(calls)
        ]
        return Reply([chunk({"role": "assistant", "tool_calls": asked}), *ends, DONE])

    return reply


def _chat_says(*ends: bytes) -> Callable[[str], Reply]:
    return lambda text: Reply([*(chunk({"content": piece}) for piece in pieces(text)), *ends, DONE])


def _short(name: str) -> str:
    return f"{name.replace('_', '')}000000000"[:9]


def _counted(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


_COUNTS = chunk(usage=_counted(30, 18))
_MISTRAL_END = chunk({"content": ""}, finish="stop", usage=_counted(55, 9))
_MISTRAL_CALLED = chunk({"content": ""}, finish="tool_calls", usage=_counted(30, 18))

VENDORS = (
    Vendor(
        "anthropic",
        ANTHROPIC.model,
        ANTHROPIC.settings,
        _anthropic_calls,
        anthropic.text_reply,
        ANTHROPIC.check,
        upstream=ANTHROPIC.upstream,
    ),
    Vendor(
        "bedrock",
        BEDROCK.model,
        BEDROCK.settings,
        _bedrock_calls,
        bedrock.text_reply,
        BEDROCK.check,
        BEDROCK.environment,
        BEDROCK.upstream,
    ),
    Vendor(
        "gemini",
        gemini.WIRE.model,
        lambda upstream: gemini.WIRE.settings(upstream.port),
        _gemini_calls,
        gemini.answers,
        gemini.check,
    ),
    Vendor(
        "responses",
        responses.WIRE.model,
        lambda upstream: responses.WIRE.settings(upstream.port),
        _responses_calls,
        responses.answers,
        responses.check,
    ),
    Vendor(
        "openai",
        chat_vendors.OPENAI.model,
        lambda upstream: chat_vendors.OPENAI.settings(upstream.port),
        _chat_calls(lambda name: f"call_{name}", chunk(finish="tool_calls"), _COUNTS),
        _chat_says(chunk(finish="stop"), _COUNTS),
        chat_vendors.OPENAI.check,
    ),
    Vendor(
        "mistral",
        chat_vendors.MISTRAL.model,
        lambda upstream: chat_vendors.MISTRAL.settings(upstream.port),
        _chat_calls(_short, _MISTRAL_CALLED),
        _chat_says(_MISTRAL_END),
        chat_vendors.MISTRAL.check,
    ),
    Vendor(
        "xai",
        chat_vendors.XAI.model,
        lambda upstream: chat_vendors.XAI.settings(upstream.port),
        _chat_calls(lambda name: f"call_{name}", chunk(finish="tool_calls"), _COUNTS),
        _chat_says(chunk(finish="stop"), _COUNTS),
        chat_vendors.XAI.check,
    ),
)
