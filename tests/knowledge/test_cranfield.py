"""The index on the Cranfield collection: decision 008 measures it, and `make bench-retrieval` the whole way to it.

The collection is not part of the project; without it this is skipped.
"""

from statistics import mean

import pytest

from bench.cranfield import COLLECTION, abstracts, ndcg, p_value, questions, recall
from twinspeak.knowledge.index.lexical import Entry, LexicalIndex, rank


@pytest.mark.skipif(not COLLECTION.is_dir(), reason="the Cranfield collection is not beside the repository")
def test_ndcg_and_recall_on_cranfield() -> None:
    index = LexicalIndex(Entry(one.id, one.text, name=one.title) for one in abstracts())
    asked = questions()
    found = [[hit.chunk_id for hit in rank([index], question.text, limit=100)] for question in asked]
    assert len(asked) > 100
    assert mean(ndcg(some, one.right) for some, one in zip(found, asked, strict=True)) >= 0.37  # measured: 0.373
    assert mean(recall(some, one.right) for some, one in zip(found, asked, strict=True)) >= 0.75  # measured: 0.765


def test_what_a_ranking_is_worth() -> None:
    right = {"a": 4, "b": 1}
    assert ndcg(["a", "b"], right) == pytest.approx(1.0)
    assert ndcg(["b", "a"], right) == pytest.approx((1 + 4 / 1.5849625) / (4 + 1 / 1.5849625))
    assert ndcg(["x"], right) == 0.0
    assert recall(["x", "b"], right) == pytest.approx(0.5)


def test_a_difference_that_is_luck_has_a_large_p() -> None:
    worse = [0.1 * (number % 7) for number in range(100)]
    assert p_value([one + 0.1 for one in worse], worse) == pytest.approx(0.0)
    assert p_value([one + 0.1 * (-1) ** number for number, one in enumerate(worse)], worse) > 0.3
