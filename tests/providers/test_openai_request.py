import json
from typing import Any

import pytest

from tests.providers.requests import SEARCH, request
from twinspeak.domain.turn import AssistantMessage, ModelRequest, Sampling, ToolCall, ToolMessage, UserMessage
from twinspeak.providers.catalogue.openai import openai_quirks
from twinspeak.providers.openai_request import Quirks, encode


def body_of(asked: ModelRequest, *, vendor: bool = True, quirks: Quirks | None = None) -> dict[str, Any]:
    return json.loads(encode(asked, quirks or openai_quirks(asked.model.wire_name, vendor=vendor)))


def test_a_question_is_a_streamed_request_with_usage():
    assert body_of(request()) == {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": "You are Ada."},
            {"role": "user", "content": "When does the library open?"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 500,
    }


def test_a_tool_round_is_sent_back_as_it_was():
    call = ToolCall(call_id="call_1", name="search_uploads", arguments={"query": "fees"}, raw='{ "query":"fees"}')
    broken = ToolCall(call_id="call_2", name="search_uploads", arguments=None, raw='{"query":')
    rebuilt = ToolCall(call_id="call_3", name="search_uploads", arguments={"query": "ä"})
    messages = (
        UserMessage(text="Fees?"),
        AssistantMessage(text="", tool_calls=(call, broken, rebuilt), thinking="Hm."),
        ToolMessage(call_id="call_1", name="search_uploads", text="[1] 10 euros"),
        ToolMessage(call_id="call_2", name="search_uploads", text=""),
        AssistantMessage(text=""),
        AssistantMessage(text="Ten."),
    )
    sent = body_of(request(messages=messages, tools=(SEARCH,), system=""))
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "tool", "tool", "assistant"]
    assistant = sent["messages"][1]
    assert assistant["content"] is None
    assert "reasoning_content" not in assistant
    assert [call["function"]["arguments"] for call in assistant["tool_calls"]] == [
        '{ "query":"fees"}',
        "{}",
        '{"query":"ä"}',
    ]
    assert sent["messages"][2] == {"role": "tool", "tool_call_id": "call_1", "content": "[1] 10 euros"}
    assert sent["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "search_uploads",
                "description": "Search the vault.",
                "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
            },
        }
    ]


def test_deepseek_gets_its_reasoning_back_with_a_tool_round():
    call = ToolCall(call_id="1", name="search_uploads", arguments={})
    messages = (UserMessage(text="?"), AssistantMessage(text="", tool_calls=(call,), thinking="Hm."))
    sent = body_of(request("deepseek-v4-pro", messages=messages), vendor=False)
    assert sent["messages"][2]["reasoning_content"] == "Hm."


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("gpt-6-luna", "", None),
        ("gpt-6-luna", "none", "none"),
        ("gpt-6-luna", "max", "max"),
        ("gpt-6.1-sol", "none", "low"),
        ("gpt-6.1-sol", "max", "xhigh"),
        ("gpt-5.2", "medium", "medium"),
        ("gpt-5-mini", "none", "minimal"),
        ("gpt-5-mini", "max", "high"),
        ("gpt-4o", "high", None),
        ("gpt-6-luna-2026-09-22", "high", "high"),
    ],
)
def test_effort_is_said_in_the_models_own_words(model: str, effort: str, expected: str | None):
    assert body_of(request(model, effort=effort)).get("reasoning_effort") == expected


def test_where_tools_need_effort_none_they_get_it():
    sent = body_of(request("gpt-6-luna", tools=(SEARCH,), effort="high"))
    assert sent["reasoning_effort"] == "none"
    assert sent["tools"]
    assert body_of(request("gpt-6-luna", effort="high"))["reasoning_effort"] == "high"


def test_a_model_without_tools_is_offered_none():
    assert "tools" not in body_of(request("gpt-6-astra", tools=(SEARCH,)))


def test_sampling_goes_only_where_it_is_accepted():
    sampling = Sampling(max_tokens=20, temperature=0.0, stop=("END",))
    sent = body_of(request(sampling=sampling))
    assert (sent["max_completion_tokens"], sent["temperature"], sent["stop"]) == (20, 0.0, ["END"])
    reasoning = body_of(request("gpt-6-luna", sampling=sampling))
    assert not {"temperature", "stop"} & reasoning.keys()
    assert body_of(request("gpt-6-luna", sampling=sampling, effort="none"))["temperature"] == 0.0


def test_an_unknown_server_gets_the_older_limit_field():
    sent = body_of(request("llama-3"), vendor=False)
    assert sent["max_tokens"] == 500
    assert "max_completion_tokens" not in sent
    assert not {"max_tokens", "max_completion_tokens"} & body_of(request(output_limit=0)).keys()


def test_a_round_that_may_not_call_is_told_of_no_tools():
    assert "tools" in body_of(request(tools=(SEARCH,)))
    assert "tools" not in body_of(request(tools=(SEARCH,), may_call=False))
