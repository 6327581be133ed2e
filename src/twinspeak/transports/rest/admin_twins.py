"""Digital twins, as administrators manage them (reference: admin 3)."""

from typing import Annotated, Literal

from fastapi import Body, Path, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from twinspeak.domain.caller import Caller
from twinspeak.domain.errors import NotAMember
from twinspeak.services.twins import TwinsFilter
from twinspeak.transports.http.routes import SignedIn, Verb, administers, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest.lists import Listing, ListOf, Message, Text, page_of
from twinspeak.transports.rest.own_account import actor_of
from twinspeak.transports.rest.shapes import ID
from twinspeak.transports.rest.twin_shapes import (
    LeanTwin,
    Name,
    NewTwin,
    OwnSettings,
    TwinSettings,
    TwinShape,
    changes_of,
    lean_twin,
    twin,
)

ROUTER = router("Administration: digital twins", failures=(401, 403))
OWN_ROUTER = router("Profile", failures=(401, 403))

InstitutionId = Annotated[str, Path(alias="institutionId", description="24 hexadecimal digits.")]
Id = Annotated[str, Path(alias="id", description="The twin's: 24 hexadecimal digits.")]
Lists = Annotated[Caller, administers(Verb.INSTITUTIONS_LIST)]
Adds = Annotated[Caller, administers(Verb.INSTITUTIONS_ADD)]
Edits = Annotated[Caller, administers(Verb.INSTITUTIONS_EDIT)]
Deletes = Annotated[Caller, administers(Verb.INSTITUTIONS_DELETE)]


class TwinsWanted(Listing):
    """Which twins."""

    minimum: bool = Field(default=False, description="Ids, names and statuses of all, in one page.")
    compact: bool = Field(default=False, description="The same short rows, in pages.")
    search: Text = Field(default="", alias="institutionsearch", description="In names and the public id.")
    status: Literal["active", "inactive", "all"] = Field(default="active", alias="statusFilter")


class Twins(ListOf):
    """By name."""

    data: list[TwinShape | LeanTwin]


class OneTwin(BaseModel):
    """One twin."""

    success: Literal[True] = True
    data: TwinShape


class ChangedTwin(BaseModel):
    """It is changed."""

    success: Literal[True] = True
    id: str = Field(examples=[ID])


class Moving(BaseModel):
    """Which account; null for none, which only super administrators may."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"account": ID}})

    account: Annotated[str, StringConstraints(max_length=100)] | None


class Moved(Message):
    """Where it is now."""

    data: TwinShape


class McpSecret(BaseModel):
    """The twin's secret, shown this once."""

    success: Literal[True] = True
    secret: str = Field(examples=["tsm_…"])
    message: str = Field(examples=["Keep the secret: it is not shown again."])


class Cloning(BaseModel):
    """What the copy is to be called."""

    name: Name = Field(examples=["Biology, next year"])


@ROUTER.post("/api/admin/institutions", summary="List digital twins", responses=failures(400))
async def list_institutions(
    request: Request, caller: Lists, wanted: Annotated[TwinsWanted | None, Body()] = None
) -> Twins:
    """Return a page of the twins that you administer; deleted ones never."""
    wanted = wanted or TwinsWanted()
    if wanted.minimum:
        wanted = wanted.model_copy(update={"page": 1, "page_size": 5_000})
    chosen = TwinsFilter(
        institution=wanted.institution,
        account=wanted.account,
        search=wanted.search,
        status=wanted.status,
        page=wanted.wanted,
    )
    rows, total = await services_of(request).twins.search(caller, chosen)
    shown = [lean_twin(row) if wanted.minimum or wanted.compact else twin(row) for row in rows]
    return page_of(Twins, shown, total, wanted)


@ROUTER.post("/api/admin/institution", summary="Add a digital twin", responses=failures(400, 404))
async def add_institution(request: Request, caller: Adds, new: NewTwin) -> OneTwin:
    """Add a twin to an account that you manage, or in one of whose twins you may add."""
    row = await services_of(request).twins.add(actor_of(request, caller), changes_of(new), new.account)
    return OneTwin(data=twin(row))


@ROUTER.get("/api/admin/institution/{institutionId}", summary="Read a digital twin", responses=failures(400, 404))
async def read_institution(request: Request, caller: Lists, institution_id: InstitutionId) -> OneTwin:
    """Return settings and credits."""
    return OneTwin(data=twin(await services_of(request).twins.get(caller, institution_id)))


@ROUTER.put("/api/admin/institution/{institutionId}", summary="Change a digital twin", responses=failures(404))
async def edit_institution(
    request: Request, caller: Edits, institution_id: InstitutionId, sent: TwinSettings
) -> ChangedTwin:
    """Change what is sent.

    What cannot be set here, or is not available on this server, is refused, unless it asks for what is there anyway.
    """
    services = services_of(request)
    row = await services.twins.get_to_edit(caller, institution_id)
    done = await services.twins.change(actor_of(request, caller), row.id, changes_of(sent, row))
    return ChangedTwin(id=done)


@ROUTER.delete("/api/admin/institution/{institutionId}", summary="Delete a digital twin", responses=failures(400, 404))
async def delete_institution(request: Request, caller: Deletes, institution_id: InstitutionId) -> Message:
    """Delete a twin: nobody is let in any more, and what runs there ends."""
    await services_of(request).twins.delete(actor_of(request, caller), institution_id)
    return Message(message="The digital twin is deleted.")


@ROUTER.post("/api/admin/institution/{id}/clone", summary="Copy a digital twin", responses=failures(404))
async def clone_institution(request: Request, caller: Adds, institution_id: Id, cloning: Cloning) -> OneTwin:
    """Add a twin with the same settings; people, history and documents stay where they are."""
    row = await services_of(request).twins.clone(actor_of(request, caller), institution_id, cloning.name)
    return OneTwin(data=twin(row))


@ROUTER.patch("/api/admin/institution/{id}/account", summary="Move a digital twin", responses=failures(404))
async def move_institution(request: Request, caller: Edits, institution_id: Id, moving: Moving) -> Moved:
    """Put a twin that you administer into another account that you manage."""
    row = await services_of(request).twins.move(actor_of(request, caller), institution_id, moving.account)
    return Moved(data=twin(row), message="The digital twin is moved.")


@ROUTER.post("/api/admin/institution/{id}/mcpSecret", summary="Make a twin's MCP secret anew", responses=failures(404))
async def renew_mcp_secret(request: Request, caller: Edits, institution_id: Id) -> McpSecret:
    """Return a new secret for `/api/mcp`, once; the one before ends. It works while `mcpEnabled` is on.

    Needs no body.
    """
    secret = await services_of(request).mcp.renew(actor_of(request, caller), institution_id)
    return McpSecret(secret=secret, message="Keep the secret: it is not shown again.")


@OWN_ROUTER.put("/api/user/institution", summary="Change your active twin", responses=failures(404))
async def edit_own_institution(request: Request, caller: SignedIn, sent: OwnSettings) -> Message:
    """Change some settings of the active twin. Takes `institutions.edit` there."""
    if caller.institution_id is None:
        raise NotAMember
    services = services_of(request)
    row = await services.twins.get_to_edit(caller, caller.institution_id)
    await services.twins.change(actor_of(request, caller), row.id, changes_of(sent))
    return Message(message="Institution updated!")
