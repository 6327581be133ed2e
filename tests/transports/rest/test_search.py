"""Search in history (reference 4.1): words of question and answer, of every script, whatever is typed."""

from typing import Any

import pytest

from tests.transports.rest.ada import Ada
from twinspeak.domain.turn import TurnState


async def found(ada: Ada, words: str, **more: Any) -> list[str]:
    return await ada.outputs(search=words, **more)


async def test_search_finds_words_of_input_and_output_in_any_case_and_order(ada: Ada):
    await ada.turn(question="Where do oaks grow?", answer="In the north.")
    await ada.turn(question="Where do elms grow?", answer="By the river.")
    assert await found(ada, "OAKS") == await found(ada, "north where") == ["In the north."]
    assert await found(ada, "grow") == ["In the north.", "By the river."]
    assert await found(ada, "oaks river") == await found(ada, "pines") == []


async def test_a_word_finds_what_begins_with_it(ada: Ada):
    await ada.turn(answer="Photosynthesis.")
    assert await found(ada, "photo") == ["Photosynthesis."]
    assert await found(ada, "ph") == await found(ada, "synthesis") == []


@pytest.mark.parametrize(
    ("typed", "hit"),
    [
        ("%", False),
        ("_", False),
        ("'", False),
        ('"', False),
        ("\\", False),
        ("((((", False),
        ("(a+)+$", False),
        (".*", False),
        ("' OR 1=1 --", False),
        ('grow" OR "x', False),
        ("NEAR(grow)", False),
        ("grow*", True),
        ("-grow", True),
        ("grow & !north | north:*", True),
        ("100%", True),
        ("it's", True),
        ("🌳", True),
        ("🙁", False),
        ("مرحبا", True),
        ("\u202eمرحبا\u202c", True),
        ("שלום", False),
        ("東京", True),
        ("東", True),
        ("grow " * 90, True),
    ],
)
async def test_odd_input_is_taken_as_words_and_nothing_else(ada: Ada, typed: str, hit: bool):  # noqa: FBT001 - a column
    await ada.turn(question="It's 100% here: they grow north", answer="مرحبا 🌳 東京都")
    assert await found(ada, typed) == (["مرحبا 🌳 東京都"] if hit else [])


async def test_search_goes_across_twins_with_all_institutions(ada: Ada):
    for place in ("oak", "elm", None):
        await ada.turn(place, question="Where is the owl?", answer=f"{place}")
    await ada.turn("elm", question="Where is the fox?", answer="away")
    body = await ada.done("histories", {"allInstitutions": True, "search": "owl", "limit": 2})
    assert [record["out"]["output"] for record in body["data"]] == ["elm", "None"]
    assert (body["matched"], body["total"]) == (3, 4)
    nothing = await ada.done("histories", {"allInstitutions": True, "search": "%"})
    assert (nothing["data"], nothing["matched"], nothing["total"]) == ([], 0, 4)


async def test_search_keeps_the_other_filters_and_its_place(ada: Ada):
    for course_id in (1, 2, 2):
        await ada.turn(course_id=course_id, question="An owl?", answer=f"of {course_id}")
    await ada.turn("elm", question="An owl?", answer="elm's")
    assert await found(ada, "owl", course_id=2) == ["of 2", "of 2"]
    assert await found(ada, "owl", limit=1) == ["of 2"]
    assert await found(ada, "owl", institution=ada.elm.id) == ["elm's"]


async def test_what_is_forgotten_running_or_somebody_elses_is_not_found(ada: Ada):
    gone = await ada.turn(question="An owl?", answer="gone")
    await ada.done("clearHistory", {"id": gone})
    await ada.turn(question="An owl?", state=TurnState.RUNNING)
    await ada.stage.turn(await ada.somebody_else(), "An owl?", "not hers")
    assert await found(ada, "owl") == []


async def test_an_interrupted_turn_is_found_by_what_was_kept(ada: Ada):
    await ada.turn(question="An owl?", answer="half an ans", state=TurnState.INTERRUPTED)
    assert await found(ada, "half owl") == ["half an ans"]
