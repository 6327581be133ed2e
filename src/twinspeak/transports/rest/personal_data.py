"""One's personal data: counted, exported, erased (reference, content 8.4)."""

from typing import Annotated, Any, Literal

from fastapi import Path, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from twinspeak.domain.clock import iso
from twinspeak.services.data_rights import Export, Parts
from twinspeak.services.rate_limits import AUTH, address_key
from twinspeak.transports.http import rate
from twinspeak.transports.http.routes import PUBLIC, SignedIn, client_ip, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest.own_account import actor_of
from twinspeak.transports.rest.shapes import ID, Shape

ROUTER = router("Profile", failures=(401, 403))
LINKS = router("Profile", failures=(404, 429))

_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}, "example": "PK…"}},
        "description": "A ZIP",
    }
}


class KindCount(Shape):
    """How many there are, and when the first and the last were made."""

    count: int
    first: str | None
    last: str | None
    bytes: int = Field(default=0, description="Of uploads.")


class DataStats(BaseModel):
    """By kind: dialogues, uploads, memory, assistants, feedback, memberships, sessions."""

    success: Literal[True] = True
    data: dict[str, KindCount]


class ExportShape(Shape):
    """An export: waiting, running, ready or failed; `done` of `total` rows are written."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    state: str = Field(examples=["running"])
    done: int
    total: int
    bytes: int
    created: str
    finished: str | None
    expires: str


class Exported(BaseModel):
    """Your latest export, null before the first."""

    success: Literal[True] = True
    data: ExportShape | None


class Asked(BaseModel):
    """It is on its way; a mail will say when it is ready."""

    success: Literal[True] = True
    message: str = Field(examples=["We will mail you a link."])
    data: ExportShape


class Erasing(BaseModel):
    """What to erase of your personal space; at least one."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"memory": True}})

    dialogues: bool = False
    vault: bool = False
    memory: bool = False
    assistants: bool = False
    feedback: bool = False
    sessions: bool = False


class ErasedShape(Shape):
    """How much was erased."""

    success: Literal[True] = True
    dialogues: int = Field(serialization_alias="dialoguesForgotten")
    uploads: int = Field(serialization_alias="uploadsDeleted")
    bytes: int = Field(serialization_alias="bytesFreed")
    memory: int = Field(serialization_alias="memoryDeleted")
    assistants: int = Field(serialization_alias="assistantsDeleted")
    feedback: int = Field(serialization_alias="feedbackDeleted")
    sessions: int = Field(serialization_alias="sessionsDeleted")
    summaries: int = Field(serialization_alias="compactionCachePurged")
    failed: list[dict[str, Any]] = Field(default=[], serialization_alias="uploadsFailed")


@ROUTER.get("/api/user/data/stats", summary="Count your personal data")
async def data_stats(request: Request, caller: SignedIn) -> DataStats:
    """Return how much is kept of you, in digital twins and outside of them."""
    found = await services_of(request).people.data.stats(caller)
    shown = {
        name: KindCount(count=one.count, first=_when(one.first), last=_when(one.last), bytes=one.bytes)
        for name, one in found.items()
    }
    return DataStats(data=shown)


@ROUTER.post("/api/user/data/export", summary="Export your personal data", status_code=202, responses=failures(429))
async def export_data(request: Request, caller: SignedIn) -> Asked:
    """Have a ZIP made of all that is kept of you, once an hour; a mail brings a link that is good for 30 days."""
    asked = await services_of(request).people.data.ask(actor_of(request, caller))
    return Asked(data=_shown(asked), message="We will mail you a link when your data is ready.")


@ROUTER.get("/api/user/data/export", summary="How far your export is")
async def read_export(request: Request, caller: SignedIn) -> Exported:
    """Return your latest export."""
    found = await services_of(request).people.data.latest(caller)
    return Exported(data=_shown(found) if found is not None else None)


@ROUTER.delete("/api/user/data", summary="Erase parts of your personal data", responses=failures(400, 413, 415, 422))
async def erase_data(request: Request, caller: SignedIn, body: Erasing) -> ErasedShape:
    """Erase what you name of your personal space, for good; what you said in twins goes with your account."""
    parts = Parts(**body.model_dump())
    done = await services_of(request).people.data.erase(actor_of(request, caller), parts)
    return ErasedShape(
        dialogues=done.dialogues,
        uploads=done.uploads,
        bytes=done.bytes,
        memory=done.memory,
        assistants=done.assistants,
        feedback=done.feedback,
        sessions=done.sessions,
        summaries=done.summaries,
    )


@LINKS.get(
    "/api/data-export/{link}", summary="Fetch an export", response_class=FileResponse, responses=_FILE,
    dependencies=[PUBLIC],
)  # fmt: skip
async def fetch_export(request: Request, link: Annotated[str, Path(max_length=200)]) -> FileResponse:
    """Return the file that a mailed link leads to; whoever has the link may."""
    with rate.failures_only(request, address_key(client_ip(request)), AUTH):
        path = await services_of(request).people.data.file(link)
    headers = {"Cache-Control": "private, no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}
    return FileResponse(path, media_type="application/zip", filename="my-data.zip", headers=headers)


def _shown(export: Export) -> ExportShape:
    return ExportShape(
        id=export.id,
        state=export.state,
        done=export.done,
        total=export.total,
        bytes=export.bytes,
        created=iso(export.created),
        finished=_when(export.finished),
        expires=iso(export.expires),
    )


def _when(at: int | None) -> str | None:
    return None if at is None else iso(at)
