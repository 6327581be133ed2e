"""Multipart bodies come out the same however they are cut; what is not one is refused, and nothing is held for ever."""

from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinspeak.domain.vault_errors import InvalidBody
from twinspeak.transports.http.multipart import (
    MOST_HEADER_BYTES,
    MOST_PARTS,
    Multipart,
    PartBegins,
    PartBytes,
    PartEnds,
    boundary_of,
)

BOUNDARY = b"a-b"


def parts_of(body: bytes, cuts: list[int] | None = None) -> list[tuple[str, str | None, str, bytes]]:
    """Return (name, file name, type, bytes) of each part of a body that comes in pieces."""
    parser = Multipart(BOUNDARY)
    edges: list[int] = sorted({0, len(body), *(cuts or [])})
    found: list[tuple[str, str | None, str, bytes]] = []
    held: PartBegins | None = None
    data = b""
    for start, end in pairwise(edges):
        for event in parser.feed(body[start:end]):
            if isinstance(event, PartBegins):
                assert held is None
                held, data = event, b""
            elif isinstance(event, PartBytes):
                assert event.data
                data += event.data
            else:
                assert isinstance(event, PartEnds)
                assert held
                found.append((held.name, held.filename, held.media_type, data))
                held = None
    parser.finish()
    assert held is None
    return found


def body_of(parts: list[tuple[str, str | None, bytes]]) -> bytes:
    out = b""
    for name, filename, data in parts:
        out += b'--a-b\r\nContent-Disposition: form-data; name="' + name.encode() + b'"'
        if filename is not None:
            out += b'; filename="' + filename.encode() + b'"\r\nContent-Type: text/plain'
        out += b"\r\n\r\n" + data + b"\r\n"
    return out + b"--a-b--\r\n"


HARD = [
    b"",
    b"x",
    b"\r\n",
    b"\r",
    b"-",
    b"--a-",
    b"\r\n--a",
    b"\r\n--a-",
    b"--a-b",
    b"\r\n\r\n",
    b"\r\n-\r\n--",
    b"\0\xff",
]
_LETTERS = st.characters(codec="utf-8", exclude_characters='"\\\r\n%', exclude_categories=["Cc", "Cs"])
NAMES = st.text(_LETTERS, max_size=8)
DATA = st.lists(st.sampled_from(HARD), max_size=6).map(b"".join).filter(lambda data: b"\r\n--a-b" not in data)


@given(st.lists(st.tuples(NAMES, st.none() | NAMES, DATA), min_size=1, max_size=4), st.data())
def test_however_it_is_cut(parts: list[tuple[str, str | None, bytes]], data: st.DataObject) -> None:
    body = b"before\r\n" * data.draw(st.integers(0, 1)) + body_of(parts) + b"after" * data.draw(st.integers(0, 1))
    expected = [(name, file, "" if file is None else "text/plain", content) for name, file, content in parts]
    assert parts_of(body) == expected
    assert parts_of(body, data.draw(st.lists(st.integers(0, len(body)), max_size=8))) == expected
    assert parts_of(body, list(range(len(body)))) == expected


@pytest.mark.parametrize(
    ("disposition", "expected"),
    [
        (b'form-data; name="files"; filename="a \\"b\\".md"', ("files", 'a "b".md')),
        (b'form-data; name="files"; filename="a %22b%22.md"', ("files", 'a "b".md')),
        (b"form-data; name=files; filename=a.md", ("files", "a.md")),
        (b'form-data; filename="a.md"; name="files"', ("files", "a.md")),
        (b'Form-Data ; NAME="x"', ("x", None)),
        (b'form-data; name="a;b"; filename="c; name=d"', ("a;b", "c; name=d")),
        ('form-data; name="ä"; filename="ö.md"'.encode(), ("ä", "ö.md")),
    ],
)
def test_dispositions(disposition: bytes, expected: tuple[str, str | None]) -> None:
    body = b"--a-b\r\nContent-Disposition: " + disposition + b"\r\n\r\nx\r\n--a-b--"
    assert [part[:2] for part in parts_of(body)] == [expected]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing",
        b"--a-b",
        b"--a-b\r\n",
        b"--a-bx\r\n\r\n",
        b'--a-b\r\nContent-Disposition: form-data; name="x"\r\n\r\nno end',
        b"--a-b\r\nContent-Disposition: attachment; name=x\r\n\r\nx\r\n--a-b--",
        b"--a-b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--a-b--",
        b"--a-b\r\n\r\nx\r\n--a-b--",
        b"--a-b\r\nContent-Disposition: form-data; name=x; x=" + b"y" * MOST_HEADER_BYTES + b"\r\n\r\nx\r\n--a-b--",
        body_of([("x", None, b"")] * (MOST_PARTS + 1)),
    ],
)
def test_what_is_no_body_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidBody):
        parts_of(body)


def test_nothing_is_held_for_ever() -> None:
    """Neither a header nor what comes before the first boundary grows in memory."""
    parser = Multipart(BOUNDARY)
    for _ in range(100):
        assert list(parser.feed(b"x" * 1_000)) == []
    assert len(parser._buffer) < 100
    begun = Multipart(BOUNDARY)
    assert list(begun.feed(b"--a-b\r\nX: " + b"y" * 8_000)) == []
    with pytest.raises(InvalidBody):
        list(begun.feed(b"y" * 8_000))


def test_a_large_part_comes_in_pieces() -> None:
    parser = Multipart(BOUNDARY)
    head = b'--a-b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    kinds = [type(event).__name__ for piece in (head, *[b"z" * 65_536] * 50) for event in parser.feed(piece)]
    assert [name for name, _ in groupby(kinds)] == ["PartBegins", "PartBytes"]
    assert len(parser._buffer) < 100


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('multipart/form-data; charset=utf-8; boundary="a b"', b"a b"),
        ("multipart/form-data;boundary=abc;x=y", b"abc"),
    ],
)
def test_boundaries(content_type: str, expected: bytes) -> None:
    assert boundary_of(content_type) == expected


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "x; boundary=", f"x; boundary={'a' * 71}", "x; boundary=ä"]
)
def test_bad_boundaries(content_type: str) -> None:
    with pytest.raises(InvalidBody):
        boundary_of(content_type)
