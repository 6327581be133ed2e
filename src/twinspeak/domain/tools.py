"""Tools as data: what models are told of them, what they call, and what is kept of it."""

from typing import Any

import msgspec

VAULT, MEMORY, CONVERSATION, FILE, INSTRUCTIONS = "vault", "memory", "conversation", "file", "instructions"
SEARCH, WEB = "search", "web"


class Material(msgspec.Struct, frozen=True):
    """Text that a turn has before it and that its user did not say in it. `origin` is where it came from.

    Such as vault, memory, conversation, file, instructions (of the twin), search and web (both public), mcp:<server>.
    """

    origin: str
    text: str


ARGUMENTS = 6
"""Free descriptions of a tool's parameters (reference content 5.1)."""
PROGRAM = "stdio:"
"""How the address of an MCP server begins that is one of the operator's programs; its name follows."""
MCP_ACTIVE, MCP_INACTIVE = "active", "inactive"


class ToolRecord(msgspec.Struct, frozen=True):
    """What administrators say of one of this server's tools (reference content 5.1). `status` is active or inactive.

    `description` and `instructions` take the place of, and go after, the tool's own words; `arguments` describe its
    parameters in order; "" leaves what there is. `rt_enabled` and `rt_only` are for voice, which is not built.
    """

    id: str
    name: str
    created: int
    description: str = ""
    instructions: str = ""
    arguments: tuple[str, ...] = ("",) * ARGUMENTS
    categories: tuple[str, ...] = ()
    rt_enabled: bool = False
    rt_only: bool = False
    status: str = "active"

    @property
    def usable(self) -> bool:
        """Whether a question may use it: voice has tools of its own."""
        return self.status == "active" and not self.rt_only


class McpServer(msgspec.Struct, frozen=True):
    """A twin's MCP server (reference content 5.6). Its credential is kept elsewhere, encrypted.

    An empty `allowed_tools` means all of its tools. `shares_documents`: it may be sent what stands in documents and
    memories, which the policy refuses otherwise. `revision` counts changes.
    """

    id: str
    institution_id: str
    name: str
    url: str
    created: int
    description: str = ""
    enabled: bool = True
    allowed_tools: tuple[str, ...] = ()
    shares_documents: bool = False
    has_credential: bool = False
    status: str = MCP_ACTIVE
    user_id: str | None = None
    revision: int = 1

    @property
    def program(self) -> str | None:
        """The name of the operator's program that it is, None for a server with an address."""
        return self.url.removeprefix(PROGRAM) if self.url.startswith(PROGRAM) else None

    @property
    def origin(self) -> str:
        """What its texts are called as material."""
        return f"mcp:{self.id}"

    def allows(self, tool: str) -> bool:
        """Tell whether a tool of it may be offered; an empty list allows all."""
        return self.enabled and (not self.allowed_tools or tool in self.allowed_tools)


class McpHealth(msgspec.Struct, frozen=True):
    """How a server did when it was asked last: unknown, ok or error. `checked` is epoch milliseconds."""

    status: str = "unknown"
    checked: int | None = None
    tools: int = 0
    error: str = ""


class ToolGrants(msgspec.Struct, frozen=True):
    """What of tools a turn's place has: names switched off by the twin, records that say something, MCP servers."""

    off: frozenset[str] = frozenset()
    records: dict[str, ToolRecord] = {}
    servers: tuple[McpServer, ...] = ()

    def within(self, now: "ToolGrants") -> "ToolGrants":
        """Return what is left of these grants by those of a later moment: nothing comes to them, changed servers go."""
        gone = (name for name, record in self.records.items() if not record.usable)
        servers = tuple(server for server in self.servers if server in now.servers)
        return ToolGrants(off=self.off | now.off | frozenset(gone), records=now.records, servers=servers)


class ToolSpec(msgspec.Struct, frozen=True):
    """A tool as models see it; `parameters` is a JSON Schema object."""

    name: str
    description: str
    parameters: dict[str, Any]
    icon: str
    label: str


class Opaque(msgspec.Struct, frozen=True):
    """What a provider wants back as it gave it, inside a turn: JSON that only the wire named `maker` may read.

    It goes nowhere else: no client, no history, no log (decision 023).
    """

    maker: str
    value: Any


class ToolCall(msgspec.Struct, frozen=True):
    """A model wants `name` run. `arguments` is None when what it sent is not a JSON object; `raw` is what it sent.

    `state` is what the provider wants back with this call (Gemini's thought signatures).
    """

    call_id: str
    name: str
    arguments: dict[str, Any] | None
    raw: str = ""
    state: Opaque | None = None


class ToolUse(msgspec.Struct, frozen=True):
    """A tool that ran in a turn, as stored (reference 4.2).

    `refusal` is why it was not run, where a rule forbade it (`tools.policy`).
    `began` and `ended` are its two events' numbers in the turn's log: a replay puts them where they were.
    """

    id: str
    name: str
    arguments: dict[str, Any] | None
    response: str
    response_length: int
    duration_ms: int
    success: bool
    automatic: bool = False
    began: int = 0
    ended: int = 0
    refusal: str = ""
