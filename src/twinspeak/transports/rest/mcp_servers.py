"""Administration of twins' MCP servers (reference content 5.6, admin 9.3).

The reference shows GET and PUT of one; the other paths are named like those of AI models. The credential is never
shown: a mask stands for it.
"""

from typing import Annotated, Any, Literal

from fastapi import Body, Path, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from twinspeak.domain.caller import Caller
from twinspeak.domain.clock import iso
from twinspeak.domain.errors import ValidationFailed
from twinspeak.services.administered import MASK
from twinspeak.services.mcp_servers import Changes, Listed
from twinspeak.services.passwords import field
from twinspeak.transports.http.routes import Verb, administers, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest.own_account import actor_of
from twinspeak.transports.rest.shapes import ID, Shape

ROUTER = router("Administration: MCP servers", failures=(401, 403))

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Url = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_048)]
Credential = Annotated[str, StringConstraints(max_length=8_000, pattern=r"^[\x20-\x7e]*$")]
ToolName = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Ids = Annotated[str, StringConstraints(max_length=20_000)]
ServerId = Annotated[str, Path(alias="id", description="24 hexadecimal digits.")]
Lister = Annotated[Caller, administers(Verb.INSTITUTIONS_LIST)]
Editor = Annotated[Caller, administers(Verb.INSTITUTIONS_EDIT)]


class ToolConfiguration(BaseModel):
    """Which of the server's tools are offered."""

    model_config = ConfigDict(extra="forbid", strict=True)

    enabled: bool = True
    allowed_tools: Annotated[list[ToolName], Field(max_length=200)] = Field(
        default_factory=list, description="As the server names them; empty for all."
    )


class Approval(BaseModel):
    """Asking the user before a tool runs is not available on this server."""

    model_config = ConfigDict(extra="forbid", strict=True)

    enabled: Literal[False] = False
    skip_approval_tools: Annotated[list[ToolName], Field(max_length=200)] = Field(default_factory=list)


class _Fields(BaseModel):
    """What a server is; null leaves a field as it is."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    server_type: Literal["url", "stdio"] | None = Field(default=None, description="What `server_url` is to be.")
    authorization_header: Credential | None = Field(
        default=None,
        description=f"Sent as `Authorization`; never shown again. `{MASK}` leaves it, a new address needs it anew.",
    )
    description: Annotated[str, StringConstraints(max_length=500)] | None = Field(
        default=None, description="Told to models: what the server is for."
    )
    require_approval: Approval | None = None
    tool_configuration: ToolConfiguration | None = None
    shares_documents: bool | None = Field(
        default=None,
        alias="sharesDocuments",
        description="Lets models send it what stands in documents, memories and earlier answers.",
    )
    status: Literal["active", "inactive"] | None = None

    def changes(self) -> Changes:
        """Return what was sent as the service takes it."""
        given = self.model_dump(exclude={"require_approval", "tool_configuration", "institution"}, exclude_none=True)
        renamed = {"server_url": "url", "server_type": "kind", "authorization_header": "credential"}
        fields: dict[str, Any] = {renamed.get(name, name): value for name, value in given.items()}
        if self.require_approval is not None and self.require_approval.skip_approval_tools:
            wrong = field("require_approval", "is not available on this server")
            raise ValidationFailed(param="require_approval", details=wrong)
        if self.tool_configuration is not None:
            fields["enabled"] = self.tool_configuration.enabled
            fields["allowed_tools"] = tuple(self.tool_configuration.allowed_tools)
        return Changes(**fields)


class NewServer(_Fields):
    """A server for a twin, by default your active one."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"name": "Library", "server_url": "https://mcp.example.org/mcp"}}
    )

    name: Name
    server_url: Url = Field(description="https, or `stdio:<name>` for a program that the operator has for the twin.")
    institution: Annotated[str, StringConstraints(max_length=100)] | None = None


class ServerEdit(_Fields):
    """Any of these."""

    model_config = ConfigDict(json_schema_extra={"example": {"status": "inactive"}})

    name: Name | None = None
    server_url: Url | None = None
    institution: None = Field(default=None, description="A server stays with its twin.")


class ServersWanted(BaseModel):
    """Of which twins, and which page."""

    model_config = ConfigDict(json_schema_extra={"example": {"page": 1}})

    institution: Ids = Field(default="", description="Twins' ids, parted by blanks.")
    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    page_size: Annotated[int, Field(ge=1, le=5_000)] = Field(default=100, alias="pageSize")


class Health(Shape):
    """How it did when it was asked last."""

    status: str = Field(examples=["unknown"], description="unknown, ok or error.")
    checked: str | None
    tools: int
    error: str


