"""What becomes of documents: changed, moved, hidden, deleted, read again. Each function is part of one transaction."""

from typing import Any

import msgspec

from twinspeak.domain.caller import Caller
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import AuthenticationRequired, Conflict, NotFound, OwnerRequired
from twinspeak.domain.ids import parse_id
from twinspeak.domain.vault import Document, Phase, Status, Trouble
from twinspeak.domain.vault_errors import IngestionCancelled
from twinspeak.persistence import jobs
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import documents
from twinspeak.services import vault_rights as rights

INGEST = "ingest"
"""The kind of job that takes a document in."""
STOPPED = Trouble(code=IngestionCancelled.code, message=IngestionCancelled.default)


def change(tx: Tx, caller: Caller, document_id: str, changes: dict[str, Any]) -> Document:
    """Change a document; `institution` in `changes` moves it (None: to the caller's own vault).

    Raises as `services.vault.Vaults.change` does.
    """
    found = rights.write(tx, caller, document_id, hidden=True)
    revived = found.status == Status.DELETED and changes.get("status") in (Status.ACTIVE, Status.SELECTED)
    if found.status == Status.DELETED and not revived:
        raise NotFound(param="id")
    if changes.get("status") == Status.DELETED:
        return hide(tx, found)
    moving = {name: changes.pop(name) for name in ("institution", "account_shared", "collection") if name in changes}
    _settle_access(found, changes)
    if moving:
        found = _moved(tx, caller, found, moving)
    if not changes:
        return found
    return documents.change(tx, found, **changes)


def hide(tx: Tx, found: Document) -> Document:
    """Delete softly: nobody sees or finds it, and it can come back."""
    jobs.cancel(tx, INGEST, found.id, now=now_ms())
    stopped = {"phase": Phase.ERROR, "progress": 100, "trouble": STOPPED} if found.busy else {}
    return documents.change(tx, found, status=Status.DELETED, **stopped)


def delete(tx: Tx, found: Document) -> list[str]:
    """Delete for good, with what came out of it if it is an archive; return whose files are to be deleted now."""
    gone: list[str] = []
    for one in (found, *documents.members(tx, found.id)):
        jobs.cancel(tx, INGEST, one.id, now=now_ms())
        documents.erase(tx, one)
        gone.append(one.id)
    return gone


def again(tx: Tx, found: Document, *, full: bool) -> Document:
    """Have a document read again. Raises Conflict while it is being read, and where there is nothing to read."""
    if found.busy:
        raise Conflict("This document is being read already.", details={"phase": found.phase})
    if full and not found.on_disk:
        raise Conflict("No file of this document was kept, so it cannot be read again.")
    if not full and not found.chunks:
        raise Conflict("This document has no passages yet: read all of it again.")
    return requeue(tx, found, full=full)


def requeue(tx: Tx, found: Document, *, full: bool) -> Document:
    """Queue a document; `full` drops its passages first."""
    values: dict[str, Any] = {
        "phase": Phase.QUEUED if full else Phase.EMBED,
        "progress": 0,
        "attempts": 0,
        "enqueued": now_ms(),
        "trouble": None,
        "skip_indexing": False,
    }
    if full:
        documents.drop_chunks(tx, found.id)
        values |= {"indexed": False, "chunks": 0}
    else:
        documents.drop_vectors(tx, found.id)
    jobs.enqueue(tx, INGEST, found.id, now=now_ms())
    return documents.change(tx, found, **values)


def file_of(tx: Tx, caller: Caller | None, document_id: str) -> Document:
    """Return the document of a file that somebody may open; None is anybody with the link.

    Raises AuthenticationRequired to who has not signed in, for unknown ones too; NotFound to who has.
    """
    parsed = parse_id(document_id)
    found = documents.by_id(tx, parsed) if parsed else None
    if found is not None and found.is_public and found.on_disk:
        return found
    if caller is None:
        raise AuthenticationRequired
    if found is None or not found.on_disk or not rights.readable(tx, caller, found):
        raise NotFound(param="filename")
    return found


def _settle_access(found: Document, changes: dict[str, Any]) -> None:
    """Public wins over confidential, and nothing can be both (reference content 3.9)."""
    if changes.get("is_public"):
        changes["is_private"] = False
    elif changes.get("is_private"):
        if changes.get("is_public", found.is_public):
            raise Conflict("What is public cannot be confidential: make it not public first.", param="is_private")
        if found.institution_id is None:
            changes["is_private"] = False


def _moved(tx: Tx, caller: Caller, found: Document, moving: dict[str, Any]) -> Document:
    """Put a document into another vault or folder."""
    goes_to = moving.get("institution", found.institution_id) or None
    shared = bool(moving.get("account_shared", found.account_shared)) and goes_to is not None
    stays = (goes_to, shared) == (found.institution_id, found.account_shared)
    if not stays and found.busy:
        raise Conflict("This document is being read: move it when that is done.")
    where = None if stays else rights.target(tx, caller, goes_to, shared=shared)
    if where is not None and goes_to is None and found.owner_id not in (None, caller.user_id):
        raise OwnerRequired("Only who brought this document may take it into a vault of his own.")
    after = msgspec.structs.replace(
        found,
        institution_id=where.institution_id if where else found.institution_id,
        user_id=caller.user_id if where and where.institution_id is None else None if where else found.user_id,
        owner_id=found.owner_id or caller.user_id,
        account_shared=shared,
        is_private=found.is_private and goes_to is not None,
        collection_id=found.collection_id if stays else None,
    )
    if moving.get("collection"):
        inside = rights.folder(tx, caller, str(moving["collection"]), param="collection", change=True)
        if (inside.institution_id, inside.vault) != (after.institution_id, after.vault):
            raise Conflict("This folder is in another vault.", param="collection")
        after = msgspec.structs.replace(after, collection_id=inside.id)
    elif "collection" in moving:
        after = msgspec.structs.replace(after, collection_id=None)
    if stays:
        return documents.change(tx, found, collection_id=after.collection_id)
    return documents.move(tx, found, after)
