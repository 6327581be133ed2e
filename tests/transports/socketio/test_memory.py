"""A client that never reads costs bounded memory, and the model is not slowed down by it (performance row 8)."""

import asyncio
import json
import os
import socket
import struct
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
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


def long_answer(pause_s: float | None) -> Callable[[Exchange], Reply]:
    """Return an upstream that says everything at once, or piece by piece."""
    piece: list[Any] = [chunk({"content": PIECE}), *([] if pause_s is None else [pause_s])]

    return lambda _: Reply([chunk({"role": "assistant", "content": ""}), *piece * FRAMES, *ending()])


@asynccontextmanager
async def warm_server(tmp_path: Path) -> AsyncGenerator[tuple[Served, Upstream]]:
    """A server on which readers of every kind have read such an answer."""
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(Upstream())
        upstream.default = long_answer(None)
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
    assert len(reply["outputs"][0]) >= len(PIECE) * FRAMES - 1, reply
    assert reply["streamingFailed"] is False  # the client is slow, and still there
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


Client = Callable[[Served, Upstream, AsyncExitStack], Coroutine[Any, Any, socket.socket]]


async def frames_read(here: Served, upstream: Upstream) -> int:
    """Ask as a client that reads, and count the frames."""
    body = body_of(Face.DELTA)
    async with here.http.post(PATHS[Face.DELTA], json=body, headers=here.auth(here.token)) as response:
        return (await response.read()).count(b"data: ")


CLIENTS: dict[str, Client] = {"SSE": sse, "WebSocket": websocket, "polling": polling, "half-open": half_open}


async def test_clients_that_never_read(tmp_path: Path):
    """All of them at once, beside one that reads."""
    async with warm_server(tmp_path) as (here, upstream), AsyncExitStack() as stack:
        upstream.default = long_answer(0.0001)
        before = here.memory
        async with asyncio.TaskGroup() as group:
            deaf_ones = [group.create_task(client(here, upstream, stack)) for client in CLIENTS.values()]
            reading = group.create_task(frames_read(here, upstream))
        grown = here.memory - before
        for each in deaf_ones:
            stack.enter_context(each.result())
    assert reading.result() > FRAMES * 0.9  # so many could have been sent to each
    assert grown <= GROWTH


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CLIENTS)
async def test_a_client_that_never_reads(tmp_path: Path, name: str, record_property: Callable[[str, object], None]):
    async with warm_server(tmp_path) as (here, upstream), AsyncExitStack() as stack:
        upstream.default = long_answer(0.0001)
        await frames_read(here, upstream)
        before = here.memory
        stack.enter_context(await CLIENTS[name](here, upstream, stack))
        grown = here.memory - before
    record_property("grown", grown)
    print(name, "grown by", grown)  # noqa: T201 -- the figure that is asked for, with -s
    assert grown <= GROWTH
