"""The law of contract section 4 for Messages and ConverseStream: what is told is what is in the bytes, at every cut."""

import json
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.laws import decode
from tests.laws.vendor_wires import WIRES, Wire
from twinspeak.domain.errors import ProviderFailed
from twinspeak.domain.events import (
    ModelEvent,
    ModelState,
    ModelStop,
    ModelText,
    ModelThinking,
    ModelToolDelta,
    ModelUsage,
)

OWN = [pytest.param(wire, path, id=decode.name_of(path)) for wire in WIRES for path in wire.own()]
REAL = [pytest.param(wire, path, id=f"real-{decode.name_of(path)}") for wire in WIRES for path in wire.real()]
EVERY = [*OWN, *REAL]
SMALL = 4_000
"""Bodies up to this many bytes are cut at every point into two; all are cut at every point at once."""

Told = tuple[list[ModelEvent], dict[str, Any] | None]


def fed(wire: Wire, *pieces: bytes) -> Told:
    """Everything a decoder gives for `pieces`, and the details of its failure."""
    decoder = wire.decoder()
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
def at_once(wire: Wire, path: Path) -> Told:
    return fed(wire, path.read_bytes())


def joined(kind: type[ModelText] | type[ModelThinking], events: list[ModelEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, kind))


def tools_in(events: list[ModelEvent]) -> list[dict[str, Any]]:
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


def usage_in(events: list[ModelEvent]) -> dict[str, int] | None:
    usages = [event for event in events if isinstance(event, ModelUsage)]
    return {name: getattr(usages[-1], name) for name in ("input", "cached", "completion")} if usages else None


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
def test_there_are_recordings(wire: Wire):
    assert len(wire.own()) >= 15


@pytest.mark.parametrize(("wire", "path"), OWN)
def test_a_recording_says_what_its_description_says(wire: Wire, path: Path):
    said = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    events, failure = at_once(wire, path)
    assert joined(ModelText, events) == said["text"]
    assert joined(ModelThinking, events) == said["thinking"]
    assert tools_in(events) == said["tools"]
    assert (failure is not None) == said["fails"]
    assert usage_in(events) == said["usage"]
    if "state" in said:
        assert [event.item.value for event in events if isinstance(event, ModelState)] == said["state"]
    if failure is None:
        assert events[-1] == ModelStop(said["stop"])
    else:
        assert failure == {"provider": "fake", **({"status": said["status"]} if "status" in said else {})}


@pytest.mark.parametrize(("wire", "path"), EVERY)
def test_it_is_what_another_decoder_reads(wire: Wire, path: Path):
    events, failure = at_once(wire, path)
    reading = wire.judge(path.read_bytes())
    assert joined(ModelText, events) == reading.text
    assert joined(ModelThinking, events) == reading.thinking
    assert [(tool["call_id"], tool["name"], tool["arguments"]) for tool in tools_in(events)] == reading.tools
    assert (failure is not None) == reading.fails
    if failure is None:
        told = usage_in(events)
        assert (told and tuple(told.values())) == reading.usage
        assert events[-1] == ModelStop(reading.stop)  # pyright: ignore[reportArgumentType] - a word equals its member


@pytest.mark.parametrize(("wire", "path"), REAL)
def test_real_answers_are_whole(wire: Wire, path: Path):
    events, failure = at_once(wire, path)
    assert failure is None
    assert usage_in(events)
    assert joined(ModelText, events) or tools_in(events)


@pytest.mark.parametrize(("wire", "path"), EVERY)
def test_bytes_cut_anywhere_decode_the_same(wire: Wire, path: Path):
    body = path.read_bytes()
    assert fed(wire, *(body[at : at + 1] for at in range(len(body)))) == at_once(wire, path)
    for at in range(len(body) if len(body) <= SMALL else 0):
        assert fed(wire, body[:at], body[at:]) == at_once(wire, path), at


@pytest.mark.parametrize(("wire", "path"), EVERY)
@given(cuts=st.lists(st.floats(0, 1), max_size=6))
def test_bytes_cut_into_any_pieces_decode_the_same(wire: Wire, path: Path, cuts: list[float]):
    body = path.read_bytes()
    points = sorted({0, len(body), *(round(cut * len(body)) for cut in cuts)})
    assert fed(wire, *(body[start:end] for start, end in pairwise(points))) == at_once(wire, path)


@pytest.mark.parametrize(("wire", "path"), OWN)
def test_a_cut_body_never_passes_for_a_whole_answer(wire: Wire, path: Path):
    body = path.read_bytes()
    text = joined(ModelText, at_once(wire, path)[0])
    for at in range(0, len(body), max(1, len(body) // 200)):
        events, failure = fed(wire, body[:at])
        part = joined(ModelText, events).removesuffix("\ufffd")
        assert text.startswith(part)
        assert failure or part == text.removesuffix("\ufffd")


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
def test_real_recordings_were_there(wire: Wire):
    if not decode.SHARED.exists():
        pytest.skip("no shared recordings beside this checkout: the law ran over the project's own")
    assert wire.real()
