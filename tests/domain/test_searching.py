"""How texts are cut into the words that search compares."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinspeak.domain.searching import LONGEST, MOST_ASKED, asked_for, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \t\n%_*()\"'\\;--", []),
        ("The oak, the OAK!", ["the", "oak"]),
        ("question_3 is 100%", ["question", "3", "is", "100"]),
        ("Straße STRASSE", ["strasse"]),
        ("ﬁne", ["fine"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("שלום", ["שלום"]),
        ("🌳 tree🌳", ["🌳", "tree"]),
        ("東京都", ["東京", "京都"]),
        ("京", ["京"]),
        ("東京GPT4", ["東京", "gpt4"]),
        ("a\ud800b", ["a", "b"]),
        ("a\x00b", ["a", "b"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of([text]) == words


def test_composed_and_decomposed_letters_are_one_word() -> None:
    assert words_of(["caf\u00e9 cafe\u0301"]) == ["caf\u00e9"]


def test_bounds_hold() -> None:
    assert words_of(["x" * 1_000]) == ["x" * LONGEST]
    assert len(words_of([" ".join(f"w{number}" for number in range(100))], 7)) == 7
    assert len(asked_for(" ".join(f"w{number}" for number in range(100)))) == MOST_ASKED


def test_longer_words_also_find_what_begins_with_them() -> None:
    assert asked_for("oa oak 木") == [("oa", False), ("oak", True), ("木", True)]


@given(st.text())
def test_what_was_written_is_found_by_itself(text: str) -> None:
    assert {word for word, _ in asked_for(text)} <= set(words_of([text]))


@given(st.text())
def test_words_hold_no_sign_that_a_query_knows(text: str) -> None:
    assert not set(" \"'()*:&|!<>\\\x00") & set("".join(words_of([text])))
