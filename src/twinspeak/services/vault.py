"""Documents of the vault: taking files, listing, changing, deleting and reading them (reference content 3.5 to 3.12).

Taking a file means: it is kept, has a row, and a job says that it is to be read (`knowledge.pipeline` does that, in
another process). Whoever brought it follows `phase` and `progress`.
"""

import asyncio
import mimetypes
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from twinspeak.domain.caller import Caller
from twinspeak.domain.clock import monotonic, now_ms
from twinspeak.domain.errors import Conflict, NotFound, ValidationFailed
from twinspeak.domain.ids import new_id, parse_id
from twinspeak.domain.vault import NAME_CHARS, Collection, Document, Phase, Quotas, Status, Vault
from twinspeak.domain.vault_errors import UploadsDisabled
from twinspeak.persistence import jobs
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.files import EXTRACTED, Files, Staged
from twinspeak.persistence.repos import cards, collections, documents, institutions
from twinspeak.persistence.repos.cards import Cards
from twinspeak.persistence.repos.documents import Wanted
from twinspeak.services import vault_changes as changing
from twinspeak.services import vault_rights as rights
from twinspeak.services.vault_changes import INGEST, STOPPED
from twinspeak.services.vault_rights import Target

_SWEPT_AT_ONCE = 500
_LOOK_S = 0.3

Nudge = Callable[[], None]


class Terms(msgspec.Struct, frozen=True):
    """How files are taken: into which vault and folder, for whom, read or only kept."""

    institution: str | None = None
    account_shared: bool = False
    confidential: bool = False
    collection: str | None = None
    skip_indexing: bool = False
    source_url: str = ""


class Incoming(msgspec.Struct, frozen=True):
    """A file that has come in whole. `name` is the sender's, `media_type` what he says it is."""

    staged: Staged
    name: str
    media_type: str = ""


class Taken(msgspec.Struct, frozen=True):
    """`new` False: the vault has a document of the same content already, and that is the one."""

    document: Document
    new: bool


class Shown(msgspec.Struct, frozen=True):
    """A document with what lists show beside it."""

    document: Document
    path: tuple[Collection, ...]
    cards: Cards


class Listing(msgspec.Struct, frozen=True):
    """A page of documents, and of each kind of vault how many documents it has and how many are searched."""

    rows: list[Shown]
    total: int
    counts: dict[str, tuple[int, int]]


class DocumentsFilter(msgspec.Struct, frozen=True):
    """Which documents: `institution` as it was sent, "" the active twin; the rest as `repos.documents.Wanted`."""

    institution: str = ""
    vault: Vault | None = None
    status: str = ""
    name: str = ""
    order: str = "created"
    ascending: bool = False
    page: int = 1
    size: int = 100


