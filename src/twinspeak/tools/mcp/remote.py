"""The tools of a twin's MCP servers, beside our own: which there are, what they are called, and running them.

Lists are kept for a while, also those of servers that do not answer now; nobody's turn waits long for a server. One
that hangs holds at most its own few calls.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog

from twinspeak.domain.clock import monotonic, now_ms
from twinspeak.domain.errors import ToolError
from twinspeak.domain.events import DisplayInfo
from twinspeak.domain.tools import McpHealth, McpServer, ToolSpec
from twinspeak.domain.turn import ToolOutcome, TurnPlan
from twinspeak.engine.ports import ToolContext
from twinspeak.tools import policy
from twinspeak.tools.mcp import client
from twinspeak.tools.mcp.client import ListedTool, Result, Server
from twinspeak.tools.mcp.http import Progress, Unavailable
from twinspeak.tools.registry import CallContext, Rules

ICON = "plug"
CALL_S = 60.0
_FRESH_S, _FAILED_S, _STALE_S = 300.0, 30.0, 3_600.0
PATIENCE_S = 5.0
"""How long the first turn waits for lists that are not there."""
_AT_ONCE = 8
_KEPT = 200
_TURNS = 1_000
_LONGEST = 64
_PART = 24
_UNFIT = re.compile(r"[^a-zA-Z0-9_-]+")

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

Reach = Callable[[McpServer], Awaitable[Server]]
"""Makes the way to a server, its credential with it. Raises Unavailable."""


def label_of(name: str) -> str:
    """Return how a person sees a remote tool, from its name alone: replays know no more."""
    server, _, tool = name.partition("__")
    return f"{server.replace('_', ' ')}: {tool.replace('_', ' ')}"


class RemoteTool:
    """One tool of one server, as `registry.Tool` is one of ours."""

    def __init__(self, name: str, server: McpServer, listed: ListedTool, held: "_Held") -> None:
        """`name` is what models call it: unique in the turn."""
        self.name = name
        self.offered = self._is_offered
        self.display = DisplayInfo(icon=ICON, label=label_of(name))
        words = frozenset(re.findall(r"\w+", msgspec.json.encode(listed.schema).decode()))
        self.rules = Rules(
            origin=server.origin,
            check=None if server.shares_documents else _leaving(server.origin, words),
            timeout_s=CALL_S,
        )
        hint = f"{server.name}: {server.description}" if server.description else server.name
        self.spec = ToolSpec(
            name=name,
            description=f"[{hint[:300]}] {listed.title or listed.name}. {listed.description}".strip(),
            parameters=listed.schema,
            icon=ICON,
            label=self.display.label,
        )
        self._tool = listed.name
        self._server = server
        self._held = held

    async def __call__(self, context: CallContext, arguments: dict[str, Any]) -> ToolOutcome:
        """Run it there. Raises ToolRefused, and ToolError for a server that does not answer."""
        if self.rules.check is not None:
            self.rules.check(context, arguments)

        def progress(far: float | None, _: str) -> None:
            context.progress(context.call_id, self.display, far)

        try:
            result = await self._held.call(self._tool, arguments, progress)
        except Unavailable as why:
            raise ToolError(f"The server of this tool cannot be used now. {why}") from None
        return ToolOutcome(text=result.text, success=result.success, origin=self.rules.origin)

    def _is_offered(self, plan: TurnPlan) -> bool:
        """Offer nothing to a turn that a model asked for: twins may be one another's servers."""
        return plan.ask.depth == 0 and self._server in plan.tool_grants.servers


