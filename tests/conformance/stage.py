"""The product on a real socket, answering with a model that tests script, and what clients send it."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from tests.fakes.upstream import MODEL, Upstream
from tests.live import LiveServer, live_server
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import wallets
from twinspeak.persistence.tables import institutions

SSE_PATH = "/api/ai/personal-stream/qanda-stream"
CHAT_PATH = "/api/ai/chat/completions"
QUESTION = "What is said?"
PLENTY = 1_000_000


@dataclass
class Stage:
    """A server, its model, and somebody signed in."""

    server: LiveServer
    upstream: Upstream
    token: str = field(repr=False)

    @property
    def url(self) -> str:
        """The address of the server."""
        return self.server.url

    @property
    def base(self) -> str:
        """What OpenAI's clients take as their base URL."""
        return f"{self.url}/api/ai"

    @property
    def headers(self) -> dict[str, str]:
        """What a request of somebody signed in carries."""
        return {"x-access-token": self.token, "content-type": "application/json"}

    def body(self, **args: Any) -> dict[str, Any]:
        """The body of a question with these `requestArgs`; the vault is left alone unless they say otherwise."""
        return {"inputs": [QUESTION], "requestArgs": {"ragIgnore": True, **args}}

    async def set_twin(self, **columns: Any) -> None:
        """Change the sample twin's settings in the database."""

        def change(tx: Tx) -> None:
            tx.run(update(institutions).values(**columns))

        await self.server.ground.db.write(change)

    async def get(self, path: str) -> Any:
        """Return a GET's JSON."""
        async with self.server.http.get(path, headers=self.headers) as answer:
            return await answer.json()

    async def post(self, path: str, body: Any) -> Any:
        """Return a POST's JSON."""
        async with self.server.http.post(path, json=body, headers=self.headers) as answer:
            return await answer.json()


@asynccontextmanager
async def open_stage(data_dir: Path, **changes: Any) -> AsyncGenerator[Stage]:
    """Serve until the block ends; `changes` are settings."""
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(Upstream())
        settings = {"openai_base_url": upstream.base_url, "default_model": MODEL, "turns_per_minute_user": 100_000}
        server = await stack.enter_async_context(live_server(data_dir, **{**settings, **changes}))
        stage = Stage(server, upstream, await server.sign_in())

        def provide(tx: Tx) -> None:
            twin = tx.value(select(institutions.c.id))
            wallets.award(tx, "institution", twin, PLENTY, note="for tests")

        await server.ground.db.write(provide)
        await stage.set_twin(rag_ignore=True)
        yield stage
