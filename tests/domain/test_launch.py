"""What is signed of a launch, and what counts as one place."""

import json

import pytest

from twinspeak.domain.launch import context_of, signed_text, texts


def test_the_signed_text_is_the_documented_one() -> None:
    params = texts({"userid": 7, "email": "ada@example.org", "on": True, "none": None, "launch_x": "y", "ü": "ß"})
    made = signed_text(params, "n", 5)
    expected = '[[["email","ada@example.org"],["none",""],["on","true"],["userid","7"],["ü","ß"]],"n",5]'
    assert made.decode() == expected
    assert json.loads(made)[1:] == ["n", 5]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://Learn.example.edu:443/courses/7/#top", "https://learn.example.edu/courses/7"),
        ("https://learn.example.edu/?course=7", "https://learn.example.edu?course=7"),
        (" course-7 ", "course-7"),
        ("http://[", "http://["),
    ],
)
def test_one_place_has_one_spelling(given: str, kept: str) -> None:
    assert context_of(given) == kept
