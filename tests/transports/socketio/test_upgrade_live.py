"""docs/engine.io-protocol/v4-current.md, "Upgrade", through real sockets."""

import asyncio

import aiohttp
import pytest

from tests.live import LiveServer
from tests.transports.socketio.clients import PATH, Closed, eventually, links_of, query, websocket
from tests.transports.socketio.sessions import (
    ECHO,
    ECHOED,
    listens,
    polling_with_namespace,
    session_of,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

# -- Upgrade -----------------------------------------------------------------------------------------------------------


async def test_an_upgrade(server: LiveServer):
    session = await polling_with_namespace(server)
    async with websocket(server, sid=session.sid) as engine:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(session.get())
            await listens(session)
            await engine.send("2probe")
            assert await engine.frame() == "3probe"
        assert waiting.result() == (200, ["6"])
        await engine.send("5")
        await engine.send(ECHO)
        assert await engine.frame() == ECHOED


async def test_a_get_while_probing_gets_a_noop_at_once(server: LiveServer):
    session = await polling_with_namespace(server)
    async with websocket(server, sid=session.sid) as engine:
        await engine.send("2probe")
        assert await engine.frame() == "3probe"
        assert await session.get() == (200, ["6"])


async def test_what_was_posted_while_probing_is_answered_once(server: LiveServer):
    session = await polling_with_namespace(server)
    async with websocket(server, sid=session.sid) as engine:
        await engine.send("2probe")
        assert await engine.frame() == "3probe"
        assert await session.post(ECHO) == (200, "ok")
        await engine.send("5")
        assert await engine.frame() == ECHOED
        await engine.send('421["register"]')
        assert str(await engine.frame())[:3] == "431"


async def test_after_the_upgrade_http_requests_and_other_websockets_are_refused_and_the_first_lives(server: LiveServer):
    session = await polling_with_namespace(server)
    async with websocket(server, sid=session.sid) as engine:
        await engine.send("2probe")
        assert await engine.frame() == "3probe"
        await engine.send("5")
        await engine.send(ECHO)
        assert await engine.frame() == ECHOED
        assert (await session.get())[0] == 400
        assert (await session.post("6"))[0] == 400
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await server.http.ws_connect(PATH, params=query("websocket", session.sid))
        await engine.send(ECHO)
        assert await engine.frame() == ECHOED


@pytest.mark.parametrize("frame", ["2", "5", "4x", "3probe", "abc", b"x"])
async def test_a_bad_probe_costs_the_websocket_and_not_the_session(server: LiveServer, frame: str | bytes):
    session = await polling_with_namespace(server)
    async with websocket(server, sid=session.sid) as engine:
        await engine.send(frame)
        await engine.closed()
    assert await session.post(ECHO) == (200, "ok")
    assert await session.get() == (200, [ECHOED])
    async with websocket(server, sid=session.sid) as engine:
        await engine.send("2probe")
        assert await engine.frame() == "3probe"


async def test_a_websocket_lost_while_probing_costs_nothing(server: LiveServer):
    session = await polling_with_namespace(server)
    async with websocket(server, sid=session.sid) as engine:
        await engine.send("2probe")
        assert await engine.frame() == "3probe"
    await eventually(lambda: not session_of(session).attached)
    assert await session.post(ECHO) == (200, "ok")
    assert await session.get() == (200, [ECHOED])


@pytest.mark.parametrize("steps", range(4))
async def test_an_upgrade_raced_with_a_close(server: LiveServer, steps: int):
    session = await polling_with_namespace(server)
    async with websocket(server, sid=session.sid) as engine:
        for frame in ("2probe", "5", ECHO)[:steps]:
            await engine.send(frame)
        async with asyncio.TaskGroup() as group:
            posting = group.create_task(session.post("1"))
            group.create_task(engine.send("5") if steps == 1 else engine.send("6"))
        if posting.result()[0] == 400:  # the upgrade was first, so the session takes no posts, and lives
            assert session.sid in links_of(server)
            await engine.send("1")
        await engine.closed()
    await eventually(lambda: session.sid not in links_of(server))
    assert (await session.get())[0] == 400


async def test_a_websocket_that_is_lost_ends_its_session(server: LiveServer):
    async with websocket(server) as engine:
        sid = engine.opened["sid"]
        assert sid in links_of(server)
    await eventually(lambda: sid not in links_of(server))
    with pytest.raises(Closed):
        await engine.frame()
