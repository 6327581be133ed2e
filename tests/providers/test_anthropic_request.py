"""What Anthropic is asked; that each request is one the vendor documents is `tests.schemas.anthropic`'s to say."""

import json
from typing import Any

import pytest

from tests.providers.requests import SEARCH, request
from tests.schemas.anthropic import check
from twinspeak.domain.turn import (
    AssistantMessage,
    Message,
    ModelRequest,
    Opaque,
    Sampling,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from twinspeak.providers.anthropic_request import continued, encode
from twinspeak.providers.catalogue import anthropic
from twinspeak.providers.claude import Thinking

NEW, OLD = "claude-opus-5-5", "claude-haiku-4-5"
SUMMARY = {"type": "adaptive", "display": "summarized"}


def body_of(asked: ModelRequest) -> dict[str, Any]:
    body = encode(asked, anthropic.quirks(asked.model.wire_name))
    check(body)
    return json.loads(body)


def asked(model: str = NEW, **fields: Any) -> ModelRequest:
    return request(anthropic.spec(model, model), **fields)


def texts(*messages: Message) -> list[tuple[str, list[str]]]:
    sent = body_of(asked(messages=messages))["messages"]
    return [(message["role"], [block.get("text") for block in message["content"]]) for message in sent]


def test_a_question_is_a_streamed_request():
    assert body_of(asked()) == {
        "model": NEW,
        "max_tokens": 500,
        "stream": True,
        "system": [{"type": "text", "text": "You are Ada."}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "When does the library open?"}]}],
        "thinking": SUMMARY,
    }


def test_roles_alternate_and_begin_with_the_user():
    one, two, said = UserMessage(text="1"), UserMessage(text="2"), AssistantMessage(text="a")
    assert texts(one, two) == [("user", ["1", "2"])]
    assert texts(one, said, said, two) == [("user", ["1"]), ("assistant", ["a", "a"]), ("user", ["2"])]
    assert texts(one, AssistantMessage(text=" \n"), two) == [("user", ["1", "2"])]
    begun = texts(said, one)
    assert [role for role, _ in begun] == ["user", "assistant", "user"]


CALL = ToolCall(call_id="call_1", name="search_uploads", arguments={"query": "ä"}, raw='{"query":"ä"}')
BROKEN = ToolCall(call_id="call_2", name="search_uploads", arguments=None, raw='{"query":')
RESULTS = (
    ToolMessage(call_id="call_1", name="search_uploads", text="[1] ten"),
    ToolMessage(call_id="call_2", name="search_uploads", text=""),
)
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
SECRET = {"type": "redacted_thinking", "data": "eHg="}


def tool_round(said: AssistantMessage, **fields: Any) -> list[dict[str, Any]]:
    messages = (UserMessage(text="Fees?"), said, *RESULTS)
    return body_of(asked(messages=messages, tools=(SEARCH,), **fields))["messages"]


def test_a_tool_round_goes_back_in_its_own_order():
    values = [SECRET, {"type": "text", "text": "Let me look."}, {"type": "tool_use", "number": 0}, THOUGHT]
    state = tuple(Opaque("anthropic", value) for value in [*values, {"type": "tool_use", "number": 1}])
    said = AssistantMessage(text="Let me look.", tool_calls=(CALL, BROKEN), thinking="Hm.", signature="c", state=state)
    _, assistant, results = tool_round(said)
    use = {"type": "tool_use", "name": "search_uploads"}
    assert assistant["content"] == [
        SECRET,
        {"type": "text", "text": "Let me look."},
        {**use, "id": "call_1", "input": {"query": "ä"}},
        THOUGHT,
        {**use, "id": "call_2", "input": {}},
    ]
    assert results["content"] == [
        {"type": "tool_result", "tool_use_id": "call_1", "content": "[1] ten"},
        {"type": "tool_result", "tool_use_id": "call_2", "cache_control": {"type": "ephemeral"}},
    ]


def test_what_another_wire_wants_back_is_not_shown_to_this_one():
    foreign = Opaque("gemini", {"type": "thinking", "thinking": "Hm.", "signature": "x"})
    said = AssistantMessage(text="Look.", tool_calls=(CALL, BROKEN), thinking="Hm.", state=(foreign,))
    _, assistant, _ = tool_round(said)
    assert [block["type"] for block in assistant["content"]] == ["text", "tool_use", "tool_use"]


def test_calls_that_the_state_forgot_are_sent_all_the_same():
    said = AssistantMessage(text="", tool_calls=(CALL, BROKEN), state=(Opaque("anthropic", THOUGHT),))
    _, assistant, _ = tool_round(said)
    assert [block["type"] for block in assistant["content"]] == ["thinking", "tool_use", "tool_use"]


