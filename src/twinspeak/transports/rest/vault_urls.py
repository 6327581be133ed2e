"""Documents from web addresses, and readings that are waited for (reference content 3.6, 3.10, 3.11)."""

from typing import Annotated, Any, Literal, cast

from fastapi import Body, Path, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from twinspeak.services.rate_limits import Rule
from twinspeak.services.vault import Terms
from twinspeak.transports.http.routes import SignedIn, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest import vault_shapes as shapes
from twinspeak.transports.rest.shapes import ID, Shape

ROUTER = router("IP vault", failures=(401, 403))

FETCH_RULE = Rule("vault_urls", 30)
"""Addresses that one person may have fetched in a minute."""
FileId = Annotated[str, Path(alias="fileId", description="The document's id.", examples=[ID])]
Reference = Annotated[str, StringConstraints(max_length=100)]


class Address(BaseModel):
    """Where it is; null and "" mean absent, unknown keys are tolerated."""

    model_config = ConfigDict(json_schema_extra={"example": {"url": "https://192.0.2.10/report.pdf"}})

    url: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_048)]
    scrape: bool = Field(default=False, description="The text of a web page is wanted, whatever it says it is.")
    skip_indexing: bool = Field(default=False, alias="skipIndexing", description="Kept, but not searched.")
    confidential: bool = Field(default=False, description="Yours alone, in a twin.")
    institution: Reference | None = Field(default=None, description="A twin's id; without it, your own vault.")
    collection: Reference | None = None
    account_shared: bool = False

    @model_validator(mode="before")
    @classmethod
    def _without_absent(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: one for name, one in cast("dict[str, Any]", value).items() if one not in (None, "")}


class Fetched(Shape):
    """It is kept, and waits to be read."""

    success: Literal[True] = True
    message: str = Field(examples=["URL ingested successfully"])
    code: Literal[1] = 1
    upload_id: str = Field(serialization_alias="uploadId", examples=[ID])
    duplicate: bool
    upload: shapes.LeanUpload


class Reingest(BaseModel):
    """How."""

    model_config = ConfigDict(json_schema_extra={"example": {"skipIndexing": False}})

    skip_indexing: bool = Field(default=False, alias="skipIndexing")


class AgainShape(Shape):
    """The document; `success` is false when it could not be read."""

    success: bool
    message: str
    data: shapes.Upload


@ROUTER.post("/api/user/url", summary="Bring what is at a web address", responses=failures(400, 404, 409, 429, 502))
async def bring_url(request: Request, caller: SignedIn, wanted: Address) -> Fetched:
    """Fetch a file or a page of the public internet into a vault; it is read afterwards, as files are."""
    services = services_of(request)
    services.limits.take(caller.user_id, FETCH_RULE)
    terms = Terms(
        institution=wanted.institution,
        account_shared=wanted.account_shared,
        confidential=wanted.confidential,
        collection=wanted.collection,
        skip_indexing=wanted.skip_indexing,
        source_url=wanted.url,
    )
    taken = await services.addresses.take(
        caller, terms, page=wanted.scrape, max_bytes=services.edge.upload_file_max_bytes
    )
    return Fetched(
        message="URL ingested successfully",
        upload_id=taken.document.id,
        duplicate=not taken.new,
        upload=shapes.lean(taken.document),
    )


@ROUTER.put(
    "/api/user/reingest/{fileId}",
    summary="Fetch a document's address again",
    responses=failures(400, 404, 409, 429, 502),
)
async def reingest_file(
    request: Request, caller: SignedIn, file_id: FileId, wanted: Annotated[Reingest | None, Body()] = None
) -> AgainShape:
    """Put what is at the address now in the place of the file; folder and name stay."""
    services = services_of(request)
    services.limits.take(caller.user_id, FETCH_RULE)
    wanted = wanted or Reingest()
    found = await services.addresses.again(
        caller, file_id, skip_indexing=wanted.skip_indexing, max_bytes=services.edge.upload_file_max_bytes
    )
    shown = await services.vaults.get(caller, found.id)
    return AgainShape(success=True, message="File re-ingested from URL", data=shapes.upload(shown))


@ROUTER.put("/api/user/reload/{fileId}", summary="Read a document again, and wait", responses=failures(400, 404, 409))
async def reload_file(request: Request, caller: SignedIn, file_id: FileId) -> AgainShape:
    """Do as `reprocess` does, and answer when it is done, or after a minute: then `ingestion` tells how far it is."""
    vaults = services_of(request).vaults
    await vaults.reprocess(caller, file_id, full=True)
    shown = await vaults.settled(caller, file_id)
    trouble = shown.document.trouble
    message = trouble.message if trouble else "File reloaded successfully!"
    return AgainShape(success=trouble is None, message=message, data=shapes.upload(shown))
