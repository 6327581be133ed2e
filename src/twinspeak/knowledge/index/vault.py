"""The index of a vault, followed from version to version: what is new is indexed beside the rest, what went is masked.

Documents are the unit: a changed one goes and comes again. Small parts are merged, and parts that are mostly gone are
made anew, so that a search never asks more than a few.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeGuard

import msgspec

from twinspeak.domain.clock import monotonic
from twinspeak.knowledge.index.dense import DenseIndex, nearest
from twinspeak.knowledge.index.fuse import Fused, fuse
from twinspeak.knowledge.index.lexical import Entry, LexicalIndex, rank

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEXICAL, DENSE = "lexical", "dense"
DEPTH = 100
"""How many chunks each way of searching hands on, at least."""

_MOST_PARTS = 6


class IndexedChunk(msgspec.Struct, frozen=True, gc=False):
    """A chunk as it is indexed; `vector` is of the embedding model in use, b"" where there is none yet."""

    chunk_id: str
    document_id: str
    text: str
    section: str = ""
    name: str = ""
    vector: bytes = b""


class _Part:
    """Some documents, indexed together. `gone` are those that no longer count."""

    def __init__(self, chunks: Sequence[IndexedChunk]) -> None:
        self.lexical = LexicalIndex(Entry(chunk.chunk_id, chunk.text, chunk.section, chunk.name) for chunk in chunks)
        vectors = {chunk.chunk_id: chunk.vector for chunk in chunks}
        lengths = Counter(len(vector) for vector in vectors.values() if vector)
        dimensions = lengths.most_common(1)[0][0] // 4 if lengths else 0
        self.dense = DenseIndex(self.lexical.chunk_ids, vectors, dimensions) if dimensions else None
        self.spans: dict[str, tuple[int, int]] = {}
        at = 0
        for document_id, some in groupby(chunks, key=lambda chunk: chunk.document_id):
            size = sum(1 for _ in some)
            self.spans[document_id] = (at, at + size)
            at += size
        self.gone: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.lexical)

    def dropping(self, gone: Collection[str]) -> "_Part":
        """Return this part without some of its documents; all else is shared."""
        part = _Part.__new__(_Part)
        part.__dict__.update(self.__dict__)
        part.gone = self.gone | (self.spans.keys() & gone)
        return part

    def counted(self, only: Collection[str] | None) -> "NDArray[Any] | None":
        """Return the mask of the chunks that count; None where all do."""
        import numpy as np

        if only is None and not self.gone:
            return None
        mask = np.zeros(len(self), dtype=np.bool_)
        for document_id, (start, end) in self.spans.items():
            if document_id not in self.gone and (only is None or document_id in only):
                mask[start:end] = True
        return mask

    def dead(self) -> int:
        return sum(end - start for start, end in map(self.spans.__getitem__, self.gone))


class VaultIndex:
    """Immutable: `step` begins the next one."""

    def __init__(self, *, parts: tuple[_Part, ...] = (), revisions: Mapping[str, str] | None = None) -> None:
        """Begin with an empty vault."""
        self.parts = parts
        self._revisions = revisions or {}

    def __len__(self) -> int:
        """Return the number of chunks in memory."""
        return sum(len(part) for part in self.parts)

    def step(self, revisions: Mapping[str, str]) -> "Step":
        """Return what is to be done for a vault as it is now: document id -> what changes with the document."""
        changed = {key for key, revision in self._revisions.items() if revisions.get(key) != revision}
        fresh = [key for key in revisions if key not in self._revisions or key in changed]
        parts = [part.dropping(changed) if changed & part.spans.keys() else part for part in self.parts]
        kept, again = _sorted_out(parts, coming=len(fresh))
        wanted = [key for part in again for key in part.spans if key not in part.gone] + fresh
        return Step(tuple(kept), tuple(wanted), dict(revisions))


class Step(msgspec.Struct, frozen=True):
    """The way to the next index: `wanted` are the documents whose chunks are to be read for it."""

    kept: tuple[Any, ...]
    wanted: tuple[str, ...]
    revisions: dict[str, str]

    def finished(self, chunks: Sequence[IndexedChunk]) -> VaultIndex:
        """Return the next index; `chunks` are those of the wanted documents, all of one document together."""
        fresh = (_Part(chunks),) if chunks else ()
        parts = tuple(part for part in (*self.kept, *fresh) if len(part))
        return VaultIndex(parts=parts, revisions=self.revisions)


class Asked(msgspec.Struct, frozen=True):
    """A question. `vector` b"": by its words alone. `only`: the documents that may be searched at all (None: all).

    Others are left out before anything is ranked, and count in no statistics. `lexical_floor`: of the best lexical
    score, what a chunk must have of it; `least_cosine` as much for the dense leg.
    """

    text: str
    vector: bytes = b""
    limit: int = 10
    only: frozenset[str] | None = None
    lexical_floor: float = 0.0
    least_cosine: float = 0.0


class Ranked(msgspec.Struct, frozen=True):
    """What was found, best first; `scores` are cosines where the chunk has one, else BM25; all took so many ms."""

    fused: list[Fused]
    scores: dict[str, float]
    legs_ms: dict[str, float]
    fused_ms: float = 0.0


def search(indices: Sequence[VaultIndex], asked: Asked) -> Ranked:
    """Search several vaults as one collection, by words and, where there is a vector, by sense."""
    parts = [part for index in indices for part in index.parts]
    masks = [part.counted(asked.only) for part in parts]
    depth = max(asked.limit, DEPTH)
    began = monotonic()
    lexical = rank([part.lexical for part in parts], asked.text, limit=depth, counted=masks)
    lexical = [hit for hit in lexical if hit.score >= asked.lexical_floor * lexical[0].score]
    legs = {LEXICAL: [hit.chunk_id for hit in lexical]}
    scores = {hit.chunk_id: hit.score for hit in lexical}
    took = {LEXICAL: (monotonic() - began) * 1000}
    # Of one model all vectors are of one length, unless its server was changed: what is of another is of another model.
    size = len(asked.vector) // 4
    dense = [(part.dense, mask) for part, mask in zip(parts, masks, strict=True) if _has(part.dense, size)]
    if asked.vector and dense:
        began = monotonic()
        near = nearest(
            [index for index, _ in dense],
            asked.vector,
            limit=depth,
            least=asked.least_cosine,
            counted=[mask for _, mask in dense],
        )
        legs[DENSE] = [hit.chunk_id for hit in near]
        scores |= {hit.chunk_id: hit.score for hit in near}
        took[DENSE] = (monotonic() - began) * 1000
    began = monotonic()
    fused = fuse(legs, limit=asked.limit)
    return Ranked(fused, scores, took, (monotonic() - began) * 1000)


def _has(index: DenseIndex | None, dimensions: int) -> TypeGuard[DenseIndex]:
    return index is not None and index.matrix.shape[1] == dimensions


def _sorted_out(parts: Sequence[_Part], *, coming: int) -> tuple[list[_Part], list[_Part]]:
    """Return the parts to keep and those to make anew: mostly dead ones, and the smallest where there are too many."""
    kept = [part for part in parts if part.dead() * 2 <= len(part)]
    again = [part for part in parts if part.dead() * 2 > len(part)]
    if coming and len(kept) >= _MOST_PARTS:
        kept.sort(key=len, reverse=True)
        again += kept[_MOST_PARTS // 2 :]
        kept = kept[: _MOST_PARTS // 2]
    return kept, again
