"""Questions to numbered passages: `engine.ports.Retriever` over the vaults that the turn's caller may read.

Indices are kept in memory, one a shelf (`domain.vault.Shelf`), each with the version of the shelf it was made from. A
search is one hop to a database thread: which shelves, which versions, score, fetch the texts, all in one transaction.
Only a shelf that changed costs more: what changed of it is read and indexed, off the event loop, once however many
turns wait for it.
What somebody may not read is on no shelf that he searches, so it takes no part in ranking either.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from weakref import WeakValueDictionary

import msgspec
import structlog

from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import ServiceError
from twinspeak.domain.turn import Passage, TurnPlan
from twinspeak.domain.vault import Shelf, VaultQuery, shelves_of
from twinspeak.knowledge.embedding import Embedder, Embedders
from twinspeak.knowledge.index.vault import DENSE, Asked, IndexedChunk, Step, VaultIndex, search
from twinspeak.knowledge.packing import packed
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import collections, documents, shelves
from twinspeak.persistence.repos.shelves import Chunk, Finding, Found

RELATIVE_FLOOR = 0.3
"""A passage this much weaker than the best one is noise (decision 008: leaving them out costs no nDCG@10)."""

LEAST_COSINE = 0.25
"""A passage farther than this from the question's sense has nothing to do with it."""

_ATTEMPTS = 4
"""How often a search looks again because a shelf changed meanwhile; then it takes the shelf as it was."""
SENSE_S = 5.0
"""How long a search waits for the vector of its question."""
_MORE = 3
"""Hits looked at for each passage wanted: some are the same text, or neighbours that become one passage."""


_log = structlog.get_logger(__name__)


class _Held(msgspec.Struct, frozen=True):
    """An index and the version of the shelf it shows."""

    version: int
    index: VaultIndex


_Key = tuple[str, str]
"""An embedding model and a shelf."""


class _Stale(msgspec.Struct, frozen=True):
    """Shelves whose index is missing, or of an old version."""

    shelves: tuple[Shelf, ...]


class VaultRetriever:
    """Searches vaults; safe for any number of turns at once on one event loop.

    `most_chunks` bounds memory (0.5 to 2 kB a chunk): over it, the indices used longest ago are dropped.
    """

    def __init__(self, db: Database, *, embedders: Embedders | None = None, most_chunks: int = 200_000) -> None:
        """Start with no index; each is made when first asked for. `embedders` None: by words alone."""
        self._db = db
        self._embedders = embedders
        self._most_chunks = most_chunks
        self._held: OrderedDict[_Key, _Held] = OrderedDict()
        self._locks: WeakValueDictionary[_Key, asyncio.Lock] = WeakValueDictionary()
        self._hits: Counter[str] = Counter()

    async def search(self, plan: TurnPlan, query: str, *, limit: int) -> list[Passage]:
        """Return at most `limit` passages for `query`, best first, numbered from 1.

        Searched are the caller's own documents, and in a twin the twin's and those that its account's twins share; an
        assistant may narrow that to some folders, a question to some documents. Neighbours that were both found are one
        passage. Raises Overloaded.
        """
        twin = plan.institution.id if plan.institution else None
        wanted = VaultQuery.of(plan.ask.caller, twin, query, limit * _MORE)
        if plan.assistant is not None and plan.assistant.rag_collections:
            wanted = msgspec.structs.replace(wanted, collections=plan.assistant.rag_collections)
        if plan.ask.documents:
            wanted = msgspec.structs.replace(wanted, documents=frozenset(plan.ask.documents))
        found = packed([(one.chunk, one.score) for one in (await self.find(wanted)).rows], limit)
        self._hits.update({passage.document_id for passage in found})
        return found

    async def count_hits(self) -> None:
        """Write down how often each document was found for an answer since the last time. Raises Overloaded.

        Not part of any turn: a document that all ask for would be the one row that all turns wait for.
        """
        if self._hits:
            hits, self._hits = self._hits, Counter()
            await self._db.write(lambda tx: documents.count_hits(tx, hits, now=now_ms()))

    async def find(self, query: VaultQuery) -> Finding:
        """Return the passages themselves, best first. Raises Overloaded."""
        model, vector = await self._sense(query)
        mine = {key: held for (of, key), held in self._held.items() if of == model}
        asked = Asked(
            query.text, vector, query.limit, query.documents, lexical_floor=RELATIVE_FLOOR, least_cosine=LEAST_COSINE
        )
        for left in reversed(range(_ATTEMPTS)):
            known, patient = mine, left == 0
            result = await self._db.read(lambda tx, k=known, p=patient: _search(tx, (query, asked), k, stale_too=p))
            if not isinstance(result, _Stale):
                self._touch(query, model)
                return result
            for shelf in result.shelves:
                mine[shelf.key] = await self._refresh(shelf, model)
        return Finding()

    async def _sense(self, query: VaultQuery) -> tuple[str, bytes]:
        """Return the name of the model that serves the twin, and the question's vector by it.

        Both empty where there is no model. One that does not answer in time costs this search its sense, no more.
        """
        if self._embedders is None:
            return "", b""
        embedder: Embedder | None = None
        try:
            async with asyncio.timeout(SENSE_S):
                embedder = await self._embedders.of(query.institution_id)
                if embedder is None or not query.text.strip():
                    return embedder.name if embedder else "", b""
                return embedder.name, (await embedder.embed([query.text]))[0]
        except (TimeoutError, ServiceError) as error:
            _log.warning("searched by words alone", error=type(error).__name__, institution=query.institution_id)
            return embedder.name if embedder else "", b""

    async def _refresh(self, shelf: Shelf, model: str) -> _Held:
        """Return an index of a shelf as it is now, with vectors by a model, made by whichever turn comes first."""
        key = (model, shelf.key)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            known = self._held.get(key)
            loaded = await self._db.read(lambda tx: _load(tx, shelf, known, model))
            if loaded is None and known is not None:
                return known
            version, step, chunks = loaded or (0, VaultIndex().step({}), [])
            held = _Held(version, await asyncio.to_thread(step.finished, chunks))
            self._keep(key, held)
            return held

    def _touch(self, query: VaultQuery, model: str) -> None:
        for shelf in shelves_of(query.user_id, query.institution_id):
            if (model, shelf.key) in self._held:
                self._held.move_to_end((model, shelf.key))

    def _keep(self, key: _Key, held: _Held) -> None:
        self._held[key] = held
        self._held.move_to_end(key)
        total = sum(len(other.index) for other in self._held.values())
        while total > self._most_chunks and len(self._held) > 1:
            _, dropped = self._held.popitem(last=False)
            total -= len(dropped.index)


