"""Which pages may talk to which twin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinspeak.domain.origins import allows, origin_of, sources


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://www.example.org", "https://www.example.org"),
        ("https://WWW.Example.org/app?x=1#y", "https://www.example.org"),
        (" https://example.org:443/ ", "https://example.org"),
        ("http://example.org:80", "http://example.org"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("example.org/app", "https://example.org"),
        ("http://[2001:db8::1]:8080/x", "http://[2001:db8::1]:8080"),
        ("", None),
        ("null", None),
        ("ftp://example.org", None),
        ("javascript://example.org", None),
        ("https://", None),
        ("https://example.org:port", None),
        ("https://[bad", None),
        ("two words", None),
    ],
)
def test_the_origin_of_an_address(url: str, origin: str | None):
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    ("entries", "origin", "allowed"),
    [
        ([], "https://example.org", False),
        (["https://example.org/app"], "https://example.org", True),
        (["https://example.org"], "http://example.org", False),
        (["https://example.org"], "https://example.org:8443", False),
        (["https://example.org"], "https://example.org.evil.test", False),
        (["https://example.org"], "https://evil.test/https://example.org", False),
        (["example.org"], "https://sub.example.org", False),
        (["https://example.org"], "null", False),
        (["https://example.org"], "example.org", False),
        (["null"], "null", True),
        (["*"], "https://anything.test", True),
        (["", "https://", "nonsense:"], "https://example.org", False),
    ],
)
def test_which_pages_are_meant(entries: list[str], origin: str, *, allowed: bool):
    assert allows(entries, origin) is allowed


@given(st.text(max_size=60))
def test_any_text_has_an_answer_and_reading_twice_changes_nothing(text: str):
    origin = origin_of(text)
    assert origin is None or origin_of(origin) == origin
    assert not allows(["https://example.org"], text) or origin_of(text) == "https://example.org"


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        ([], ()),
        (["https://b.example/x", "a.example", "http://127.0.0.1:8000"],
         ("http://127.0.0.1:8000", "https://a.example", "https://b.example")),
        (["https://[::1]:9000/", "HTTPS://A.Example:443"], ("https://[::1]:9000", "https://a.example")),
        (["https://a.example", "*"], ("*",)),
        (["null", "", "https://", "ftp://a.example"], ()),
        (["https://a;script-src", "https://a,b.example", "https://*.example", "https://a'b", 'https://a"b>'], ()),
    ],
)  # fmt: skip
def test_what_a_policy_names(entries: list[str], named: tuple[str, ...]):
    assert sources(entries) == named


@given(st.lists(st.text(max_size=30), max_size=4))
def test_no_entry_says_more_than_one_source(entries: list[str]):
    assert all(not set(one) & set(" ;,'\"<>") for one in sources(entries))
