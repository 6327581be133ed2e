"""What of a conversation goes back into a prompt (reference 3.7)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinspeak.domain.conversation import DIGEST_HEAD, Exchange, recall, shorten


def said(count: int) -> list[Exchange]:
    return [Exchange(question=f"question {number}?", answer=f"answer {number}.") for number in range(count)]


@pytest.mark.parametrize("count", range(6))
def test_up_to_five_go_as_they_are(count: int):
    assert recall(said(count)) == tuple(said(count))


@pytest.mark.parametrize("count", range(6, 16))
def test_of_more_the_last_three_go_as_they_are_and_the_others_shortened(count: int):
    digest, *last = recall(said(count))
    assert last == said(count)[-3:]
    assert digest.question.startswith(DIGEST_HEAD)
    assert digest.answer
    for number in range(count - 3):
        assert f"question {number}?" in digest.question
        assert f"answer {number}." in digest.question
    assert f"question {count - 3}?" not in digest.question


def test_a_digest_stays_small():
    long = [Exchange(question="why " * 50_000, answer="because. " * 50_000) for _ in range(15)]
    assert len(recall(long)[0].question) < 12 * 700


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("short", "short"),
        (" two\n\nlines ", "two lines"),
        ("One sentence. Another one that is long.", "One sentence.…"),
        ("no sentence ends here at all", "no sentence ends…"),
        ("x" * 40, "x" * 19 + "…"),
    ],
)
def test_text_is_cut_where_a_reader_would(text: str, short: str):
    assert shorten(text, 20) == short


@given(st.text(max_size=300), st.integers(min_value=5, max_value=100))
def test_the_limit_holds(text: str, limit: int):
    short = shorten(text, limit)
    assert len(short) <= limit
    assert "\n" not in short
