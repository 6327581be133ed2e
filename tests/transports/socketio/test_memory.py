"""A client that never reads costs bounded memory, and the model is not slowed down by it (performance row 8)."""

import asyncio
import json
import os
import socket
import struct
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from tests.faces import PATHS, Face, body_of
from tests.fakes.upstream import MODEL, Exchange, Reply, Upstream, chunk, ending
from tests.live import LiveServer
from tests.transports.socketio.clients import eventually, joined
from tests.transports.socketio.networks import Network
from tests.transports.socketio.served import Served, served

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")

FRAMES = 6_000
PIECE = "word "
GROWTH = 2_000_000
WAIT_S = 50


def long_answer(_: Exchange) -> Reply:
    return Reply([chunk({"role": "assistant", "content": ""}), *[chunk({"content": PIECE})] * FRAMES, *ending()])


@asynccontextmanager
async def warm_server(tmp_path: Path) -> AsyncGenerator[tuple[Served, Upstream]]:
    """A server on which readers of every kind have read such an answer."""
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(Upstream())
        upstream.default = long_answer
        settings = {"openai_base_url": upstream.base_url, "default_model": MODEL, "stream_coalesce_ms": 0}
        here = await stack.enter_async_context(served(tmp_path, **settings))
        for mode in ("delta", "delta", ""):
            body = body_of(Face.SSE, **({"streamMode": mode} if mode else {}))
            async with here.http.post(PATHS[Face.SSE], json=body, headers=here.auth(here.token)) as response:
                async for _ in response.content.iter_any():
                    pass
        async with joined(cast("LiveServer", here), here.token) as tab:
            reply = await _ask(here, tab.sid)
            await tab.until(lambda: tab.payloads[-1].get("prompt") == reply["outputs"][0])
        yield here, upstream


async def _ask(here: Served, socket_id: str) -> dict[str, Any]:
    """Ask over REST and return the reply, which comes when the model has said everything."""
    body = body_of(Face.REST, socketId=socket_id)
    async with asyncio.timeout(WAIT_S):
        async with here.http.post(PATHS[Face.REST], json=body, headers=here.auth(here.token)) as response:
            reply = await response.json()
    assert reply["outputs"] == [(PIECE * FRAMES).strip()] or reply["outputs"] == [PIECE * FRAMES], reply["message"]
    return reply


def deaf(here: Served) -> socket.socket:
    """Return a connection with hardly any room for what comes."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    connection.connect(("127.0.0.1", here.port))
    connection.settimeout(5)
    return connection


def request(here: Served, line: str, body: bytes = b"", **headers: str) -> bytes:
    told = {"Host": "here", "x-access-token": here.token, "Content-Length": str(len(body)), **headers}
    return (
        "\r\n".join([f"{line} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items()), "", ""]).encode() + body
    )


async def sse(here: Served, upstream: Upstream, _: AsyncExitStack) -> socket.socket:
    body = json.dumps(body_of(Face.SSE, resumable=True)).encode()
    connection = deaf(here)
    before = len(upstream.exchanges)
    connection.sendall(request(here, f"POST {PATHS[Face.SSE]}", body, **{"Content-Type": "application/json"}))
    await eventually(lambda: len(upstream.exchanges) > before, WAIT_S)
    await asyncio.wait_for(upstream.exchanges[-1].completed.wait(), WAIT_S)
    await here.idle()
    return connection


async def websocket(here: Served, _: Upstream, __: AsyncExitStack) -> socket.socket:
    connection = deaf(here)
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    upgrade["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    connection.sendall(request(here, "GET /socket.io/?EIO=4&transport=websocket", b"", **upgrade))
    await _seen(connection, b'"maxPayload"')
    connection.sendall(_masked("40"))
    told = await _seen(connection, b'"}')
    await _ask(here, told.split(b'40{"sid":"')[1].split(b'"')[0].decode())
    return connection


async def _seen(connection: socket.socket, wanted: bytes) -> bytes:
    seen = b""
    while wanted not in seen:
        seen += await asyncio.to_thread(connection.recv, 4_096)
    return seen


def _masked(text: str) -> bytes:
    mask = os.urandom(4)
    data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(text.encode()))
    return struct.pack("!BB", 0x81, 0x80 | len(data)) + mask + data


async def polling(here: Served, _: Upstream, __: AsyncExitStack) -> socket.socket:
    path = "/socket.io/?EIO=4&transport=polling"
    async with here.http.get(path) as response:
        sid = json.loads((await response.text())[1:])["sid"]
    async with here.http.post(f"{path}&sid={sid}", data=b"40") as response:
        assert response.status == 200
    async with here.http.get(f"{path}&sid={sid}") as response:
        socket_id = json.loads((await response.text())[2:])["sid"]
    connection = deaf(here)
    connection.sendall(request(here, f"GET {path}&sid={sid}"))
    await _ask(here, socket_id)
    return connection


async def half_open(here: Served, _: Upstream, stack: AsyncExitStack) -> socket.socket:
    network = await stack.enter_async_context(Network(here.url))
    tab = await stack.enter_async_context(joined(cast("LiveServer", here), url=network.url))
    network.black_hole()
    await _ask(here, tab.sid)
    return socket.socket()


Client = Callable[[Served, Upstream, AsyncExitStack], Awaitable[socket.socket]]


async def test_clients_that_never_read(tmp_path: Path):
    clients: dict[str, Client] = {"SSE": sse, "WebSocket": websocket, "polling": polling, "half-open": half_open}
    grown: dict[str, int] = {}
    async with warm_server(tmp_path) as (here, upstream), AsyncExitStack() as stack:
        for name, client in clients.items():
            before = here.memory
            stack.enter_context(await client(here, upstream, stack))
            grown[name] = here.memory - before
    print("grown by", grown)  # noqa: T201 -- the figure that is asked for
    assert max(grown.values()) <= GROWTH, grown
