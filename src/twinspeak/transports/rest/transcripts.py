"""Exports of conversations, and links that show them to others."""

from collections.abc import AsyncGenerator
from typing import Annotated, Any, Literal

import orjson
from fastapi import Path, Query, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from twinspeak.domain import transcript
from twinspeak.domain.clock import iso
from twinspeak.domain.errors import CallerError, NotFound
from twinspeak.domain.turn import TurnState
from twinspeak.services.transcripts import DAYS, MOST_DAYS, Share, Transcript, Transcripts
from twinspeak.transports.http.routes import SignedIn, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest import shared_page
from twinspeak.transports.rest.places import LARGEST, InPlace
from twinspeak.transports.rest.shapes import ID, Shape

ROUTER = router("Transcripts", failures=(401, 403))
SHARED_ROUTER = router("Transcripts", public=True)

Format = Literal["markdown", "json"]
SharedFormat = Literal["html", "markdown", "json"]
_TYPES: dict[str, str] = {
    "html": shared_page.MEDIA_TYPE,
    "markdown": "text/markdown; charset=utf-8",
    "json": "application/json",
}


class SourceShape(Shape):
    """A document that an answer cites."""

    number: int
    name: str


class ExchangeShape(Shape):
    """A question and its answer."""

    id: str = Field(examples=[ID])
    created: str = Field(examples=["2026-11-21T09:30:00.000Z"])
    question: str
    answer: str
    state: str = Field(examples=[TurnState.DONE.value])
    moderated: bool
    model: str
    assistant: str | None
    sources: list[SourceShape]


class TranscriptShape(Shape):
    """A conversation as JSON."""

    format: str = Field(examples=[transcript.FORMAT])
    version: int = Field(examples=[transcript.VERSION])
    title: str
    twin: str
    exported: str = Field(examples=["2026-11-21T09:30:00.000Z"])
    exchanges: list[ExchangeShape]


_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": TranscriptShape,
        "content": {"text/markdown": {"example": "# Plans for spring"}},
        "description": "The transcript, oldest first.",
    }
}


_SHOWN: dict[int | str, dict[str, Any]] = {
    200: {**_FILES[200], "content": {**_FILES[200]["content"], "text/html": {"example": "<!doctype html>"}}}
}


class Exporting(InPlace):
    """Which conversation, and as what."""

    model_config = ConfigDict(json_schema_extra={"example": {"course_id": 1750532703472, "format": "markdown"}})

    course_id: int = Field(ge=0, le=LARGEST, description="0: those of no conversation.")
    format: Format = "markdown"


class Sharing(InPlace):
    """A conversation by `course_id` (and `institution`), or one record by `id`: never both."""

    model_config = ConfigDict(json_schema_extra={"example": {"course_id": 1750532703472, "days": 7}})

    course_id: int | None = Field(default=None, ge=1, le=LARGEST)
    id: str | None = Field(default=None, examples=[ID], description="One record, wherever it is.")
    days: int = Field(default=DAYS, ge=1, le=MOST_DAYS, description="How long the link can be used.")


