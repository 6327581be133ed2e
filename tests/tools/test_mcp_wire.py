"""Streams of events, however they are cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinspeak.tools.mcp import wire
from twinspeak.tools.mcp.wire import Event, Events

STREAM = (
    b"\xef\xbb\xbf: a comment\nid: 1\nretry: 500\ndata:\n\n"
    b'event: message\r\ndata: {"a":\r\ndata: 1}\r\n\r\n'
    b"data: \xc3\xa4\r\rid: 2\rdata: last\r\n\r\nretry: soon\ndata: cut"
)
EVENTS = [Event("", "1", 500), Event('{"a":\n1}', "1"), Event("ä", "1"), Event("last", "2")]


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_events_are_the_same_at_every_cut(cuts: list[int]):
    ends = sorted({0, *cuts, len(STREAM)})
    reader, found = Events(), []
    for start, end in itertools.pairwise(ends):
        found += reader.feed(STREAM[start:end])
    assert found == EVENTS


def test_a_line_without_end_is_given_up():
    reader = Events()
    assert list(reader.feed(b"x" * 1_900_000)) == []
    with pytest.raises(wire.WireError):
        list(reader.feed(b"x" * 200_000))


@pytest.mark.parametrize("body", [b"", b"[1]", b"3", b"{", b"\xff", b"[" * 100_000, b'"x"'])
def test_what_is_no_message(body: bytes):
    with pytest.raises(wire.WireError):
        wire.read(body)
