"""Wiring of MCP: the guarded way to twins' servers, with the credential that each was given."""

import shutil
import ssl
from contextlib import AsyncExitStack

import msgspec

from twinspeak.app.offline import Ground
from twinspeak.domain.errors import FetchFailed, OperatorError
from twinspeak.domain.tools import McpHealth, McpServer
from twinspeak.egress.fetch import Fetcher
from twinspeak.egress.guard import AllowList, Guard
from twinspeak.persistence.db import Database
from twinspeak.persistence.repos import mcp_servers
from twinspeak.persistence.secrets import SecretBox, SecretUnreadable
from twinspeak.settings import Settings
from twinspeak.tools.mcp.client import Server
from twinspeak.tools.mcp.http import Endpoint, HttpServer, Unavailable
from twinspeak.tools.mcp.remote import RemoteTools
from twinspeak.tools.mcp.stdio import PATH, Program, Programs


class Ways:
    """Makes ways to servers (`tools.mcp.remote.Reach`), and asks them for administrators (`services.McpProbe`)."""

    def __init__(self, db: Database, box: SecretBox, fetcher: Fetcher, programs: Programs) -> None:
        """Keep the parts."""
        self._db = db
        self._box = box
        self._fetcher = fetcher
        self._programs = programs
        self.remote = RemoteTools(self.reach)

    async def reach(self, server: McpServer) -> Server:
        """Return the way to a server. Raises Unavailable when it has changed, or its credential cannot be read."""
        try:
            credential = await self._db.read(lambda tx: mcp_servers.credential(tx, self._box, server))
        except SecretUnreadable:
            raise Unavailable("Its credential cannot be read: set it again.") from None
        if credential is None:
            raise Unavailable("It has been changed or removed.")
        if server.program is not None:
            return self._programs.way(server.program, server.institution_id)
        headers = {"Authorization": credential} if credential else {}
        return HttpServer(self._fetcher, Endpoint(url=server.url, headers=headers))

    async def test(self, server: McpServer) -> list[tuple[str, str]]:
        """Return (name, description) of a server's tools. Raises FetchFailed, its message saying why not."""
        try:
            return [(tool.name, tool.description) for tool in await self.remote.test(server)]
        except Unavailable as why:
            raise FetchFailed(str(why) or None, details={"reason": "mcp"}) from None

    def health(self, server: McpServer) -> McpHealth:
        """Return how a server did when it was asked last."""
        return self.remote.health(server)

    def runs(self, program: str, institution_id: str) -> bool:
        """Tell whether the operator has a program of this name for a twin."""
        return self._programs.allows(program, institution_id)

    def forget(self, server_id: str) -> None:
        """Let go of a server that has changed or gone, at once."""
        self.remote.forget(server_id)


def guard_of(settings: Settings) -> Guard:
    """Return the rules for addresses of MCP servers: https, on any ordinary port."""
    return Guard(AllowList(settings.egress_allow), schemes=("https",), ports=None)


def programs_of(settings: Settings) -> Programs:
    """Return the operator's programs. Raises OperatorError for a file that cannot be used."""
    path = settings.mcp_programs
    if path is None:
        return Programs({})
    try:
        listed = msgspec.json.decode(path.read_bytes(), type=_ProgramsFile).mcp_servers
    except (OSError, msgspec.DecodeError) as error:
        raise OperatorError(f"TWINSPEAK_MCP_PROGRAMS: {path} cannot be used: {error}") from error
    for name, program in listed.items():
        if shutil.which(program.command, path=program.env.get("PATH", PATH)) is None:
            raise OperatorError(f"TWINSPEAK_MCP_PROGRAMS: {path}: there is no program {program.command!r} ({name}).")
    return Programs(listed)


class _ProgramsFile(msgspec.Struct, forbid_unknown_fields=True):
    mcp_servers: dict[str, Program] = msgspec.field(name="mcpServers")


def ways_of(settings: Settings, ground: Ground, stack: AsyncExitStack, *, tls: ssl.SSLContext | None = None) -> Ways:
    """Open the way to MCP servers: connections of its own, so that none of them can use up those of others."""
    fetcher = Fetcher.open(guard_of(settings), tls=tls)
    stack.push_async_callback(fetcher.close)
    programs = programs_of(settings)
    stack.push_async_callback(programs.close)
    ways = Ways(ground.db, ground.secrets, fetcher, programs)
    stack.push_async_callback(ways.remote.close)
    return ways
