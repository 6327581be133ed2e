"""Folders of vaults, and doing one thing to many documents (reference content 3.13, 3.14)."""

from collections.abc import Iterable, Sequence

import msgspec

from twinspeak.domain.caller import Caller
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import CodedError, Conflict
from twinspeak.domain.ids import new_id, parse_id
from twinspeak.domain.vault import Collection, Document, Status, Vault
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import collections, documents
from twinspeak.persistence.repos.collections import DEEPEST, MOST, Contents
from twinspeak.persistence.repos.documents import Wanted
from twinspeak.services import vault_changes as changing
from twinspeak.services import vault_rights as rights
from twinspeak.services.administered import MAX_BULK, Skipped
from twinspeak.services.vault import DocumentsFilter, Shown, Vaults, shown

__all__ = ["MAX_BULK", "BulkWish", "Done", "Folder", "Folders", "Inside", "NewFolder", "Skipped"]


class NewFolder(msgspec.Struct, frozen=True):
    """A folder to be made: in the caller's own vault, or in a twin's or its account's."""

    name: str
    color: str = ""
    parent: str | None = None
    institution: str | None = None
    account_shared: bool = False


class Folder(msgspec.Struct, frozen=True):
    """A folder and what is in it."""

    collection: Collection
    contents: Contents


class Inside(msgspec.Struct, frozen=True):
    """A page of the documents in a folder, and the folders right below it."""

    rows: list[Shown]
    total: int
    folders: list[Folder]


class BulkWish(msgspec.Struct, frozen=True):
    """What to do to many: `action` as on the wire, `target` a folder's id, or a vault or a twin to move to."""

    action: str
    ids: Sequence[str]
    folders: bool = False
    target: str = ""


class Done(msgspec.Struct, frozen=True):
    """What bulk work came to."""

    count: int
    skipped: list[Skipped]


class Folders:
    """One for the whole server."""

    def __init__(self, db: Database, vaults: Vaults) -> None:
        """Keep the parts."""
        self._db = db
        self._vaults = vaults

    async def list(self, caller: Caller, institution: str, vault: Vault | None) -> list[Folder]:
        """Return the folders that a caller sees, of all levels. Raises InvalidId and NotAMember."""
        return await self._db.read(lambda tx: _list(tx, caller, institution, vault))

    async def add(self, caller: Caller, new: NewFolder) -> Collection:
        """Make a folder. Raises what `vault_rights.target` and `folder` raise, and Conflict: too many, too deep."""
        return await self._db.write(lambda tx: _add(tx, caller, new))

    async def change(self, caller: Caller, folder_id: str, changes: dict[str, str | None]) -> None:
        """Rename, recolour or move a folder in its vault. Raises what `vault_rights.folder` raises, and Conflict."""
        await self._db.write(lambda tx: _change(tx, caller, folder_id, dict(changes)))

    async def delete(self, caller: Caller, folder_id: str) -> int:
        """Delete a folder with all that is below it, for good; return how many documents that were."""

        def store(tx: Tx) -> list[str]:
            return _delete(tx, caller, folder_id)

        gone = await self._db.write(store)
        await self._vaults.drop_files(gone)
        return len(gone)

    async def inside(self, caller: Caller, folder_id: str, wanted: DocumentsFilter) -> Inside:
        """Return what is in a folder; of `wanted` the place does not count. Raises InvalidId and NotFound."""
        return await self._db.read(lambda tx: _inside(tx, caller, folder_id, wanted))

    async def bulk(self, caller: Caller, wish: BulkWish) -> Done:
        """Do one thing to many, each by itself: what cannot be done to one is told, and keeps nothing else back."""
        done = 0
        skipped: list[Skipped] = []
        for one in dict.fromkeys(wish.ids):
            try:
                done += await self._one(caller, wish, one)
            except CodedError as error:
                skipped.append(Skipped(one, error.code))
        return Done(done, skipped)

    async def _one(self, caller: Caller, wish: BulkWish, wanted: str) -> int:
        if wish.folders and wish.action == "delete":
            await self.delete(caller, wanted)
            return 1
        if wish.folders:
            if wish.action == "moveToCollection":
                await self.change(caller, wanted, {"parent": wish.target or None})
                return 1
            inner = await self._db.read(lambda tx: [one.id for one in _documents_below(tx, caller, wanted)])
            for document_id in inner:
                await self._to_document(caller, wish, document_id)
            return 1
        await self._to_document(caller, wish, wanted)
        return 1

    async def _to_document(self, caller: Caller, wish: BulkWish, document_id: str) -> None:
        if wish.action == "delete":
            await self._vaults.delete(caller, document_id)
        elif wish.action == "reprocess":
            await self._vaults.reprocess(caller, document_id, full=True)
        elif wish.action == "moveToCollection":
            await self._vaults.change(caller, document_id, {"collection": wish.target or None})
        elif wish.action == "moveVault":
            await self._vaults.change(caller, document_id, _place(caller, wish.target))
        elif wish.action in ("public", "private"):
            await self._vaults.change(caller, document_id, {"is_public": wish.action == "public"})
        else:
            status = Status.SELECTED if wish.action == "include" else Status.ACTIVE
            await self._vaults.change(caller, document_id, {"status": status})


