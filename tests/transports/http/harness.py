"""The HTTP application on a real socket, over services that a test makes up."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

import httpx
import uvicorn
from fastapi import APIRouter

from twinspeak.domain.caller import Caller
from twinspeak.domain.credits import FREE
from twinspeak.domain.errors import InvalidToken
from twinspeak.domain.models import ModelSpec
from twinspeak.services.rate_limits import RateLimits
from twinspeak.telemetry.metrics import Metrics
from twinspeak.telemetry.watchdog import Watchdog
from twinspeak.transports.http.application import build
from twinspeak.transports.services import Edge, Services

ADA = Caller(user_id="a" * 24, email="ada@example.org", kind="user", session_id="1" * 24, institution_id="f" * 24)
BOB = Caller(user_id="b" * 24, email="bob@example.org", kind="user", session_id="2" * 24)


class FakeAuth:
    """Knows two tokens; what sign-in does is tested with the real service."""

    def __init__(self) -> None:
        self.callers = {"ada-token": ADA, "bob-token": BOB}

    async def authenticate(self, token: str | None) -> Caller:
        if token not in self.callers:
            raise InvalidToken
        return self.callers[token]


class FakeModels:
    default_id = "local"

    async def usable(self, caller: Caller) -> list[ModelSpec]:
        return [
            ModelSpec("local", "local", "local", "Local", 8_000, 2_000, FREE, uses_passages=True),
        ]


class FakeOrigins:
    def __init__(self, *origins: str) -> None:
        self.origins = origins
        self.reads = 0

    async def allowed(self) -> Collection[str]:
        self.reads += 1
        return self.origins


@dataclass
class World:
    """What a test can set before it serves."""

    edge: Edge = field(default_factory=Edge)
    auth: Any = field(default_factory=FakeAuth)
    profiles: Any = None
    histories: Any = None
    moderation: Any = None
    transcripts: Any = None
    memories: Any = None
    vaults: Any = None
    passages: Any = None
    folders: Any = None
    addresses: Any = None
    conversations: Any = None
    assistants: Any = None
    policy: Any = None
    turns: Any = None
    records: Any = None
    models: Any = field(default_factory=FakeModels)
    origins: Any = field(default_factory=FakeOrigins)
    limits: RateLimits = field(default_factory=RateLimits)
    metrics: Metrics = field(default_factory=Metrics)
    watchdog: Watchdog = field(default_factory=Watchdog)
    streams: Any = None
    audience: Any = None
    replay: Any = None
    database_up: bool = True
    stopping: bool = False

    async def database(self) -> bool:
        return self.database_up

    def services(self) -> Services:
        """Fill in what is set here; what else has no default is not used by the routes that a test asks."""
        given: dict[str, Any] = {"stopping": lambda: self.stopping}
        for one in fields(Services):
            needed = one.default is MISSING and one.default_factory is MISSING
            if one.init and one.name not in given and (needed or hasattr(self, one.name)):
                given[one.name] = getattr(self, one.name, None)
        return Services(**given)


class _Server(uvicorn.Server):
    """Says when it listens, and stops when told instead of looking every 0.1 s."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self.stop = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.stop.wait()


@contextlib.asynccontextmanager
async def served(world: World, faces: Sequence[APIRouter] = ()) -> AsyncGenerator[httpx.AsyncClient]:
    """Serve `world` until the block ends; the client's base URL is the server's."""
    config = uvicorn.Config(
        build(world.services(), faces),
        port=0,
        log_config=None,
        proxy_headers=False,
        loop="asyncio",
        ws="none",
        lifespan="off",
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        await asyncio.wait_for(server.up.wait(), 10)
        port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield client
    finally:
        for _ in range(100):  # or uvicorn sleeps until the client's last connection is gone
            if server.server_state.connections:
                await asyncio.sleep(0)
        server.stop.set()
        await serving


async def raw(client: httpx.AsyncClient, request: bytes, *, then_close: bool = False) -> bytes:
    """Send bytes as they are, return everything that comes until the server closes or 3 s pass in silence."""
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    try:
        writer.write(request)
        await writer.drain()
        if then_close:
            return b""
        answer = b""
        with contextlib.suppress(TimeoutError):
            while chunk := await asyncio.wait_for(reader.read(65536), 3):
                answer += chunk
                if b"\r\n\r\n" in answer and answer.rstrip().endswith(b"}"):
                    break
        return answer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