class ServerShape(Shape):
    """A server, its credential masked."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    name: str
    institution: str
    user: str | None
    server_type: str
    server_url: str
    authorization_header: str = Field(examples=[MASK])
    description: str
    require_approval: Approval
    tool_configuration: ToolConfiguration
    shares_documents: bool = Field(serialization_alias="sharesDocuments")
    status: str
    created: str
    health: Health


class Servers(BaseModel):
    """By name."""

    success: Literal[True] = True
    data: list[ServerShape]
    total: int
    page: int
    page_size: int = Field(serialization_alias="pageSize")
    has_more: bool = Field(serialization_alias="hasMore")


class OneServer(BaseModel):
    """One server."""

    success: Literal[True] = True
    data: ServerShape


class ServerDone(BaseModel):
    """It is done."""

    success: Literal[True] = True
    id: str = Field(examples=[ID])
    message: str = Field(examples=["MCP server created!"])


class OfferedTool(BaseModel):
    """A tool that it offers; `allowed`: by its configuration here."""

    name: str
    description: str
    allowed: bool


class Tried(BaseModel):
    """What it offers now."""

    success: Literal[True] = True
    data: list[OfferedTool]


@ROUTER.post("/api/admin/mcpservers", summary="List MCP servers", responses=failures(400))
async def list_mcp_servers(
    request: Request, caller: Lister, wanted: Annotated[ServersWanted | None, Body()] = None
) -> Servers:
    """Return the MCP servers of the twins where you may list."""
    wanted = wanted or ServersWanted()
    first = (wanted.page - 1) * wanted.page_size
    service = services_of(request).mcp_servers
    found, total = await service.search(caller, wanted.institution, first=first, limit=wanted.page_size)
    return Servers(
        data=[_shown(one) for one in found],
        total=total,
        page=wanted.page,
        page_size=wanted.page_size,
        has_more=first + len(found) < total,
    )


@ROUTER.post("/api/admin/mcpserver", summary="Add an MCP server", responses=failures(404, 409))
async def create_mcp_server(request: Request, caller: Editor, new: NewServer) -> ServerDone:
    """Let a twin's models use the tools of a server over streamable HTTP, or of a program of the operator's."""
    made = await services_of(request).mcp_servers.create(actor_of(request, caller), new.institution, new.changes())
    return ServerDone(id=made, message="MCP server created!")


@ROUTER.get("/api/admin/mcpserver/{id}", summary="Read an MCP server", responses=failures(400, 404))
async def read_mcp_server(request: Request, caller: Lister, server_id: ServerId) -> OneServer:
    """Return a server; its credential is not in it."""
    return OneServer(data=_shown(await services_of(request).mcp_servers.get(caller, server_id)))


@ROUTER.put("/api/admin/mcpserver/{id}", summary="Change an MCP server", responses=failures(404, 409))
async def edit_mcp_server(request: Request, caller: Editor, server_id: ServerId, edit: ServerEdit) -> ServerDone:
    """Change what is sent; turns that begin from now on see it, those that run call the server no more."""
    await services_of(request).mcp_servers.change(actor_of(request, caller), server_id, edit.changes())
    return ServerDone(id=server_id.lower(), message="MCP server updated!")


@ROUTER.delete("/api/admin/mcpserver/{id}", summary="Delete an MCP server", responses=failures(400, 404))
async def delete_mcp_server(request: Request, caller: Editor, server_id: ServerId) -> ServerDone:
    """Delete a server and its credential for good."""
    await services_of(request).mcp_servers.delete(actor_of(request, caller), server_id)
    return ServerDone(id=server_id.lower(), message="MCP server deleted!")


@ROUTER.post("/api/admin/mcpserver/{id}/test", summary="Try an MCP server", responses=failures(404, 409, 429, 502))
async def test_mcp_server(request: Request, caller: Editor, server_id: ServerId) -> Tried:
    """Ask a server for its tools now. Needs no body."""
    found = await services_of(request).mcp_servers.test(caller, server_id)
    return Tried(data=[OfferedTool(name=one.name, description=one.description, allowed=one.allowed) for one in found])


def _shown(listed: Listed) -> ServerShape:
    server, health = listed.server, listed.health
    return ServerShape(
        id=server.id,
        name=server.name,
        institution=server.institution_id,
        user=server.user_id,
        server_type="url" if server.program is None else "stdio",
        server_url=server.url,
        authorization_header=MASK if server.has_credential else "",
        description=server.description,
        require_approval=Approval(),
        tool_configuration=ToolConfiguration(enabled=server.enabled, allowed_tools=list(server.allowed_tools)),
        shares_documents=server.shares_documents,
        status=server.status,
        created=iso(server.created),
        health=Health(
            status=health.status,
            checked=None if health.checked is None else iso(health.checked),
            tools=health.tools,
            error=health.error,
        ),
    )