def _place(caller: Caller, target: str) -> dict[str, object]:
    """Return the change that a move to a vault is: its kind, meaning the active twin's, or a twin's id."""
    if target == Vault.PERSONAL:
        return {"institution": None}
    if target in (Vault.INSTANCE, Vault.ACCOUNT):
        return {"institution": caller.institution_id or "", "account_shared": target == Vault.ACCOUNT}
    return {"institution": target, "account_shared": False}


def _list(tx: Tx, caller: Caller, institution: str, vault: Vault | None) -> list[Folder]:
    twin = rights.place_of(tx, caller, institution)
    found: dict[str, Collection] = {}
    for kind, scope, _ in rights.places(tx, caller, twin, vault):
        shared = None if kind is Vault.PERSONAL else kind is Vault.ACCOUNT
        found |= {one.id: one for one in collections.of_vault(tx, scope, shared=shared)}
    return _with_contents(tx, found.values())


def _with_contents(tx: Tx, found: Iterable[Collection]) -> list[Folder]:
    there = list(found)
    contents = collections.contents(tx, [one.id for one in there]) if there else {}
    return [Folder(one, contents.get(one.id, Contents())) for one in there]


def _add(tx: Tx, caller: Caller, new: NewFolder) -> Collection:
    parent = rights.folder(tx, caller, new.parent, param="parent", change=True) if new.parent else None
    if parent is not None:
        institution, shared = parent.institution_id, parent.account_shared
    else:
        where = rights.target(tx, caller, new.institution, shared=new.account_shared)
        institution, shared = where.institution_id, where.account_shared
    made = Collection(
        id=new_id(),
        institution_id=institution,
        user_id=None if institution else caller.user_id,
        owner_id=caller.user_id,
        name=new.name,
        color=new.color,
        parent_id=parent.id if parent else None,
        account_shared=shared,
        created=now_ms(),
    )
    if len(collections.of_vault(tx, made.scope)) >= MOST:
        raise Conflict(f"A vault may have at most {MOST} folders.")
    if parent is not None and len(collections.path(tx, parent.id)) >= DEEPEST:
        raise Conflict(f"Folders may be at most {DEEPEST} deep.", param="parent")
    return collections.add(tx, made)


def _change(tx: Tx, caller: Caller, folder_id: str, changes: dict[str, str | None]) -> None:
    found = rights.folder(tx, caller, folder_id, change=True)
    values = {name: changes[name] for name in ("name", "color") if changes.get(name) is not None}
    if "parent" in changes:
        values["parent_id"] = _new_parent(tx, caller, found, changes["parent"])
    if values:
        collections.change(tx, found, **values)


def _new_parent(tx: Tx, caller: Caller, found: Collection, wanted: str | None) -> str | None:
    if not wanted:
        return None
    parent = rights.folder(tx, caller, wanted, param="parent", change=True)
    if (parent.institution_id, parent.vault) != (found.institution_id, found.vault):
        raise Conflict("This folder is in another vault.", param="parent")
    if parent.id in collections.below(tx, found.id):
        raise Conflict("A folder cannot lie in itself.", param="parent")
    if len(collections.path(tx, parent.id)) >= DEEPEST:
        raise Conflict(f"Folders may be at most {DEEPEST} deep.", param="parent")
    return parent.id


def _documents_below(tx: Tx, caller: Caller, folder_id: str) -> list[Document]:
    found = rights.folder(tx, caller, folder_id, change=True)
    rows = documents.in_collections(tx, collections.below(tx, found.id))
    return [one for one in rows if one.status != Status.DELETED and rights.readable(tx, caller, one)]


def _delete(tx: Tx, caller: Caller, folder_id: str) -> list[str]:
    """Delete a folder; what others keep in it for themselves is only taken out of it."""
    found = rights.folder(tx, caller, folder_id, change=True)
    folders = collections.below(tx, found.id)
    gone: list[str] = []
    for one in documents.in_collections(tx, folders):
        if rights.readable(tx, caller, one):
            gone += changing.delete(tx, one)
        else:
            documents.change(tx, one, collection_id=None)
    collections.remove(tx, folders)
    return gone


def _inside(tx: Tx, caller: Caller, folder_id: str, wanted: DocumentsFilter) -> Inside:
    found = rights.folder(tx, caller, folder_id)
    parsed = parse_id(folder_id) or ""
    places = tuple((scope, on) for _, scope, on in rights.places(tx, caller, found.institution_id, found.vault))
    whose = Wanted(
        places=places,
        status=wanted.status,
        name=wanted.name,
        collections=(parsed,),
        order=wanted.order,
        ascending=wanted.ascending,
        limit=wanted.size,
        offset=(wanted.page - 1) * wanted.size,
    )
    rows, total = documents.page(tx, whose) if places else ([], 0)
    return Inside(rows=shown(tx, rows), total=total, folders=_with_contents(tx, collections.children(tx, [parsed])))