class Vaults:
    """One for the whole server. `nudge` tells whoever looks for jobs that there is one."""

    def __init__(self, db: Database, files: Files, quotas: Quotas, nudge: Nudge) -> None:
        """Keep the parts."""
        self._db = db
        self._files = files
        self._quotas = quotas
        self._nudge = nudge

    def stage(self) -> Staged:
        """Begin a file. Blocks; raises OSError."""
        return self._files.stage()

    async def target(self, caller: Caller, terms: Terms) -> Target:
        """Make sure that a caller may add to a vault, and return it.

        Raises InvalidId, NotAMember, AdminRequired, AccountManagerRequired, UploadsDisabled, and for the folder
        NotFound and Conflict (it is in another vault).
        """
        return await self._db.read(lambda tx: _target(tx, caller, terms))

    async def take(self, caller: Caller, terms: Terms, file: Incoming) -> Taken:
        """Keep a file and have it read. Raises as `target` does, and VaultFull and ValidationFailed (an empty file)."""
        if not file.staged.size:
            raise ValidationFailed("This file is empty.", param="files")
        document_id = new_id()
        await asyncio.to_thread(self._files.keep, file.staged, document_id)
        kept = False
        try:
            taken = await self._db.write(lambda tx: self._take(tx, caller, terms, file, document_id))
            kept = taken.new
        finally:
            if not kept:
                await asyncio.to_thread(self._files.remove, document_id)
        self._nudge()
        return taken

    def _take(self, tx: Tx, caller: Caller, terms: Terms, file: Incoming, document_id: str) -> Taken:
        where = _target(tx, caller, terms)
        new = _new_document(where, terms, file, document_id)
        known = documents.known(tx, new)
        if known is not None:
            if known.phase == Phase.ERROR and known.on_disk:
                known = changing.requeue(tx, known, full=True)
            return Taken(known, new=False)
        documents.make_room(tx, new, self._quotas)
        documents.add(tx, new)
        if new.busy:
            jobs.enqueue(tx, INGEST, new.id, now=now_ms())
        return Taken(new, new=True)

    async def list(self, caller: Caller, wanted: DocumentsFilter) -> Listing:
        """Return a page of what a caller reads in a twin and outside of any. Raises InvalidId and NotAMember."""
        return await self._db.read(lambda tx: _listing(tx, caller, wanted))

    async def get(self, caller: Caller, document_id: str) -> Shown:
        """Return a document. Raises InvalidId and NotFound."""
        return await self._db.read(lambda tx: shown(tx, [rights.read(tx, caller, document_id)])[0])

    async def settled(self, caller: Caller, document_id: str, *, patience_s: float = 60.0) -> Shown:
        """Wait until a document has been read, or could not be, or for so long; return it. Raises as `get` does."""
        ends = monotonic() + patience_s
        while True:
            found = await self.get(caller, document_id)
            if not found.document.busy or monotonic() > ends:
                return found
            await asyncio.sleep(_LOOK_S)

    async def change(self, caller: Caller, document_id: str, changes: dict[str, Any]) -> Document:
        """Change a document; `institution` in `changes` moves it (None: to the caller's own vault).

        Raises InvalidId, NotFound, OwnerRequired, AdminRequired, AccountManagerRequired, NotAMember, and Conflict for
        what cannot be done while the document is being read.
        """
        after = await self._db.write(lambda tx: changing.change(tx, caller, document_id, dict(changes)))
        self._nudge()
        return after

    async def delete(self, caller: Caller, document_id: str) -> None:
        """Delete a document for good: passages, file and row. Raises as `change` does."""

        def store(tx: Tx) -> list[str]:
            return changing.delete(tx, rights.write(tx, caller, document_id, hidden=True))

        await self.drop_files(await self._db.write(store))

    async def drop_files(self, document_ids: Iterable[str]) -> None:
        """Delete the files of documents that are gone."""
        for one in document_ids:
            await asyncio.to_thread(self._files.remove, one)

    async def reprocess(self, caller: Caller, document_id: str, *, full: bool) -> Document:
        """Have a document read again: all of it, or only the vectors made anew.

        Raises as `change` does; Conflict while it is being read, and where no file was kept.
        """

        def store(tx: Tx) -> Document:
            return changing.again(tx, rights.write(tx, caller, document_id, param="fileId"), full=full)

        found = await self._db.write(store)
        if full:
            await asyncio.to_thread(self._files.remove, document_id, EXTRACTED)
        self._nudge()
        return found

    async def cancel(self, caller: Caller, document_id: str) -> Document:
        """Stop reading a document. Raises as `change` does; Conflict when it is not being read."""

        def store(tx: Tx) -> Document:
            found = rights.write(tx, caller, document_id, param="fileId")
            if not found.busy or not jobs.cancel(tx, INGEST, found.id, now=now_ms()):
                raise Conflict("This document is not being read now.")
            stopped = {"phase": Phase.ERROR, "progress": 100, "trouble": STOPPED}
            return documents.change(tx, found, **stopped)

        return await self._db.write(store)

    async def sweep(self, *, before: float) -> int:
        """Delete files whose document is gone, as far as they are older than `before` (epoch seconds); return how many.

        A process may die between a file and its row, and erasing people leaves the files to this.
        """
        found = await asyncio.to_thread(lambda: list(self._files.ids(before=before)))
        gone: list[str] = []
        for first in range(0, len(found), _SWEPT_AT_ONCE):
            batch = found[first : first + _SWEPT_AT_ONCE]
            there = await self._db.read(lambda tx, b=batch: documents.existing(tx, b))
            gone += [one for one in batch if one not in there]
        await self.drop_files(gone)
        return len(gone)

    async def file(self, caller: Caller | None, document_id: str) -> tuple[Document, Path]:
        """Return a document and where its file is, for whoever may read it; None is anybody with the link.

        Raises AuthenticationRequired (None, and not public or not there) and NotFound.
        """
        found = await self._db.read(lambda tx: changing.file_of(tx, caller, document_id))
        path = self._files.path(found.id)
        if not await asyncio.to_thread(path.is_file):
            raise NotFound(param="filename")
        return found, path


