"""Porter's stemmer against examples of its paper, and its habits on words that are not English."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinspeak.knowledge.index.stem import stem

# From the paper's own examples, each taken through all steps.
FROM_THE_PAPER = {
    "caresses": "caress", "ponies": "poni", "cats": "cat", "feed": "feed", "agreed": "agre", "plastered": "plaster",
    "bled": "bled", "motoring": "motor", "sing": "sing", "conflated": "conflat", "troubled": "troubl", "sized": "size",
    "hopping": "hop", "tanned": "tan", "falling": "fall", "hissing": "hiss", "fizzed": "fizz", "failing": "fail",
    "filing": "file", "happy": "happi", "sky": "sky", "relational": "relat", "conditional": "condit",
    "rational": "ration", "digitizer": "digit", "vietnamization": "vietnam", "operator": "oper", "feudalism": "feudal",
    "decisiveness": "decis", "hopefulness": "hope", "sensibiliti": "sensibl", "triplicate": "triplic",
    "formalize": "formal", "electrical": "electr", "goodness": "good", "revival": "reviv", "allowance": "allow",
    "airliner": "airlin", "adjustable": "adjust", "replacement": "replac", "adoption": "adopt", "activate": "activ",
    "effective": "effect", "probate": "probat", "rate": "rate", "cease": "ceas", "controll": "control", "roll": "roll",
}  # fmt: skip


@pytest.mark.parametrize(("word", "expected"), FROM_THE_PAPER.items())
def test_the_papers_examples(word: str, expected: str) -> None:
    assert stem(word) == expected


def test_forms_of_a_word_meet() -> None:
    for forms in (
        ("connect", "connects", "connected", "connecting", "connection", "connections"),
        ("answer", "answers", "answered", "answering"),
        ("cancel", "cancels"),
        ("library", "libraries"),
        ("stream", "streams", "streamed", "streaming"),
    ):
        assert len({stem(form) for form in forms}) == 1, forms


@pytest.mark.parametrize("word", ["", "a", "is", "8080", "gpt4", "crème", "ответ", "日本"])
def test_what_is_no_english_word_stays(word: str) -> None:
    assert stem(word) == word


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=30))
def test_never_fails_never_empties_and_hardly_grows(word: str) -> None:
    assert 0 < len(stem(word)) <= len(word) + 1
