"""Tool records over REST (reference content 5.1, admin 9.1, 9.2). PUT and DELETE are ours: the reference shows none."""

from typing import Annotated, Any, Literal

from fastapi import Body, Path, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from twinspeak.domain.clock import iso
from twinspeak.domain.errors import SuperRequired
from twinspeak.domain.tools import ARGUMENTS
from twinspeak.services import policy
from twinspeak.services.tool_records import Shown
from twinspeak.transports.http.routes import SignedIn, SuperAdmin, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest.own_account import actor_of
from twinspeak.transports.rest.shapes import ID, Shape

ROUTER = router("Administration: tools", failures=(401, 403))

Text = Annotated[str, StringConstraints(max_length=4_000)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=100)]
ToolId = Annotated[str, Path(alias="id", description="24 hexadecimal digits.")]
_ARGUMENTS = tuple(f"argument_{number}" for number in range(1, ARGUMENTS + 1))


class ToolFields(BaseModel):
    """What administrators say of a tool; null leaves a field as it is, an empty text what the tool says itself."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"example": {"status": "inactive"}})

    description: Text | None = Field(default=None, description="Told to models in place of the tool's own.")
    instructions: Text | None = Field(default=None, description="Told to models after the description.")
    argument_1: Text | None = Field(default=None, description="Describes the first parameter, and so on.")
    argument_2: Text | None = None
    argument_3: Text | None = None
    argument_4: Text | None = None
    argument_5: Text | None = None
    argument_6: Text | None = None
    categories: Annotated[list[Word], Field(max_length=50)] | None = None
    rt_enabled: bool | None = Field(default=None, alias="rtEnabled", description="For voice.")
    rt_only: bool | None = Field(default=None, alias="rtOnly", description="Voice alone may use it.")
    status: Literal["active", "inactive"] | None = None

    def changes(self, old: tuple[str, ...] = ("",) * ARGUMENTS) -> dict[str, Any]:
        """Return fields to set, over the descriptions of parameters that there are."""
        given = self.model_dump(exclude_none=True, exclude={"name"})
        told = [given.pop(name, before) for name, before in zip(_ARGUMENTS, old, strict=True)]
        if tuple(told) != old:
            given["arguments"] = told
        return given


class NewTool(ToolFields):
    """A tool that was deleted, by its name: it comes back."""

    model_config = ConfigDict(json_schema_extra={"example": {"name": "calculate"}})

    name: Annotated[str, StringConstraints(min_length=1, max_length=64)]


class ToolsWanted(BaseModel):
    """Which page. `minimum` asks for what everybody may see, without pages."""

    model_config = ConfigDict(json_schema_extra={"example": {"minimum": True}})

    minimum: bool = False
    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    page_size: Annotated[int, Field(ge=1, le=5_000)] = Field(default=100, alias="pageSize")


class LeanTool(Shape):
    """With `minimum`."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    name: str
    status: str
    description: str
    rt_enabled: bool = Field(serialization_alias="rtEnabled")
    rt_only: bool = Field(serialization_alias="rtOnly")
    categories: list[str]


class ToolShape(LeanTool):
    """A tool as super administrators see it."""

    model_config = ConfigDict(extra="allow")

    same_id: str = Field(serialization_alias="id")
    instructions: str
    is_array: bool = Field(default=False, serialization_alias="isArray")
    created: str
    unavailable: bool
    unavailable_reason: str = Field(serialization_alias="unavailableReason")


class Tools(BaseModel):
    """By name; without pages when `minimum` was asked for."""

    success: Literal[True] = True
    data: list[ToolShape] | list[LeanTool]
    total: int | None = None
    page: int | None = None
    page_size: int | None = Field(default=None, serialization_alias="pageSize")
    has_more: bool | None = Field(default=None, serialization_alias="hasMore")


class OneTool(BaseModel):
    """One tool."""

    success: Literal[True] = True
    data: ToolShape


class ToolGone(BaseModel):
    """It is deleted."""

    success: Literal[True] = True
    message: str = Field(examples=["The tool is deleted."])


@ROUTER.post("/api/admin/tools", summary="List tools", response_model_exclude_none=True)
async def list_tools(request: Request, caller: SignedIn, wanted: Annotated[ToolsWanted | None, Body()] = None) -> Tools:
    """Return this server's tools. All of it is for super administrators, `minimum` for everybody."""
    wanted = wanted or ToolsWanted()
    service = services_of(request).tools
    if wanted.minimum:
        found, _ = await service.listing(first=0, limit=5_000)
        return Tools(data=[_lean(one) for one in found])
    if not policy.is_super(caller):
        raise SuperRequired
    policy.as_oneself(caller)
    first = (wanted.page - 1) * wanted.page_size
    found, total = await service.listing(first=first, limit=wanted.page_size)
    return Tools(
        data=[_whole(one) for one in found],
        total=total,
        page=wanted.page,
        page_size=wanted.page_size,
        has_more=first + len(found) < total,
    )


@ROUTER.get("/api/admin/tool/{id}", summary="Read a tool", responses=failures(400, 404))
async def read_tool(request: Request, caller: SuperAdmin, tool_id: ToolId) -> OneTool:
    """Return one tool."""
    del caller
    return OneTool(data=_whole(await services_of(request).tools.get(tool_id)))


@ROUTER.post("/api/admin/tool", summary="Bring a tool back", responses=failures(409))
async def restore_tool(request: Request, caller: SuperAdmin, new: NewTool) -> OneTool:
    """Take up a deleted tool again. Other names are refused: tools are part of the server."""
    done = await services_of(request).tools.restore(actor_of(request, caller), new.name, new.changes())
    return OneTool(data=_whole(done))


@ROUTER.put("/api/admin/tool/{id}", summary="Change a tool", responses=failures(404))
async def edit_tool(request: Request, caller: SuperAdmin, tool_id: ToolId, edit: ToolFields) -> OneTool:
    """Switch a tool on or off for everybody, or change what models are told of it."""
    service = services_of(request).tools
    old = (await service.get(tool_id)).record
    return OneTool(data=_whole(await service.change(actor_of(request, caller), old.id, edit.changes(old.arguments))))


@ROUTER.delete("/api/admin/tool/{id}", summary="Delete a tool", responses=failures(400, 404))
async def delete_tool(request: Request, caller: SuperAdmin, tool_id: ToolId) -> ToolGone:
    """Take a tool away from everybody, until it is brought back."""
    await services_of(request).tools.delete(actor_of(request, caller), tool_id)
    return ToolGone(message="The tool is deleted.")


def _lean(shown: Shown) -> LeanTool:
    record = shown.record
    return LeanTool(
        id=record.id,
        name=record.name,
        status=record.status,
        description=_description(shown),
        rt_enabled=record.rt_enabled,
        rt_only=record.rt_only,
        categories=list(record.categories),
    )


def _whole(shown: Shown) -> ToolShape:
    record = shown.record
    properties = list(shown.spec.parameters.get("properties", {}).values()) if shown.spec else []
    own = [str(one.get("description", "")) for one in properties] + [""] * ARGUMENTS
    told = (said or ours for said, ours in zip(record.arguments, own, strict=False))
    arguments: dict[str, Any] = dict(zip(_ARGUMENTS, told, strict=True))
    return ToolShape(
        **_lean(shown).model_dump(),
        same_id=record.id,
        instructions=record.instructions,
        created=iso(record.created),
        unavailable=bool(shown.unavailable),
        unavailable_reason=shown.unavailable,
        **arguments,
    )


def _description(shown: Shown) -> str:
    return shown.record.description or (shown.spec.description if shown.spec else "")
