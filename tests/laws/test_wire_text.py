"""The text that a provider decoder gives is the text in the bytes, however they are cut (contract section 4)."""

import json
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.laws import decode
from twinspeak.domain.errors import ProviderFailed
from twinspeak.domain.events import ModelEvent, ModelStop, ModelText, ModelThinking, ModelToolDelta, ModelUsage
from twinspeak.providers.openai_chat import OpenAIChatDecoder

OWN = decode.own_recordings()
SHARED = decode.shared_recordings()
FAILING = {"groq/error-in-stream", "openrouter/error-in-stream"}
SMALL = 4_000
"""Bodies up to this many bytes are cut at every point into two; all are cut at every point at once."""


def fed(*pieces: bytes) -> tuple[list[ModelEvent], dict[str, Any] | None]:
    """Everything a decoder gives for `pieces`, and the details of its failure."""
    decoder = OpenAIChatDecoder("fake")
    events: list[ModelEvent] = []
    for piece in pieces:
        if decoder.finished:
            break
        events += decoder.feed(piece)
    try:
        return events + decoder.close(), None
    except ProviderFailed as failure:
        return events, failure.details


@cache
def at_once(path: Path) -> tuple[list[ModelEvent], dict[str, Any] | None]:
    return fed(path.read_bytes())


def joined(kind: type[ModelText] | type[ModelThinking], events: list[ModelEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, kind))


def tools_in(events: list[ModelEvent]) -> list[dict[str, str | None]]:
    tools: dict[int, dict[str, Any]] = {}
    for event in events:
        if isinstance(event, ModelToolDelta):
            tool = tools.setdefault(event.index, {"call_id": None, "name": None, "arguments": ""})
            assert not (event.call_id and tool["call_id"]), "a call's id comes once"
            assert not (event.name and tool["name"]), "a call's name comes once"
            tool["call_id"] = tool["call_id"] or event.call_id
            tool["name"] = tool["name"] or event.name
            tool["arguments"] += event.arguments
    return [tools[index] for index in sorted(tools)]


def test_there_are_recordings():
    assert len(OWN) >= 20


@pytest.mark.parametrize("path", OWN, ids=decode.name_of)
def test_a_recording_says_what_its_description_says(path: Path):
    said = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    events, failure = at_once(path)
    assert joined(ModelText, events) == said["text"]
    assert joined(ModelThinking, events) == said["thinking"]
    assert tools_in(events) == said["tools"]
    assert (failure is not None) == said["fails"]
    usages = [event for event in events if isinstance(event, ModelUsage)]
    if said["usage"]:
        assert {name: getattr(usages[-1], name) for name in said["usage"]} == said["usage"]
    else:
        assert usages == []
    if failure is None:
        assert events[-1] == ModelStop(said["stop"])
    else:
        assert failure == {"provider": "fake", **({"status": said["status"]} if "status" in said else {})}


@pytest.mark.parametrize("path", [*OWN, *SHARED], ids=decode.name_of)
def test_text_is_what_another_decoder_reads(path: Path):
    events, failure = at_once(path)
    body = path.read_bytes()
    assert joined(ModelText, events) == decode.text_of(body)
    assert joined(ModelThinking, events) == decode.thinking_of(body)
    if path in SHARED:
        assert (failure is not None) == (decode.name_of(path) in FAILING)
        assert failure is not None or any(isinstance(event, ModelUsage) for event in events)


@pytest.mark.parametrize("path", [*OWN, *SHARED], ids=decode.name_of)
def test_bytes_cut_anywhere_decode_the_same(path: Path):
    body = path.read_bytes()
    assert fed(*(body[at : at + 1] for at in range(len(body)))) == at_once(path)
    for at in range(len(body) if len(body) <= SMALL else 0):
        assert fed(body[:at], body[at:]) == at_once(path), at


@pytest.mark.parametrize("path", [*OWN, *SHARED], ids=decode.name_of)
@given(cuts=st.lists(st.floats(0, 1), max_size=6))
def test_bytes_cut_into_any_pieces_decode_the_same(path: Path, cuts: list[float]):
    body = path.read_bytes()
    points = sorted({0, len(body), *(round(cut * len(body)) for cut in cuts)})
    assert fed(*(body[start:end] for start, end in pairwise(points))) == at_once(path)


@pytest.mark.parametrize("path", OWN, ids=decode.name_of)
def test_a_cut_body_never_passes_for_a_whole_answer(path: Path):
    body = path.read_bytes()
    whole, _ = at_once(path)
    text = joined(ModelText, whole)
    for at in range(0, len(body), max(1, len(body) // 200)):
        events, failure = fed(body[:at])
        part = joined(ModelText, events).removesuffix("\ufffd")
        assert text.startswith(part)
        assert failure or part == text.removesuffix("\ufffd")


@pytest.mark.skipif(not SHARED, reason="no ../shared/recordings beside this checkout")
def test_real_recordings_are_there():
    assert {decode.name_of(path).split("/")[0] for path in SHARED} >= {
        "deepseek",
        "groq",
        "openai",
        "openrouter",
        "xai",
    }
