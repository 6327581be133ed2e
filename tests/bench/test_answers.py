"""The spell that asks for an answer, and the text that counts itself."""

import json

from hypothesis import given
from hypothesis import strategies as st

from bench.answers import TEXT, WORD, Answer, asked, text_of

COUNTS = st.integers(0, 9_999)
ANSWERS = st.builds(
    Answer,
    words=COUNTS,
    interval=st.integers(0, 1_000) | st.floats(0.5, 100).map(lambda value: round(value, 2)),
    first=COUNTS,
    thinking=COUNTS,
    tool=st.integers(0, 1),
    fail=st.integers(-1, 100),
    stall=st.integers(-1, 100),
    tag=st.text("abc0189-", max_size=12),
)


@given(ANSWERS)
def test_a_spell_survives_a_question_and_a_model_name(answer: Answer):
    assert asked(json.dumps({"model": f"bench-{answer.spell()}", "messages": []}).encode()) == answer
    assert asked(json.dumps([{"content": f"What? {answer.spell()} Really?"}]).encode()) == answer


def test_the_last_spell_counts_and_none_is_the_plain_answer():
    first, last = Answer(words=1), Answer(words=2)
    assert asked(f"{first.spell()} … {last.spell()}".encode()) == last
    assert asked(b'{"messages":[]}') == Answer()


def test_every_word_is_another_and_of_one_length():
    words = TEXT.split()
    assert len(words) == len(set(words)) == 10_000
    assert {len(word) + 1 for word in words} == {WORD}
    assert text_of(3) == "w0000 w0001 w0002 "