class ShareShape(Shape):
    """A link, without its secret."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    institution: str | None = Field(examples=[ID])
    course_id: int | None
    history_id: str | None = Field(serialization_alias="historyId")
    created: str
    expires: str


class NewShareShape(ShareShape):
    """A link with its secret, which is told this once."""

    token: str
    url: str


class Shared(BaseModel):
    """The link is made."""

    success: Literal[True] = True
    data: NewShareShape


class Shares(BaseModel):
    """Your links that can be used, newest first."""

    success: Literal[True] = True
    data: list[ShareShape]


class Ended(BaseModel):
    """The link shows nothing any more."""

    success: Literal[True] = True
    message: str = Field(examples=["The link has ended."])


@ROUTER.post("/api/user/exportHistory", summary="Export a conversation", responses=_FILES | failures(400, 404))
async def export_history(request: Request, caller: SignedIn, wanted: Exporting) -> StreamingResponse:
    """Return the whole conversation as a file, oldest first."""
    transcripts = services_of(request).transcripts
    found = await transcripts.of_course(caller, wanted.place, wanted.course_id)
    return _file(transcripts, found, wanted.format)


@ROUTER.post("/api/user/share", summary="Share a conversation or a dialogue", responses=failures(400, 404, 409))
async def share(request: Request, caller: SignedIn, wanted: Sharing) -> Shared:
    """Make a link that shows it, as it is now, to whoever has the link. What you forget later it shows no more."""
    if (wanted.course_id is None) == (wanted.id is None):
        raise CallerError("Name either a conversation (course_id) or one dialogue (id).", param="course_id")
    made = await services_of(request).transcripts.share(
        caller, wanted.place, course_id=wanted.course_id, history_id=wanted.id, days=wanted.days
    )
    # Without a setting the address is told from the root on: what a request says of its host proves nothing.
    base = services_of(request).edge.public_url.rstrip("/")
    shown = _shape(made.share).model_dump()
    return Shared(data=NewShareShape(**shown, token=made.token, url=f"{base}/api/shared/{made.token}"))


@ROUTER.get("/api/user/shares", summary="List your links")
async def list_shares(request: Request, caller: SignedIn) -> Shares:
    """Return your links that can be used, of all your places. Their secrets are known to nobody but who has them."""
    return Shares(data=[_shape(one) for one in await services_of(request).transcripts.shares(caller)])


@ROUTER.delete("/api/user/share/{id}", summary="End a link", responses=failures(400, 404))
async def end_share(
    request: Request, caller: SignedIn, share_id: Annotated[str, Path(alias="id", examples=[ID])]
) -> Ended:
    """End a link of yours at once."""
    await services_of(request).transcripts.revoke(caller, share_id)
    return Ended(message="The link has ended.")


@SHARED_ROUTER.get("/api/shared/{token}", summary="Read what a link shows", responses=_SHOWN | failures(404))
async def read_shared(
    request: Request,
    token: Annotated[str, Path(max_length=200)],
    as_what: Annotated[SharedFormat | None, Query(alias="format")] = None,
) -> Response:
    """Return what was shared; whoever has the link may. Ended and unknown links are answered alike.

    Browsers get a page, programs JSON, unless `format` says what it is to be.
    """
    as_what = as_what or ("html" if shared_page.wanted_by(request) else "json")
    transcripts = services_of(request).transcripts
    try:
        found = await transcripts.shared(token)
    except NotFound:
        if as_what != "html":
            raise
        answer: Response = HTMLResponse(shared_page.gone(), status_code=404)
        answer.headers["Cache-Control"] = "private, no-store"
    else:
        answer = _file(transcripts, found, as_what, inline=True)
    answer.headers.update(shared_page.HEADERS)
    return answer


def _file(
    transcripts: Transcripts, found: Transcript, as_what: SharedFormat, *, inline: bool = False
) -> StreamingResponse:
    write, suffix = {"html": (_html, "html"), "markdown": (_markdown, "md"), "json": (_json, "json")}[as_what]
    pieces = write(transcripts, found)
    headers = {
        "Content-Disposition": f'{"inline" if inline else "attachment"}; filename="conversation.{suffix}"',
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(pieces, media_type=_TYPES[as_what], headers=headers)


async def _markdown(transcripts: Transcripts, found: Transcript) -> AsyncGenerator[bytes]:
    yield transcript.markdown_head(found.heading).encode("utf-8", "replace")
    async for page in transcripts.records(found):
        yield "".join(transcript.markdown(record) for record in page).encode("utf-8", "replace")


async def _html(transcripts: Transcripts, found: Transcript) -> AsyncGenerator[bytes]:
    yield shared_page.head(found.heading).encode("utf-8", "replace")
    async for page in transcripts.records(found):
        yield "".join(shared_page.exchange(record) for record in page).encode("utf-8", "replace")
    yield shared_page.tail().encode()


async def _json(transcripts: Transcripts, found: Transcript) -> AsyncGenerator[bytes]:
    head = orjson.dumps(transcript.document_head(found.heading))
    yield head[:-1] + b',"exchanges":['
    first = True
    async for page in transcripts.records(found):
        pieces = b",".join(orjson.dumps(transcript.document(record)) for record in page)
        yield pieces if first else b"," + pieces
        first = first and not page
    yield b"]}"


def _shape(one: Share) -> ShareShape:
    return ShareShape(
        id=one.id,
        institution=one.institution_id,
        course_id=one.course_id,
        history_id=one.turn_id,
        created=iso(one.created),
        expires=iso(one.expires),
    )
