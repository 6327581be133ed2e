"""BM25: against the formula written out, and how vaults are searched together."""

from collections import Counter
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinspeak.knowledge.index.lexical import Entry, LexicalIndex, rank

WORDS = ["lion", "tiger", "zebra", "parrot", "otter", "heron"]
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join), max_size=12)
QUESTION = st.lists(st.sampled_from([*WORDS, "unicorn"]), min_size=1, max_size=5).map(" ".join)


def index_of(texts: list[str], first: int = 0) -> LexicalIndex:
    return LexicalIndex(Entry(chunk_id=str(first + number), text=text) for number, text in enumerate(texts))


def by_formula(texts: list[str], question: str) -> dict[str, float]:
    """Score every text by BM25 as the books write it; these words are their own stems."""
    tokens = [text.split() for text in texts]
    mean = sum(map(len, tokens)) / len(tokens) if tokens else 0
    scores: dict[str, float] = {}
    for number, words in enumerate(tokens):
        score = 0.0
        for term in question.split():
            holders = sum(term in other for other in tokens)
            frequency = Counter(words)[term]
            if frequency:
                idf = log(1 + (len(tokens) - holders + 0.5) / (holders + 0.5))
                score += idf * frequency * 2.2 / (frequency + 1.2 * (0.25 + 0.75 * len(words) / mean))
        if score:
            scores[str(number)] = score
    return scores


@given(TEXTS, QUESTION)
def test_scores_are_the_formulas(texts: list[str], question: str) -> None:
    hits = rank([index_of(texts)], question, limit=100)
    assert {hit.chunk_id: hit.score for hit in hits} == pytest.approx(by_formula(texts, question))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@given(TEXTS, TEXTS, QUESTION)
def test_two_vaults_are_ranked_as_one(mine: list[str], shared: list[str], question: str) -> None:
    apart = rank([index_of(mine), index_of(shared, len(mine))], question, limit=100)
    assert apart == rank([index_of(mine + shared)], question, limit=100)


@given(TEXTS, QUESTION, st.integers(min_value=0, max_value=15))
def test_a_limit_keeps_the_best(texts: list[str], question: str, limit: int) -> None:
    index = index_of(texts)
    assert rank([index], question, limit=limit) == rank([index], question, limit=100)[:limit]


def test_headings_and_names_count_more_than_text() -> None:
    filler = "parrot otter heron"
    index = LexicalIndex(
        [
            Entry("text", f"lion {filler}"),
            Entry("section", filler, section="Zoo > Lion"),
            Entry("name", f"{filler} otter", name="lion.md"),
            Entry("none", filler),
        ]
    )
    assert [hit.chunk_id for hit in rank([index], "lions", limit=9)] == ["section", "name", "text"]


def test_nothing_to_find() -> None:
    assert rank([], "lion", limit=5) == []
    assert rank([index_of([])], "lion", limit=5) == []
    assert rank([index_of(["lion"])], "what is the", limit=5) == []
    assert rank([index_of(["the of and"])], "lion", limit=5) == []
    assert rank([index_of(["lion"])], "", limit=5) == []


def test_ties_keep_the_documents_order() -> None:
    assert [hit.chunk_id for hit in rank([index_of(["lion"] * 5)], "lion", limit=3)] == ["0", "1", "2"]


def test_a_word_said_a_hundred_thousand_times() -> None:
    assert rank([index_of(["lion " * 100_000, "otter"])], "lion", limit=5)[0].chunk_id == "0"