def test_the_last_round_names_the_tools_and_forbids_them():
    sent = body_of(asked(tools=(SEARCH,), may_call=False))
    assert sent["tool_choice"] == {"type": "none"}
    assert [tool["name"] for tool in sent["tools"]] == ["search_uploads"]
    assert body_of(asked(tools=(SEARCH,)))["tool_choice"] == {"type": "auto"}


def test_only_turns_with_tools_are_cached():
    mark = {"type": "ephemeral"}
    sent = body_of(asked(tools=(SEARCH,)))
    assert sent["system"][-1]["cache_control"] == sent["messages"][-1]["content"][-1]["cache_control"] == mark
    assert "cache_control" not in json.dumps(body_of(asked()))


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "config"),
    [
        (NEW, "", SUMMARY, None),
        (NEW, "none", SUMMARY, "low"),
        (NEW, "max", SUMMARY, "max"),
        ("claude-sonnet-5-5", "none", {"type": "between_tools"}, "low"),
        ("claude-sonnet-5-5", "medium", SUMMARY, "medium"),
        ("claude-haiku-5-5", "none", {"type": "disabled"}, None),
        ("claude-haiku-5-5", "high", SUMMARY, "high"),
        ("claude-opus-4-8", "", None, None),
        ("claude-opus-4-8", "none", None, None),
        ("claude-opus-4-8", "low", SUMMARY, "low"),
        ("claude-sonnet-4-6", "max", {"type": "adaptive"}, "high"),
        (OLD, "", None, None),
        (OLD, "none", None, None),
        (OLD, "low", {"type": "enabled", "budget_tokens": 2_048}, None),
        (OLD, "max", {"type": "enabled", "budget_tokens": 5_000}, None),
        ("claude-3-5-haiku-20241022", "high", None, None),
        ("claude-opus-9", "none", SUMMARY, "low"),
        ("glm-5", "high", None, None),
    ],
)
def test_efforts(model: str, effort: str, thinking: dict[str, Any] | None, config: str | None):
    sent = body_of(asked(model, effort=effort, output_limit=10_000))
    assert sent.get("thinking") == thinking
    assert sent.get("output_config") == (config and {"effort": config})


def test_too_little_room_is_not_thought_away():
    assert "thinking" not in body_of(asked(OLD, effort="high", output_limit=2_000))


def test_sampling_where_the_model_takes_it():
    sampling = Sampling(max_tokens=100, temperature=1.5, stop=("END", "\n"))
    sent = body_of(asked(OLD, sampling=sampling))
    assert (sent["max_tokens"], sent["temperature"], sent["stop_sequences"]) == (100, 1.0, ["END"])
    assert "temperature" not in body_of(asked(NEW, sampling=sampling))
    assert "temperature" not in body_of(
        asked(OLD, sampling=Sampling(temperature=0.5), effort="low", output_limit=9_000)
    )
    assert "stop_sequences" not in body_of(asked(OLD, sampling=Sampling(stop=("\n",))))


def test_a_limit_is_always_said():
    assert body_of(asked(output_limit=0))["max_tokens"] == 128_000


def test_going_on_puts_the_answer_so_far_last():
    use = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    first = asked(tools=(SEARCH,))
    sent = json.loads(encode(continued(first, (Opaque("anthropic", use),), 77), anthropic.quirks(NEW)))
    assert sent["messages"][-1] == {"role": "assistant", "content": [use]}
    assert sent["max_tokens"] == 77
    assert continued(first, (), 5) is first


@pytest.mark.parametrize(
    ("name", "family", "thinking"),
    [
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5", Thinking.BUDGET),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5", Thinking.BUDGET),
        ("anthropic.claude-opus-4-6-v1", "claude-opus-4-6", Thinking.ASKED),
        ("claude-sonnet-4-20250514", "claude-sonnet-4", Thinking.BUDGET),
        ("claude-3-7-sonnet-20250219", "claude-3-7-sonnet-20250219", Thinking.BUDGET),
        ("claude-3-opus-latest", "claude-3-opus-latest", Thinking.NEVER),
        ("claude-opus-4-9", "claude-opus-4-9", Thinking.ASKED),
        ("claude-mythos-6-1", "claude-mythos-6-1", Thinking.ALWAYS),
        ("claude", "claude", Thinking.NEVER),
    ],
)
def test_names(name: str, family: str, thinking: Thinking):
    assert anthropic.family(name) == family
    assert anthropic.quirks(name).thinking is thinking
