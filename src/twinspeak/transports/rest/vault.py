"""Documents of the vault: bring, list, follow, change, delete (reference content 3.5 to 3.12)."""

from typing import Annotated, Any, Literal, cast

import msgspec
from fastapi import Body, Path, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from twinspeak.domain.caller import Caller
from twinspeak.domain.errors import CallerError, CodedError, ValidationFailed
from twinspeak.domain.vault import NAME_CHARS, SUMMARY_CHARS, TITLE_CHARS, Document, Vault
from twinspeak.services.rate_limits import Rule
from twinspeak.services.vault import DocumentsFilter, Taken, Terms
from twinspeak.transports.http.routes import SignedIn, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.http.uploads import File, Form, UploadRoute, form_of
from twinspeak.transports.rest import vault_shapes as shapes
from twinspeak.transports.rest.lists import ListOf, Message
from twinspeak.transports.rest.shapes import ID, Shape

ROUTER = router("IP vault", failures=(401, 403))
UPLOADS = router("IP vault", failures=(401, 403, 429, 503), kind=UploadRoute)

UPLOAD_RULE = Rule("uploads", 240)
"""Requests with files, of one person in a minute."""

UploadId = Annotated[str, Path(alias="id", description="The document's id.", examples=[ID])]
FileId = Annotated[str, Path(alias="fileId", description="The document's id.", examples=[ID])]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_CHARS)]
_ORDERS = {
    "created": "created",
    "originalname": "name",
    "name": "name",
    "filesize": "bytes",
    "mimetype": "media_type",
    "status": "status",
    "ragHitCount": "hits",
}
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "institution": {"type": "string", "description": "A twin's id; without it, your own vault."},
                        "account_shared": {"type": "string", "enum": ["true", "false"]},
                        "confidential": {"type": "string", "enum": ["true", "false"]},
                        "fileConfidential": {"type": "string", "description": "JSON: name of a file to true or false."},
                        "collection": {"type": "string", "description": "A folder's id."},
                        "skipIndexing": {"type": "string", "enum": ["true", "false"]},
                    },
                },
                "example": {"files": ["(bytes)"]},
            }
        },
    }
}


class UploadedFile(Shape):
    """What became of one file."""

    fieldname: str = Field(examples=["files"])
    originalname: str
    filename: str
    mimetype: str
    size: int
    success: bool
    message: str = Field(examples=["Upload completed"])
    code: str | None = Field(description="Of the error, where there is one.")
    duplicate: bool = Field(description="The vault has this content already: `uploadId` is that document.")
    usage: int
    upload_id: str | None = Field(serialization_alias="uploadId", examples=[ID])
    file_url: str
    file_title: str
    file_summary: str
    summary_model: str
    image_analysis_model: str
    embeddings_model: str
    is_private: bool
    status: str
    thumbnail: str
    ingestion: shapes.Ingestion | None


class Uploaded(Shape):
    """One entry a file; a file that was refused does not keep the others from being taken."""

    success: bool = Field(description="Whether any was taken.")
    message: str = Field(examples=["Upload completed"])
    files: list[UploadedFile]


