import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.requests import passage, request
from twinspeak.domain.events import ModelEvent, ModelStop, ModelText, ModelUsage, StopReason
from twinspeak.domain.turn import Passage
from twinspeak.providers.catalogue import LOCAL_MODEL
from twinspeak.providers.local import LocalModel, compose, split_sentences, terms_of

LIBRARY = passage(
    1,
    "# Opening hours\n\nThe library opens at eight on weekdays. On Saturdays it opens at ten. It is closed on Sundays "
    "[3].\n\n- Late returns cost ten cents a day.\n- Dr. Weber keeps the rare books.",
    section="Opening hours",
)
CANTEEN = passage(2, "The canteen serves lunch from noon to two. Prices are shown at the door.", document="Canteen")
PRICES = passage(
    3, "| Meal | Price |\n|---|---|\n| Soup | 2 euros |\n| Menu of the day | 5 euros |", document="Canteen"
)
ALL = (LIBRARY, CANTEEN, PRICES)


async def answered(question: str, passages: tuple[Passage, ...], **fields: object) -> list[ModelEvent]:
    asked = request(LOCAL_MODEL, question=question, passages=passages, **fields)
    return [event async for batch in LocalModel(pace_s=0).stream(asked) for event in batch]


def text_in(events: list[ModelEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, ModelText))


@pytest.mark.parametrize(
    ("question", "quoted", "cited"),
    [
        ("When does the library open on weekdays?", "opens at eight on weekdays", {1}),
        ("Opening hours on Saturday?", "On Saturdays it opens at ten", {1}),
        ("Who keeps rare books?", "Dr. Weber keeps the rare books.", {1}),
        ("what does the menu of the day cost", "Menu of the day, 5 euros", {3}),
        ("When is lunch served?", "serves lunch from noon to two", {2}),
    ],
)
def test_the_sentence_that_fits_is_quoted_with_its_source(question: str, quoted: str, cited: set[int]):
    answer = compose(question, ALL)
    assert quoted in answer
    assert {int(number) for number in re.findall(r"\[(\d+)\]", answer)} >= cited
    assert "built-in model" in answer
    assert "Opening hours\n" not in answer


def test_a_documents_own_marks_are_not_taken_for_citations():
    assert "[3]" not in compose("Is the library closed on Sundays?", (LIBRARY,))


@pytest.mark.parametrize("passages", [(), (CANTEEN,)])
def test_when_nothing_fits_it_says_so_and_what_to_do(passages: tuple[Passage, ...]):
    answer = compose("Who wrote Faust?", passages)
    assert "OPENAI_API_KEY" in answer
    assert not re.search(r"\[\d+\]", answer)


async def test_the_answer_comes_word_by_word_and_is_counted():
    events = await answered("When does the library open?", ALL)
    *pieces, usage, stop = events
    assert len(pieces) > 10
    assert text_in(events) == compose("When does the library open?", ALL)
    assert isinstance(usage, ModelUsage)
    assert usage.input > 20
    assert usage.completion > 10
    assert stop == ModelStop(StopReason.END)


async def test_the_output_limit_holds():
    events = await answered("When does the library open?", ALL, output_limit=5)
    assert len(text_in(events).encode()) <= 20
    assert events[-1] == ModelStop(StopReason.LENGTH)


async def test_it_can_be_cancelled_between_words():
    first = asyncio.Event()

    async def read() -> None:
        async for _ in LocalModel(pace_s=600).stream(request(LOCAL_MODEL, passages=ALL)):
            first.set()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(read())
        await asyncio.wait_for(first.wait(), 5)
        task.cancel()
    assert task.cancelled()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("See Dr. Weber, e.g. at 5 p.m. today. He knows.", ["See Dr. Weber, e.g. at 5 p.m. today.", "He knows."]),
        (
            "A line\nthat goes on.\n\nNext [1](http://x) **bold** `code`.",
            ["A line that goes on.", "Next 1 bold `code`."],
        ),
        ("## Title\n1. First\n2) Second\n> Quote", ["First", "Second", "Quote"]),
        ("好。是的！吗？对", ["好。", "是的！", "吗？", "对"]),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]):
    assert split_sentences(text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [("opens opening opened", "open"), ("libraries", "library"), ("Credits", "credit"), ("uses", "use")],
)
def test_endings_do_not_matter(one: str, other: str):
    assert terms_of(one) == terms_of(other)


async def test_a_large_vault_does_not_hold_the_event_loop():
    many = tuple(passage(number, "Something else entirely happens there. " * 50) for number in range(2, 20))
    assert "[1]" in text_in(await answered("When does the library open?", (LIBRARY, *many)))


@given(question=st.text(max_size=40), texts=st.lists(st.text(max_size=200), max_size=4))
def test_any_text_gets_an_answer_that_cites_only_what_there_is(question: str, texts: list[str]):
    passages = tuple(passage(number, text) for number, text in enumerate(texts, start=1))
    answer = compose(question, passages)
    assert answer
    assert {int(number) for number in re.findall(r"\[(\d+)\]", answer)} <= set(range(1, len(texts) + 1))
