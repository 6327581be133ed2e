"""What Mistral and xAI are asked; how their streams decode is in tests/laws/test_wire_text.py."""

import json
from typing import Any

import pytest

from tests.fakes.chat_vendors import MistralRequest, XaiRequest, check_body
from tests.providers.requests import SEARCH, request
from twinspeak.domain.turn import AssistantMessage, ModelRequest, Sampling, ToolCall, ToolMessage, UserMessage
from twinspeak.providers.catalogue import mistral, xai
from twinspeak.providers.openai_request import encode

CALL = ToolCall(call_id="call_0123456789abcdef01234567", name="f", arguments={}, raw="{}")
ROUND = (
    UserMessage(text="?"),
    AssistantMessage(text="Hm.", tool_calls=(CALL,), thinking="Let me see."),
    ToolMessage(call_id=CALL.call_id, name="f", text="1"),
)


def mistral_body(model: str = "mistral-medium-latest", **fields: Any) -> dict[str, Any]:
    return _body(request(mistral.spec(model, model), **fields), MistralRequest)


def xai_body(model: str = "grok-4.5", **fields: Any) -> dict[str, Any]:
    return _body(request(xai.spec(model, model), **fields), XaiRequest)


def _body(asked: ModelRequest, schema: type[MistralRequest] | type[XaiRequest]) -> dict[str, Any]:
    catalogue = mistral if schema is MistralRequest else xai
    body = encode(asked, catalogue.quirks(asked.model.wire_name))
    check_body(body, schema)
    return json.loads(body)


def test_mistral_is_asked_for_nothing_that_it_does_not_know():
    assert mistral_body() == {
        "model": "mistral-medium-latest",
        "messages": [
            {"role": "system", "content": "You are Ada."},
            {"role": "user", "content": "When does the library open?"},
        ],
        "stream": True,
        "max_tokens": 500,
    }


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("mistral-medium-latest", "none", "none"),
        ("mistral-medium-latest", "low", None),
        ("mistral-small-latest", "medium", "high"),
        ("mistral-small-latest", "max", "high"),
        ("magistral-medium-latest", "high", None),
        ("mistral-large-latest", "high", None),
        ("mistral-of-tomorrow", "high", None),
    ],
)
def test_mistrals_effort_is_all_or_nothing(model: str, effort: str, expected: str | None):
    assert mistral_body(model, effort=effort).get("reasoning_effort") == expected


def test_mistral_gets_its_thinking_back_as_a_part_and_ids_that_it_takes():
    said, result = mistral_body(messages=ROUND)["messages"][-2:]
    assert said["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Let me see."}]},
        {"type": "text", "text": "Hm."},
    ]
    assert said["tool_calls"][0]["id"] == result["tool_call_id"]
    assert said["tool_calls"][0]["id"] != CALL.call_id


@pytest.mark.parametrize("body", [mistral_body, xai_body])
def test_the_last_round_names_the_tools_and_forbids_them(body: Any):
    assert "tool_choice" not in body(tools=(SEARCH,))
    sent = body(tools=(SEARCH,), may_call=False)
    assert (sent["tool_choice"], len(sent["tools"])) == ("none", 1)


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("grok-4.5", "none", "low"),
        ("grok-4.6", "max", "high"),
        ("grok-4.3", "none", "none"),
        ("grok-4.3", "medium", "medium"),
        ("grok-4.20-0309-reasoning", "high", None),
        ("grok-4.20-non-reasoning", "high", None),
        ("grok-3-mini", "medium", "high"),
        ("grok-9", "high", None),
        ("grok-4.5", "", None),
    ],
)
def test_an_effort_is_said_to_the_groks_that_know_it(model: str, effort: str, expected: str | None):
    assert xai_body(model, effort=effort).get("reasoning_effort") == expected


def test_a_grok_that_reasons_is_not_told_where_to_stop():
    sampling = Sampling(temperature=0.5, stop=("END",))
    assert xai_body(sampling=sampling)["temperature"] == 0.5
    asked = request(xai.spec("grok-4.20-non-reasoning", "grok-4.20-non-reasoning"), sampling=sampling)
    assert json.loads(encode(asked, xai.quirks("grok-4.20-non-reasoning")))["stop"] == ["END"]


def test_a_groks_round_goes_back_without_its_reasoning():
    said = xai_body(messages=ROUND)["messages"][-2]
    assert said["content"] == "Hm."
    assert "reasoning_content" not in said


@pytest.mark.parametrize("catalogue", [mistral, xai])
def test_the_catalogue_holds_together(catalogue: Any):
    ids = [model.id for model in catalogue.MODELS]
    assert len(ids) == len(set(ids))
    assert catalogue.DEFAULT in ids
    assert all(catalogue.claims(name) for name in ids)
    for model in catalogue.MODELS:
        assert 0 < model.max_output < model.context_window
        assert catalogue.spec(model.id, model.id) == model
    unknown = catalogue.spec("x/new", "new")
    assert (unknown.id, unknown.wire_name) == ("x/new", "new")
    assert 0 < unknown.max_output < unknown.context_window


def test_what_mistral_thinks_is_for_nobody_to_see():
    assert not any(mistral.spec(name, name).shows_thinking for name in ("magistral-medium-latest", "new"))
    assert xai.spec("grok-4.5", "grok-4.5").shows_thinking
