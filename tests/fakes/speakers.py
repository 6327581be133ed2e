"""The vendors as fakes: what tests of every wire need of each. A further vendor is an entry here."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fakes import anthropic, bedrock
from tests.fakes.upstream import CUT, STALL, Exchange, Reply, Step, Upstream
from tests.schemas import anthropic as anthropic_schema
from tests.schemas import bedrock as bedrock_schema


@dataclass(frozen=True)
class Speaker:
    """One vendor's fake.

    `settings(upstream)` are the environment variables that point the server there. `half(text)` is an answer without
    its end; `ending` ends it. `tool_reply(thinking, text, tool, arguments)` is a signed round. `faults` are what can
    come after some text, and `second(exchange)` tells whether a request carries a tool's result. `check` raises what
    is wrong with a request. `given_back(body)` is what a request holds of the last round that was the vendor's alone.
    `environment` is what is read from there by somebody else's code.
    """

    name: str
    model: str
    upstream: Callable[[], Upstream]
    settings: Callable[[Upstream], dict[str, str]]
    half: Callable[[str], list[Step]]
    ending: Callable[[], list[Step]]
    tool_reply: Callable[[str, str, str, dict[str, Any]], Reply]
    refused: Callable[[int, dict[str, str]], Reply]
    faults: dict[str, list[Step]]
    second: Callable[[Exchange], bool]
    check: Callable[[Exchange], Any]
    given_back: Callable[[dict[str, Any]], list[Any]]
    wanted_back: list[Any]
    signature: str | None = None
    headers: dict[str, str] | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def text_reply(self, text: str) -> Reply:
        """A whole, well-behaved answer."""
        return Reply([*self.half(text), *self.ending()], headers=self.headers or dict(_SSE))


_SSE = {"Content-Type": "text/event-stream; charset=utf-8"}
KEY = "sk-test-1234567890"


def _anthropic_back(body: dict[str, Any]) -> list[Any]:
    blocks = body["messages"][-2]["content"]
    return [block for block in blocks if block["type"] in {"thinking", "redacted_thinking"}]


ANTHROPIC = Speaker(
    name="anthropic",
    model=anthropic.MODEL,
    upstream=anthropic.AnthropicUpstream,
    settings=lambda upstream: {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": upstream.base_url},
    half=lambda text: [anthropic.start(), anthropic.PING, *anthropic.text_block(0, text)],
    ending=anthropic.ending,
    tool_reply=anthropic.thinking_tool_reply,
    refused=lambda status, headers: anthropic.refused(status, "some_error", f"never shown: {KEY}", headers=headers),
    faults={
        "reset": [CUT],
        "ends": [],
        "garbage": [b"data: <html>\n\n", STALL],
        "overloaded": [anthropic.error("overloaded_error", KEY), STALL],
        "half an event": [anthropic.PING[:20]],
    },
    second=lambda exchange: exchange.json["messages"][-1]["content"][0]["type"] == "tool_result",
    check=lambda exchange: anthropic_schema.check(exchange.body),
    given_back=_anthropic_back,
    wanted_back=[
        {"type": "thinking", "thinking": "Well, let me see.", "signature": anthropic.SIGNATURE},
        {"type": "redacted_thinking", "data": anthropic.REDACTED},
    ],
    signature=anthropic.SIGNATURE,
)

_AWS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": KEY}
_REGION = "eu-central-1"


def _bedrock_settings(upstream: Upstream) -> dict[str, str]:
    return {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": upstream.base_url, "AWS_REGION": _REGION, **_AWS}


def _bedrock_check(exchange: Exchange) -> None:
    bedrock_schema.check(exchange.body)
    bedrock_schema.check_signature(exchange, KEY, _REGION)
    assert exchange.path == "/model/global.anthropic.claude-sonnet-4-6/converse-stream"


BEDROCK = Speaker(
    name="bedrock",
    model=bedrock.MODEL,
    upstream=bedrock.BedrockUpstream,
    settings=_bedrock_settings,
    half=lambda text: [bedrock.start(), *bedrock.text_block(0, text)],
    ending=bedrock.ending,
    tool_reply=bedrock.thinking_tool_reply,
    refused=lambda status, headers: bedrock.refused(status, "SomeException", f"never shown: {KEY}", headers=headers),
    faults={
        "reset": [CUT],
        "ends": [],
        "garbage": [b"data: <html> and more of it\n\n", STALL],
        "throttled": [bedrock.exception("throttlingException", KEY), STALL],
        "half a message": [bedrock.start()[:20]],
    },
    second=lambda exchange: "toolResult" in exchange.json["messages"][-1]["content"][0],
    check=_bedrock_check,
    given_back=lambda body: [block for block in body["messages"][-2]["content"] if "reasoningContent" in block],
    wanted_back=[
        {"reasoningContent": {"reasoningText": {"text": "Well, let me see.", "signature": bedrock.SIGNATURE}}},
        {"reasoningContent": {"redactedContent": bedrock.REDACTED}},
    ],
    signature=bedrock.SIGNATURE,
    headers=bedrock.HEADERS,
    environment=_AWS,
)

SPEAKERS = (ANTHROPIC, BEDROCK)
