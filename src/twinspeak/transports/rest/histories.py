"""POST /api/user/histories and its kin: one's own dialogues, again (reference 4.1, 4.2, 4.4, 4.7)."""

from typing import Annotated, Any, Literal

from fastapi import Body, Path, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from twinspeak.domain.turn import Passage, TurnRecord
from twinspeak.services.histories import HistoryFilter
from twinspeak.services.vault_reading import Standing
from twinspeak.transports.http.routes import SignedIn, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.reply import source
from twinspeak.transports.rest import render
from twinspeak.transports.rest.places import LARGEST, Address, InPlace
from twinspeak.transports.rest.shapes import ID, RecordShape, Shape

ROUTER = router("History", failures=(401, 403))

WHOLE = 100
"""The most dialogues that are listed with their texts whole: an answer may have 400,000 characters."""
SEGMENT_CHARS = 100
CONFIDENTIAL_REST = " (rest is confidential)"
"""Of a confidential passage, so much is told in lists (product 2.2)."""
FAVORITES = 1_000
"""The most favourites that are listed (reference 4.4)."""

HistoryId = Annotated[str, Path(description="The record's id: 24 hexadecimal digits.")]


class Wanted(InPlace):
    """Which dialogues. Everything may be left out; null and "" mean absent, unknown keys are tolerated."""

    model_config = ConfigDict(json_schema_extra={"example": {"course_id": 1750532703472, "limit": 20}})

    limit: int = Field(default=100, ge=1, le=1_000)
    course_id: int | None = Field(default=None, ge=0, le=LARGEST, description="0: those of no conversation.")
    before: int | None = Field(default=None, ge=0, le=LARGEST, description="Created before, epoch milliseconds.")
    after: int | None = Field(default=None, ge=0, le=LARGEST, description="Created after, epoch milliseconds.")
    history_id: str | None = Field(
        default=None, validation_alias="historyId", examples=[ID], description="This one, with its texts whole."
    )
    search: Annotated[str, StringConstraints(max_length=500)] = Field(
        default="", description="In question or answer, whatever the letter case."
    )
    api: Address = Field(default="", description="A part of the address that was asked, whatever the letter case.")
    tools: bool = Field(default=False, description="Tool responses whole.")
    texts: bool = Field(default=False, description=f"Questions and answers whole, of at most {WHOLE} dialogues.")
    all_institutions: bool = Field(
        default=False,
        validation_alias="allInstitutions",
        description="Of all your twins and the personal space; `institution` is not looked at.",
    )

    def filter(self) -> HistoryFilter:
        """Return what the service takes."""
        return HistoryFilter(
            limit=min(self.limit, WHOLE) if self.texts else self.limit,
            course_id=self.course_id,
            before=self.before,
            after=self.after,
            history_id=self.history_id,
            search=self.search,
            faces=render.faces_at(self.api),
        )


class Favourites(InPlace):
    """Whose favourites."""

    api: Address = Field(default="", description="A part of the address that was asked, whatever the letter case.")


class Records(BaseModel):
    """Oldest first."""

    success: Literal[True] = True
    data: list[RecordShape]


class RecordsEverywhere(Records):
    """With `allInstitutions`."""

    matched: int = Field(description="How many match, without the limit.")
    total: int = Field(description="How many there are at all.")


class ThinkingShape(Shape):
    """The reasoning of one round."""

    id: str = Field(examples=["round-0"])
    round: int
    text: str
    signature: str | None
    model: str
    duration_ms: int = Field(serialization_alias="durationMs")


class Thinking(BaseModel):
    """The whole reasoning of a record, round by round; empty when none was kept."""

    success: Literal[True] = True
    thinking: list[ThinkingShape]


class Sources(BaseModel):
    """What the answer could cite, whole: the passages that were found in the vault, in their order."""

    success: Literal[True] = True
    sources: list[dict[str, Any]]


@ROUTER.post("/api/user/histories", summary="List your dialogues", responses=failures(404))
async def list_histories(
    request: Request, caller: SignedIn, wanted: Annotated[Wanted | None, Body()] = None
) -> Records | RecordsEverywhere:
    """Return the newest dialogues that match, oldest first.

    Lists trim questions and answers to 200 characters and tool responses to 80; a record asked for by its id is whole.
    With `allInstitutions`, `institution` of each record tells the twin.
    """
    wanted = wanted or Wanted()
    histories = services_of(request).histories
    whole = wanted.texts or wanted.history_id is not None
    whole_tools = wanted.tools or wanted.history_id is not None
    if not wanted.all_institutions:
        found = await histories.list(caller, wanted.filter(), place=wanted.place)
        return Records(data=_shown(found, whole_texts=whole, whole_tools=whole_tools))
    everywhere = await histories.everywhere(caller, wanted.filter())
    shown = _shown(everywhere.records, whole_texts=whole, whole_tools=whole_tools)
    for one, record in zip(shown, everywhere.records, strict=True):
        one.institution = render.place(everywhere.twins.get(record.institution_id or ""))
    return RecordsEverywhere(data=shown, matched=everywhere.matched, total=everywhere.total)


