"""What searches read: the passages of a shelf (`domain.vault.Shelf`), and how often it has changed.

Whoever changes what is found on a shelf calls `changed` in the same transaction.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, bindparam, case, insert, null, select, update

from twinspeak.domain.vault import Shelf
from twinspeak.persistence.db import Tx
from twinspeak.persistence.scope import ScopedStatement, scoped
from twinspeak.persistence.tables import institutions
from twinspeak.persistence.vault_tables import chunks, documents, shelves


class Chunk(msgspec.Struct, frozen=True):
    """A passage that can be found. `position` counts from 0 within its document, `parent` its parent sections.

    `locator` is a URL fragment: the page, slide, sheet or time it came from. `confidential`: for its owner's eyes.
    """

    id: str
    document_id: str
    document_name: str
    position: int
    section: str
    text: str
    parent: int = 0
    locator: str = ""
    confidential: bool = False


class Indexable(msgspec.Struct, frozen=True, gc=False):
    """A passage as an index takes it; `vector` None: none, or another model's."""

    id: str
    document_id: str
    text: str
    section: str
    document_name: str
    vector: bytes | None


class Found(msgspec.Struct, frozen=True):
    """A passage that was found, and how well: comparable within one search only.

    `places` says where each way of searching ranked it, from 1; `fused`: more than one way was gone.
    """

    chunk: Chunk
    score: float
    places: Mapping[str, int] = {}
    fused: bool = False


class Finding(msgspec.Struct, frozen=True):
    """What a search found, best first, and how many milliseconds each way of searching took, and joining them."""

    rows: Sequence[Found] = ()
    legs_ms: Mapping[str, float] = {}
    fused_ms: float = 0.0


_COLUMNS = (
    chunks.c.id,
    chunks.c.document_id,
    documents.c.name,
    chunks.c.position,
    chunks.c.section,
    chunks.c.text,
    chunks.c.parent,
    chunks.c.locator,
)
_FOUND = (documents.c.status == "selected", documents.c.indexed.is_(True))
_PERSONAL, _OWN, _TWIN, _SHARED = _KINDS = ("personal", "own", "twin", "shared")


def _kept(kind: str, owner: Any) -> tuple[ColumnElement[bool], ...]:  # noqa: ANN401 -- an id, or a parameter for one
    if kind == _PERSONAL:
        return ()
    if kind == _OWN:
        return (documents.c.is_private.is_(True), documents.c.owner_id == owner)
    return (documents.c.is_private.is_(False), documents.c.account_shared.is_(kind == _SHARED))


def _by_ids(kind: str) -> ScopedStatement:
    joined: Any = select(*_COLUMNS).join_from(chunks, documents, documents.c.id == chunks.c.document_id)
    wanted = chunks.c.id.in_(bindparam("ids", expanding=True))
    return ScopedStatement(joined.where(*_kept(kind, bindparam("owner")), *_FOUND, wanted))


_BY_IDS = {kind: _by_ids(kind) for kind in _KINDS}
_VERSIONS = select(shelves.c.key, shelves.c.version).where(shelves.c.key.in_(bindparam("keys", expanding=True)))
_OTHERS = institutions.alias()
_SIBLINGS = (
    select(institutions.c.account_id, _OTHERS.c.id)
    .outerjoin_from(
        institutions,
        _OTHERS,
        and_(_OTHERS.c.account_id == institutions.c.account_id, _OTHERS.c.status == "active"),
    )
    .where(institutions.c.id == bindparam("institution"))
    .order_by(_OTHERS.c.id)
)
_DOCUMENTS_AT_ONCE = 500
_PASSAGES_AT_ONCE = 10
"""For more, SQLite would rather read every document of the owner: it takes ten rows to be behind a key of an index."""


def changed(tx: Tx, *places: Shelf) -> None:
    """Note that something else is found on these shelves now."""
    for key in sorted({place.key for place in places}):
        if not tx.change(update(shelves).where(shelves.c.key == key).values(version=shelves.c.version + 1)):
            tx.run(insert(shelves).values(key=key, version=1))


