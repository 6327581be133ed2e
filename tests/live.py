"""A real server on a real socket, in the test's own event loop: the product as `serve` composes it.

async with live_server(tmp_path, openai_base_url=upstream.base_url) as server:
    token = await server.sign_in()
    async with server.http.post("/api/ai/personal/qanda", json=…, headers=server.auth(token)) as response: …
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import aiohttp

from tests import databases
from twinspeak.app.compose import Running, running
from twinspeak.app.offline import Ground, prepare
from twinspeak.app.server import DrainingServer, config_for, listen, url_of
from twinspeak.identity import passwords
from twinspeak.settings import Settings

CHEAP = passwords.Cost(passes=1, memory_kib=64, lanes=1)
EMAIL = "admin@example.org"
PASSWORD = "correct horse battery"


@dataclass
class LiveServer:
    """`url` is its address, `http` a client session for it."""

    url: str
    http: aiohttp.ClientSession
    live: Running
    ground: Ground
    settings: Settings

    async def sign_in(self, email: str = EMAIL, password: str = PASSWORD) -> str:
        """Return a token."""
        body = {"email": email, "password": password}
        async with self.http.post("/api/auth/signin", json=body) as response:
            assert response.status == 200, await response.text()
            return (await response.json())["token"]

    def auth(self, token: str) -> dict[str, str]:
        """Return the header that carries `token`."""
        return {"x-access-token": token}


@asynccontextmanager
async def live_server(data_dir: Path, **changes: Any) -> AsyncGenerator[LiveServer]:
    """Serve until the block ends. `changes` are settings by field name; the local model answers without pauses.

    Circuits stay closed: most tests of failures make many of them, one after the other.
    """
    values: dict[str, Any] = {
        "data_dir": data_dir,
        "database_url": databases.url_for(data_dir),
        "admin_email": EMAIL,
        "admin_password": PASSWORD,
        "port": 0,
        "local_pace_ms": 0,
        "circuit_failures": 0,
        "drain_s": 0,
        "ingest_workers": 0,
        **{("OPENAI_BASE_URL" if name == "openai_base_url" else name): value for name, value in changes.items()},
    }
    settings = Settings(**values)
    bound = listen(settings.host, settings.port, write_timeout_s=settings.stream_write_timeout_s)
    with bound, contextlib.ExitStack() as stack:
        # A hash is meant to take a tenth of a second, and tests start very many servers.
        with mock.patch.object(passwords, "Cost", return_value=CHEAP):
            ground = stack.enter_context(prepare(settings))
        async with running(settings, ground) as live:
            ready = asyncio.Event()
            server = DrainingServer(config_for(live, max_payload=settings.socket_max_payload_bytes), live, ready.set)
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(server._serve([bound]))
                await ready.wait()
                url = url_of(bound)
                async with aiohttp.ClientSession(url) as http:
                    try:
                        yield LiveServer(url, http, live, ground, settings)
                    finally:
                        server.begin_drain()
                await serving
