"""How documents are cut, and the law that cutting loses nothing."""

from hypothesis import given
from hypothesis import strategies as st

from twinspeak.knowledge.chunk import clean, sentences, split

HANDBOOK = """Before any heading.

# Handbook

## Library

Open from 8 am to 10 pm. Dr. Lee runs it, e.g. on Mondays. Loans last four weeks.

### Fines ###

20 cents a day.

## Terms
- autumn
- spring
"""


def test_headings_become_sections() -> None:
    found = [(chunk.section, chunk.text) for chunk in split(HANDBOOK)]
    assert found == [
        ("", "Before any heading."),
        ("Handbook > Library", "Open from 8 am to 10 pm. Dr. Lee runs it, e.g. on Mondays. Loans last four weeks."),
        ("Handbook > Library > Fines", "20 cents a day."),
        ("Handbook > Terms", "- autumn\n- spring"),
    ]


def test_positions_count_from_zero() -> None:
    assert [chunk.position for chunk in split(HANDBOOK)] == [0, 1, 2, 3]


def test_underlined_headings() -> None:
    found = [
        (chunk.section, chunk.text) for chunk in split("Title\n=====\n\nSub\n---\nText.\n\nA line.\n\n---\n\nMore.")
    ]
    assert found == [("Title > Sub", "Text.\n\nA line.\n\n---\n\nMore.")]


def test_a_hash_in_code_is_no_heading() -> None:
    code = "```sh\n# not a heading\n\nmake serve\n```"
    assert [(chunk.section, chunk.text) for chunk in split(f"# Start\n\n{code}\n\n# End\n\nDone.")] == [
        ("Start", code),
        ("End", "Done."),
    ]


def test_paragraphs_share_a_chunk_while_they_fit() -> None:
    found = [chunk.text for chunk in split("One two.\n\nThree four.\n\nFive six.", target_chars=24)]
    assert found == ["One two.\n\nThree four.", "Five six."]


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    found = [chunk.text for chunk in split("It costs 1.5 credits. That is cheap! Is it? Yes.", target_chars=36)]
    assert found == ["It costs 1.5 credits. That is cheap!", "Is it? Yes."]


def test_a_long_list_is_cut_between_lines() -> None:
    found = [chunk.text for chunk in split("- one. two\n- three. four\n- five", target_chars=26)]
    assert found == ["- one. two\n- three. four", "- five"]


def test_a_long_sentence_is_cut_between_words_and_a_long_word_anywhere() -> None:
    assert [chunk.text for chunk in split("alpha beta gamma delta", target_chars=11)] == ["alpha beta", "gamma delta"]
    assert [chunk.text for chunk in split("x" * 25, target_chars=10)] == ["x" * 10, "x" * 10, "x" * 5]


def test_headings_alone_give_no_chunks() -> None:
    assert split("# One\n\n## Two\n") == []
    assert split(" \n\t\n") == []


def test_endless_headings_are_shortened() -> None:
    assert len(split(f"# {'x' * 5000}\n\nText.")[0].section) == 200


def test_sentences_keep_abbreviations_and_numbers_whole() -> None:
    text = 'See Fig. 3 by A. Smith, i.e. the 2nd. "Why?" he asked. It is v1.2 now.'
    assert sentences(text) == ["See Fig. 3 by A. Smith, i.e. the 2nd.", '"Why?"', "he asked.", "It is v1.2 now."]
    assert sentences("今日は。明日は！") == ["今日は。", "明日は！"]


def test_clean_drops_what_no_database_takes() -> None:
    assert clean("a\x00b\x1b[0m\r\nc\rd\ud800\u2028e\tf\ufeff") == "ab[0m\nc\nd\ne\tf"
    assert clean("cafe\u0301") == "café"


LINES = st.lists(
    st.one_of(
        st.text(alphabet="ab .!?\u3002\t", max_size=60),
        st.sampled_from(["", "", "- item", "| a | b |", "1. one", "> quote", "Dr. Who", "e.g. this. That"]),
        st.text(max_size=40).map(lambda text: text.replace("#", "").replace("=", "").replace("-", "")),
    ),
    max_size=30,
)


@given(LINES, st.integers(min_value=5, max_value=200))
def test_no_character_is_lost_repeated_or_moved(lines: list[str], target: int) -> None:
    text = "\n".join(line for line in lines if not line.strip().startswith(("```", "~~~")))
    chunks = split(text, target_chars=target)
    assert "".join("".join(chunk.text.split()) for chunk in chunks) == "".join(clean(text).split())
    assert all(0 < len(chunk.text) <= target for chunk in chunks)
    assert [chunk.position for chunk in chunks] == list(range(len(chunks)))


@given(st.text())
def test_any_text_can_be_cut(text: str) -> None:
    for chunk in split(text, target_chars=50):
        assert chunk.text.strip()
        assert len(chunk.text) <= 50
        chunk.text.encode()
