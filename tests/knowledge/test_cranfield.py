"""The index on the Cranfield collection (1,400 abstracts, 113 questions with graded answers): decision 008 measures it.

The collection is not part of the project; without it this is skipped.
"""

import json
from collections import defaultdict
from math import log2
from pathlib import Path

import pytest

from twinspeak.knowledge.index.lexical import Entry, LexicalIndex, rank

COLLECTION = Path(__file__).parents[3] / "shared" / "retrieval" / "cranfield"


def rows(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (COLLECTION / name).read_text(encoding="utf-8").splitlines()]


def grades() -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (COLLECTION / "qrels.tsv").read_text(encoding="utf-8").splitlines():
        question, document, grade = line.split("\t")
        found[question][document] = int(grade)
    return found


def gain(in_order: list[int]) -> float:
    return sum(grade / log2(place + 2) for place, grade in enumerate(in_order[:10]))


@pytest.mark.skipif(not COLLECTION.is_dir(), reason="the Cranfield collection is not beside the repository")
def test_ndcg_and_recall_on_cranfield() -> None:
    index = LexicalIndex(Entry(str(row["id"]), row["text"], name=row["title"]) for row in rows("docs.jsonl"))
    judged = grades()
    ndcg: list[float] = []
    recall: list[float] = []
    for row in rows("queries.jsonl"):
        right = {document: grade for document, grade in judged[str(row["id"])].items() if grade > 0}
        if not right:
            continue
        found = [hit.chunk_id for hit in rank([index], row["text"], limit=100)]
        best = gain(sorted(right.values(), reverse=True))
        ndcg.append(gain([right.get(document, 0) for document in found]) / best)
        recall.append(len(right.keys() & set(found)) / len(right))
    assert len(ndcg) > 100
    assert sum(ndcg) / len(ndcg) >= 0.365  # measured: 0.373
    assert sum(recall) / len(recall) >= 0.75  # measured: 0.765
