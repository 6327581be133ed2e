"""Short texts into a vault at once: what a new installation comes with. Files go through `knowledge.pipeline`."""

import asyncio
from hashlib import sha256

import msgspec

from twinspeak.domain.caller import Scope
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import PayloadTooLarge, ValidationFailed
from twinspeak.domain.ids import new_id
from twinspeak.domain.vault import NAME_CHARS, Document
from twinspeak.knowledge.chunk import Chunk, clean, split
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import documents
from twinspeak.persistence.repos.documents import Piece

MAX_CHARS = 5_000_000


class Ingested(msgspec.Struct, frozen=True):
    """`new` is False when the vault already had a document with this content; then `document_id` is that one's."""

    document_id: str
    new: bool
    chunks: int


class _Prepared(msgspec.Struct, frozen=True):
    document: Document
    chunks: list[Chunk]


async def ingest(db: Database, scope: Scope, name: str, text: str) -> Ingested:
    """Add a Markdown or plain text document to the vault of `scope`, in one transaction.

    Nobody ever finds half a document, and adding the same text twice changes nothing. Raises PayloadTooLarge over
    `MAX_CHARS` characters, ValidationFailed for a text or a name that is blank, ValueError for the system's scope.
    """
    _check(scope, text)
    prepared = await asyncio.to_thread(_prepare, scope, name, text)
    return await db.write(lambda tx: _store(tx, prepared))


def ingest_sync(db: Database, scope: Scope, name: str, text: str) -> Ingested:
    """`ingest` for start-up and the command line."""
    _check(scope, text)
    prepared = _prepare(scope, name, text)
    return db.write_sync(lambda tx: _store(tx, prepared))


def _check(scope: Scope, text: str) -> None:
    if scope.system:
        raise ValueError("a document belongs to a vault: give the scope of one")
    if len(text) > MAX_CHARS:
        raise PayloadTooLarge(f"A document may have at most {MAX_CHARS} characters.")


def _prepare(scope: Scope, name: str, text: str) -> _Prepared:
    title = " ".join(clean(name).split())[:NAME_CHARS]
    content = clean(text)
    chunks = split(content)
    if not chunks or not title:
        field = "text" if title else "name"
        raise ValidationFailed(details={"fields": [{"field": field, "message": "must not be blank"}]})
    encoded = content.encode()
    document = Document(
        id=new_id(),
        institution_id=scope.institution_id,
        user_id=None if scope.institution_id else scope.user_id,
        owner_id=scope.user_id,
        name=title,
        media_type="text/markdown",
        bytes=len(encoded),
        content_hash=sha256(encoded).hexdigest(),
        status="selected",
        created=now_ms(),
        indexed=True,
        chunks=len(chunks),
    )
    return _Prepared(document, chunks)


def _store(tx: Tx, prepared: _Prepared) -> Ingested:
    known = documents.known(tx, prepared.document)
    if known is not None:
        return Ingested(known.id, new=False, chunks=known.chunks)
    documents.add(tx, prepared.document)
    documents.add_chunks(tx, prepared.document, 0, [Piece(chunk.section, chunk.text) for chunk in prepared.chunks])
    return Ingested(prepared.document.id, new=True, chunks=len(prepared.chunks))
