"""Recordings too large to decode again for every cut are cut at every point all the same, block by block.

A decoder is its state: if, within each block, every cut leaves the state and the events that no cut leaves, and if a
beginning fed at once leaves the state that its blocks leave, then no cut anywhere changes what comes out.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.laws.decode import ROOT, SHARED, name_of
from twinspeak.domain.errors import ProviderFailed
from twinspeak.domain.events import ModelEvent
from twinspeak.providers.anthropic import AnthropicDecoder
from twinspeak.providers.bedrock import BedrockDecoder
from twinspeak.providers.gemini import GeminiDecoder
from twinspeak.providers.openai_chat import OpenAIChatDecoder
from twinspeak.providers.openai_responses import ResponsesDecoder
from twinspeak.providers.relay import Decoder

BLOCK = 256
LARGE = 4_000
"""Smaller ones are decoded again for every cut by the other laws."""
DECODERS: dict[str, Callable[[str], Decoder]] = {
    "anthropic": AnthropicDecoder,
    "bedrock": BedrockDecoder,
    "gemini": GeminiDecoder,
    "openai_responses": ResponsesDecoder,
}
_FILES = [
    *(ROOT / "tests" / "recordings").glob("*/*.[sb][si][en]"),
    *SHARED.glob("*/*.sse"),
    *SHARED.glob("*/*.bin"),
]
RECORDINGS = sorted(path for path in _FILES if path.stat().st_size > LARGE)


def decoder_for(path: Path) -> Decoder:
    other = ResponsesDecoder if path.name.startswith("responses-") else OpenAIChatDecoder
    return DECODERS.get(path.parent.name, other)("fake")


def fed(decoder: Decoder, *pieces: bytes) -> tuple[list[ModelEvent], bool]:
    """What comes of the pieces, and whether the stream failed in them."""
    events: list[ModelEvent] = []
    try:
        for piece in pieces:
            if not decoder.finished:
                events += decoder.feed(piece)
    except ProviderFailed:
        return events, True
    return events, False


def state(value: Any) -> Any:
    """Everything that an object holds, as plain values that can be compared; bytes that wait for more count joined."""
    if isinstance(value, dict):
        return {key: state(inner) for key, inner in value.items()}
    if isinstance(value, list) and value and all(isinstance(piece, bytes) for piece in value):
        return b"".join(value)
    if isinstance(value, list | tuple):
        return [state(inner) for inner in value]
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    held = {**{name: getattr(value, name) for name in slots if hasattr(value, name)}, **getattr(value, "__dict__", {})}
    return state(held) if held and not callable(value) else value


@pytest.mark.slow
@pytest.mark.parametrize("path", RECORDINGS, ids=name_of)
def test_every_cut_of_a_large_recording_decodes_the_same(path: Path):
    body = path.read_bytes()
    block_by_block = decoder_for(path)
    for start in range(0, len(body), BLOCK):
        block = body[start : start + BLOCK]
        before = copy.deepcopy(block_by_block)
        expected, failed = fed(block_by_block, block)
        after = state(block_by_block)
        for at in range(1, len(block)):
            cut = copy.deepcopy(before)
            assert fed(cut, block[:at], block[at:]) == (expected, failed), start + at
            assert state(cut) == after, start + at
        at_once = decoder_for(path)
        fed(at_once, body[: start + len(block)])
        assert state(at_once) == after, start
        if failed:
            return


def test_there_are_large_recordings():
    assert RECORDINGS
