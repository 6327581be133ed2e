"""docs/engine.io-protocol/v4-current.md through real sockets; the headings are the document's."""

import asyncio
import json
from collections.abc import AsyncGenerator

import aiohttp
import pytest

from tests.live import LiveServer
from tests.transports.socketio.clients import PATH, Polling, eventually, links_of, query, websocket
from tests.transports.socketio.sessions import (
    ECHO,
    ECHOED,
    in_namespace,
    is_open,
    listens,
    polling_with_namespace,
    session_of,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

# -- Handshake ---------------------------------------------------------------------------------------------------------


async def test_the_server_must_respond_with_an_open_packet(server: LiveServer):
    opened = (await Polling.open(server)).opened
    sid = opened.pop("sid")
    assert len(sid) == 20
    assert opened == {"upgrades": ["websocket"], "pingInterval": 25000, "pingTimeout": 20000, "maxPayload": 1000000}


async def test_the_open_packet_over_websocket_offers_no_upgrade(server: LiveServer):
    async with websocket(server) as engine:
        opened = engine.opened
    assert len(opened.pop("sid")) == 20
    assert opened == {"upgrades": [], "pingInterval": 25000, "pingTimeout": 20000, "maxPayload": 1000000}


async def test_intervals_below_a_second_are_told_and_kept(quick: LiveServer):
    opened = (await Polling.open(quick)).opened
    assert (opened["pingInterval"], opened["pingTimeout"]) == (300, 400)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"EIO": "4"},
        {"transport": "polling"},
        {"EIO": "3", "transport": "polling"},
        {"EIO": "abc", "transport": "polling"},
        {"EIO": "4", "transport": "abc"},
        {"EIO": "4", "transport": "websocket"},
        {"EIO": "4", "transport": "polling", "sid": "unknown"},
        {"EIO": "4", "transport": "polling", "sid": ""},
    ],
)
async def test_a_request_without_its_mandatory_parameters_gets_400(server: LiveServer, params: dict[str, str]):
    async with server.http.get(PATH, params=params) as response:
        assert response.status == 400
        assert (await response.json())["error"]["code"] == "invalid_request"


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"EIO": "4"},
        {"transport": "websocket"},
        {"EIO": "abc", "transport": "websocket"},
        {"EIO": "4", "transport": "abc"},
        {"EIO": "4", "transport": "polling"},
        {"EIO": "4", "transport": "websocket", "sid": "unknown"},
    ],
)
async def test_a_websocket_without_its_mandatory_parameters_is_refused(server: LiveServer, params: dict[str, str]):
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await server.http.ws_connect(PATH, params=params)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD"])
async def test_a_handshake_with_a_wrong_method_gets_400(server: LiveServer, method: str):
    async with server.http.request(method, PATH, params=query("polling")) as response:
        assert response.status == 400


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "HEAD"])
async def test_a_session_takes_get_and_post_alone(server: LiveServer, method: str):
    session = await Polling.open(server)
    async with server.http.request(method, PATH, params=query("polling", session.sid)) as response:
        assert response.status == 400
    assert await is_open(session)


# -- HTTP long-polling -------------------------------------------------------------------------------------------------


async def test_packets_there_and_back_in_order(server: LiveServer):
    session = await polling_with_namespace(server)
    assert await session.post(ECHO) == (200, "ok")
    assert await session.get() == (200, [ECHOED])
    assert await session.post(*(f'42{number}["register"]' for number in range(3))) == (200, "ok")
    status, packets = await session.get()
    assert (status, [packet[:3] for packet in packets]) == (200, ["430", "431", "432"])


async def test_binary_in_base64(server: LiveServer):
    session = await polling_with_namespace(server)
    packets = ('451-9["register",{"_placeholder":true,"num":0}]', "bAQIDBA==")
    assert await session.post(*packets) == (200, "ok")
    assert await session.get() == (200, ['439[{"success":true,"registered":false}]'])


async def test_text_is_utf_8(server: LiveServer):
    session = await polling_with_namespace(server)
    assert await session.post('421["cancel_request","Grüße 🌍"]') == (200, "ok")
    _, (packet,) = await session.get()
    assert json.loads(packet[3:])[0]["error"]["code"] == "invalid_request"


async def test_a_waiting_get_is_answered_when_there_is_something(server: LiveServer):
    session = await polling_with_namespace(server)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(session.get())
        await listens(session)
        assert await session.post(ECHO) == (200, "ok")
    assert waiting.result() == (200, [ECHOED])


BAD_BODIES = [b"abc", b"", b"4\xff", b"b=", b"b!", b"7", b"2probe", b"2", b"5", b"0{}", b"\x1e", b"6\x1e"]


@pytest.mark.parametrize("body", BAD_BODIES)
async def test_a_bad_packet_gets_400_and_closes_the_session(server: LiveServer, body: bytes):
    session = await Polling.open(server)
    assert (await session.post(body=body))[0] == 400
    assert (await session.get())[0] == 400


