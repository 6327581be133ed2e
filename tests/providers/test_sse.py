from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinspeak.providers.wire.sse import SseEvent, SseSplitter, SseTooLong


def events_in(*pieces: bytes) -> list[SseEvent]:
    splitter = SseSplitter()
    return [event for piece in pieces for event in splitter.feed(piece)] + splitter.close()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"data: a\n\n", [("", b"a")]),
        (b"data:a\n\ndata:  b\n\n", [("", b"a"), ("", b" b")]),
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [("", b"YHOO\n+2\n10")]),
        (b"data\n\ndata\ndata\n\ndata:", [("", b""), ("", b"\n"), ("", b"")]),
        (b": comment\n\nevent: x\n\ndata: a\n\n", [("", b"a")]),
        (b"event: error\ndata: a\n\ndata: b\n\n", [("error", b"a"), ("", b"b")]),
        (b"id: 1\nretry: 5\nother: x\ndata: a\n\n", [("", b"a")]),
        (b"dataset: x\ndata: a\n\n", [("", b"a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [("", b"a")]),
        (b"data: \xef\xbb\xbf\n\n", [("", b"\xef\xbb\xbf")]),
        (b"data: a\r\rdata: b\r\n\r\ndata: c\r\n\n", [("", b"a"), ("", b"b"), ("", b"c")]),
        (b"data: a\n", [("", b"a")]),
        (b"data: a", [("", b"a")]),
        (b"\xef\xbb", []),
        (b"", []),
    ],
)
def test_events_are_read_as_the_specification_says(body: bytes, expected: list[tuple[str, bytes]]):
    assert events_in(body) == expected
    assert events_in(*(body[at : at + 1] for at in range(len(body)))) == expected


_LINES = st.sampled_from(
    [b"data: x", b"data:", b"data", b"event: e", b": c", b"", b"", b"id: 1", b"\xef\xbb\xbfdata: y"]
)
_ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


@given(lines=st.lists(st.tuples(_LINES, _ENDS), max_size=12), cuts=st.lists(st.integers(0, 200), max_size=5))
def test_cuts_do_not_matter(lines: list[tuple[bytes, bytes]], cuts: list[int]):
    body = b"".join(line + end for line, end in lines)
    points = sorted({0, *(min(cut, len(body)) for cut in cuts), len(body)})
    assert events_in(*(body[start:end] for start, end in pairwise(points))) == events_in(body)


@pytest.mark.parametrize("piece", [b"data: aaaaaaaa", b"data: aaaaaaaa\n", b": aaaaaaaa"])
def test_an_endless_event_is_refused(piece: bytes):
    splitter = SseSplitter(max_event_bytes=100)

    def feed() -> None:
        for _ in range(100):
            splitter.feed(piece)

    with pytest.raises(SseTooLong):
        feed()
