"""What OpenAI is asked over Responses, what is made of odd events, and when that wire is spoken."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fakes import responses
from tests.fakes.responses import check_body, event
from tests.fakes.upstream import STALL, Reply, Upstream, error_reply, text_reply
from tests.providers.requests import SEARCH, request
from twinspeak.domain.errors import ProviderFailed
from twinspeak.domain.events import ModelEvent, ModelText, ModelToolDelta
from twinspeak.domain.turn import AssistantMessage, ModelRequest, Opaque, Sampling, ToolCall, ToolMessage, UserMessage
from twinspeak.egress.client import TrustedClient
from twinspeak.engine.ports import ModelProvider
from twinspeak.providers.access import Access
from twinspeak.providers.catalogue.openai import openai_quirks, openai_spec
from twinspeak.providers.openai_responses import ResponsesDecoder
from twinspeak.providers.responses_request import encode
from twinspeak.providers.vendors import Keys, OpenAIWire, Vendor, configured


def asked(model: str = "gpt-6-luna", **fields: Any) -> ModelRequest:
    return request(openai_spec(model, model, vendor=True), **fields)


def body_of(request: ModelRequest, **how: Any) -> dict[str, Any]:
    """The body, which the vendor's schema must take."""
    body = encode(request, openai_quirks(request.model.wire_name, vendor=True), **how)
    check_body(body)
    return json.loads(body)


def test_a_question_is_not_stored_and_wants_its_reasoning_back():
    assert body_of(asked()) == {
        "model": "gpt-6-luna",
        "input": [{"role": "user", "content": "When does the library open?"}],
        "instructions": "You are Ada.",
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"summary": "auto"},
        "max_output_tokens": 500,
    }


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("gpt-6-luna", "high", {"effort": "high", "summary": "auto"}),
        ("gpt-6-luna", "none", {"effort": "none"}),
        ("gpt-6.1-sol", "max", {"effort": "xhigh", "summary": "auto"}),
        ("gpt-5-mini", "none", {"effort": "minimal", "summary": "auto"}),
        ("gpt-7-nova", "high", {"effort": "high", "summary": "auto"}),
        ("gpt-4o", "high", None),
        ("ft:gpt-4o-mini-2024-07-18:org::id", "high", None),
        ("gpt-5-chat-latest", "high", None),
    ],
)
def test_reasoning_is_asked_for_where_there_is_any(model: str, effort: str, expected: dict[str, str] | None):
    sent = body_of(asked(model, effort=effort))
    assert sent.get("reasoning") == expected
    assert ("include" in sent) == (expected is not None)


def test_tools_are_offered_together_with_effort():
    sent = body_of(asked("gpt-6-astra", tools=(SEARCH,), effort="high"))
    assert sent["reasoning"]["effort"] == "high"
    assert [tool["name"] for tool in sent["tools"]] == ["search_uploads"]
    assert body_of(asked(tools=(SEARCH,), may_call=False))["tool_choice"] == "none"


def test_sampling_goes_only_where_it_is_accepted():
    sampling = Sampling(max_tokens=5, temperature=0.0, stop=("END",))
    assert "temperature" not in body_of(asked(sampling=sampling))
    assert body_of(asked(sampling=sampling, effort="none"))["temperature"] == 0.0
    assert body_of(asked(sampling=sampling))["max_output_tokens"] == 16, "the vendor takes no less"
    assert "max_output_tokens" not in body_of(asked(output_limit=0))


def test_a_round_goes_back_as_it_came():
    thought = responses.reasoning()
    item = {"type": "function_call", "id": "fc", "call_id": "n1", "name": "f", "arguments": "{}"}
    calls = (
        ToolCall(call_id="a", name="f", arguments={}, state=Opaque("openai", {"call_id": "n1"})),
        ToolCall(call_id="b", name="g", arguments=None, raw="{", state=Opaque("openai", {"call_id": "n2"})),
    )
    state = (Opaque("openai", thought), Opaque("other", "x"), Opaque("openai", item))
    messages = (
        UserMessage(text="?"),
        AssistantMessage(text="Hm.", tool_calls=calls, state=state),
        ToolMessage(call_id="a", name="f", text="1"),
        ToolMessage(call_id="b", name="g", text="2"),
    )
    assert body_of(asked(messages=messages))["input"][1:] == [
        thought,
        item,
        {"type": "function_call", "call_id": "n2", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "n1", "output": "1"},
        {"type": "function_call_output", "call_id": "n2", "output": "2"},
    ]


