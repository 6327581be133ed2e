"""Documents of the IP vault and their passages, as rows. Who may do what is `services.vault_rights`' to say."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, Select, case, delete, func, insert, or_, select, update

from twinspeak.domain.caller import Scope
from twinspeak.domain.ids import new_id
from twinspeak.domain.vault import Document, Quotas, Trouble, identity
from twinspeak.domain.vault_errors import VaultFull
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.repos import institutions, shelves
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.vault_tables import chunks, documents

_COLUMNS = [documents.c[name] for name in Document.__struct_fields__]
_THERE = documents.c.status != "deleted"
_trouble = msgspec.json.Decoder(Trouble)
MOST_CHUNKS_AT_ONCE = 1_000
MOST_LEVELS = 20


class Piece(msgspec.Struct, frozen=True):
    """A passage to be stored. `locator` is a URL fragment, such as `page=2`; "" for nowhere in particular."""

    section: str
    text: str
    parent: int = 0
    locator: str = ""


class StoredChunk(msgspec.Struct, frozen=True):
    """A passage as its document's readers list it."""

    id: str
    document_id: str
    position: int
    section: str
    text: str
    locator: str


class Usage(msgspec.Struct, frozen=True):
    """How much somebody's vault holds, what is only hidden included."""

    files: int
    bytes: int


def add(tx: Tx, new: Document) -> Document:
    """Add a document. IntegrityError, and so another try, when its shelf got the same content meanwhile."""
    row = msgspec.structs.asdict(new)
    for owner in ("institution_id", "user_id"):
        del row[owner]
    row["trouble"] = None
    tx.run(scoped(new.scope, insert(documents)).values(**row, identity=new.identity))
    if new.indexed:
        shelves.changed(tx, new.shelf)
    return new


def by_id(tx: Tx, document_id: str, *, hidden: bool = False) -> Document | None:
    """Return a document, whosever it is; one that is hidden only if asked for."""
    conditions = [documents.c.id == document_id, *([] if hidden else [_THERE])]
    return _document(tx.first(scoped(SYSTEM, select(*_COLUMNS).where(*conditions))))


def by_identity(tx: Tx, known: str) -> Document | None:
    """Return the living document of an identity."""
    return _document(tx.first(scoped(SYSTEM, select(*_COLUMNS).where(documents.c.identity == known))))


def members(tx: Tx, archive_id: str) -> list[Document]:
    """Return what came out of an archive."""
    rows = tx.all(scoped(SYSTEM, select(*_COLUMNS).where(documents.c.member_of == archive_id, _THERE)))
    return [found for row in rows if (found := _document(row))]


def change(tx: Tx, document: Document, **values: Any) -> Document:  # noqa: ANN401 -- fields of the struct
    """Write fields of a document that stays where it is; return it as it is then."""
    after = msgspec.structs.replace(document, **values)
    if "trouble" in values:
        trouble = values["trouble"]
        values["trouble"] = None if trouble is None else msgspec.json.encode(trouble).decode()
    moved = after.identity != document.identity
    gone = after.status == "deleted"
    if moved or gone != (document.status == "deleted"):
        values["identity"] = None if gone or _taken(tx, after) else after.identity
    changed = update(documents).where(documents.c.id == document.id)
    tx.run(scoped(SYSTEM, changed.values(**values, revision=documents.c.revision + 1)))
    if document.indexed or after.indexed:
        shelves.changed(tx, document.shelf, after.shelf)
    return after


def tell_progress(tx: Tx, document: Document, progress: int) -> None:
    """Note how far the present phase is, if it is still that one."""
    mine = (documents.c.id == document.id, documents.c.phase == document.phase, documents.c.progress < progress)
    tx.run(scoped(SYSTEM, update(documents).where(*mine).values(progress=progress)))


def _taken(tx: Tx, document: Document) -> bool:
    """Tell whether its shelf has the same content already: then both stay, and neither is taken for the other."""
    other = by_identity(tx, document.identity)
    return other is not None and other.id != document.id


def move(tx: Tx, document: Document, after: Document) -> Document:
    """Put a document into another vault, with its passages."""
    rows = tx.all(scoped(SYSTEM, select(chunks).where(chunks.c.document_id == document.id)))
    tx.run(scoped(SYSTEM, delete(chunks).where(chunks.c.document_id == document.id)))
    fields = ("institution_id", "user_id", "account_shared", "is_public", "is_private", "collection_id", "owner_id")
    values: dict[str, Any] = {name: getattr(after, name) for name in fields}
    values["identity"] = None if _taken(tx, after) else after.identity
    values["revision"] = documents.c.revision + 1
    tx.run(scoped(SYSTEM, update(documents).where(documents.c.id == document.id).values(**values)))
    kept = [{k: v for k, v in as_dict(row).items() if k not in ("institution_id", "user_id")} for row in rows]
    if kept:
        tx.connection.execute(scoped(after.scope, insert(chunks)), kept)
    shelves.changed(tx, document.shelf, after.shelf)
    return after


