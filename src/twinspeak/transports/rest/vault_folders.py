"""Folders of vaults, and one thing done to many documents (reference content 3.13, 3.14)."""

from typing import Annotated, Any, Literal, cast

from fastapi import Body, Path, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from twinspeak.domain.clock import iso
from twinspeak.domain.errors import CallerError
from twinspeak.domain.vault import Vault
from twinspeak.services.vault_folders import MAX_BULK, BulkWish, Folder, NewFolder
from twinspeak.transports.http.routes import SignedIn, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest import vault_shapes as shapes
from twinspeak.transports.rest.lists import ListOf, MadeOne, Message, SkippedShape, skipped
from twinspeak.transports.rest.shapes import ID, Shape
from twinspeak.transports.rest.vault import ListedUploads

ROUTER = router("IP vault: collections", failures=(401, 403))

FolderId = Annotated[str, Path(alias="id", description="The folder's id.", examples=[ID])]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Color = Annotated[str, StringConstraints(pattern=r"^(#[0-9a-fA-F]{6})?$")]
Reference = Annotated[str, StringConstraints(max_length=100)]


class ListedFolders(BaseModel):
    """Which folders; null and "" mean absent."""

    model_config = ConfigDict(json_schema_extra={"example": {"vault": "personal"}})

    institution: Reference = Field(default="", description="A twin of yours; left out: the active one.")
    vault: Literal["personal", "instance", "account"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_absent(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: one for name, one in cast("dict[str, Any]", value).items() if one not in (None, "")}


class New(BaseModel):
    """A folder; below `parent` it is in the same vault."""

    model_config = ConfigDict(json_schema_extra={"example": {"name": "Contracts", "color": "#3b82f6"}})

    name: Name
    color: Color = ""
    parent: Reference | None = None
    institution: Reference | None = Field(default=None, description="A twin's id; without it, your own vault.")
    account_shared: bool = False


class Change(BaseModel):
    """What to change; what is left out stays."""

    model_config = ConfigDict(strict=True, json_schema_extra={"example": {"name": "Contracts 2026"}})

    name: Name | None = None
    color: Color | None = None
    parent: Reference | None = Field(default=None, description="Empty or null: to the top.")


class CollectionShape(Shape):
    """A folder; the counts are of what is in itself."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    name: str
    user: str | None
    institution: str | None
    account_shared: bool
    parent: str | None
    color: str
    created: str
    file_count: int = Field(serialization_alias="fileCount")
    total_size: int = Field(serialization_alias="totalSize")
    included_count: int = Field(serialization_alias="includedCount")
    excluded_count: int = Field(serialization_alias="excludedCount")
    sub_collection_count: int = Field(serialization_alias="subCollectionCount")


class CollectionList(BaseModel):
    """Folders of all levels, by name."""

    success: Literal[True] = True
    data: list[CollectionShape]


class Contents(ListOf):
    """A page of documents, and the folders right below."""

    data: list[shapes.Upload]
    child_collections: list[CollectionShape] = Field(serialization_alias="childCollections")


class Deleted(Message):
    """It is gone, with all that was in it."""

    count: int = Field(description="Documents that went with it.")


class Bulk(BaseModel):
    """What to do, and to which; what cannot be done to one keeps nothing else back."""

    model_config = ConfigDict(json_schema_extra={"example": {"ids": [ID], "type": "upload", "action": "exclude"}})

    ids: Annotated[list[Reference], Field(min_length=1, max_length=MAX_BULK)]
    type: Literal["upload", "collection"]
    action: Literal["delete", "include", "exclude", "reprocess", "moveVault", "moveToCollection", "public", "private"]
    target: Reference = Field(
        default="", description="A folder's id; of `moveVault` personal, instance, account or a twin's id."
    )


class Bulked(Message):
    """What came of it."""

    count: int
    skipped: list[SkippedShape]


@ROUTER.post("/api/user/collections", summary="List folders", responses=failures(400))
async def list_collections(
    request: Request, caller: SignedIn, wanted: Annotated[ListedFolders | None, Body()] = None
) -> CollectionList:
    """Return the folders of your own vault, and in a twin of the twin's and its account's."""
    wanted = wanted or ListedFolders()
    vault = None if wanted.vault is None else Vault(wanted.vault)
    found = await services_of(request).folders.list(caller, wanted.institution, vault)
    return CollectionList(data=[_shown(one) for one in found])


@ROUTER.post("/api/user/collection", summary="Make a folder", responses=failures(400, 404, 409))
async def add_collection(request: Request, caller: SignedIn, new: New) -> MadeOne:
    """Make a folder in a vault that you may add to."""
    wish = NewFolder(
        name=new.name,
        color=new.color,
        parent=new.parent or None,
        institution=new.institution or None,
        account_shared=new.account_shared,
    )
    made = await services_of(request).folders.add(caller, wish)
    return MadeOne(id=made.id, message="Collection created!")


@ROUTER.put("/api/user/collection/{id}", summary="Change a folder", responses=failures(400, 404, 409))
async def change_collection(request: Request, caller: SignedIn, folder_id: FolderId, change: Change) -> Message:
    """Rename, recolour or move a folder; its documents stay as they are."""
    changes: dict[str, str | None] = {
        name: value for name in ("name", "color") if (value := getattr(change, name)) is not None
    }
    if "parent" in change.model_fields_set:
        changes["parent"] = change.parent or None
    if not changes:
        raise CallerError("Say what to change: name, color or parent.")
    await services_of(request).folders.change(caller, folder_id, changes)
    return Message(message="Collection updated!")


@ROUTER.delete("/api/user/collection/{id}", summary="Delete a folder", responses=failures(400, 404))
async def delete_collection(request: Request, caller: SignedIn, folder_id: FolderId) -> Deleted:
    """Delete a folder with all folders and documents below it, for good."""
    gone = await services_of(request).folders.delete(caller, folder_id)
    return Deleted(message="Collection deleted!", count=gone)


@ROUTER.post("/api/user/collection/{id}/files", summary="List what is in a folder", responses=failures(400, 404))
async def list_collection(
    request: Request, caller: SignedIn, folder_id: FolderId, wanted: Annotated[ListedUploads | None, Body()] = None
) -> Contents:
    """Return a page of the documents in a folder, and the folders right below it."""
    wanted = wanted or ListedUploads()
    found = await services_of(request).folders.inside(caller, folder_id, wanted.filter)
    first = (wanted.page - 1) * wanted.page_size
    return Contents(
        data=[shapes.upload(one, first + at) for at, one in enumerate(found.rows)],
        child_collections=[_shown(one) for one in found.folders],
        total=found.total,
        has_more=wanted.page * wanted.page_size < found.total,
        page=wanted.page,
        page_size=wanted.page_size,
    )


@ROUTER.post("/api/user/bulk/action", summary="Do one thing to many", responses=failures(409))
async def bulk_action(request: Request, caller: SignedIn, wanted: Bulk) -> Bulked:
    """Delete, include, exclude, read again, move, or open to everybody; folders stand for all that is below them."""
    wish = BulkWish(wanted.action, wanted.ids, folders=wanted.type == "collection", target=wanted.target)
    done = await services_of(request).folders.bulk(caller, wish)
    return Bulked(message="Done.", count=done.count, skipped=skipped(done.skipped))


def _shown(one: Folder) -> CollectionShape:
    folder, inside = one.collection, one.contents
    return CollectionShape(
        id=folder.id,
        name=folder.name,
        user=folder.owner_id,
        institution=folder.institution_id,
        account_shared=folder.account_shared,
        parent=folder.parent_id,
        color=folder.color,
        created=iso(folder.created),
        file_count=inside.files,
        total_size=inside.bytes,
        included_count=inside.included,
        excluded_count=inside.files - inside.included,
        sub_collection_count=inside.folders,
    )