def versions(tx: Tx, places: Sequence[Shelf]) -> dict[str, int]:
    """Return the version of each shelf, by its key; those that never had anything are left out."""
    rows = tx.all(_VERSIONS, {"keys": [place.key for place in places]})
    return {row.key: row.version for row in rows}


def siblings(tx: Tx, institution_id: str) -> tuple[str, ...]:
    """Return the active twins of a twin's account, itself among them; outside of accounts it is alone."""
    rows = tx.all(_SIBLINGS, {"institution": institution_id})
    if not rows or rows[0].account_id is None:
        return (institution_id,)
    return tuple(row.id for row in rows if row.id is not None)


def revisions(tx: Tx, shelf: Shelf) -> dict[str, str]:
    """Return for each document that is found on a shelf what changes whenever it does."""
    columns = (documents.c.id, documents.c.revision, documents.c.embeddings_model)
    found = select(*columns).where(*on_shelf(shelf), *_FOUND).order_by(documents.c.id)
    return {row.id: f"{row.revision} {row.embeddings_model}" for row in tx.all(scoped(shelf.scope, found))}


def passages(tx: Tx, shelf: Shelf, model: str = "", only: Sequence[str] | None = None) -> list[Indexable]:
    """Return all that is found on a shelf, for an index; documents in a fixed order, passages by position.

    Each with its vector, if it is one that `model` made. `only`: of these documents.
    """
    if only is None:
        return _indexable(tx, shelf, model, ())
    found: list[Indexable] = []
    for first in range(0, len(only), _DOCUMENTS_AT_ONCE):
        some = chunks.c.document_id.in_(list(only[first : first + _DOCUMENTS_AT_ONCE]))
        found += _indexable(tx, shelf, model, (some,))
    return found


def _indexable(tx: Tx, shelf: Shelf, model: str, conditions: tuple[ColumnElement[bool], ...]) -> list[Indexable]:
    vector = case((documents.c.embeddings_model == model, chunks.c.vector)) if model else null()
    columns = (chunks.c.id, chunks.c.document_id, chunks.c.text, chunks.c.section, documents.c.name, vector)
    joined = select(*columns).join_from(chunks, documents, documents.c.id == chunks.c.document_id)
    found = joined.where(*on_shelf(shelf), *_FOUND, *conditions)
    ordered = found.order_by(chunks.c.document_id, chunks.c.position)
    return [Indexable(*row) for row in tx.all(scoped(shelf.scope, ordered))]


def in_folders(tx: Tx, shelf: Shelf, collection_ids: Sequence[str]) -> set[str]:
    """Return which documents that are found on a shelf lie in some folders."""
    inside = documents.c.collection_id.in_(list(collection_ids))
    rows = tx.all(scoped(shelf.scope, select(documents.c.id).where(*on_shelf(shelf), *_FOUND, inside)))
    return {row.id for row in rows}


def by_ids(tx: Tx, shelf: Shelf, ids: Sequence[str]) -> list[Chunk]:
    """Return those of some passages that are found on a shelf now."""
    owner = {"owner": shelf.user_id} if shelf.kind == _OWN else {}
    found: list[Chunk] = []
    for first in range(0, len(ids), _PASSAGES_AT_ONCE):
        some = list(ids[first : first + _PASSAGES_AT_ONCE])
        rows = tx.scoped(shelf.scope, _BY_IDS[shelf.kind], {"ids": some, **owner})
        found += [_chunk(row, shelf) for row in rows]
    return found


def count(tx: Tx, shelf: Shelf) -> int:
    """Return how many documents are found on a shelf."""
    rows = tx.all(scoped(shelf.scope, select(documents.c.id).where(*on_shelf(shelf), *_FOUND)))
    return len(rows)


def on_shelf(shelf: Shelf) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that keep documents to a shelf, beside its scope."""
    return _kept(shelf.kind, shelf.user_id)


def _chunk(row: Any, shelf: Shelf) -> Chunk:  # noqa: ANN401 -- a row of _COLUMNS
    return Chunk(*row, confidential=shelf.kind in (_PERSONAL, _OWN))