def _target(tx: Tx, caller: Caller, terms: Terms) -> Target:
    where = rights.target(tx, caller, terms.institution, shared=terms.account_shared)
    plain = caller.account_type not in ("admin", "super")
    twin = where.institution_id or caller.institution_id
    if plain and twin is not None and institutions.upload_rules(tx, twin).disabled:
        raise UploadsDisabled
    if terms.collection:
        inside = rights.folder(tx, caller, terms.collection, param="collection", change=True)
        if (inside.institution_id, inside.vault) != (where.institution_id, where.vault):
            raise Conflict("This folder is in another vault.", param="collection")
    return where


def _new_document(where: Target, terms: Terms, file: Incoming, document_id: str) -> Document:
    name = file_name(file.name)
    inside = where.institution_id is not None
    return Document(
        id=document_id,
        institution_id=where.institution_id,
        user_id=None if inside else where.caller.user_id,
        owner_id=where.caller.user_id,
        name=name,
        media_type=media_type_of(name, file.media_type),
        bytes=file.staged.size,
        content_hash=file.staged.digest,
        status=Status.ACTIVE if terms.skip_indexing else Status.SELECTED,
        created=now_ms(),
        account_shared=where.account_shared,
        is_private=terms.confidential and inside,
        collection_id=parse_id(terms.collection) if terms.collection else None,
        source_url=terms.source_url,
        on_disk=True,
        skip_indexing=terms.skip_indexing,
        phase=Phase.DONE if terms.skip_indexing else Phase.QUEUED,
        progress=100 if terms.skip_indexing else 0,
        enqueued=None if terms.skip_indexing else now_ms(),
    )


def file_name(sent: str) -> str:
    """Return a file's name as people see it: no folders, no control characters, of bounded length."""
    last = sent.replace("\\", "/").rstrip("/").rpartition("/")[2]
    shown_name = " ".join("".join(letter if letter.isprintable() else " " for letter in last).split())
    if len(shown_name) > NAME_CHARS:
        stem, dot, ending = shown_name.rpartition(".")
        keep = f"{dot}{ending}" if len(ending) < 20 else ""
        shown_name = stem[: NAME_CHARS - len(keep)] + keep
    return shown_name or "file"


def media_type_of(name: str, sent: str) -> str:
    """Return what a file is by its name, else what its sender says; what it really is shows when it is read."""
    by_name = mimetypes.guess_type(name)[0]
    said = sent.partition(";")[0].strip().lower()
    plain = len(said) <= 100 and said.isascii() and said.count("/") == 1
    return by_name or (said if plain else "") or "application/octet-stream"


def _listing(tx: Tx, caller: Caller, wanted: DocumentsFilter) -> Listing:
    twin = rights.place_of(tx, caller, wanted.institution)
    everything = rights.places(tx, caller, twin, None)
    chosen = tuple((scope, on) for kind, scope, on in everything if wanted.vault in (None, kind))
    rows: list[Document] = []
    total = 0
    if chosen:
        rows, total = documents.page(
            tx,
            Wanted(
                places=chosen,
                status=wanted.status,
                name=wanted.name,
                order=wanted.order,
                ascending=wanted.ascending,
                limit=wanted.size,
                offset=(wanted.page - 1) * wanted.size,
            ),
        )
    counts = {str(vault): (0, 0) for vault in Vault}
    for kind, scope, on in everything:
        there, searched = documents.counts(tx, scope, on)
        before = counts[kind]
        counts[kind] = (before[0] + there, before[1] + searched)
    return Listing(rows=shown(tx, rows), total=total, counts=counts)


def shown(tx: Tx, rows: list[Document]) -> list[Shown]:
    """Return documents with what lists show beside them."""
    paths: dict[str, tuple[Collection, ...]] = {}
    for row in rows:
        if row.collection_id is not None and row.collection_id not in paths:
            paths[row.collection_id] = tuple(collections.path(tx, row.collection_id))
    looked_up = cards.of(tx, rows)
    return [Shown(row, paths.get(row.collection_id or "", ()), looked_up) for row in rows]
