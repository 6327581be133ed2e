"""Passages of documents: listed, corrected, searched (reference content 4.3, 4.4, 4.5, 4.7)."""

import re
from collections.abc import Sequence
from typing import Protocol

import msgspec

from twinspeak.domain.caller import Caller
from twinspeak.domain.clock import monotonic
from twinspeak.domain.errors import Conflict, InvalidId, NotFound, ServiceError
from twinspeak.domain.ids import parse_id
from twinspeak.domain.vault import Document, VaultQuery
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import documents
from twinspeak.persistence.repos.documents import StoredChunk
from twinspeak.persistence.repos.shelves import Finding, Found
from twinspeak.services import vault_rights as rights
from twinspeak.services.assistants import usable_by

MOST_LISTED = 1_000
SNIPPET_CHARS = 200
_WORD = re.compile(r"\w{2,}")


class Finder(Protocol):
    """`knowledge.retrieve.VaultRetriever`, as far as searching by hand goes."""

    async def find(self, query: VaultQuery) -> Finding:
        """Return passages, best first. Raises Overloaded."""
        ...


class EmbeddingModel(Protocol):
    """A model that makes vectors, as far as people are told of it."""

    @property
    def name(self) -> str:
        """Return what the vectors are stored under."""
        ...

    @property
    def provider(self) -> str:
        """Return who makes them."""
        ...


class EmbeddingModels(Protocol):
    """Which model makes whose vectors now."""

    async def of(self, institution_id: str | None) -> EmbeddingModel | None:
        """Return a twin's, or that of people's own vaults. Raises ServiceError."""
        ...


class Listed(msgspec.Struct, frozen=True):
    """A document's passages, and the model that would make their vectors now: (name, provider)."""

    document: Document
    chunks: list[StoredChunk]
    current: tuple[str, str] | None


class Hit(msgspec.Struct, frozen=True):
    """A passage that was found, with its document; `snippet` is what of it is shown."""

    found: Found
    document: Document
    snippet: str
    score: float


class Hits(msgspec.Struct, frozen=True):
    """What a search gave. `scanned` passages were found before the weak ones were left out; `perf` has the times."""

    rows: list[Hit]
    scanned: int
    documents: int
    took_ms: int
    perf: Finding


class Within(msgspec.Struct, frozen=True):
    """What a search is narrowed to: some documents (foreign and malformed ids are left out), and some folders."""

    uploads: Sequence[str] | None = None
    folders: tuple[str, ...] = ()


ANYWHERE = Within()


class Standing(msgspec.Struct, frozen=True):
    """Of a document that somebody may read: whether it is confidential."""

    confidential: bool


class Passages:
    """One for the whole server."""

    def __init__(self, db: Database, finder: Finder, models: EmbeddingModels) -> None:
        """Keep the parts."""
        self._db = db
        self._finder = finder
        self._models = models

    async def list(self, caller: Caller, upload: str) -> Listed:
        """Return a document's first 1,000 passages. Raises InvalidId and NotFound."""

        def read(tx: Tx) -> tuple[Document, list[StoredChunk]]:
            found = rights.read(tx, caller, upload, param="upload")
            return found, documents.list_chunks(tx, found.id, limit=MOST_LISTED)

        document, chunks = await self._db.read(read)
        try:
            now = await self._models.of(document.institution_id)
        except ServiceError:
            now = None  # there is one, which cannot be asked: nobody's passages are kept back for that
        return Listed(document, chunks, (now.name, now.provider) if now else None)

    async def standing(self, caller: Caller, document_ids: Sequence[str]) -> dict[str, Standing]:
        """Return which of some documents a caller may read now, by id."""

        def read(tx: Tx) -> dict[str, Standing]:
            found = (documents.by_id(tx, one) for one in dict.fromkeys(document_ids))
            return {
                one.id: Standing(confidential=one.is_private)
                for one in found
                if one is not None and rights.readable(tx, caller, one)
            }

        return await self._db.read(read)

    async def correct(self, caller: Caller, chunk_id: str, text: str) -> None:
        """Put a text in the place of a passage's.

        Raises InvalidId, NotFound, what `vault_rights.writable` raises, and Conflict while the document is being read.
        """
        parsed = parse_id(chunk_id)
        if parsed is None:
            raise InvalidId(param="id")

        def store(tx: Tx) -> None:
            chunk = documents.chunk(tx, parsed)
            if chunk is None:
                raise NotFound(param="id")
            document = rights.write(tx, caller, chunk.document_id)
            if document.busy:
                raise Conflict("This document is being read: change its passages when that is done.")
            documents.write_chunk(tx, document, chunk.id, text)

        await self._db.write(store)

    async def folders_of(self, caller: Caller, assistant_id: str) -> Within | None:
        """Return where an assistant searches; None: nowhere. Raises InvalidId and NotFound."""
        parsed = parse_id(assistant_id)
        if parsed is None:
            raise InvalidId(param="assistantId")
        assistant = await self._db.read(lambda tx: usable_by(tx, caller, parsed))
        if assistant is None:
            raise NotFound("There is no such assistant.", param="assistantId")
        return None if assistant.rag_ignore else Within(folders=assistant.rag_collections)

    async def search(
        self, caller: Caller, query: str, *, limit: int, least: float = 0.0, within: Within = ANYWHERE
    ) -> Hits:
        """Search what a caller reads: his own documents, the active twin's, and those that its account's twins share.

        `least` is a share of the best score, 0 to 1. Raises Overloaded.
        """
        began = monotonic()
        twin = await self._db.read(lambda tx: rights.place_of(tx, caller, None))
        wanted = VaultQuery.of(caller, twin, query, limit)
        wanted = msgspec.structs.replace(wanted, collections=within.folders)
        if within.uploads is not None:
            known = frozenset(parsed for one in within.uploads if (parsed := parse_id(one)))
            wanted = msgspec.structs.replace(wanted, documents=known)
        found = await self._finder.find(wanted)
        rows = await self._db.read(lambda tx: _hits(tx, found.rows, query))
        best = rows[0].score if rows else 0.0
        kept = [row for row in rows if row.score >= least * best]
        took = round((monotonic() - began) * 1000)
        documents_found = len({row.document.id for row in kept})
        return Hits(kept, scanned=len(found.rows), documents=documents_found, took_ms=took, perf=found)


def snippet(text: str, query: str) -> str:
    """Return about 200 characters of a passage around the words that were looked for."""
    plain = " ".join(text.split())
    if len(plain) <= SNIPPET_CHARS:
        return plain
    lowered = plain.casefold()
    places = [at for word in _WORD.findall(query.casefold()) if (at := lowered.find(word[:6])) >= 0]
    middle = sorted(places)[len(places) // 2] if places else 0
    start = max(0, min(middle - SNIPPET_CHARS // 3, len(plain) - SNIPPET_CHARS))
    cut = plain[start : start + SNIPPET_CHARS]
    return f"{'…' if start else ''}{cut}{'…' if start + SNIPPET_CHARS < len(plain) else ''}"


def _hits(tx: Tx, found: Sequence[Found], query: str) -> list[Hit]:
    known: dict[str, Document | None] = {}
    rows: list[Hit] = []
    for one in found:
        document_id = one.chunk.document_id
        if document_id not in known:
            known[document_id] = documents.by_id(tx, document_id)
        document = known[document_id]
        if document is not None:
            rows.append(Hit(one, document, snippet(one.chunk.text, query), one.score))
    return rows
