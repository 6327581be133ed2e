"""A server, an MCP server beside it, and what tests of the two begin with."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import update

from tests.faces import Answer, Face
from tests.fakes.mcp import McpFake, mcp_fake
from tests.fakes.upstream import text_reply, tool_reply
from tests.sqlite import sqlite_world
from tests.world import World, looking_into, world
from twinspeak.persistence.tables import memberships as membership_table

KEY = "Bearer key-of-the-library-0123"
ONE, MANY = "/api/admin/mcpserver", "/api/admin/mcpservers"
Call = tuple[str, dict[str, Any]]


@dataclass
class Place:
    world: World
    fake: McpFake
    twin: str

    async def call(self, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any]:
        headers = self.world.server.auth(token or self.world.token)
        async with self.world.server.http.request(method, path, json=body, headers=headers) as response:
            return response.status, await response.json()

    async def add(self, **fields: Any) -> str:
        status, body = await self.call("POST", ONE, {"name": "Library", "server_url": self.fake.url, **fields})
        assert status == 200, body
        return body["id"]

    async def read(self, server_id: str) -> dict[str, Any]:
        status, body = await self.call("GET", f"{ONE}/{server_id}")
        assert status == 200, body
        return body["data"]

    @asynccontextmanager
    async def having(self, **fields: Any) -> AsyncGenerator[str]:
        """Have a server for a while."""
        made = await self.add(**fields)
        try:
            yield made
        finally:
            await self.call("DELETE", f"{ONE}/{made}")

    async def ask(self, question: str, *calls: Call, **args: Any) -> Answer:
        """Ask; the model makes these calls, one a round, and then says something."""
        self.world.upstream.script(*(tool_reply(call) for call in calls), text_reply("As you wish."))
        answer = await self.world.ask(Face.REST, question, **{"ragIgnore": True, **args})
        assert answer.status == 200, answer.body
        return answer

    async def tools(self, answer: Answer) -> list[dict[str, Any]]:
        return (await self.world.record(answer.turn_id))["tools"]

    def offered(self) -> dict[str, dict[str, Any]]:
        """Return what the model was offered last, by name."""
        return {tool["function"]["name"]: tool["function"] for tool in self.world.upstream.exchanges[-1].json["tools"]}

    async def entitle(self, token: str, *verbs: str) -> None:
        """Give the members of a person's twin these verbs."""
        _, body = await self.world.post("/api/user/refresh/profile", token=token)
        wanted = membership_table.c.institution_id == body["profile"]["institution"]["_id"]
        change = update(membership_table).where(wanted).values(entitlements=json.dumps(verbs))
        assert await self.world.server.ground.db.write(lambda tx: tx.change(change))

    def dump(self) -> str:
        """Return all that is stored of servers and of what was done to them."""
        with looking_into(self.world.database) as connection:
            statements = ("SELECT * FROM mcp_servers ORDER BY id", "SELECT * FROM audit_log ORDER BY id")
            rows = [connection.exec_driver_sql(one).mappings().all() for one in statements]
        return json.dumps([dict(row) for some in rows for row in some], default=str)


@asynccontextmanager
async def mcp_place(
    folder: Path, *, both: bool = False, serving: dict[str, Any] | None = None, **settings: Any
) -> AsyncGenerator[Place]:
    """Serve; `both`: on the database that the test asked for, else on SQLite. `settings` are the fake's."""
    making = world if both else sqlite_world
    async with mcp_fake(**settings) as fake, making(folder, egress_allow=("127.0.0.1",), **(serving or {})) as here:
        _, body = await here.post("/api/user/refresh/profile")
        yield Place(here, fake, body["profile"]["institution"]["_id"])
