"""Secrets and people's words never reach a log."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinspeak.domain.caller import Caller
from twinspeak.telemetry.redact import HIDDEN, MAX_CHARS, is_secret_name, one_line, redact_text, redact_value

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJfaWQiOiIxIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"token {JWT} refused", JWT),
        (f"GET /events?token={JWT}&x=1", JWT),
        ("GET /events?a=1&access_token=abc123 HTTP/1.1", "abc123"),
        ("calling with sk-proj-abcdefghijklmnop", "sk-proj-abcdefghijklmnop"),
        ("key pria_0123456789abcdef0123456789abcdef01234567", "pria_0123456789abcdef0123456789abcdef01234567"),
        ("Authorization: Bearer abcdef.123456", "abcdef.123456"),
        ("authorization: basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ('body {"email": "a@b.c", "password": "hunter2 x"}', "hunter2 x"),
        ("body {'x-access-token': 'zzz'}", "zzz"),
        ("postgresql://app:s3cret@db.example/twins", "s3cret"),
    ],
)
def test_a_value_that_looks_like_a_secret_is_hidden(text: str, secret: str):
    cleaned = redact_text(text)
    assert secret not in cleaned
    assert HIDDEN in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "GET /api/test/health 200",
        "turn ended",
        "risk-taking is a skill, task-oriented",
        "used 120 tokens",
        "https://example.org/a?page=2",
        "the basic idea",
    ],
)
def test_harmless_text_is_left_alone(text: str):
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "x-access-token",
        "accessToken",
        "apiKey",
        "OPENAI_API_KEY",
        "Authorization",
        "set-cookie",
        "new_password",
    ],
)
def test_names_of_secrets(name: str):
    assert is_secret_name(name)
    assert redact_value(name, "anything") == HIDDEN
    assert redact_value("headers", {name: ["anything"]}) == {name: HIDDEN}


@pytest.mark.parametrize("name", ["max_tokens", "first_token_ms", "tokens", "key", "keyboard", "secretary", ""])
def test_names_that_only_sound_secret(name: str):
    assert not is_secret_name(name)


def test_peoples_words_become_their_size():
    assert redact_value("question", "Why?") == "[4 characters]"
    assert redact_value("inputs", ["a", "b"]) == "[2 items]"
    assert redact_value("output", 12) == 12
    assert redact_value("data", b"abc") == "[3 bytes]"


def test_an_object_of_ours_shows_its_type_only():
    caller = Caller(user_id="u", email="a@b.c", kind="user", session_id="s")
    assert redact_value("caller", caller) == "<Caller>"
    assert redact_value("problem", ValueError(f"bad {JWT}")) == f"ValueError: bad {HIDDEN}"


def test_numbers_in_a_password_are_hidden_too():
    assert redact_value("password", 12345678) == HIDDEN


def test_endless_structures_end():
    loop: list[object] = []
    loop.append(loop)
    assert "[1 items]" in str(redact_value("loop", loop))
    assert len(redact_text("x" * 100_000)) < MAX_CHARS + 100


def test_a_value_cannot_forge_a_line_or_move_the_cursor():
    assert one_line("a\r\x1b[2Jb\u2028c") == "a\\x0d\\x1b[2Jb\\x2028c"


@given(st.text(), st.text(alphabet="abcdefghijklmnop0123456789_-", min_size=10, max_size=60), st.text())
def test_a_token_in_any_surroundings_is_hidden(before: str, token: str, after: str):
    cleaned = redact_text(f"{before} ?token={token}x9 {after}")
    assert f"?token={token}x9" not in cleaned
    cleaned.encode()


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text() | st.binary(), st.lists))
def test_what_comes_out_is_plain(value: object):
    assert isinstance(redact_value("field", value), (type(None), bool, int, float, str, list, dict))


@pytest.mark.parametrize("piece", ["a-", "eyJabcdefg-", "token=", "bearer ", '"token"', "sk-", "://a:", "a_"])
def test_hostile_text_takes_no_time(piece: str):
    started = time.perf_counter()
    redact_text(piece * (MAX_CHARS // len(piece)))
    assert time.perf_counter() - started < 1
