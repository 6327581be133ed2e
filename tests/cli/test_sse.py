"""The reader of event streams, fed in every way a network can."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinspeak.cli import sse
from twinspeak.cli.sse import Frame, SseParser


def read(*chunks: bytes) -> list[Frame]:
    parser = SseParser()
    return [frame for chunk in chunks for frame in parser.feed(chunk)]


def texts(*chunks: bytes) -> list[str]:
    return [frame.data for frame in read(*chunks)]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\n", ["a"]),
        (b"data:a\n\ndata:  b\n\n", ["a", " b"]),
        (b"data: a\r\n\r\ndata: b\r\rdata: c\n\n", ["a", "b", "c"]),
        (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
        (b": a comment\n\ndata: a\n:\n\n", ["a"]),
        (b"data: a\ndata\ndata: b\n\n", ["a\n\nb"]),
        (b"data\n\n", [""]),
        (b"event: x\n\n", []),
        (b"data: cut", []),
        (b"data: cut\n", []),
        (b"unknown: x\ndata: a\nretry: 10\n\n", ["a"]),
        ("data: naïve \u2028 😀\n\n".encode(), ["naïve \u2028 😀"]),
        (b"data: \xff\n\n", ["\ufffd"]),
        (b"data: a\x0bb\x0cc\x1cd\n\n", ["a\x0bb\x0cc\x1cd"]),
        (b"\n\n\n", []),
    ],
)
def test_the_standard(stream: bytes, expected: list[str]):
    assert texts(stream) == expected


def test_names_and_ids():
    frames = read(b"event: note\nid: 7\ndata: a\n\ndata: b\n\nid: 9\0\nid\ndata: c\n\n")
    assert frames == [Frame("a", "note", "7"), Frame("b", "message", "7"), Frame("c", "message", "")]


STREAM = '\ufeffdata: {"a": "é😀"}\r\n\r\n: beat\r\n\r\nevent: x\rdata: 1\rdata: 2\r\rdata: last\n\n'.encode()


def test_at_every_split_point():
    whole = read(STREAM)
    assert [frame.data for frame in whole] == ['{"a": "é😀"}', "1\n2", "last"]
    for cut in range(len(STREAM) + 1):
        assert read(STREAM[:cut], STREAM[cut:]) == whole, cut
    assert read(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == whole


@given(
    st.lists(st.text(alphabet=st.characters(exclude_characters="\r\n", exclude_categories=("Cs",)), max_size=20)),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.lists(st.integers(min_value=1, max_value=9), min_size=1),
)
def test_what_is_written_is_read(payloads: list[str], newline: str, sizes: list[int]):
    stream = "".join(f"data: {payload}{newline}{newline}" for payload in payloads).encode()
    chunks: list[bytes] = []
    while stream:
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(stream[:size])
        stream = stream[size:]
    assert texts(*chunks) == payloads


@given(st.lists(st.binary(max_size=30)))
def test_garbage_raises_nothing_and_does_not_depend_on_the_pieces(chunks: list[bytes]):
    assert read(*chunks) == read(b"".join(chunks))


def test_a_frame_without_end_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "MAX_FRAME_BYTES", 1000)
    for line in (b"data: " + b"x" * 50, b"data: " + b"x" * 50 + b"\n"):
        with pytest.raises(sse.FrameTooLargeError):
            read(*[line] * 100)
