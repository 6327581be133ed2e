"""AWS event streams: any cut, any damage."""

import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.bedrock import header, message
from twinspeak.providers.wire.eventstream import BrokenMessage, EventMessage, EventStreamSplitter

NAMES = st.text(alphabet="abc:-é", min_size=1, max_size=8)
VALUES = st.text(max_size=12) | st.binary(max_size=12) | st.integers(-(2**40), 2**40) | st.booleans()
MESSAGES = st.lists(st.tuples(st.dictionaries(NAMES, VALUES, max_size=4), st.binary(max_size=40)), max_size=4)


def encoded(messages: list[tuple[dict[str, object], bytes]]) -> bytes:
    return b"".join(
        message(b"".join(_header(name, value) for name, value in headers.items()), payload)
        for headers, payload in messages
    )


def _header(name: str, value: object) -> bytes:
    raw = name.encode()
    return bytes([len(raw)]) + raw + header("", value)[1:]


def fed(*pieces: bytes, limit: int = 10_000) -> tuple[list[EventMessage], bool, bool]:
    """The messages, whether they ended in damage, and whether nothing is under way."""
    splitter = EventStreamSplitter(max_message_bytes=limit)
    found: list[EventMessage] = []
    for piece in pieces:
        messages, broken = splitter.feed(piece)
        found += messages
        if broken:
            assert isinstance(broken, BrokenMessage)
            return found, True, False
    return found, False, splitter.empty


@given(messages=MESSAGES, cuts=st.lists(st.integers(0, 400), max_size=6))
def test_messages_come_out_whole_however_they_are_cut(messages: list[tuple[dict[str, object], bytes]], cuts: list[int]):
    body = encoded(messages)
    points = sorted({0, len(body), *(min(cut, len(body)) for cut in cuts)})
    pieces = [body[start:end] for start, end in pairwise(points)]
    wanted = [
        EventMessage({name: value for name, value in headers.items() if isinstance(value, str)}, payload)
        for headers, payload in messages
    ]
    assert fed(*pieces) == (wanted, False, True)


def test_any_flipped_bit_is_noticed():
    body = encoded([({":event-type": "x"}, b'{"a": 1}')])
    for at in range(len(body)):
        for bit in range(8):
            damaged = bytearray(body)
            damaged[at] ^= 1 << bit
            messages, broken, empty = fed(bytes(damaged))
            assert messages == []
            assert broken or not empty


def test_a_cut_message_is_under_way():
    body = encoded([({}, b"x")])
    for at in range(1, len(body)):
        assert fed(body[:at]) == ([], False, False)


@pytest.mark.parametrize("lengths", [(15, 0), (0, 0), (20, 5), (20_000, 0), (2**32 - 1, 2**32 - 1)])
def test_lengths_that_make_no_sense_are_not_waited_for(lengths: tuple[int, int]):
    prelude = lengths[0].to_bytes(4, "big") + lengths[1].to_bytes(4, "big")
    assert fed(prelude + zlib.crc32(prelude).to_bytes(4, "big"))[1]


@pytest.mark.parametrize(
    "headers", [b"\x05abc", b"\x01a\x07\x00\x09x", b"\x01a\x63", b"\x01a", b"\x01a\x07\x00\x01\xff"]
)
def test_headers_that_make_no_sense(headers: bytes):
    assert fed(message(headers, b"{}"))[1]


def test_what_came_before_the_damage_is_kept():
    good = encoded([({}, b"one")])
    messages, broken, _ = fed(good + b"\x00" * 12)
    assert ([one.payload for one in messages], broken) == ([b"one"], True)