def erase(tx: Tx, document: Document) -> None:
    """Delete a document for good with its passages; its file is the caller's to delete, afterwards."""
    drop_chunks(tx, document.id)
    tx.run(scoped(SYSTEM, delete(documents).where(documents.c.id == document.id)))
    if document.indexed:
        shelves.changed(tx, document.shelf)


def drop_chunks(tx: Tx, document_id: str) -> None:
    """Delete a document's passages."""
    tx.run(scoped(SYSTEM, delete(chunks).where(chunks.c.document_id == document_id)))


def drop_noise(tx: Tx, document_id: str) -> int:
    """Delete passages that hold neither a letter nor a digit; return how many are left."""
    rows = tx.all(scoped(SYSTEM, select(chunks.c.id, chunks.c.text).where(chunks.c.document_id == document_id)))
    noise = [row.id for row in rows if not any(letter.isalnum() for letter in row.text)]
    for first in range(0, len(noise), MOST_CHUNKS_AT_ONCE):
        batch = noise[first : first + MOST_CHUNKS_AT_ONCE]
        tx.run(scoped(SYSTEM, delete(chunks).where(chunks.c.id.in_(batch))))
    return len(rows) - len(noise)


def add_chunks(tx: Tx, document: Document, first: int, pieces: Sequence[Piece]) -> None:
    """Add passages, the first of them at position `first`; nobody finds them before the document is `indexed`."""
    if not pieces:
        return
    rows = [
        {"id": new_id(), "document_id": document.id, "position": position, **msgspec.structs.asdict(piece)}
        for position, piece in enumerate(pieces, start=first)
    ]
    tx.connection.execute(scoped(document.scope, insert(chunks)), rows)


def chunk_ids(tx: Tx, document_id: str) -> list[str]:
    """Return the ids of a document's passages, in order."""
    ordered = select(chunks.c.id).where(chunks.c.document_id == document_id).order_by(chunks.c.position)
    return [row.id for row in tx.all(scoped(SYSTEM, ordered))]


def list_chunks(tx: Tx, document_id: str, *, limit: int) -> list[StoredChunk]:
    """Return a document's first passages."""
    columns = [chunks.c[name] for name in StoredChunk.__struct_fields__]
    ordered = select(*columns).where(chunks.c.document_id == document_id).order_by(chunks.c.position).limit(limit)
    return [StoredChunk(*row) for row in tx.all(scoped(SYSTEM, ordered))]


def chunk(tx: Tx, chunk_id: str) -> StoredChunk | None:
    """Return a passage, whosever it is."""
    columns = [chunks.c[name] for name in StoredChunk.__struct_fields__]
    row = tx.first(scoped(SYSTEM, select(*columns).where(chunks.c.id == chunk_id)))
    return None if row is None else StoredChunk(*row)


def drop_vectors(tx: Tx, document_id: str) -> None:
    """Forget a document's vectors."""
    tx.run(scoped(SYSTEM, update(chunks).where(chunks.c.document_id == document_id).values(vector=None)))


def without_vector(tx: Tx, document_id: str, *, limit: int) -> list[tuple[str, str, str]]:
    """Return (id, section, text) of passages that have no vector yet."""
    bare = (chunks.c.document_id == document_id, chunks.c.vector.is_(None))
    chosen = select(chunks.c.id, chunks.c.section, chunks.c.text).where(*bare).order_by(chunks.c.position)
    return [(row.id, row.section, row.text) for row in tx.all(scoped(SYSTEM, chosen.limit(limit)))]


def set_vectors(tx: Tx, vectors: Sequence[tuple[str, bytes]]) -> None:
    """Store vectors, by the ids of their passages."""
    for chunk_id, vector in vectors:
        tx.run(scoped(SYSTEM, update(chunks).where(chunks.c.id == chunk_id).values(vector=vector)))


def write_chunk(tx: Tx, document: Document, chunk_id: str, text: str) -> None:
    """Put a text in the place of a passage's."""
    mine = (chunks.c.id == chunk_id, chunks.c.document_id == document.id)
    tx.run(scoped(SYSTEM, update(chunks).where(*mine).values(text=text, vector=None)))
    changed = update(documents).where(documents.c.id == document.id)
    tx.run(scoped(SYSTEM, changed.values(revision=documents.c.revision + 1)))
    if document.indexed:
        shelves.changed(tx, document.shelf)


class Wanted(msgspec.Struct, frozen=True):
    """Which documents a list shows: those of any of `places` (conditions), by status, name and folder.

    `order` is a column's name; `collections` None: wherever; an empty tuple: in no folder.
    """

    places: tuple[tuple[Scope, tuple[ColumnElement[bool], ...]], ...]
    status: str = ""
    name: str = ""
    collections: tuple[str, ...] | None = None
    order: str = "created"
    ascending: bool = False
    limit: int = 100
    offset: int = 0