class ListedUploads(BaseModel):
    """Which documents; null and "" mean absent, unknown keys are tolerated."""

    model_config = ConfigDict(json_schema_extra={"example": {"vault": "personal", "page": 1, "pageSize": 100}})

    institution: Annotated[str, StringConstraints(max_length=100)] = Field(
        default="", description="A twin of yours; left out: the active one."
    )
    vault: Literal["personal", "instance", "account"] | None = None
    status: Literal["active", "selected"] | None = Field(
        default=None, description='Or `{"$ne": "deleted"}`, which is all there are.'
    )
    file_name: Annotated[str, StringConstraints(max_length=200)] = Field(
        default="", alias="fileNameSearch", description="In name or title, whatever the letter case; no pattern."
    )
    sort_by: Literal["created", "originalname", "name", "filesize", "mimetype", "status", "ragHitCount"] = Field(
        default="created", alias="sortBy"
    )
    ascending: bool = Field(default=False, alias="sortAscending")
    lean: bool = False
    compact: bool = Field(default=False, description="As `lean`.")
    page: int = Field(default=1, ge=1, le=1_000_000)
    page_size: int = Field(default=100, ge=1, le=5_000, alias="pageSize")

    @model_validator(mode="before")
    @classmethod
    def _without_absent(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        kept = {name: one for name, one in cast("dict[str, Any]", value).items() if one not in (None, "")}
        if kept.get("status") in ({"$ne": "deleted"}, "all"):
            del kept["status"]
        return kept

    @property
    def filter(self) -> DocumentsFilter:
        """Return what the service takes."""
        return DocumentsFilter(
            institution=self.institution,
            vault=None if self.vault is None else Vault(self.vault),
            status=self.status or "",
            name=self.file_name,
            order=_ORDERS[self.sort_by],
            ascending=self.ascending,
            page=self.page,
            size=self.page_size,
        )


class VaultCount(BaseModel):
    """Of one kind of vault."""

    total: int
    active: int = Field(description="Documents that are searched.")


class UploadsPage(ListOf):
    """A page of documents; `vaultCounts` counts all that you read there."""

    data: list[shapes.Upload] | list[shapes.LeanUpload]
    vault_counts: dict[str, VaultCount] = Field(serialization_alias="vaultCounts")


class OneUpload(BaseModel):
    """A document, as it is now."""

    success: Literal[True] = True
    data: shapes.Upload


class UploadChange(BaseModel):
    """What to change; what is left out stays, unknown keys are tolerated."""

    model_config = ConfigDict(strict=True, json_schema_extra={"example": {"status": "active"}})

    originalname: Name | None = None
    file_title: Annotated[str, StringConstraints(max_length=TITLE_CHARS)] | None = None
    file_summary: Annotated[str, StringConstraints(max_length=SUMMARY_CHARS)] | None = None
    file_authors: Annotated[str, StringConstraints(max_length=TITLE_CHARS)] | None = None
    status: Literal["active", "selected", "deleted"] | None = Field(
        default=None, description="`selected` is searched, `active` is not; what is `deleted` can come back."
    )
    is_public: bool | None = Field(default=None, description="Anyone with the link may open the file.")
    is_private: bool | None = Field(default=None, description="Confidential: yours alone.")
    institution: str | None = Field(default=None, description="Empty or null moves it into your own vault.")
    account_shared: bool | None = None
    collection: str | None = Field(default=None, description="A folder's id; empty or null: in none.")

    @property
    def changes(self) -> dict[str, Any]:
        """Return what the service takes."""
        names = {
            "originalname": "name",
            "file_title": "title",
            "file_summary": "summary",
            "file_authors": "authors",
            **{name: name for name in ("status", "is_public", "is_private", "account_shared")},
        }
        found = {ours: value for wire, ours in names.items() if (value := getattr(self, wire)) is not None}
        for name in ("institution", "collection"):
            if name in self.model_fields_set:
                found[name] = getattr(self, name) or None
        return found


class Reprocess(BaseModel):
    """How much to do again."""

    model_config = ConfigDict(json_schema_extra={"example": {"mode": "full"}})

    mode: Literal["full", "embed"] = Field(default="full", description="All of it, or only the vectors.")


class Requeued(Shape):
    """It waits to be read again."""

    success: Literal[True] = True
    queued: Literal[True] = True
    mode: str
    message: str = Field(examples=["File re-queued for processing"])
    upload_id: str = Field(serialization_alias="uploadId", examples=[ID])
    ingestion: shapes.Ingestion


@UPLOADS.post("/api/user/files", summary="Bring files", openapi_extra=_FORM, responses=failures(404, 409))
async def upload_files(request: Request, caller: SignedIn) -> Uploaded:
    """Put files into a vault; each is read afterwards, and `ingestion` of the document tells how far that is."""
    services, form = services_of(request), form_of(request)
    services.limits.take(caller.user_id, UPLOAD_RULE)
    if not form.files:
        raise ValidationFailed(param="files", details={"fields": [{"field": "files", "message": "is required"}]})
    terms = _terms(form)
    confidential = _confidential(form)
    await services.vaults.target(caller, terms)
    taken: list[UploadedFile] = []
    for file in form.files:
        secret = confidential.get(file.incoming.name, terms.confidential)
        taken.append(await _taken(request, caller, msgspec.structs.replace(terms, confidential=secret), file))
    any_taken = any(one.success for one in taken)
    return Uploaded(success=any_taken, message="Upload completed" if any_taken else taken[0].message, files=taken)


async def _taken(request: Request, caller: Caller, terms: Terms, file: File) -> UploadedFile:
    try:
        if file.error is not None:
            raise file.error
        return _shown(file, await services_of(request).vaults.take(caller, terms, file.incoming))
    except CodedError as error:
        return _refused(file, error)


@ROUTER.post("/api/user/uploads", summary="List documents", responses=failures(400))
async def list_uploads(
    request: Request, caller: SignedIn, wanted: Annotated[ListedUploads | None, Body()] = None
) -> UploadsPage:
    """Return what you read: your own documents, and in a twin the twin's and its account's."""
    wanted = wanted or ListedUploads()
    found = await services_of(request).vaults.list(caller, wanted.filter)
    first = (wanted.page - 1) * wanted.page_size
    short = wanted.lean or wanted.compact
    return UploadsPage(
        data=[shapes.lean(one.document, first + at) for at, one in enumerate(found.rows)]
        if short
        else [shapes.upload(one, first + at) for at, one in enumerate(found.rows)],
        vault_counts={name: VaultCount(total=total, active=active) for name, (total, active) in found.counts.items()},
        total=found.total,
        has_more=wanted.page * wanted.page_size < found.total,
        page=wanted.page,
        page_size=wanted.page_size,
    )


@ROUTER.get("/api/user/upload/{id}", summary="Read about a document", responses=failures(400, 404))
async def read_upload(request: Request, caller: SignedIn, upload_id: UploadId) -> OneUpload:
    """Return a document; `ingestion` tells how far it is taken in."""
    return OneUpload(data=shapes.upload(await services_of(request).vaults.get(caller, upload_id)))


@ROUTER.put("/api/user/upload/{id}", summary="Change a document", responses=failures(400, 404, 409))
async def change_upload(request: Request, caller: SignedIn, upload_id: UploadId, change: UploadChange) -> Message:
    """Rename, include or exclude, hide, move, or set who may open a document."""
    if not change.changes:
        raise CallerError("Say what to change.")
    await services_of(request).vaults.change(caller, upload_id, change.changes)
    return Message(message="Upload updated!")


@ROUTER.delete("/api/user/upload/{id}", summary="Delete a document for good", responses=failures(400, 404))
async def delete_upload(request: Request, caller: SignedIn, upload_id: UploadId) -> Message:
    """Delete a document with its passages and its file."""
    await services_of(request).vaults.delete(caller, upload_id)
    return Message(message="Upload deleted!")


@ROUTER.post("/api/user/files/{fileId}/reprocess", summary="Read a document again", responses=failures(400, 404, 409))
async def reprocess_file(
    request: Request, caller: SignedIn, file_id: FileId, wanted: Annotated[Reprocess | None, Body()] = None
) -> Requeued:
    """Queue a document for another reading of the file that was kept."""
    mode = (wanted or Reprocess()).mode
    found = await services_of(request).vaults.reprocess(caller, file_id, full=mode == "full")
    return Requeued(
        mode=mode,
        message="File re-queued for processing",
        upload_id=found.id,
        ingestion=shapes.ingestion(msgspec.structs.replace(found, phase="queued")),
    )


@ROUTER.post("/api/user/files/{fileId}/cancel", summary="Stop reading a document", responses=failures(400, 404, 409))
async def cancel_file(request: Request, caller: SignedIn, file_id: FileId) -> Message:
    """Stop reading a document; it stays, and can be read again."""
    await services_of(request).vaults.cancel(caller, file_id)
    return Message(message="Stopped.")


def _terms(form: Form) -> Terms:
    fields = form.fields
    return Terms(
        institution=fields.get("institution", "").strip() or None,
        account_shared=_switch(fields, "account_shared"),
        confidential=_switch(fields, "confidential"),
        collection=fields.get("collection", "").strip() or None,
        skip_indexing=_switch(fields, "skipIndexing"),
    )


def _switch(fields: dict[str, str], name: str) -> bool:
    value = fields.get(name, "").strip().lower()
    if value not in ("", "true", "false"):
        raise ValidationFailed(param=name, details={"fields": [{"field": name, "message": "must be true or false"}]})
    return value == "true"


def _confidential(form: Form) -> dict[str, bool]:
    sent = form.fields.get("fileConfidential", "").strip()
    try:
        return msgspec.json.decode(sent, type=dict[str, bool]) if sent else {}
    except msgspec.MsgspecError:
        wrong = {"field": "fileConfidential", "message": "must be JSON: names to true or false"}
        raise ValidationFailed(param="fileConfidential", details={"fields": [wrong]}) from None


def _shown(file: File, taken: Taken) -> UploadedFile:
    document = taken.document
    return UploadedFile(
        **_of(file, document),
        success=True,
        message="Upload completed" if taken.new else "This file is in the vault already",
        code=None,
        duplicate=not taken.new,
        upload_id=document.id,
        ingestion=shapes.ingestion(document),
    )


def _refused(file: File, error: CodedError) -> UploadedFile:
    return UploadedFile(
        **_of(file, None), success=False, message=error.message, code=error.code, duplicate=False, upload_id=None,
        ingestion=None,
    )  # fmt: skip


def _of(file: File, document: Document | None) -> dict[str, Any]:
    """Return the fields that a file has however it went."""
    return {
        "fieldname": "files",
        "originalname": document.name if document else file.incoming.name,
        "filename": shapes.file_name(document) if document else "",
        "mimetype": document.media_type if document else file.incoming.media_type,
        "size": file.size,
        "usage": 0,
        "file_url": shapes.file_url(document) if document else "",
        "file_title": document.title if document else "",
        "file_summary": document.summary if document else "",
        "summary_model": "",
        "image_analysis_model": "",
        "embeddings_model": document.embeddings_model if document else "",
        "is_private": bool(document and document.is_private),
        "status": str(document.status) if document else "",
        "thumbnail": "",
    }