def _load(tx: Tx, shelf: Shelf, known: _Held | None, model: str) -> tuple[int, Step, list[IndexedChunk]] | None:
    """Read what of a shelf is not in the index that is `known`; None when that is of the version that the shelf has."""
    version = shelves.versions(tx, [shelf]).get(shelf.key, 0)
    if known is not None and version == known.version:
        return None
    index = known.index if known is not None else VaultIndex()
    revisions = shelves.revisions(tx, shelf)
    step = index.step(revisions)
    only = None if len(step.wanted) == len(revisions) else step.wanted
    rows = shelves.passages(tx, shelf, model, only)
    return (
        version,
        step,
        [
            IndexedChunk(one.id, one.document_id, one.text, one.section, one.document_name, one.vector or b"")
            for one in rows
        ],
    )


def _search(
    tx: Tx, wanted: tuple[VaultQuery, Asked], known: Mapping[str, _Held], *, stale_too: bool
) -> Finding | _Stale:
    """Score and fetch on the shelves as they are now; without a current index of each, say which are missing."""
    query, asked = wanted
    siblings = shelves.siblings(tx, query.institution_id) if query.institution_id else ()
    searched = shelves_of(query.user_id, query.institution_id, siblings)
    if not query.confidential:
        searched = [shelf for shelf in searched if shelf.kind != "own"]
    versions = shelves.versions(tx, searched)
    filled = [shelf for shelf in searched if shelf.key in versions]
    stale = tuple(
        shelf for shelf in filled if (held := known.get(shelf.key)) is None or held.version != versions[shelf.key]
    )
    if stale and not stale_too:
        return _Stale(stale)
    there = [shelf for shelf in filled if shelf.key in known]
    if query.collections:
        asked = msgspec.structs.replace(asked, only=_meant(tx, query, there))
    ranked = search([known[shelf.key].index for shelf in there], asked)
    # By words alone the score says how well; two ways together have places only.
    both = DENSE in ranked.legs_ms
    scores = {one.chunk_id: one.score if both else ranked.scores[one.chunk_id] for one in ranked.fused}
    texts = _texts(tx, there, list(scores))
    hits = [one for one in ranked.fused if one.chunk_id in texts]
    rows = [Found(texts[one.chunk_id], scores[one.chunk_id], one.places, both) for one in hits]
    return Finding(rows, ranked.legs_ms, ranked.fused_ms)


def _meant(tx: Tx, query: VaultQuery, there: Sequence[Shelf]) -> frozenset[str]:
    """Return the documents in the folders that are meant, and in those below them: nothing else is ranked."""
    folders = [one for folder in query.collections for one in collections.below(tx, folder)]
    inside = frozenset(found for shelf in there for found in shelves.in_folders(tx, shelf, folders))
    return inside if query.documents is None else inside & query.documents


def _texts(tx: Tx, there: Sequence[Shelf], ids: Sequence[str]) -> dict[str, Chunk]:
    """Fetch what was found. A passage that has left its shelf since the index was made is left out."""
    texts: dict[str, Chunk] = {}
    for shelf in there:
        missing = [chunk_id for chunk_id in ids if chunk_id not in texts]
        texts.update((chunk.id, chunk) for chunk in shelves.by_ids(tx, shelf, missing))
    return texts
