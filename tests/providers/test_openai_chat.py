"""What the decoder does with single odd chunks; whole streams are in tests/laws/test_wire_text.py."""

import json
from typing import Any

import pytest

from tests.fakes.upstream import DONE, chunk, frame
from twinspeak.domain.errors import ProviderFailed
from twinspeak.domain.events import ModelEvent, ModelStop, ModelText, ModelToolDelta, ModelUsage, StopReason
from twinspeak.providers.openai_chat import OpenAIChatDecoder


def decoded(*pieces: bytes) -> list[ModelEvent]:
    decoder = OpenAIChatDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close()


def tool_chunk(**call: Any) -> bytes:
    return chunk({"tool_calls": [call]})


def test_nothing_decoded_before_a_failure_is_lost():
    decoder = OpenAIChatDecoder("acme")
    events = decoder.feed(chunk({"content": "Half"}) + frame({"error": {"code": 429}}) + chunk({"content": "never"}))
    assert events == [ModelText("Half")]
    assert decoder.finished
    assert decoder.feed(chunk({"content": "never"})) == []
    with pytest.raises(ProviderFailed) as failed:
        decoder.close()
    assert failed.value.details == {"provider": "acme", "status": 429}


def test_a_failure_says_nothing_of_what_the_provider_said():
    decoder = OpenAIChatDecoder()
    decoder.feed(frame({"error": {"message": "key sk-secret is bad", "code": "sk-secret"}}))
    with pytest.raises(ProviderFailed) as failed:
        decoder.close()
    assert "secret" not in failed.value.message + json.dumps(failed.value.details)


@pytest.mark.parametrize("body", [b"", b": hi\n\n", b"data: [1]\n\n", b"data: nonsense\n\n", b"data: null\n\n"])
def test_what_is_no_stream_fails(body: bytes):
    with pytest.raises(ProviderFailed):
        decoded(body)


def test_an_event_beyond_all_bounds_fails():
    decoder = OpenAIChatDecoder(max_event_bytes=1_000)
    for _ in range(30):
        decoder.feed(b"data: " + b"x" * 100)
    assert decoder.finished
    with pytest.raises(ProviderFailed):
        decoder.close()


def test_deep_json_fails_and_nothing_else_does():
    with pytest.raises(ProviderFailed):
        decoded(b'data: {"error":' + b"[" * 200_000 + b"\n\n")


@pytest.mark.parametrize(
    ("finish", "stop"),
    [
        ("stop", StopReason.END),
        ("end_turn", StopReason.END),
        ("length", StopReason.LENGTH),
        ("model_length", StopReason.LENGTH),
        ("tool_calls", StopReason.END),
        ("content_filter", StopReason.REFUSED),
    ],
)
def test_finish_reasons(finish: str, stop: StopReason):
    assert decoded(chunk({"content": "x"}, finish=finish), DONE)[-1] == ModelStop(stop)


def test_done_alone_ends_an_answer():
    assert decoded(chunk({"content": "x"}), DONE + b"data: more\n\n") == [ModelText("x"), ModelStop(StopReason.END)]


def test_a_call_without_an_id_is_given_one():
    opening = tool_chunk(index=0, function={"name": "f", "arguments": "{"})
    events = decoded(opening, tool_chunk(function={"arguments": "}"}), DONE)
    first, second = events[0], events[1]
    assert isinstance(first, ModelToolDelta)
    assert first.call_id
    assert first.call_id.startswith("call_")
    assert second == ModelToolDelta(index=0, arguments="}")
    assert events[-1] == ModelStop(StopReason.TOOLS)


def test_calls_without_an_index_are_told_apart():
    events = decoded(
        tool_chunk(id="a", function={"name": "f", "arguments": '{"x":1}'}),
        tool_chunk(id="b", function={"name": "g", "arguments": {"y": 2}}),
        tool_chunk(function={"name": "h", "arguments": ""}),
        DONE,
    )
    deltas = [event for event in events if isinstance(event, ModelToolDelta)]
    assert [(delta.index, delta.name, delta.arguments) for delta in deltas] == [
        (0, "f", '{"x":1}'),
        (1, "g", '{"y": 2}'),
        (2, "h", ""),
    ]


def test_a_repeated_id_and_name_open_no_second_call():
    again = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "1"}}
    events = decoded(tool_chunk(**again), tool_chunk(**again), tool_chunk(index=-1, function={"arguments": "2"}), DONE)
    assert events[:3] == [
        ModelToolDelta(index=0, call_id="a", name="f", arguments="1"),
        ModelToolDelta(index=0, arguments="1"),
        ModelToolDelta(index=0, arguments="2"),
    ]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}, (5, 0, 3)),
        ({"prompt_tokens": 5, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 9}}, (5, 5, 3)),
        ({"prompt_tokens": -5, "completion_tokens": 3}, (0, 0, 3)),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, None),
        ({}, None),
    ],
)
def test_usage(usage: dict[str, Any], expected: tuple[int, int, int] | None):
    events = decoded(frame({"choices": [], "usage": usage}), DONE)
    assert events[:-1] == ([ModelUsage(*expected)] if expected else [])


def test_usage_inside_the_choice_counts():
    choice = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 2, "completion_tokens": 1}}
    assert decoded(frame({"choices": [choice]}))[0] == ModelUsage(2, 0, 1)
