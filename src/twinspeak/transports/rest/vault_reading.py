"""Passages over REST: a document's, corrected ones, and search by hand (reference content 4.3, 4.4, 4.5, 4.7)."""

from typing import Annotated, Any, Literal, cast

from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from twinspeak.domain.clock import iso
from twinspeak.domain.vault import CHUNK_CHARS
from twinspeak.services.rate_limits import Rule
from twinspeak.services.vault_reading import ANYWHERE, Found, Hit, Within
from twinspeak.transports.http.routes import SignedIn, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest.lists import Message
from twinspeak.transports.rest.shapes import ID, Shape

ROUTER = router("IP vault", failures=(401, 403))

SEARCH_RULE = Rule("vault_search", 20)
"""Of one person in a minute (contract section 3)."""
_LEXICAL = "lexical"
_K = 60
"""Of the fused ranking (reference content 4.3)."""
_LEGS = {"dense": "rag"}
"""What clients call the ways of searching, where it is not our own word."""

Query = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
ChunkId = Annotated[str, Path(alias="id", description="The passage's id.", examples=[ID])]


class OfUpload(BaseModel):
    """Whose passages."""

    model_config = ConfigDict(json_schema_extra={"example": {"upload": ID}})

    upload: Annotated[str, StringConstraints(max_length=100)]


class Chunk(Shape):
    """A passage of a document."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    chunk_text: str = Field(serialization_alias="chunkText")
    chunk_len: int = Field(serialization_alias="chunkLen")
    chunk_index: int = Field(serialization_alias="chunkIndex")
    section: str = Field(description="The headings it stands under.")
    upload: str = Field(examples=[ID])
    chunk_url: str = Field(serialization_alias="chunkUrl", description="Where in the file.", examples=["#page=2"])
    created: str
    usage: int


class EmbeddingModel(Shape):
    """A model that makes vectors."""

    name: str
    provider: str = Field(description="Empty where it is not known any more.", examples=["openai_cli"])


class Chunks(Shape):
    """A document's first 1,000 passages, in their order."""

    success: Literal[True] = True
    data: list[Chunk]
    embedding_model: EmbeddingModel | None = Field(
        serialization_alias="embeddingModel", description="What made the vectors of this document; null: it has none."
    )
    current_embedding_model: EmbeddingModel | None = Field(
        serialization_alias="currentEmbeddingModel", description="What would make them now; null: there is none."
    )
    drifted: bool = Field(
        description="The two differ, so that this document is searched by words alone: reprocess it with `embed`."
    )
    chunk_max_chars: int = Field(serialization_alias="chunkMaxChars")


class Correction(BaseModel):
    """What a passage is to say."""

    model_config = ConfigDict(json_schema_extra={"example": {"chunkText": "Lions are fed at noon."}})

    chunk_text: Annotated[str, StringConstraints(min_length=1, max_length=CHUNK_CHARS)] = Field(alias="chunkText")


class Search(BaseModel):
    """What to look for; null and "" mean absent."""

    model_config = ConfigDict(json_schema_extra={"example": {"query": "When are lions fed?", "limit": 10}})

    query: Query
    uploads: Annotated[list[Annotated[str, StringConstraints(max_length=100)]], Field(max_length=5_000)] | None = Field(
        default=None, alias="selectedUploadIds", description="Only in these; foreign and unknown ids are left out."
    )
    least: float = Field(default=0.1, ge=0, le=1, alias="minScore", description="A share of the best score.")
    limit: int = Field(default=50, ge=1, le=100)

    @model_validator(mode="before")
    @classmethod
    def _without_absent(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: one for name, one in cast("dict[str, Any]", value).items() if one is not None}


