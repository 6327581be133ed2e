"""BM25 over chunks, in memory, in numpy (decision 008).

Scores are Robertson's BM25 with k1 = 1.2, b = 0.75 and the idf that never goes negative,
ln(1 + (N - n + 0.5) / (n + 0.5)). A word counts more in a heading or in the document's name than in the text.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from math import log
from typing import TYPE_CHECKING, Any

import msgspec

from twinspeak.knowledge.index.analyze import terms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Counted = NDArray[Any] | None

K1 = 1.2
B = 0.75
SECTION_WEIGHT = 2
NAME_WEIGHT = 2
_MOST_OF_A_TERM = 65_535


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A chunk to be found: its id, the text, and what stands over it."""

    chunk_id: str
    text: str
    section: str = ""
    name: str = ""


class Hit(msgspec.Struct, frozen=True, gc=False):
    """A chunk that was found; `score` is comparable within one search and one way of searching only."""

    chunk_id: str
    score: float


class _Vocabulary(dict[str, int]):
    """Terms to numbers, in the order of their first coming."""

    def __missing__(self, term: str) -> int:
        number = self[term] = len(self)
        return number


class LexicalIndex:
    """The postings of some documents. Immutable once built, so any number of threads may search it."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        """Index `entries`; their order decides ties."""
        import numpy as np

        self.chunk_ids: list[str] = []
        self._vocabulary = _Vocabulary()
        numbers = array("I")
        lengths = array("I")
        above: dict[tuple[str, str], list[int]] = {}
        for entry in entries:
            key = (entry.section, entry.name)
            if key not in above:
                above[key] = self._above(entry)
            found = [self._vocabulary[term] for term in terms(entry.text)]
            self.chunk_ids.append(entry.chunk_id)
            numbers.extend(found)
            numbers.extend(above[key])
            lengths.append(len(found) + len(above[key]))
        count = len(self.chunk_ids)
        self.lengths = np.array(lengths, dtype=np.float64)
        # Every word as term * count + chunk: sorted, equal ones together are the postings.
        places = np.repeat(np.arange(count), np.array(lengths, dtype=np.int64))
        keys = np.array(numbers, dtype=np.int64) * count + places
        keys, times = np.unique(keys, return_counts=True)
        self._positions = (keys % max(count, 1)).astype(np.uint32)
        self._frequencies = np.minimum(times, _MOST_OF_A_TERM).astype(np.uint16)
        self._starts = np.searchsorted(keys // max(count, 1), np.arange(len(self._vocabulary) + 1))

    def __len__(self) -> int:
        """Return the number of chunks."""
        return len(self.chunk_ids)

    def postings(self, term: str) -> tuple["NDArray[Any]", "NDArray[Any]"]:
        """Return the chunks (by position) that have `term`, and how often (weighted)."""
        number = self._vocabulary.get(term, -1)
        if number < 0:
            return self._positions[:0], self._frequencies[:0]
        start, end = self._starts[number], self._starts[number + 1]
        return self._positions[start:end], self._frequencies[start:end]

    def _above(self, entry: Entry) -> list[int]:
        """Return the terms that stand over a chunk, each as often as it counts."""
        weighted = [*terms(entry.section) * SECTION_WEIGHT, *terms(entry.name) * NAME_WEIGHT]
        return [self._vocabulary[term] for term in weighted]


def rank(
    indices: Sequence[LexicalIndex], question: str, *, limit: int, counted: Sequence["Counted"] | None = None
) -> list[Hit]:
    """Return the best `limit` chunks of several indices, best first, as if they were one collection.

    Statistics (number of chunks, mean length, how many chunks have a term) are taken over all `indices`, so a person's
    own vault and the twin's shared one can be indexed apart and still be compared. `counted` says for each index which
    of its chunks are there at all, for this search: a mask, or None for all of them.
    """
    import numpy as np

    masks = counted or [None] * len(indices)
    both = list(zip(indices, masks, strict=True))
    lengths = [index.lengths if mask is None else index.lengths[mask] for index, mask in both]
    count = sum(len(some) for some in lengths)
    mean = sum(float(some.sum()) for some in lengths) / count if count else 0.0
    if not mean or limit < 1:
        return []
    scores = [np.zeros(len(index)) for index in indices]
    for term, wanted in Counter(terms(question)).items():
        found = [_counted(index.postings(term), mask) for index, mask in both]
        holders = sum(len(positions) for positions, _ in found)
        if not holders:
            continue
        weight = wanted * log(1 + (count - holders + 0.5) / (holders + 0.5)) * (K1 + 1)
        for which, (positions, frequencies) in enumerate(found):
            damping = K1 * (1 - B + B * indices[which].lengths[positions] / mean)
            scores[which][positions] += weight * frequencies / (frequencies + damping)
    return hits_of(scores, [index.chunk_ids for index in indices], limit, above=0.0)


def hits_of(
    scores: Sequence["NDArray[Any]"], chunk_ids: Sequence[Sequence[str]], limit: int, *, above: float
) -> list[Hit]:
    """Return the best chunks of several indices by their scores, best first; of equal ones the first come first."""
    import numpy as np

    whole = np.concatenate(scores)
    places = np.flatnonzero(whole > above)
    if len(places) > limit:
        least = np.partition(whole[places], len(places) - limit)[len(places) - limit]
        places = places[whole[places] >= least]
    best = places[np.lexsort((places, -whole[places]))[:limit]]
    ends = np.cumsum([len(some) for some in scores])
    found: list[Hit] = []
    for place in [int(one) for one in best]:
        which = int(np.searchsorted(ends, place, side="right"))
        within = int(place - (ends[which] - len(scores[which])))
        found.append(Hit(chunk_ids[which][within], float(whole.item(place))))
    return found


def _counted(postings: tuple["NDArray[Any]", "NDArray[Any]"], mask: "Counted") -> tuple["NDArray[Any]", "NDArray[Any]"]:
    if mask is None:
        return postings
    positions, frequencies = postings
    kept = mask[positions]
    return positions[kept], frequencies[kept]
