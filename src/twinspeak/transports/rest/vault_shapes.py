"""How documents of the vault look on the wire (reference content 3.1)."""

from pathlib import PurePath
from typing import Any

from pydantic import Field

from twinspeak.domain.clock import iso
from twinspeak.domain.vault import Collection, Document, Trouble
from twinspeak.services.vault import Shown
from twinspeak.transports import wire_names as wire
from twinspeak.transports.rest.shapes import ID, Shape


class TroubleShape(Shape):
    """Why a document could not be read."""

    code: str = Field(examples=["file_encrypted"])
    message: str


class Ingestion(Shape):
    """How far a document is taken in."""

    phase: str = Field(
        description="queued, extract, chunk, sanitize, embed, finalize, then done or error.", examples=["extract"]
    )
    progress: int = Field(description="Per cent of all work.", examples=[40])
    attempts: int = Field(description="How often the present phase has failed for a reason that may pass.")
    enqueued_at: str | None = Field(serialization_alias="enqueuedAt")
    error: TroubleShape | None


class PathShape(Shape):
    """A folder on the way to a document."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    name: str
    color: str


class OwnerShape(Shape):
    """Who brought a document."""

    email: str
    fname: str
    lname: str
    institution: str | None


class TwinShape(Shape):
    """The twin that a document is in."""

    name: str
    ainame: str


class LeanUpload(Shape):
    """A document in short (`lean`)."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    originalname: str
    mimetype: str
    filesize: int
    created: str
    status: str = Field(description="`selected`: searched; `active`: kept, not searched.", examples=["selected"])
    vault: str = Field(description="`personal`, `instance` or `account`.")
    owner: str | None = Field(serialization_alias=wire.ROLE_USER, examples=[ID])
    institution: str | None = Field(examples=[ID])
    account_shared: bool
    is_public: bool
    is_private: bool
    collection: str | None
    file_title: str
    file_url: str = Field(description="Empty where no file was kept.")
    index: int
    ingestion: Ingestion
    chunks: int = Field(description="Passages.")


class Upload(LeanUpload):
    """A document."""

    filename: str
    file_summary: str
    file_authors: str
    file_dimensions: str
    thumbnail: str
    source_url: str
    embed_url: str
    tokens_used: int
    embeddings_model: str
    summary_model: str
    image_analysis_model: str
    rag_hit_count: int = Field(serialization_alias="ragHitCount")
    last_rag_hit_at: str | None = Field(serialization_alias="lastRagHitAt")
    file_on_disk: bool = Field(serialization_alias="fileOnDisk")
    member_of: str | None = Field(serialization_alias="memberOf", description="The archive or mail that it came in.")
    collection_path: list[PathShape]
    owner_data: OwnerShape | None
    institution_data: TwinShape | None
    institution_name: str
    institution_display_name: str


def file_name(document: Document) -> str:
    """Return the name that a file is served under: its id, and the ending that people gave it."""
    ending = PurePath(document.name).suffix.lower()
    plain = ending[1:].isascii() and ending[1:].isalnum() and len(ending) <= 10
    return f"{document.id}{ending if plain else ''}"


def file_url(document: Document) -> str:
    """Return where a document's file is served, from the root of this server; "" where none was kept."""
    owner = document.owner_id or document.user_id
    return f"{wire.UPLOADS_PATH}/{owner}/{file_name(document)}" if document.on_disk and owner else ""


def ingestion(document: Document) -> Ingestion:
    """Render how far a document is taken in."""
    return Ingestion(
        phase=document.phase,
        progress=document.progress,
        attempts=document.attempts,
        enqueued_at=None if document.enqueued is None else iso(document.enqueued),
        error=None if document.trouble is None else _trouble(document.trouble),
    )


def lean(document: Document, index: int = 0) -> LeanUpload:
    """Render a document in short."""
    return LeanUpload(**_lean(document, index))


def upload(one: Shown, index: int = 0) -> Upload:
    """Render a document."""
    document = one.document
    owner = one.cards.users.get(document.owner_id or "")
    twin = one.cards.twins.get(document.institution_id or "")
    return Upload(
        **_lean(document, index),
        filename=file_name(document),
        file_summary=document.summary,
        file_authors=document.authors,
        file_dimensions="",
        thumbnail="",
        source_url=document.source_url,
        embed_url="",
        tokens_used=0,
        embeddings_model=document.embeddings_model,
        summary_model="",
        image_analysis_model="",
        rag_hit_count=document.hits,
        last_rag_hit_at=None if document.last_hit is None else iso(document.last_hit),
        file_on_disk=document.on_disk,
        member_of=document.member_of,
        collection_path=[_step(folder) for folder in one.path],
        owner_data=None
        if owner is None
        else OwnerShape(email=owner.email, fname=owner.fname, lname=owner.lname, institution=document.institution_id),
        institution_data=None if twin is None else TwinShape(name=twin.name, ainame=twin.ai_name),
        institution_name="" if twin is None else twin.name,
        institution_display_name="" if twin is None else twin.ai_name or twin.name,
    )


def _lean(document: Document, index: int) -> dict[str, Any]:
    return {
        "id": document.id,
        "originalname": document.name,
        "mimetype": document.media_type,
        "filesize": document.bytes,
        "created": iso(document.created),
        "status": str(document.status),
        "vault": str(document.vault),
        "owner": document.owner_id or document.user_id,
        "institution": document.institution_id,
        "account_shared": document.account_shared,
        "is_public": document.is_public,
        "is_private": document.is_private,
        "collection": document.collection_id,
        "file_title": document.title,
        "file_url": file_url(document),
        "index": index,
        "ingestion": ingestion(document),
        "chunks": document.chunks,
    }


def _trouble(trouble: Trouble) -> TroubleShape:
    return TroubleShape(code=trouble.code, message=trouble.message)


def _step(folder: Collection) -> PathShape:
    return PathShape(id=folder.id, name=folder.name, color=folder.color)