class HitUpload(Shape):
    """The document of a passage that was found."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    originalname: str
    filesize: int
    mimetype: str
    file_title: str
    institution: str | None
    account_shared: bool
    is_private: bool
    confidential: bool


class Trace(BaseModel):
    """A way of searching, and where it placed a passage."""

    list: str = Field(examples=["lexical"])
    rank: int


class HitShape(Shape):
    """A passage that was found."""

    upload_id: str = Field(serialization_alias="uploadId", examples=[ID])
    chunk_id: str = Field(serialization_alias="chunkId", examples=[ID])
    chunk_index: int = Field(serialization_alias="chunkIndex")
    chunk_url: str = Field(serialization_alias="chunkUrl", examples=["#page=2"])
    section: str
    snippet: str
    content: str
    score: float
    source: str = Field(description="`lexical` (by words), `rag` (by sense) or `fused`.", examples=["lexical"])
    trace: list[Trace] = Field(description="Where each way of searching placed it.")
    upload: HitUpload


class SearchPerf(Shape):
    """How long it took, in milliseconds; `k` is the constant of the fused ranking."""

    legs: dict[str, float] = Field(description="Each way of searching.", examples=[{"lexical": 1.2}])
    fused: float = Field(description="Joining what they found.")
    total_ms: int = Field(serialization_alias="totalMs")
    k: int


class Hits(Shape):
    """Passages, best first. What is confidential is found by its owner alone."""

    success: Literal[True] = True
    query: str
    results: list[HitShape]
    total_scanned: int = Field(serialization_alias="totalScanned")
    upload_count: int = Field(serialization_alias="uploadCount")
    took_ms: int = Field(serialization_alias="tookMs")
    search_perf: SearchPerf = Field(serialization_alias="searchPerf")


class OldSearch(BaseModel):
    """What to look for."""

    model_config = ConfigDict(json_schema_extra={"example": {"search": "When are lions fed?"}})

    search: Query
    assistant: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        default=None, alias="assistantId", description="An assistant of yours: in its folders, if it has any."
    )


class FoundText(BaseModel):
    """Passages as one text."""

    success: Literal[True] = True
    data: str
    message: str = Field(examples=["2 passages"])


@ROUTER.post("/api/user/embeddings", summary="List a document's passages", responses=failures(400, 404))
async def list_chunks(request: Request, caller: SignedIn, wanted: OfUpload) -> Chunks:
    """Return what a document was cut into."""
    found = await services_of(request).passages.list(caller, wanted.upload)
    document, now, made_by = found.document, found.current, found.document.embeddings_model
    return Chunks(
        data=[
            Chunk(
                id=one.id,
                chunk_text=one.text,
                chunk_len=len(one.text),
                chunk_index=one.position,
                section=one.section,
                upload=one.document_id,
                chunk_url=f"#{one.locator}" if one.locator else "",
                created=iso(document.created),
                usage=0,
            )
            for one in found.chunks
        ],
        embedding_model=EmbeddingModel(name=made_by, provider=now[1] if now and now[0] == made_by else "")
        if made_by
        else None,
        current_embedding_model=EmbeddingModel(name=now[0], provider=now[1]) if now else None,
        drifted=(now[0] if now else "") != made_by and document.indexed,
        chunk_max_chars=CHUNK_CHARS,
    )


@ROUTER.put("/api/user/embedding/{id}", summary="Correct a passage", responses=failures(400, 404, 409))
async def correct_chunk(request: Request, caller: SignedIn, chunk_id: ChunkId, wanted: Correction) -> Message:
    """Put a text in the place of a passage's; it is searched from then on."""
    await services_of(request).passages.correct(caller, chunk_id, wanted.chunk_text)
    return Message(message="Segment updated!")


@ROUTER.post("/api/user/files/search-content", summary="Search the vault", responses=failures(429))
async def search_content(request: Request, caller: SignedIn, wanted: Search) -> Hits:
    """Search your own documents, the active twin's, and those that its account's twins share."""
    services = services_of(request)
    services.limits.take(caller.user_id, SEARCH_RULE)
    found = await services.passages.search(
        caller, wanted.query, limit=wanted.limit, least=wanted.least, within=Within(uploads=wanted.uploads)
    )
    legs = {name: round(took, 2) for name, took in found.perf.legs_ms.items()}
    return Hits(
        query=wanted.query,
        results=[_hit(one) for one in found.rows],
        total_scanned=found.scanned,
        upload_count=found.documents,
        took_ms=found.took_ms,
        search_perf=SearchPerf(legs=legs, fused=round(found.perf.fused_ms, 2), total_ms=found.took_ms, k=_K),
    )


@ROUTER.post("/api/user/searchRag", summary="Search the vault, as text", responses=failures(400, 404, 429))
async def search_rag(request: Request, caller: SignedIn, wanted: OldSearch) -> FoundText:
    """Do as `search-content` does, for older clients: the best passages with their sources, as one text.

    An assistant that does not search finds nothing.
    """
    services = services_of(request)
    services.limits.take(caller.user_id, SEARCH_RULE)
    within = await services.passages.folders_of(caller, wanted.assistant) if wanted.assistant else ANYWHERE
    if within is None:
        return FoundText(data="", message="0 passages")
    found = await services.passages.search(caller, wanted.search, limit=10, within=within)
    shown = (f"{one.document.name}, {one.found.chunk.section}\n{one.found.chunk.text}" for one in found.rows)
    return FoundText(data="\n\n".join(shown), message=f"{len(found.rows)} passages")


def _source(found: Found) -> str:
    if found.fused and len(found.places) > 1:
        return "fused"
    return _LEGS.get(next(iter(found.places), ""), _LEXICAL)


def _hit(one: Hit) -> HitShape:
    chunk, document = one.found.chunk, one.document
    return HitShape(
        upload_id=document.id,
        chunk_id=chunk.id,
        chunk_index=chunk.position,
        chunk_url=f"#{chunk.locator}" if chunk.locator else "",
        section=chunk.section,
        snippet=one.snippet,
        content=chunk.text,
        score=round(one.score, 4),
        source=_source(one.found),
        trace=[Trace(list=name, rank=place) for name, place in one.found.places.items()],
        upload=HitUpload(
            id=document.id,
            originalname=document.name,
            filesize=document.bytes,
            mimetype=document.media_type,
            file_title=document.title,
            institution=document.institution_id,
            account_shared=document.account_shared,
            is_private=document.is_private,
            confidential=chunk.confidential,
        ),
    )
