"""Documents of the IP vault and their chunks. Tenant tables: a twin's vault, or a user's own."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import bindparam, delete, func, insert, literal_column, select, update

from twinspeak.domain.caller import Scope
from twinspeak.domain.clock import now_ms
from twinspeak.domain.ids import new_id
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.scope import ScopedStatement, scoped
from twinspeak.persistence.tables import chunks, documents


class NewDocument(msgspec.Struct, frozen=True):
    """What was taken in; `content_hash` is SHA-256 in hex of the bytes."""

    name: str
    content_hash: str
    bytes: int
    media_type: str = "text/markdown"


class Document(msgspec.Struct, frozen=True):
    """A document as lists show it."""

    id: str
    name: str
    media_type: str
    status: str
    bytes: int
    content_hash: str
    created: int


class Chunk(msgspec.Struct, frozen=True):
    """A piece of a document. `position` counts from 0 within it."""

    id: str
    document_id: str
    document_name: str
    position: int
    section: str
    text: str


# Spelled out, because SQLite only uses the indices of ready documents when it can read the word in the statement.
_IS_READY = documents.c.status == literal_column("'ready'")
_FIND = ScopedStatement(select(documents.c.id).where(documents.c.content_hash == bindparam("hash"), _IS_READY))
_VERSION = ScopedStatement(
    select(func.count(), func.max(documents.c.id), func.max(documents.c.created)).where(documents.c.status == "ready")
)
_READY_CHUNKS = (
    select(
        chunks.c.id,
        chunks.c.document_id,
        documents.c.name.label("document_name"),
        chunks.c.position,
        chunks.c.section,
        chunks.c.text,
    )
    .join_from(chunks, documents, documents.c.id == chunks.c.document_id)
    .where(documents.c.status == "ready")
)
_CHUNKS = ScopedStatement(_READY_CHUNKS.order_by(chunks.c.document_id, chunks.c.position))
_CHUNKS_BY_ID = ScopedStatement(_READY_CHUNKS.where(chunks.c.id.in_(bindparam("ids", expanding=True))))


def find(tx: Tx, scope: Scope, content_hash: str) -> str | None:
    """Return the id of a ready document of this vault with the same content."""
    return tx.scoped(scope, _FIND, {"hash": content_hash}).scalar()


def add(tx: Tx, scope: Scope, new: NewDocument, parts: Sequence[tuple[str, str]]) -> str:
    """Store a document and its chunks, (section, text) in order; return its id. The scope says whose vault."""
    document_id = new_id()
    row = msgspec.structs.asdict(new)
    tx.run(scoped(scope, insert(documents)).values(id=document_id, status="ready", created=now_ms(), **row))
    if parts:
        tx.connection.execute(
            scoped(scope, insert(chunks)),
            [
                {"id": new_id(), "document_id": document_id, "position": position, "section": section, "text": text}
                for position, (section, text) in enumerate(parts)
            ],
        )
    return document_id


def remove(tx: Tx, scope: Scope, document_id: str) -> bool:
    """Take a document out of the vault with its chunks; False when the vault has none by that id."""
    gone = scoped(scope, update(documents).where(documents.c.id == document_id, documents.c.status != "deleted"))
    if not tx.change(gone.values(status="deleted")):
        return False
    tx.run(scoped(scope, delete(chunks).where(chunks.c.document_id == document_id)))
    return True


def listing(tx: Tx, scope: Scope) -> list[Document]:
    """Return the vault's ready documents, oldest first."""
    columns = [documents.c[name] for name in Document.__struct_fields__]
    statement = select(*columns).where(documents.c.status == "ready").order_by(documents.c.created, documents.c.id)
    return [Document(**as_dict(row)) for row in tx.all(scoped(scope, statement))]


def all_chunks(tx: Tx, scope: Scope) -> list[Chunk]:
    """Return every chunk of the vault, for an index; documents in a fixed order, chunks by position."""
    return [Chunk(*row) for row in tx.scoped(scope, _CHUNKS)]


def chunks_by_id(tx: Tx, scope: Scope, ids: Sequence[str]) -> list[Chunk]:
    """Return those of the chunks that the vault has, in the order of `ids`."""
    if not ids:
        return []
    found = {row.id: Chunk(*row) for row in tx.scoped(scope, _CHUNKS_BY_ID, {"ids": list(ids)})}
    return [found[chunk_id] for chunk_id in ids if chunk_id in found]


def vault_version(tx: Tx, scope: Scope) -> str:
    """Return words that change whenever a document of the vault is added or removed."""
    return ":".join(str(part) for part in tx.scoped(scope, _VERSION).one())