class RemoteTools:
    """The servers that were asked lately. One for the whole server."""

    def __init__(self, reach: Reach) -> None:
        """Keep the way to them."""
        self._reach = reach
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._turns: OrderedDict[str, list[RemoteTool]] = OrderedDict()

    async def prepare(self, plan: TurnPlan) -> None:
        """Have the lists of the turn's servers at hand, as far as they come in time."""
        held = [self._of(server) for server in plan.tool_grants.servers]
        missing = [one for one in held if one.stale]
        if not missing:
            return
        try:
            async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
                for one in missing:
                    group.create_task(one.refresh(), name="mcp list")
        except TimeoutError:
            _log.info("mcp_lists_late", servers=[one.server.id for one in missing if not one.tools])

    def tools(self, plan: TurnPlan) -> list[RemoteTool]:
        """Return the tools of the turn's servers as far as they are known, each by a name of its own.

        A name means the same tool as long as the turn runs, also when lists and servers change meanwhile.
        """
        if not plan.tool_grants.servers:
            return []
        turn = plan.ask.turn_id
        if turn not in self._turns:
            self._turns[turn] = self._named(plan)
            if len(self._turns) > _TURNS:
                self._turns.popitem(last=False)
        return self._turns[turn]

    def _named(self, plan: TurnPlan) -> list[RemoteTool]:
        found: dict[str, RemoteTool] = {}
        for server in plan.tool_grants.servers:
            held = self._of(server)
            for listed in held.tools or ():
                if server.allows(listed.name):
                    name = _unique(server.name, listed.name, found)
                    found[name] = RemoteTool(name, server, listed, held)
        return list(found.values())

    async def test(self, server: McpServer) -> list[ListedTool]:
        """Ask a server for its tools now. Raises Unavailable."""
        held = self._of(server)
        await held.refresh(force=True)
        if held.tools is None or held.health.error:
            raise Unavailable(held.health.error)
        return list(held.tools)

    def health(self, server: McpServer) -> McpHealth:
        """Return how a server did when it was asked last."""
        held = self._held.get(_key(server))
        return held.health if held else McpHealth()

    def forget(self, server_id: str, *, before: int | None = None) -> None:
        """Let go of a server at once, of all its revisions or of those `before` one."""
        for key, held in list(self._held.items()):
            if held.server.id == server_id and (before is None or held.server.revision < before):
                self._held.pop(key).drop(gone=True)

    async def close(self) -> None:
        """Let go of every server."""
        held, self._held = list(self._held.values()), OrderedDict()
        async with asyncio.TaskGroup() as group:
            for one in held:
                group.create_task(one.close(), name="mcp close")

    def _of(self, server: McpServer) -> "_Held":
        key = _key(server)
        held = self._held.get(key)
        if held is None:
            self.forget(server.id, before=server.revision)
            held = self._held[key] = _Held(server, self._reach)
            if len(self._held) > _KEPT:
                self._held.popitem(last=False)[1].drop()
        self._held.move_to_end(key)
        return held


class _Held:
    """One server: its way, its list, its health, and how many may ask it at once."""

    def __init__(self, server: McpServer, reach: Reach) -> None:
        self.server = server
        self.tools: tuple[ListedTool, ...] | None = None
        self.health = McpHealth()
        self._reach = reach
        self._way: Server | None = None
        self._gone = False
        self._asked: float | None = None
        self._listed: float | None = None
        self._listing = asyncio.Lock()
        self._room = asyncio.Semaphore(_AT_ONCE)

    @property
    def stale(self) -> bool:
        if self._asked is None:
            return True
        return monotonic() - self._asked > (_FAILED_S if self.health.error else _FRESH_S)

    async def refresh(self, *, force: bool = False) -> None:
        """Ask for the list, once for however many wait for it; what goes wrong is the server's health."""
        async with self._listing:
            if not (force or self.stale):
                return
            try:
                tools = tuple(await client.tools_of(await self._server()))
            except Unavailable as why:
                self._note(str(why))
            except asyncio.CancelledError:
                self._note("It took too long to answer.")
                raise
            else:
                self.tools, self._listed = tools, monotonic()
                self._note("")

    async def call(self, name: str, arguments: dict[str, Any], progress: Progress) -> Result:
        """Run a tool of it. Raises Unavailable."""
        async with self._room:
            return await client.call(await self._server(), name, arguments, timeout_s=CALL_S, progress=progress)

    async def close(self) -> None:
        if self._way is not None:
            await self._way.close()

    def drop(self, *, gone: bool = False) -> None:
        """Let go of the server; of one that is `gone` for good, though turns may still hold its tools."""
        self._gone = self._gone or gone
        way, self._way = self._way, None
        if way is not None:
            way.drop()

    async def _server(self) -> Server:
        if self._way is None and not self._gone:
            self._way = await self._reach(self.server)
        if self._way is None or self._gone:
            self.drop()
            raise Unavailable("It has been changed or removed.")
        return self._way

    def _note(self, error: str) -> None:
        self._asked = monotonic()
        if error and self._listed is not None and monotonic() - self._listed > _STALE_S:
            self.tools = None
        count = len(self.tools or ())
        self.health = McpHealth(status="error" if error else "ok", checked=now_ms(), tools=count, error=error)


def _leaving(to: str, words: frozenset[str]) -> policy.Check:
    def check(context: ToolContext, arguments: dict[str, Any]) -> None:
        policy.check_leaving(context, arguments, to=to, known=words)

    return check


def _key(server: McpServer) -> str:
    return f"{server.id}:{server.revision}"


def _unique(server: str, tool: str, taken: dict[str, RemoteTool]) -> str:
    """Return a name that every vendor takes and that no other tool of the turn has: `server__tool`."""
    first = _UNFIT.sub("_", server).strip("_-")[:_PART].strip("_-") or "server"
    first = first if first[0].isalpha() else f"s{first}"
    name = f"{first.replace('__', '_')}__{_UNFIT.sub('_', tool).strip('_') or 'tool'}"[:_LONGEST]
    number = 2
    while name in taken:
        name = f"{name[: _LONGEST - 4]}_{number}"
        number += 1
    return name
