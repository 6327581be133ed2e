"""Every vendor's bytes decode to what another decoder reads, the same however they are cut (contract section 4)."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.laws import wires
from tests.laws.decode import SHARED, name_of, own_recordings, shared_recordings
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
from twinspeak.providers.gemini import GeminiDecoder
from twinspeak.providers.openai_chat import OpenAIChatDecoder
from twinspeak.providers.openai_responses import ResponsesDecoder
from twinspeak.providers.relay import Decoder

SMALL = 6_000
"""Bodies up to this many bytes are cut at every point into two; all are cut at every point at once."""


@dataclass(frozen=True)
class Law:
    """A wire: its decoder, the other one, and where its bytes lie."""

    decoder: Callable[[str], Decoder]
    read: Callable[[bytes], wires.Reading]
    pattern: str = "*"


LAWS = {
    "gemini": Law(GeminiDecoder, wires.read_gemini),
    "openai_responses": Law(ResponsesDecoder, wires.read_responses, "responses-*"),
}
FOUND = [(law, *wires.recordings(vendor, law.pattern)) for vendor, law in LAWS.items()]
OWN = [path for _, own, _ in FOUND for path in own]
REAL = [path for _, _, real in FOUND for path in real]
OF = {path: law for law, own, real in FOUND for path in [*own, *real]}

Outcome = tuple[list[ModelEvent], dict[str, Any] | None]


def fed(law: Law, *bodies: bytes) -> Outcome:
    """Everything a decoder gives, ids that it made up left out, and the details of its failure."""
    decoder = law.decoder("fake")
    events: list[ModelEvent] = []
    for piece in bodies:
        if decoder.finished:
            break
        events += decoder.feed(piece)
    try:
        return [_known(event) for event in events + decoder.close()], None
    except ProviderFailed as failure:
        return [_known(event) for event in events], failure.details


def _known(event: ModelEvent) -> ModelEvent:
    if isinstance(event, ModelToolDelta) and event.call_id and event.state is None and len(event.call_id) == 29:
        return ModelToolDelta(event.index, None, event.name, event.arguments)
    return event


@cache
def at_once(path: Path) -> Outcome:
    return fed(OF[path], path.read_bytes())


def joined(kind: type[ModelText] | type[ModelThinking], events: list[ModelEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, kind))


def tools_in(events: list[ModelEvent]) -> list[tuple[str, Any]]:
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    for event in events:
        if isinstance(event, ModelToolDelta):
            assert not (event.name and names.get(event.index)), "a call's name comes once"
            names[event.index] = names.get(event.index, "") or event.name or ""
            arguments[event.index] = arguments.get(event.index, "") + event.arguments
    return [(names[index], json.loads(arguments[index] or "{}")) for index in sorted(names)]


def usage_in(events: list[ModelEvent]) -> tuple[int, int, int] | None:
    counts = [(event.input, event.cached, event.completion) for event in events if isinstance(event, ModelUsage)]
    return counts[-1] if counts else None


@pytest.mark.parametrize("vendor", LAWS)
def test_there_are_recordings(vendor: str):
    assert len(wires.recordings(vendor)[0]) >= 8


@pytest.mark.parametrize("path", OWN, ids=name_of)
def test_a_recording_says_what_its_description_says(path: Path):
    said = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    events, failure = at_once(path)
    assert joined(ModelText, events) == said["text"]
    assert joined(ModelThinking, events) == said["thinking"]
    assert tools_in(events) == [(tool["name"], tool["arguments"]) for tool in said["tools"]]
    assert usage_in(events) == (tuple(said["usage"]) if said["usage"] else None)
    assert [event.item.value for event in events if isinstance(event, ModelState)] == said.get("state", [])
    if said["fails"]:
        assert failure == {"provider": "fake", **({"status": said["status"]} if "status" in said else {})}
    else:
        assert failure is None
        assert events[-1] == ModelStop(said["stop"])


@pytest.mark.parametrize("path", [*OWN, *REAL], ids=name_of)
def test_text_and_usage_are_what_another_decoder_reads(path: Path):
    events, failure = at_once(path)
    reading = OF[path].read(path.read_bytes())
    assert joined(ModelText, events) == reading.text
    assert joined(ModelThinking, events) == reading.thinking
    assert tools_in(events) == reading.tools
    assert usage_in(events) == reading.usage
    if path in REAL:
        assert failure is None
        assert reading.usage


@pytest.mark.parametrize("path", [*OWN, *REAL], ids=name_of)
def test_bytes_cut_anywhere_decode_the_same(path: Path):
    body, law = path.read_bytes(), OF[path]
    assert fed(law, *(body[at : at + 1] for at in range(len(body)))) == at_once(path)
    for at in range(len(body) if len(body) <= SMALL else 0):
        assert fed(law, body[:at], body[at:]) == at_once(path), at


@pytest.mark.parametrize("path", [*OWN, *REAL], ids=name_of)
@given(cuts=st.lists(st.floats(0, 1), max_size=6))
def test_bytes_cut_into_any_pieces_decode_the_same(path: Path, cuts: list[float]):
    body = path.read_bytes()
    points = sorted({0, len(body), *(round(cut * len(body)) for cut in cuts)})
    assert fed(OF[path], *(body[start:end] for start, end in pairwise(points))) == at_once(path)


@pytest.mark.parametrize("path", OWN, ids=name_of)
def test_a_cut_body_never_passes_for_a_whole_answer(path: Path):
    body = path.read_bytes()
    whole, _ = at_once(path)
    text = joined(ModelText, whole)
    if json.loads(path.with_suffix(".json").read_text(encoding="utf-8")).get("always_whole"):
        return  # each of its events says that it is the last
    for at in range(0, len(body), max(1, len(body) // 200)):
        events, failure = fed(OF[path], body[:at])
        part = joined(ModelText, events)
        assert text.startswith(part)
        assert failure or part == text


@pytest.mark.skipif(not REAL, reason=f"no {SHARED} beside this checkout")
def test_real_recordings_are_there():
    assert {OF[path] for path in REAL} == set(LAWS.values())


@pytest.mark.parametrize("path", [*own_recordings(), *shared_recordings()], ids=name_of)
def test_the_counts_of_chat_completions_are_what_another_reader_adds_up(path: Path):
    """Their text is judged in `test_wire_text`."""
    body = path.read_bytes()
    events, _ = fed(Law(OpenAIChatDecoder, wires.read_gemini), body)
    assert usage_in(events) == wires.chat_usage(body)
