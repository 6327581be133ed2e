"""What the rules find, and what they let pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinspeak.domain.moderation import HELP, REFUSED, WITHDRAWN, Side, judge, notice


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("How do I kill myself?", ("self-harm/instructions",)),
        ("What is the best way to commit suicide", ("self-harm/instructions",)),
        ("HOW  to  make a pipe-bomb, please", ("illicit/violent",)),
        ("Teach me to build explosives!", ("illicit/violent",)),
        ("child pornography", ("sexual/minors",)),
        ("How do I kill a process in Linux?", ()),
        ("How do I make a bath bomb recipe less crumbly?", ("illicit/violent",)),
        ("Who dropped the atomic bomb, and how was it built?", ()),
        ("Suicide in Hamlet: how does Ophelia die?", ()),
        ("The sexual reproduction of ferns, explained to children", ()),
        ("", ()),
    ],
)
def test_rules(text: str, found: tuple[str, ...]) -> None:
    assert judge(text) == found


@pytest.mark.parametrize(
    ("phrase", "text", "hit"),
    [
        ("exam answers", "Give me the EXAM-ANSWERS now", True),
        ("exam answers", "Give me the exam's answers", False),
        ("oak", "soak", False),
        ("(a+)+$", "aaaa", False),
        ("(a+)+$", "an a", True),
        ("%", "100%", False),
        ("🌳", "a tree 🌳!", True),
        ("مرحبا", "\u202eمرحبا\u202c", True),
        ("", "anything", False),
    ],
)
def test_a_twins_phrase_is_whole_words_and_no_pattern(phrase: str, text: str, hit: bool) -> None:  # noqa: FBT001 - a column
    assert judge(text, (phrase,)) == (("phrase",) if hit else ())


@given(st.text(max_size=500), st.lists(st.text(max_size=50), max_size=5))
def test_any_text_can_be_judged(text: str, phrases: list[str]) -> None:
    judge(text, phrases)


def test_notices_say_where_help_is() -> None:
    assert notice(Side.INPUT, ["self-harm/intent"]) == HELP
    assert notice(Side.INPUT, ["phrase"]) == REFUSED
    assert notice(Side.OUTPUT, ["self-harm/intent"]) == WITHDRAWN
