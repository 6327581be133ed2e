"""BM25 over chunks, in memory, pure Python (decision 008).

Scores are Robertson's BM25 with k1 = 1.2, b = 0.75 and the idf that never goes negative,
ln(1 + (N - n + 0.5) / (n + 0.5)). A word counts more in a heading or in the document's name than in the text.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from heapq import nsmallest
from math import log

import msgspec

from twinspeak.knowledge.index.analyze import terms

K1 = 1.2
B = 0.75
SECTION_WEIGHT = 2
NAME_WEIGHT = 1
_MOST_OF_A_TERM = 65_535


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A chunk to be found: its id, the text, and what stands over it."""

    chunk_id: str
    text: str
    section: str = ""
    name: str = ""


class Hit(msgspec.Struct, frozen=True, gc=False):
    """A chunk that has at least one of the question's terms; `score` > 0, comparable within one search only."""

    chunk_id: str
    score: float


class LexicalIndex:
    """The postings of one vault. Immutable once built, so any number of threads may search it."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        """Index `entries`; their order decides ties."""
        self.chunk_ids: list[str] = []
        self.lengths = array("I")
        self._postings: dict[str, tuple[array[int], array[int]]] = {}
        for entry in entries:
            self._add(entry)
        self.total_length = sum(self.lengths)

    def __len__(self) -> int:
        """Return the number of chunks."""
        return len(self.chunk_ids)

    def postings(self, term: str) -> tuple[Sequence[int], Sequence[int]]:
        """Return the chunks (by position) that have `term`, and how often (weighted)."""
        return self._postings.get(term, ((), ()))

    def _add(self, entry: Entry) -> None:
        counts = Counter(terms(entry.text))
        for text, weight in ((entry.section, SECTION_WEIGHT), (entry.name, NAME_WEIGHT)):
            for term in terms(text):
                counts[term] += weight
        position = len(self.chunk_ids)
        self.chunk_ids.append(entry.chunk_id)
        self.lengths.append(sum(counts.values()))
        for term, count in counts.items():
            positions, frequencies = self._postings.setdefault(term, (array("I"), array("H")))
            positions.append(position)
            frequencies.append(min(count, _MOST_OF_A_TERM))


def rank(indices: Sequence[LexicalIndex], question: str, *, limit: int) -> list[Hit]:
    """Return the best `limit` chunks of several vaults, best first, as if they were one collection.

    Statistics (number of chunks, mean length, how many chunks have a term) are taken over all `indices`, so a person's
    own vault and the twin's shared one can be indexed apart and still be compared.
    """
    size = sum(len(index) for index in indices)
    mean = sum(index.total_length for index in indices) / size if size else 0.0
    if not mean or limit < 1:
        return []
    scores: dict[tuple[int, int], float] = {}
    for term, wanted in Counter(terms(question)).items():
        found = [index.postings(term) for index in indices]
        holders = sum(len(positions) for positions, _ in found)
        if not holders:
            continue
        weight = wanted * log(1 + (size - holders + 0.5) / (holders + 0.5)) * (K1 + 1)
        for which, (positions, frequencies) in enumerate(found):
            lengths = indices[which].lengths
            for position, frequency in zip(positions, frequencies, strict=True):
                damping = K1 * (1 - B + B * lengths[position] / mean)
                key = (which, position)
                scores[key] = scores.get(key, 0.0) + weight * frequency / (frequency + damping)
    best = nsmallest(limit, scores.items(), key=lambda item: (-item[1], item[0]))
    return [Hit(indices[which].chunk_ids[position], score) for (which, position), score in best]