@ROUTER.post("/api/user/favorites", summary="List your favourite dialogues")
async def list_favorites(
    request: Request, caller: SignedIn, wanted: Annotated[Favourites | None, Body()] = None
) -> Records:
    """Return favourite dialogues, oldest first, trimmed as lists are: the newest 1,000."""
    wanted = wanted or Favourites()
    chosen = HistoryFilter(limit=FAVORITES, favorites=True, faces=render.faces_at(wanted.api))
    found = await services_of(request).histories.list(caller, chosen, place=wanted.place)
    return Records(data=_shown(found, whole_texts=False, whole_tools=False))


@ROUTER.get("/api/user/history/{id}/thinking", summary="Read a dialogue's reasoning", responses=failures(400, 404))
async def read_thinking(
    request: Request, caller: SignedIn, history_id: Annotated[HistoryId, Path(alias="id")]
) -> Thinking:
    """Return what the model thought, which lists only count (`hasThinking`, `thinkingCount`)."""
    record = await services_of(request).histories.record(caller, history_id)
    return Thinking(
        thinking=[
            ThinkingShape(
                id=f"round-{part.round}",
                round=part.round,
                text=part.text,
                signature=part.signature,
                model=part.model,
                duration_ms=part.duration_ms,
            )
            for part in record.thinking
        ]
    )


@ROUTER.get("/api/user/history/{id}/sources", summary="Read a dialogue's sources", responses=failures(400, 404))
async def read_sources(
    request: Request, caller: SignedIn, history_id: Annotated[HistoryId, Path(alias="id")]
) -> Sources:
    """Return the passages that the answer was given, with their whole text."""
    record = await services_of(request).histories.record(caller, history_id)
    return Sources(sources=[_whole(passage) for passage in record.passages])


class Segment(Shape):
    """A passage that was found for a dialogue; of what is confidential only its beginning is told."""

    upload_id: str = Field(serialization_alias="uploadId", examples=[ID])
    originalname: str = Field(description="Empty where you may not read the document any more.")
    number: int = Field(description="As [number] in the answer.")
    cited: bool
    chunk_id: str = Field(serialization_alias="chunkId", examples=[ID])
    chunk_index: int = Field(serialization_alias="chunkIndex")
    chunk_url: str = Field(serialization_alias="chunkUrl", examples=["#page=2"])
    section: str
    score: float
    length: int
    mode: Literal["RAG"] = "RAG"
    chunk_text: str = Field(serialization_alias="chunkText")
    confidential: bool


class Segments(BaseModel):
    """What was searched out of the vault for a dialogue."""

    success: Literal[True] = True
    data: list[Segment]


@ROUTER.get("/api/user/history/{id}/ragSearch", summary="Read what was searched out", responses=failures(400, 404))
async def read_segments(
    request: Request, caller: SignedIn, history_id: Annotated[HistoryId, Path(alias="id")]
) -> Segments:
    """Return the passages of a dialogue as the documents' readers may see them now."""
    services = services_of(request)
    record = await services.histories.record(caller, history_id)
    seen = await services.passages.standing(caller, [passage.document_id for passage in record.passages])
    return Segments(data=[_segment(passage, seen.get(passage.document_id)) for passage in record.passages])


def _segment(passage: Passage, standing: Standing | None) -> Segment:
    hidden = standing is None or standing.confidential
    text = passage.text
    if hidden and len(text) > SEGMENT_CHARS:
        text = f"{text[:SEGMENT_CHARS]}{CONFIDENTIAL_REST}"
    return Segment(
        upload_id=passage.document_id,
        originalname="" if standing is None else passage.document_name,
        number=passage.number,
        cited=passage.cited,
        chunk_id=passage.chunk_id,
        chunk_index=passage.position,
        chunk_url=f"#{passage.locator}" if passage.locator else "",
        section="" if standing is None else passage.section,
        score=passage.score,
        length=len(passage.text),
        chunk_text="" if standing is None else text,
        confidential=hidden,
    )


def _whole(passage: Passage) -> dict[str, Any]:
    return {**source(passage), "text": passage.text}


def _shown(found: list[TurnRecord], *, whole_texts: bool, whole_tools: bool) -> list[RecordShape]:
    return [render.record(turn, whole_texts=whole_texts, whole_tools=whole_tools) for turn in found]
