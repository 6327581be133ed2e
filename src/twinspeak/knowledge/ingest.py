"""Documents into a vault: clean, cut, store."""

import asyncio
from hashlib import sha256

import msgspec

from twinspeak.domain.caller import Scope
from twinspeak.domain.errors import PayloadTooLarge, ValidationFailed
from twinspeak.knowledge.chunk import Chunk, clean, split
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import documents
from twinspeak.persistence.repos.documents import NewDocument

MAX_CHARS = 5_000_000
_LONGEST_NAME = 500


class Ingested(msgspec.Struct, frozen=True):
    """`new` is False when the vault already had a document with this content; then `document_id` is that one's."""

    document_id: str
    new: bool
    chunks: int


class _Prepared(msgspec.Struct, frozen=True):
    document: NewDocument
    chunks: list[Chunk]


async def ingest(db: Database, scope: Scope, name: str, text: str) -> Ingested:
    """Add a Markdown or plain text document to the vault of `scope`, in one transaction.

    Nobody ever finds half a document, and adding the same text twice changes nothing. Raises PayloadTooLarge over
    `MAX_CHARS` characters, ValidationFailed for a text or a name that is blank, ValueError for the system's scope.
    """
    _check(scope, text)
    prepared = await asyncio.to_thread(_prepare, name, text)
    return await db.write(lambda tx: _store(tx, scope, prepared))


def ingest_sync(db: Database, scope: Scope, name: str, text: str) -> Ingested:
    """`ingest` for start-up and the command line."""
    _check(scope, text)
    prepared = _prepare(name, text)
    return db.write_sync(lambda tx: _store(tx, scope, prepared))


def _check(scope: Scope, text: str) -> None:
    if scope.system:
        raise ValueError("a document belongs to a vault: give the scope of one")
    if len(text) > MAX_CHARS:
        raise PayloadTooLarge(f"A document may have at most {MAX_CHARS} characters.")


def _prepare(name: str, text: str) -> _Prepared:
    title = " ".join(clean(name).split())[:_LONGEST_NAME]
    content = clean(text)
    chunks = split(content)
    if not chunks or not title:
        field = "text" if title else "name"
        raise ValidationFailed(details={"fields": [{"field": field, "message": "must not be blank"}]})
    encoded = content.encode()
    document = NewDocument(name=title, content_hash=sha256(encoded).hexdigest(), bytes=len(encoded))
    return _Prepared(document, chunks)


def _store(tx: Tx, scope: Scope, prepared: _Prepared) -> Ingested:
    known = documents.find(tx, scope, prepared.document.content_hash)
    if known is not None:
        return Ingested(known, new=False, chunks=len(prepared.chunks))
    pieces = [(chunk.section, chunk.text) for chunk in prepared.chunks]
    return Ingested(documents.add(tx, scope, prepared.document, pieces), new=True, chunks=len(pieces))
