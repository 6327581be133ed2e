"""The Cranfield collection: 1,400 abstracts, questions with graded answers, and what a ranking is worth.

It is not part of the project: it is looked for beside the repository, as the wires' recordings are.
"""

import json
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path
from statistics import mean

COLLECTION = Path(__file__).parents[2] / "shared" / "retrieval" / "cranfield"
SAMPLES = 10_000


@dataclass(frozen=True)
class Abstract:
    """A document."""

    id: str
    title: str
    text: str


@dataclass(frozen=True)
class Question:
    """A question, and the documents that answer it with their grades, 1 and more."""

    id: str
    text: str
    right: dict[str, int]


def abstracts() -> list[Abstract]:
    """Read the documents."""
    return [Abstract(str(row["id"]), row["title"], row["text"]) for row in _rows("docs.jsonl")]


def questions() -> list[Question]:
    """Read the questions that have an answer."""
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (COLLECTION / "qrels.tsv").read_text(encoding="utf-8").splitlines():
        question, document, grade = line.split("\t")
        if int(grade) > 0:
            grades[question][document] = int(grade)
    rows = ((str(row["id"]), row["text"]) for row in _rows("queries.jsonl"))
    return [Question(key, text, grades[key]) for key, text in rows if grades[key]]


def ndcg(found: Sequence[str], right: dict[str, int], *, depth: int = 10) -> float:
    """Return the gain of a ranking against the best there is, by linear gain."""
    best = _gain(sorted(right.values(), reverse=True)[:depth])
    return _gain([right.get(document, 0) for document in found[:depth]]) / best


def recall(found: Sequence[str], right: dict[str, int], *, depth: int = 100) -> float:
    """Return the share of the right documents that a ranking has."""
    return len(right.keys() & set(found[:depth])) / len(right)


def p_value(better: Sequence[float], worse: Sequence[float], *, by: float = 0.0) -> float:
    """Return how often, over samples of the questions, `better` is not ahead by more than `by` (paired bootstrap)."""
    differences = [one - other for one, other in zip(better, worse, strict=True)]
    draw = random.Random(1)  # noqa: S311 -- the same samples each time
    count = len(differences)
    return sum(mean(draw.choices(differences, k=count)) <= by for _ in range(SAMPLES)) / SAMPLES


def _gain(grades: Sequence[int]) -> float:
    return sum(grade / log2(place + 2) for place, grade in enumerate(grades))


def _rows(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (COLLECTION / name).read_text(encoding="utf-8").splitlines()]
