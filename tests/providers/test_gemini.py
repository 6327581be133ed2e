"""What Gemini is asked, and what is made of single odd events; whole streams are in tests/laws/test_wires.py."""

import json
from typing import Any

import msgspec
import pytest

from tests.fakes.gemini import Request
from tests.providers.requests import SEARCH, request
from twinspeak.domain.errors import ProviderFailed
from twinspeak.domain.events import ModelState, ModelText, ModelToolDelta
from twinspeak.domain.turn import (
    AssistantMessage,
    ModelRequest,
    Opaque,
    Sampling,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from twinspeak.providers.catalogue import gemini
from twinspeak.providers.gemini import GeminiDecoder, url_of
from twinspeak.providers.gemini_request import encode

BASE = "https://generativelanguage.googleapis.com/v1beta"


def asked(model: str = "gemini-3.5-flash", **fields: Any) -> ModelRequest:
    return request(gemini.spec(model, model), **fields)


def body_of(request: ModelRequest) -> dict[str, Any]:
    """The body, which the vendor's schema must take."""
    body = encode(request, gemini.quirks(request.model.wire_name))
    msgspec.json.decode(body, type=Request)
    return json.loads(body)


def test_a_question_asks_for_thoughts_and_names_its_limit():
    assert body_of(asked()) == {
        "contents": [{"role": "user", "parts": [{"text": "When does the library open?"}]}],
        "systemInstruction": {"parts": [{"text": "You are Ada."}]},
        "generationConfig": {"maxOutputTokens": 500, "thinkingConfig": {"includeThoughts": True}},
    }


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("gemini-3.5-flash", "none", {"includeThoughts": True, "thinkingLevel": "minimal"}),
        ("gemini-3.5-flash", "max", {"includeThoughts": True, "thinkingLevel": "high"}),
        ("gemini-3.1-pro-preview", "none", {"includeThoughts": True, "thinkingLevel": "low"}),
        ("gemini-3-pro-preview", "medium", {"includeThoughts": True, "thinkingLevel": "high"}),
        ("gemini-3.1-pro-preview-customtools", "medium", {"includeThoughts": True, "thinkingLevel": "medium"}),
        ("gemini-2.5-flash", "none", {"includeThoughts": False, "thinkingBudget": 0}),
        ("gemini-2.5-pro", "none", {"includeThoughts": True, "thinkingBudget": 128}),
        ("gemini-2.5-flash-lite-preview-09-2025", "high", {"includeThoughts": True, "thinkingBudget": 24_576}),
        ("gemini-2.5-flash", "", {"includeThoughts": True}),
        ("gemini-4-pro", "medium", {"includeThoughts": True, "thinkingLevel": "high"}),
        ("gemini-2.0-flash", "high", None),
        ("gemma-4-27b-it", "high", None),
    ],
)
def test_effort_is_said_as_the_model_takes_it(model: str, effort: str, expected: dict[str, Any] | None):
    assert body_of(asked(model, effort=effort))["generationConfig"].get("thinkingConfig") == expected


def test_sampling_goes_where_it_is_heeded():
    sampling = Sampling(max_tokens=20, temperature=0.0, stop=("END",))
    config = body_of(asked(sampling=sampling))["generationConfig"]
    assert (config["maxOutputTokens"], config["temperature"], config["stopSequences"]) == (20, 0.0, ["END"])
    assert "temperature" not in body_of(asked("gemini-3.6-flash", sampling=sampling))["generationConfig"]
    assert "maxOutputTokens" not in body_of(asked(output_limit=0))["generationConfig"]


def test_the_last_round_names_the_tools_and_forbids_them():
    assert "toolConfig" not in body_of(asked(tools=(SEARCH,)))
    sent = body_of(asked(tools=(SEARCH,), may_call=False))
    assert sent["toolConfig"] == {"functionCallingConfig": {"mode": "NONE"}}
    assert sent["tools"][0]["functionDeclarations"][0] == {
        "name": "search_uploads",
        "description": "Search the vault.",
        "parametersJsonSchema": SEARCH.parameters,
    }


def test_a_round_goes_back_as_it_came_with_its_results_as_one_content():
    parts = [{"text": "Hm.", "thought": True}, {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "S"}]
    calls = (
        ToolCall(call_id="a", name="f", arguments={}, state=Opaque("gemini", {"id": "n1"})),
        ToolCall(call_id="b", name="f", arguments={}),
    )
    round_one = AssistantMessage(text="", tool_calls=calls, thinking="Hm.", state=(Opaque("gemini", parts),))
    messages = (
        UserMessage(text="?"),
        round_one,
        ToolMessage(call_id="a", name="f", text="1"),
        ToolMessage(call_id="b", name="f", text=""),
    )
    contents = body_of(asked(messages=messages))["contents"]
    assert [content["role"] for content in contents] == ["user", "model", "user"]
    assert contents[1]["parts"] == parts
    assert [part["functionResponse"] for part in contents[2]["parts"]] == [
        {"id": "n1", "name": "f", "response": {"result": "1"}},
        {"name": "f", "response": {"result": ""}},
    ]


