"""Questions to numbered passages: `engine.ports.Retriever` over the vault that the turn's caller may read.

Indices are kept in memory, one a vault, each with the version of the vault it was made from. A search is one hop to a
database thread: compare versions, score, fetch the texts, all in one transaction. Only a vault that changed costs more:
its index is made anew, off the event loop, once however many turns wait for it.
"""

import asyncio
from collections import OrderedDict
from weakref import WeakValueDictionary

import msgspec

from twinspeak.domain.caller import Scope, scope_of
from twinspeak.domain.turn import Passage, TurnPlan
from twinspeak.knowledge.index.lexical import Entry, LexicalIndex, rank
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import documents
from twinspeak.persistence.repos.documents import Chunk

RELATIVE_FLOOR = 0.3
"""A passage this much weaker than the best one is noise (decision 008: leaving them out costs no nDCG@10)."""

_QUERY_ENDS = 2_000
"""Of an endless question, what is searched for: this many characters of each end, where people say what they want."""


class _Held(msgspec.Struct, frozen=True):
    """An index and the version of the vault it shows."""

    version: str
    index: LexicalIndex


class _Loaded(msgspec.Struct, frozen=True):
    """A vault as read for indexing."""

    version: str
    chunks: list[Chunk]


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

    async def search(self, plan: TurnPlan, query: str, *, limit: int) -> list[Passage]:
        """Return at most `limit` passages for `query`, best first, numbered from 1.

        A turn in a twin searches that twin's vault, a personal one the caller's own documents. Raises Overloaded.
        """
        scope = scope_of(plan.ask.caller, plan.institution.id if plan.institution else None)
        wanted = _within_bounds(query)
        held = self._held.get(_key(scope))
        if held is not None:
            current = held
            found = await self._db.read(lambda tx: _search_if_current(tx, scope, current, wanted, limit))
            if found is not None:
                self._touch(scope)
                return found
        fresh = await self._refresh(scope)
        return await self._db.read(lambda tx: _search(tx, scope, fresh.index, wanted, limit))

    async def _refresh(self, scope: Scope) -> _Held:
        """Return an index of the vault as it is now, made by whichever turn comes first."""
        key = _key(scope)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            known = self._held.get(key)
            loaded = await self._db.read(lambda tx: _load(tx, scope, known.version if known else None))
            if loaded is None and known is not None:
                return known
            held = await asyncio.to_thread(_index, loaded or _Loaded("", []))
            self._keep(key, held)
            return held

    def _touch(self, scope: Scope) -> None:
        key = _key(scope)
        if key in self._held:
            self._held.move_to_end(key)

    def _keep(self, key: str, held: _Held) -> None:
        self._held[key] = held
        self._held.move_to_end(key)
        total = sum(len(other.index) for other in self._held.values())
        while total > self._most_chunks and len(self._held) > 1:
            _, dropped = self._held.popitem(last=False)
            total -= len(dropped.index)


def _key(scope: Scope) -> str:
    """Return whose vault `scope` sees; ids of twins and of people never meet, both come from `domain.ids`."""
    return scope.institution_id or scope.user_id or ""


def _load(tx: Tx, scope: Scope, known: str | None) -> _Loaded | None:
    """Read the vault, or return None when it still has the version `known`."""
    version = documents.vault_version(tx, scope)
    return None if version == known else _Loaded(version, documents.all_chunks(tx, scope))


def _index(loaded: _Loaded) -> _Held:
    entries = (Entry(chunk.id, chunk.text, chunk.section, chunk.document_name) for chunk in loaded.chunks)
    return _Held(loaded.version, LexicalIndex(entries))


def _search_if_current(tx: Tx, scope: Scope, held: _Held, query: str, limit: int) -> list[Passage] | None:
    if documents.vault_version(tx, scope) != held.version:
        return None
    return _search(tx, scope, held.index, query, limit)


def _search(tx: Tx, scope: Scope, index: LexicalIndex, query: str, limit: int) -> list[Passage]:
    """Score and fetch. A chunk that has gone since the index was made is left out."""
    hits = rank([index], query, limit=limit)
    scores = {hit.chunk_id: hit.score for hit in hits if hit.score >= RELATIVE_FLOOR * hits[0].score}
    chunks = documents.chunks_by_id(tx, scope, list(scores))
    return [
        Passage(
            number=number,
            chunk_id=chunk.id,
            document_id=chunk.document_id,
            document_name=chunk.document_name,
            text=chunk.text,
            section=chunk.section,
            score=round(scores[chunk.id], 4),
        )
        for number, chunk in enumerate(chunks, start=1)
    ]


def _within_bounds(query: str) -> str:
    if len(query) <= 2 * _QUERY_ENDS:
        return query
    return f"{query[:_QUERY_ENDS]} {query[-_QUERY_ENDS:]}"
