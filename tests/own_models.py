"""A server, and a second model server that a twin brings: what tests of twins' own models begin with."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from sqlalchemy import text, update

from tests.faces import Answer, Face, ask
from tests.fakes.upstream import Upstream, text_reply
from tests.world import World, looking_into, world
from twinspeak.persistence.tables import institutions as institution_table
from twinspeak.persistence.tables import memberships as membership_table

ENVIRONMENT_KEY = "sk-environment-0123456789"
KEY = "sk-twins-own-abcdefghij"
HEADER = "team-secret-zyxwvu"
_ALL = {"ai_models": "SELECT * FROM ai_models ORDER BY id", "audit_log": "SELECT * FROM audit_log ORDER BY id"}


@dataclass
class Own:
    """`here` is the server with the operator's provider behind it, `upstream` the one that a twin brings."""

    here: World
    upstream: Upstream

    async def call(self, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any]:
        headers = self.here.server.auth(token or self.here.token)
        async with self.here.server.http.request(method, path, json=body, headers=headers) as response:
            return response.status, await response.json()

    def record(self, **fields: Any) -> dict[str, Any]:
        """Return a body that makes a record for `upstream`."""
        return {
            "name": "own-model",
            "client_library": "openai_cli",
            "api_url": self.upstream.base_url,
            "api_key": KEY,
            "max_output_tokens": 1_000,
            **fields,
        }

    async def make(self, token: str | None = None, **fields: Any) -> str:
        """Add a record; return its id."""
        status, body = await self.call("POST", "/api/admin/aimodel", self.record(**fields), token)
        assert status == 200, body
        return body["id"]

    async def read(self, model_id: str, token: str | None = None) -> dict[str, Any]:
        status, body = await self.call("GET", f"/api/admin/aimodel/{model_id}", token=token)
        assert status == 200, body
        return body["data"]

    async def twin(self, token: str | None = None) -> str:
        _, body = await self.here.post("/api/user/refresh/profile", token=token)
        return body["profile"]["institution"]["_id"]

    async def choose(self, model: str, twin: str) -> None:
        """Set a twin's model."""
        await self.edit(
            update(institution_table).where(institution_table.c.id == twin).values(conversation_model=model)
        )

    async def entitle(self, twin: str, *verbs: str) -> None:
        """Give the members of a twin these verbs and no others."""
        listed = "[" + ",".join(f'"{verb}"' for verb in verbs) + "]"
        wanted = membership_table.c.institution_id == twin
        await self.edit(update(membership_table).where(wanted).values(entitlements=listed))

    async def edit(self, statement: Any) -> None:
        assert await self.here.server.ground.db.write(lambda tx: tx.change(statement))

    async def ask(self, token: str | None = None, face: Face = Face.REST) -> Answer:
        return await ask(self.here.server, token or self.here.token, face, "What is a digital twin?")

    def rows(self, table: Literal["ai_models", "audit_log"] = "ai_models") -> list[dict[str, Any]]:
        """Return all that is stored of records, or in another table."""
        with looking_into(self.here.database) as connection:
            return [dict(row) for row in connection.execute(text(_ALL[table])).mappings()]

    def dump(self) -> str:
        """Return all that is stored of records, as text."""
        return repr(self.rows())


@asynccontextmanager
async def own_world(data_dir: Path, **changes: Any) -> AsyncGenerator[Own]:
    """Serve; the address of the twin's own model server is opened, nothing else of this machine is."""
    async with Upstream() as upstream:
        upstream.default = lambda _: text_reply("Said by the twin's own model.")
        values = {"egress_allow": (f"127.0.0.1:{upstream.port}",), "OPENAI_API_KEY": ENVIRONMENT_KEY, **changes}
        async with world(data_dir, **cast("Any", values)) as here:
            here.upstream.default = lambda _: text_reply("Said by the server's model.")
            yield Own(here, upstream)