@pytest.mark.parametrize("body", [b"4", b"4x", "4ü".encode(), b'42["register"]', b"bAQID"])
async def test_a_packet_that_is_no_socket_io_closes_the_session(server: LiveServer, body: bytes):
    session = await Polling.open(server)
    assert await session.post(body=body) == (200, "ok")
    assert (await session.get())[0] == 400


async def test_two_gets_at_once_close_the_session(server: LiveServer):
    session = await Polling.open(server)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(session.get())
        await listens(session)
        assert (await session.get())[0] == 400
    assert first.result() == (200, ["1"])
    assert (await session.get())[0] == 400


async def test_two_posts_at_once_close_the_session(server: LiveServer):
    session = await Polling.open(server)
    more = asyncio.Event()

    async def slowly() -> AsyncGenerator[bytes]:
        yield b"6"
        await more.wait()

    async with asyncio.TaskGroup() as group:
        first = group.create_task(session.post(body=slowly()))
        await eventually(lambda: session_of(session)._posting)
        assert (await session.post("6"))[0] == 400
        more.set()
    assert first.result()[0] == 400
    assert (await session.get())[0] == 400


async def test_a_get_that_is_hung_up_closes_the_session(server: LiveServer):
    session = await Polling.open(server)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(session.get())
        await listens(session)
        waiting.cancel()
    await eventually(lambda: session.sid not in links_of(server))
    assert (await session.get())[0] == 400


async def test_a_payload_over_the_limit_closes_the_session(server: LiveServer):
    session = await Polling.open(server)
    assert (await session.post(body=b"4" + b"x" * 1_000_000))[0] == 400
    assert (await session.get())[0] == 400


# -- WebSocket ---------------------------------------------------------------------------------------------------------


async def test_each_frame_is_one_packet(server: LiveServer):
    async with websocket(server) as engine:
        await in_namespace(engine)
        await engine.send(ECHO)
        assert await engine.frame() == ECHOED
        await engine.send('451-9["register",{"_placeholder":true,"num":0}]')
        await engine.send(b"\x01\x02\x03\x04")
        assert await engine.frame() == '439[{"success":true,"registered":false}]'


@pytest.mark.parametrize("frame", ["abc", "", "7", "2", "2probe", "5", "0", "4", "4x", b"unannounced"])
async def test_a_bad_frame_closes_the_session(server: LiveServer, frame: str | bytes):
    async with websocket(server) as engine:
        await engine.send(frame)
        await engine.closed()
        assert engine.opened["sid"] not in links_of(server)


async def test_a_frame_over_the_limit_closes_the_session(server: LiveServer):
    async with websocket(server) as engine:
        await in_namespace(engine)
        await engine.send("4" + "x" * 1_000_001)
        await engine.closed()


async def test_a_session_that_has_a_websocket_refuses_another_and_lives(server: LiveServer):
    async with websocket(server) as engine:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await server.http.ws_connect(PATH, params=query("websocket", engine.opened["sid"]))
        async with server.http.get(PATH, params=query("polling", engine.opened["sid"])) as response:
            assert response.status == 400
        await in_namespace(engine)


# -- Heartbeat ---------------------------------------------------------------------------------------------------------


async def test_ping_and_pong_over_polling(quick: LiveServer):
    session = await polling_with_namespace(quick)
    for _ in range(3):
        assert await session.get() == (200, ["2"])
        assert await session.post("3") == (200, "ok")


async def test_ping_and_pong_over_websocket(quick: LiveServer):
    async with websocket(quick) as engine:
        await in_namespace(engine)
        for _ in range(3):
            assert await engine.frame(raw=True) == "2"
            await engine.send("3")


async def test_without_a_pong_a_polling_session_is_closed(quick: LiveServer):
    session = await polling_with_namespace(quick)
    assert await session.get() == (200, ["2"])
    assert await session.get() == (200, ["1"])
    assert (await session.get())[0] == 400


async def test_without_a_poll_a_session_is_closed(quick: LiveServer):
    session = await polling_with_namespace(quick)
    await eventually(lambda: session.sid not in links_of(quick))
    assert (await session.get())[0] == 400


async def test_without_a_pong_a_websocket_is_closed(quick: LiveServer):
    async with websocket(quick) as engine:
        engine.answering = False
        await in_namespace(engine)
        await engine.closed()


# -- Close -------------------------------------------------------------------------------------------------------------


async def test_a_close_packet_over_polling_answers_the_waiting_get_with_a_noop(server: LiveServer):
    session = await Polling.open(server)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(session.get())
        await listens(session)
        assert (await session.post("1"))[0] == 200
    assert waiting.result() == (200, ["6"])
    assert (await session.get())[0] == 400


async def test_a_close_packet_over_websocket(server: LiveServer):
    async with websocket(server) as engine:
        await engine.send("1")
        await engine.closed()
    assert engine.opened["sid"] not in links_of(server)
