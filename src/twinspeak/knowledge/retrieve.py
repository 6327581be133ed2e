"""Questions to numbered passages: `engine.ports.Retriever` over the vaults that the turn's caller may read.

Indices are kept in memory, one a shelf (`domain.vault.Shelf`), each with the version of the shelf it was made from. A
search is one hop to a database thread: which shelves, which versions, score, fetch the texts, all in one transaction.
Only a shelf that changed costs more: its index is made anew, off the event loop, once however many turns wait for it.
What somebody may not read is on no shelf that he searches, so it takes no part in ranking either.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from weakref import WeakValueDictionary

import msgspec

from twinspeak.domain.clock import now_ms
from twinspeak.domain.turn import Passage, TurnPlan
from twinspeak.domain.vault import Shelf, VaultQuery, shelves_of
from twinspeak.knowledge.index.lexical import Entry, Hit, LexicalIndex, rank
from twinspeak.knowledge.packing import packed
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import documents, shelves
from twinspeak.persistence.repos.shelves import Chunk, Found

RELATIVE_FLOOR = 0.3
"""A passage this much weaker than the best one is noise (decision 008: leaving them out costs no nDCG@10)."""

_ATTEMPTS = 4
"""How often a search looks again because a shelf changed meanwhile; then it takes the shelf as it was."""
_MORE = 3
"""Hits looked at for each passage wanted: some are the same text, or neighbours that become one passage."""

_NARROWED = 500
"""Hits looked at where only some folders or documents are meant."""


class _Held(msgspec.Struct, frozen=True):
    """An index and the version of the shelf it shows."""

    version: int
    index: LexicalIndex


class _Stale(msgspec.Struct, frozen=True):
    """Shelves whose index is missing, or of an old version."""

    shelves: tuple[Shelf, ...]


class VaultRetriever:
    """Searches vaults; safe for any number of turns at once on one event loop.

    `most_chunks` bounds memory (0.5 to 2 kB a chunk): over it, the indices used longest ago are dropped.
    """

    def __init__(self, db: Database, *, most_chunks: int = 200_000) -> None:
        """Start with no index; each is made when first asked for."""
        self._db = db
        self._most_chunks = most_chunks
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._hits: Counter[str] = Counter()

    async def search(self, plan: TurnPlan, query: str, *, limit: int) -> list[Passage]:
        """Return at most `limit` passages for `query`, best first, numbered from 1.

        Searched are the caller's own documents, and in a twin the twin's and those that its account's twins share; an
        assistant may narrow that to some folders. Neighbours that were both found are one passage. Raises Overloaded.
        """
        twin = plan.institution.id if plan.institution else None
        wanted = VaultQuery.of(plan.ask.caller, twin, query, limit * _MORE)
        if plan.assistant is not None and plan.assistant.rag_collections:
            wanted = msgspec.structs.replace(wanted, collections=plan.assistant.rag_collections)
        found = packed([(one.chunk, one.score) for one in await self.find(wanted)], limit)
        self._hits.update({passage.document_id for passage in found})
        return found

    async def count_hits(self) -> None:
        """Write down how often each document was found for an answer since the last time. Raises Overloaded.

        Not part of any turn: a document that all ask for would be the one row that all turns wait for.
        """
        if self._hits:
            hits, self._hits = self._hits, Counter()
            await self._db.write(lambda tx: documents.count_hits(tx, hits, now=now_ms()))

    async def find(self, query: VaultQuery) -> list[Found]:
        """Return the passages themselves, best first. Raises Overloaded."""
        mine = dict(self._held)
        for left in reversed(range(_ATTEMPTS)):
            known, patient = mine, left == 0
            result = await self._db.read(lambda tx, k=known, p=patient: _search(tx, query, k, stale_too=p))
            if not isinstance(result, _Stale):
                self._touch(query)
                return result
            for shelf in result.shelves:
                mine[shelf.key] = await self._refresh(shelf)
        return []

    async def _refresh(self, shelf: Shelf) -> _Held:
        """Return an index of a shelf as it is now, made by whichever turn comes first."""
        key = shelf.key
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            known = self._held.get(key)
            loaded = await self._db.read(lambda tx: _load(tx, shelf, known.version if known else None))
            if loaded is None and known is not None:
                return known
            version, chunks = loaded or (0, [])
            held = _Held(version, await asyncio.to_thread(_index, chunks))
            self._keep(key, held)
            return held

    def _touch(self, query: VaultQuery) -> None:
        for shelf in shelves_of(query.user_id, query.institution_id):
            if shelf.key in self._held:
                self._held.move_to_end(shelf.key)

    def _keep(self, key: str, held: _Held) -> None:
        self._held[key] = held
        self._held.move_to_end(key)
        total = sum(len(other.index) for other in self._held.values())
        while total > self._most_chunks and len(self._held) > 1:
            _, dropped = self._held.popitem(last=False)
            total -= len(dropped.index)


def _load(tx: Tx, shelf: Shelf, known: int | None) -> tuple[int, list[Chunk]] | None:
    """Read a shelf, or return None when it still has the version `known`."""
    version = shelves.versions(tx, [shelf]).get(shelf.key, 0)
    return None if version == known else (version, shelves.passages(tx, shelf))


def _index(chunks: Sequence[Chunk]) -> LexicalIndex:
    return LexicalIndex(Entry(chunk.id, chunk.text, chunk.section, chunk.document_name) for chunk in chunks)


def _search(tx: Tx, query: VaultQuery, known: Mapping[str, _Held], *, stale_too: bool) -> list[Found] | _Stale:
    """Score and fetch on the shelves as they are now; without a current index of each, say which are missing."""
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
    indices = [known[shelf.key].index for shelf in there]
    narrowed = bool(query.collections) or query.documents is not None
    hits = rank(indices, query.text, limit=max(_NARROWED, query.limit) if narrowed else query.limit)
    return _fetched(tx, query, there, [hit for hit in hits if hit.score >= RELATIVE_FLOOR * hits[0].score])


def _fetched(tx: Tx, query: VaultQuery, there: Sequence[Shelf], hits: Sequence[Hit]) -> list[Found]:
    """Fetch what was found. A passage that has left its shelf since the index was made is left out."""
    texts: dict[str, Chunk] = {}
    for shelf in there:
        missing = [hit.chunk_id for hit in hits if hit.chunk_id not in texts]
        texts.update((chunk.id, chunk) for chunk in shelves.by_ids(tx, shelf, missing))
    found = [Found(texts[hit.chunk_id], hit.score) for hit in hits if hit.chunk_id in texts]
    if query.collections:
        found = [one for one in found if one.chunk.collection_id in query.collections]
    if query.documents is not None:
        found = [one for one in found if one.chunk.document_id in query.documents]
    return found[: query.limit]