def test_history_is_plain_text():
    messages = (UserMessage(text="a"), AssistantMessage(text="b"), AssistantMessage(text=""), UserMessage(text="c"))
    sent = body_of(asked(messages=messages, system=""))
    assert [(item["role"], item["content"]) for item in sent["input"]] == [
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
    ]
    assert "instructions" not in sent


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "response.output_text.delta", "delta": 7},
        {"type": "response.output_item.added", "item": "x"},
        {"type": "response.output_item.done", "item": None, "output_index": "x"},
        {"type": "response.function_call_arguments.delta", "delta": "x", "output_index": None},
        {"type": 7},
        {},
    ],
)
def test_members_of_odd_types_cost_nothing(fields: dict[str, Any]):
    decoder = ResponsesDecoder()
    assert decoder.feed(f"data: {json.dumps(fields)}\n\n".encode()) == []
    assert decoder.feed(event("response.output_text.delta", delta="x")) == [ModelText("x")]
    assert not decoder.finished


def test_arguments_that_no_delta_told_are_told_at_the_end():
    decoder = ResponsesDecoder()
    item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": ""}
    decoder.feed(event("response.output_item.added", output_index=0, item=item))
    decoder.feed(event("response.function_call_arguments.delta", output_index=0, delta='{"a'))
    found = decoder.feed(event("response.output_item.done", output_index=0, item={**item, "arguments": '{"a":1}'}))
    assert found[0] == ModelToolDelta(index=0, arguments='":1}')


class TestWhichWire:
    """Responses at OpenAI itself where a model reasons, chat completions elsewhere, or as the operator says."""

    @pytest.fixture
    async def upstream(self) -> AsyncIterator[Upstream]:
        async with Upstream() as server:
            server.default = lambda exchange: (
                responses.answers() if exchange.path.endswith("/responses") else text_reply("Hi.")
            )
            yield server

    @pytest.fixture
    async def client(self) -> AsyncIterator[TrustedClient]:
        made = TrustedClient.open()
        yield made
        await made.close()

    def vendor(self, client: TrustedClient, base_url: str, wire: OpenAIWire) -> Vendor:
        return configured(client, Keys(openai=Access("sk-x", base_url), openai_wire=wire))[0]

    async def ask(self, provider: ModelProvider, asked: ModelRequest) -> list[ModelEvent]:
        return [event async for batch in provider.stream(asked) for event in batch]

    @pytest.mark.parametrize(
        ("wire", "model", "path"),
        [
            ("auto", "gpt-6-luna", "/v1/chat/completions"),
            ("chat", "gpt-6-luna", "/v1/chat/completions"),
            ("responses", "gpt-6-luna", "/v1/responses"),
            ("responses", "some-model", "/v1/responses"),
        ],
    )
    async def test_at_a_server(
        self, upstream: Upstream, client: TrustedClient, wire: OpenAIWire, model: str, path: str
    ):
        vendor = self.vendor(client, upstream.base_url, wire)
        await self.ask(vendor.provider, request(vendor.spec(model, model)))
        assert (await upstream.exchange()).path == path

    @pytest.mark.parametrize(("model", "path"), [("gpt-6-astra", "/v1/responses"), ("gpt-4o", "/v1/chat/completions")])
    async def test_at_openai(
        self, upstream: Upstream, client: TrustedClient, monkeypatch: pytest.MonkeyPatch, model: str, path: str
    ):
        monkeypatch.setattr(Access, "at_vendor", lambda *_: True)
        vendor = self.vendor(client, upstream.base_url, "auto")
        assert vendor.spec(model, model).takes_tools
        assert all(spec.takes_tools for spec in vendor.models)
        await self.ask(vendor.provider, request(vendor.spec(model, model)))
        assert (await upstream.exchange()).path == path

    async def test_who_is_refused_summaries_is_asked_without(self, upstream: Upstream, client: TrustedClient):
        vendor = self.vendor(client, upstream.base_url, "responses")
        refusal = error_reply(400, "Your organization must be verified", code="unsupported_value")
        (body,) = refusal.steps
        assert isinstance(body, bytes)
        refusal.steps = [body.replace(b'"param": null', b'"param": "reasoning.summary"')]
        upstream.script(refusal)
        for _ in range(2):
            events = await self.ask(vendor.provider, asked())
            assert any(isinstance(event, ModelText) for event in events)
        assert ["summary" in exchange.json.get("reasoning", {}) for exchange in upstream.exchanges] == [
            True,
            False,
            False,
        ]

    async def test_any_other_refusal_is_final(self, upstream: Upstream, client: TrustedClient):
        vendor = self.vendor(client, upstream.base_url, "responses")
        upstream.script(error_reply(400, "no"))
        with pytest.raises(ProviderFailed):
            await self.ask(vendor.provider, asked())
        assert len(upstream.exchanges) == 1

    async def test_closing_the_stream_closes_the_upstream(self, upstream: Upstream, client: TrustedClient):
        vendor = self.vendor(client, upstream.base_url, "responses")
        upstream.script(Reply([*responses.opening(), STALL]))
        stream = vendor.provider.stream(asked())
        await asyncio.wait_for(anext(stream), 5)
        await stream.aclose()
        assert await (await upstream.exchange()).hung_up(within=2)
