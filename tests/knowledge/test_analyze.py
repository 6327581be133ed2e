from hypothesis import given
from hypothesis import strategies as st

from twinspeak.knowledge.index.analyze import terms


def test_a_question_and_its_answer_share_terms() -> None:
    assert set(terms("How do I connect a model?")) == {"connect", "model"}
    assert {"connect", "model"} <= set(terms("Connecting models of other vendors"))


def test_case_accents_and_width_do_not_matter() -> None:
    assert terms("Café CAFÉ cafe\u0301 ｃａｆｅ") == ["cafe"] * 4
    assert terms("Straße") == terms("STRASSE")


def test_names_of_settings_fall_into_their_parts() -> None:
    assert terms("OPENAI_API_KEY") == terms("openai api key")
    assert terms("chat-completions") == terms("chat completions")


def test_apostrophes() -> None:
    assert terms("the library's") == terms("library") == terms("library\u2019s")
    assert terms("I'd we'll they've") == []
    assert terms("O'Neill") == terms("ONeill")


def test_scripts_without_spaces_give_pairs() -> None:
    assert terms("図書館は何時") == ["図書", "書館", "館は", "は何", "何時"]
    assert terms("図") == ["図"]


def test_only_stop_words_leave_nothing() -> None:
    assert terms("What can you do?") == []
    assert terms("") == []


@given(st.text())
def test_any_text_has_terms_of_its_own_words_only(text: str) -> None:
    for term in terms(text):
        assert term
        assert len(term) <= 66
        assert not any(character.isspace() for character in term)