def page(tx: Tx, wanted: Wanted) -> tuple[list[Document], int]:
    """Return a page of documents, and how many there are."""
    conditions = [or_(*(_place(*place) for place in wanted.places)), *_filters(wanted)]
    total = tx.value(scoped(SYSTEM, select(func.count()).select_from(documents).where(*conditions)))
    column = func.lower(documents.c.name) if wanted.order == "name" else documents.c[wanted.order]
    order = (column.asc(), documents.c.id.asc()) if wanted.ascending else (column.desc(), documents.c.id.desc())
    chosen: Select[Any] = select(*_COLUMNS).where(*conditions).order_by(*order)
    rows = tx.all(scoped(SYSTEM, chosen.limit(wanted.limit).offset(wanted.offset)))
    return [found for row in rows if (found := _document(row))], total


def counts(tx: Tx, scope: Scope, conditions: Sequence[ColumnElement[bool]]) -> tuple[int, int]:
    """Return how many documents a part of a vault has, and how many of them are searched."""
    searched = func.coalesce(func.sum(case((documents.c.status == "selected", 1), else_=0)), 0)
    columns = (func.count().label("there"), searched.label("searched"))
    chosen = select(*columns).select_from(documents).where(_THERE, *conditions)
    row = tx.first(scoped(SYSTEM, chosen.where(_place(scope, ()))))
    return (0, 0) if row is None else (int(row.there), int(row.searched))


def usage(tx: Tx, scope: Scope) -> Usage:
    """Return how much a twin's vault, or a person's own, holds."""
    columns = (func.count().label("files"), func.coalesce(func.sum(documents.c.bytes), 0).label("size"))
    row = tx.first(scoped(SYSTEM, select(*columns).where(_place(scope, ()))))
    return Usage(0, 0) if row is None else Usage(int(row.files), int(row.size))


def make_room(tx: Tx, new: Document, quotas: Quotas) -> None:
    """Make sure that a vault has room for a document. Raises VaultFull."""
    used = usage(tx, new.scope)
    inside = new.institution_id is not None
    files = institutions.upload_rules(tx, new.institution_id or "").max_files if inside else quotas.own_files
    size = quotas.twin_bytes if inside else quotas.own_bytes
    if used.files + 1 > files:
        raise VaultFull(details={"limit": "files", "used": used.files, "most": files})
    if used.bytes + new.bytes > size:
        raise VaultFull(details={"limit": "bytes", "used": used.bytes, "most": size})


def depth(tx: Tx, document: Document) -> int:
    """Return in how many archives, one in another, a document came."""
    levels = 0
    above = document.member_of
    while above is not None and levels < MOST_LEVELS:
        levels += 1
        above = tx.value(scoped(SYSTEM, select(documents.c.member_of).where(documents.c.id == above)))
    return levels


def in_collections(tx: Tx, collection_ids: Sequence[str]) -> list[Document]:
    """Return what lies in some folders, hidden documents too."""
    chosen = select(*_COLUMNS).where(documents.c.collection_id.in_(list(collection_ids)))
    return [found for row in tx.all(scoped(SYSTEM, chosen)) if (found := _document(row))]


def count_hits(tx: Tx, hits: Mapping[str, int], *, now: int) -> None:
    """Add to how often passages of documents were found for an answer (`ragHitCount`)."""
    for document_id in sorted(hits):
        chosen = update(documents).where(documents.c.id == document_id)
        tx.run(scoped(SYSTEM, chosen.values(hits=documents.c.hits + hits[document_id], last_hit=now)))


def existing(tx: Tx, document_ids: Sequence[str]) -> set[str]:
    """Return which of some ids are documents'."""
    chosen = select(documents.c.id).where(documents.c.id.in_(list(document_ids)))
    return {row.id for row in tx.all(scoped(SYSTEM, chosen))}


def of_owner(tx: Tx, user_id: str) -> list[Document]:
    """Return what nobody but a person reads: the own vault, and what is confidential elsewhere."""
    own = or_(documents.c.user_id == user_id, (documents.c.owner_id == user_id) & documents.c.is_private.is_(True))
    rows = tx.all(scoped(SYSTEM, select(*_COLUMNS).where(own)))
    return [found for row in rows if (found := _document(row))]


def known(tx: Tx, document: Document) -> Document | None:
    """Return what the shelf of a new document has with the same content."""
    return by_identity(tx, identity(document.shelf, document.content_hash))


def _place(scope: Scope, conditions: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Return the condition of a part of a vault; the statement around it is the system's, and says so."""
    if scope.institution_id is not None:
        whose = documents.c.institution_id == scope.institution_id
    else:
        whose = documents.c.user_id == scope.user_id
    result: ColumnElement[bool] = whose
    for condition in conditions:
        result = result & condition
    return result


def _filters(wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [documents.c.status == wanted.status if wanted.status else _THERE]
    if wanted.name:
        found.append(
            or_(
                documents.c.name.icontains(wanted.name, autoescape=True),
                documents.c.title.icontains(wanted.name, autoescape=True),
            )
        )
    if wanted.collections is not None:
        inside = documents.c.collection_id.in_(wanted.collections)
        found.append(inside if wanted.collections else documents.c.collection_id.is_(None))
    return found


def _document(row: Row[Any] | None) -> Document | None:
    if row is None:
        return None
    fields = as_dict(row)
    if fields["trouble"] is not None:
        fields["trouble"] = _trouble.decode(fields["trouble"])
    return Document(**fields)