def test_what_another_vendor_gave_is_rebuilt_from_its_text():
    call = ToolCall(call_id="a", name="f", arguments=None, raw="{", state=Opaque("other", {"id": "x"}))
    said = AssistantMessage(text="Hm.", tool_calls=(call,), state=(Opaque("other", "secret"),))
    messages = (UserMessage(text="?"), AssistantMessage(text=""), said, ToolMessage(call_id="zz", name="f", text="1"))
    contents = body_of(asked(messages=messages))["contents"]
    assert contents[1]["parts"] == [{"text": "Hm."}, {"functionCall": {"name": "f", "args": {}}}]
    assert contents[2]["parts"] == [{"functionResponse": {"name": "f", "response": {"result": "1"}}}]


@pytest.mark.parametrize(
    ("base", "name", "expected"),
    [
        (BASE, "gemini-3.5-flash", f"{BASE}/models/gemini-3.5-flash:streamGenerateContent?alt=sse"),
        (BASE, "models/gemini-x", f"{BASE}/models/gemini-x:streamGenerateContent?alt=sse"),
        (BASE, "tunedModels/mine-1", f"{BASE}/tunedModels/mine-1:streamGenerateContent?alt=sse"),
        (BASE, "../../x?y#z", f"{BASE}/models/..%2F..%2Fx%3Fy%23z:streamGenerateContent?alt=sse"),
        (f"{BASE}?a=b", "x", f"{BASE}/models/x:streamGenerateContent?a=b&alt=sse"),
    ],
)
def test_a_models_name_cannot_leave_its_place(base: str, name: str, expected: str):
    assert url_of(base, name) == expected


def test_nothing_decoded_before_a_failure_is_lost():
    decoder = GeminiDecoder("acme", max_event_bytes=1_000)
    half = {"candidates": [{"content": {"parts": [{"text": "Half"}]}}]}
    events = decoder.feed(f"data: {json.dumps(half)}\r\n\r\n".encode())
    assert events == [ModelText("Half")]
    assert decoder.feed(b"data: " + b"x" * 2_000) == []
    assert decoder.finished
    with pytest.raises(ProviderFailed) as failed:
        decoder.close()
    assert failed.value.details == {"provider": "acme"}


def test_a_failure_in_the_stream_says_what_to_do_and_not_what_google_said():
    decoder = GeminiDecoder()
    decoder.feed(b'data: {"error": {"code": 429, "message": "sk-secret", "status": "RESOURCE_EXHAUSTED"}}\n\n')
    with pytest.raises(ProviderFailed) as failed:
        decoder.close()
    assert "busy" in failed.value.message
    assert "secret" not in repr((failed.value.message, failed.value.details))


@pytest.mark.parametrize(
    "payload",
    [
        {"candidates": None},
        {"candidates": [7, {"content": None}, {"content": {"parts": "x"}}]},
        {"candidates": [{"content": {"parts": [None, {"text": 7}, {"functionCall": "x"}]}}]},
        {"usageMetadata": {"promptTokenCount": "x", "candidatesTokenCount": None}},
        {"promptFeedback": [], "usageMetadata": 3},
    ],
)
def test_members_of_odd_types_cost_nothing(payload: dict[str, Any]):
    decoder = GeminiDecoder()
    end = {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}]}
    events = decoder.feed(f"data: {json.dumps(payload)}\n\ndata: {json.dumps(end)}\n\n".encode())
    assert events == [ModelText("x")]
    assert not decoder.finished
    decoder.close()


def test_half_a_surrogate_pair_can_go_back():
    decoder = GeminiDecoder()
    call = '{"functionCall": {"name": "f", "args": {"q": "\\ud83d"}}}'
    [delta] = decoder.feed(f'data: {{"candidates": [{{"content": {{"parts": [{call}]}}}}]}}\n\n'.encode())
    assert isinstance(delta, ModelToolDelta)
    decoder.feed(b'data: {"candidates": [{"finishReason": "STOP"}]}\n\n')
    [state, _] = decoder.close()
    assert isinstance(state, ModelState)
    assert b"\xef\xbf\xbd" in msgspec.json.encode(state.item.value)


@pytest.mark.parametrize(
    ("name", "window", "thinks"),
    [
        ("gemini-3.5-flash-001", 1_048_576, True),
        ("models/gemini-3.5-flash", 1_048_576, True),
        ("gemini-9-ultra", 1_048_576, True),
        ("gemini-2.0-flash", 32_768, False),
        ("gemma-4-27b-it", 32_768, False),
    ],
)
def test_a_model_that_is_not_listed_gets_limits_that_it_keeps(name: str, window: int, *, thinks: bool):
    spec = gemini.spec(f"gemini/{name}", name)
    assert (spec.id, spec.wire_name, spec.provider) == (f"gemini/{name}", name, "gemini")
    assert (spec.context_window, spec.thinks) == (window, thinks)
    assert 0 < spec.max_output < spec.context_window


def test_the_catalogue_holds_together():
    ids = [model.id for model in gemini.MODELS]
    assert len(ids) == len(set(ids))
    assert gemini.DEFAULT in ids
    assert all(gemini.claims(name) and gemini.family(name) == name for name in ids)
    assert not gemini.claims("gemma3:4b"), "Ollama serves it under that name"
