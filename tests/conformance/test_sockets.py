"""The Socket.IO face, used by the clients that people use (contract 4.3)."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from tests.conformance.conftest import kept_open
from tests.conformance.node import Judge
from tests.conformance.socket_clients import SocketClient, client_of, connected
from tests.fakes.upstream import MODEL
from tests.transports.socketio.answers import FIRST, TEXT, asking
from tests.transports.socketio.clients import eventually, hub
from tests.transports.socketio.networks import Network
from tests.world import World, world
from twinspeak.transports.socketio.link import Link
from twinspeak.transports.socketio.wire.engine import Transport

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

POLLING, WEBSOCKET, UPGRADING = ["polling"], ["websocket"], ["polling", "websocket"]
REGISTERED, PROVES_NOTHING = {"success": True, "registered": True}, {"success": True, "registered": False}
Connect = Any


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[World]:
    async with kept_open(
        world(tmp_path_factory.mktemp("sockets"), default_model=MODEL, socket_probe_s=0.3, socket_ping_interval_s=1)
    ) as opened:
        yield opened


def reads(link: Link) -> bool:
    """Whether a client waits for what comes next: a request that has not arrived yet is simply sent again."""
    return link.session.transport is Transport.WEBSOCKET or link.session._polling


@pytest.fixture(params=["npm", "python"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=["/", "/socket.io"])
def namespace(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=[POLLING, WEBSOCKET, UPGRADING], ids="+".join)
def transports(request: pytest.FixtureRequest) -> list[str]:
    return request.param


@pytest.fixture
def connect(
    kind: str, namespace: str, transports: list[str], judge: Judge, here: World
) -> "partial[AbstractAsyncContextManager[SocketClient]]":
    """Return what connects a client to the server."""
    return partial(connected, client_of(kind, judge), namespace=namespace, transports=transports)


async def test_an_answer_is_streamed(connect: Connect, here: World, transports: list[str]):
    async with connect(url=here.server.url, token=here.token) as client:
        if transports == UPGRADING:
            await client.upgraded()
        assert await client.transport() == transports[-1]
        async with asking(here, socketId=await client.sid()) as asked:
            await client.told(asked.turn_id, len(FIRST))
            assert (await asked.reply())["streamingFailed"] is False
            payloads = await client.told(asked.turn_id, len(TEXT))
    assert payloads[0] == {"type": "RELOAD", "turnId": asked.turn_id}
    streamed = [each for each in payloads if each["type"] == "STREAM"]
    assert "".join(each["delta"] for each in streamed) == streamed[-1]["prompt"] == TEXT


async def test_events_and_binary_are_acknowledged(connect: Connect, here: World):
    async with connect(url=here.server.url) as client:
        assert await client.call("register", {"email": "admin@example.org"}) == PROVES_NOTHING
        assert await client.call("register", b"\x00\xff binary") == PROVES_NOTHING
        assert await client.call("register", {"token": here.token}, b"\x01") == REGISTERED
        assert (await client.call("cancel_request", "malformed"))["error"]["code"] == "invalid_request"
        await client.emit("unknown event", {"x": 1})
        assert (await client.call("cancel_streaming"))["success"] is True


async def test_a_client_cancels(connect: Connect, here: World):
    async with (
        connect(url=here.server.url, token=here.token) as client,
        asking(here, socketId=await client.sid()) as asked,
    ):
        answer = await client.call("cancel_request", {"turnId": asked.turn_id})
        assert answer == {"success": True, "cancelled": [asked.turn_id]}
        assert (await asked.task).json["outputs"] == [FIRST]


async def test_a_client_that_reconnects_by_itself_ends_with_the_whole_text(connect: Connect, here: World):
    async with Network(here.server.url) as network, connect(url=network.url, token=here.token) as client:
        first = await client.sid()
        async with asking(here, socketId=first) as asked:
            await client.told(asked.turn_id, len(FIRST))
            link = hub(here.server)._sockets[first].link
            await eventually(lambda: reads(link))
            await network.cut()
            await client.connected(2)
            assert await client.sid() != first
            assert (await asked.reply())["streamingFailed"] is False
            payloads = await client.told(asked.turn_id, len(TEXT))
    *_, again = (at for at, each in enumerate(payloads) if each["type"] == "RELOAD")
    assert again > 0
    streamed = [each for each in payloads[again:] if each["type"] == "STREAM"]
    assert "".join(each["delta"] for each in streamed) == TEXT


async def test_an_unknown_namespace_is_refused(kind: str, transports: list[str], judge: Judge, here: World):
    client = client_of(kind, judge)
    try:
        (error,) = await client.open(here.server.url, "/unknown", transports, {})
        assert "Invalid namespace" in error or "namespaces failed" in error
    finally:
        await client.close()


async def test_clients_that_leave_are_forgotten(connect: Connect, here: World):
    async with connect(url=here.server.url, token=here.token) as client:
        assert len(hub(here.server)._by_user) == 1
        sid = await client.sid()
        assert sid in hub(here.server)._sockets
    await eventually(lambda: sid not in hub(here.server)._sockets)
