"""docs/socket.io-protocol/v5-current.md through real sockets; the headings are the document's."""

import asyncio
import json
from contextlib import suppress

import pytest

from tests.live import LiveServer
from tests.transports.socketio.clients import Closed, Engine, Polling, Tab, joined, websocket

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

NAMESPACES = {"/": "", "/socket.io": "/socket.io,"}


@pytest.fixture(params=NAMESPACES)
def prefix(request: pytest.FixtureRequest) -> str:
    return NAMESPACES[request.param]


async def answers(engine: Engine, prefix: str = "") -> None:
    """See that the connection still works."""
    await engine.send(f'42{prefix}99["register"]')
    assert await engine.frame() == f'43{prefix}99[{{"success":true,"registered":false}}]'


# -- Connection to a namespace -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", ["", "{}", '{"token":"123"}', '{"token":5}', '{"clientId":[],"x":{"y":null}}'])
async def test_the_server_must_respond_with_a_connect_packet_that_holds_the_session_id(
    server: LiveServer, prefix: str, payload: str
):
    async with websocket(server) as engine:
        await engine.send(f"40{prefix}{payload}")
        told = str(await engine.frame())
        assert told.startswith(f"40{prefix}{{")
        body = json.loads(told.removeprefix(f"40{prefix}"))
        assert list(body) == ["sid"]
        assert body["sid"] != engine.opened["sid"]


@pytest.mark.parametrize("namespace", ["/random", "/socket.io/", "/SOCKET.IO", "/a/b", "/random?token=1"])
async def test_an_unknown_namespace_is_refused(server: LiveServer, namespace: str):
    async with websocket(server) as engine:
        await engine.send(f"40{namespace}")
        assert await engine.frame() == f'44{namespace.partition("?")[0]},{{"message":"Invalid namespace"}}'
        await engine.send("40")
        assert str(await engine.frame()).startswith("40{")


async def test_a_client_may_be_in_both_namespaces(server: LiveServer):
    async with websocket(server) as engine:
        await engine.send("40")
        await engine.send("40/socket.io,")
        first, second = str(await engine.frame()), str(await engine.frame())
        assert first.removeprefix("40") != second.removeprefix("40/socket.io,")
        await answers(engine)
        await answers(engine, "/socket.io,")


@pytest.mark.parametrize("first", ['42["register"]', "41", "43[]", "44{}", "abc", "4", "40[]", "40x", b"\x00"])
async def test_without_a_connect_packet_first_the_server_must_close(server: LiveServer, first: str | bytes):
    async with websocket(server) as engine:
        await engine.send(first)
        await engine.closed()


async def test_who_does_not_connect_in_time_is_closed(quick: LiveServer):
    async with websocket(quick) as engine:
        await engine.closed()


async def test_nothing_is_sent_before_connect(quick: LiveServer):
    session = await Polling.open(quick)
    assert await session.get() in ((200, ["2"]), (200, ["1"]))


# -- Sending and receiving data ----------------------------------------------------------------------------------------


async def test_unknown_events_are_ignored(server: LiveServer, prefix: str):
    async with websocket(server) as engine:
        await engine.send(f"40{prefix}")
        await engine.frame()
        await engine.send(f'42{prefix}["message",1,"2",{{"3":[true]}}]')
        await engine.send(f'42{prefix}7["message"]')
        await engine.send(f"42{prefix}[5]")
        await answers(engine, prefix)


async def test_binary_attachments(server: LiveServer, prefix: str):
    async with websocket(server) as engine:
        await engine.send(f"40{prefix}")
        await engine.frame()
        await engine.send(f'452-{prefix}8["register",{{"_placeholder":true,"num":0}},{{"_placeholder":true,"num":1}}]')
        await engine.send(b"\x01\x02\x03")
        await engine.send(b"\x04\x05\x06")
        assert await engine.frame() == f'43{prefix}8[{{"success":true,"registered":false}}]'


@pytest.mark.parametrize(
    "frames",
    [
        ("42",),
        ("42{}",),
        ("42[]",),
        ("42[null]",),
        ('42["register"',),
        ('42-1["register"]',),
        ('450-["register"]',),
        ('4599-["register"]',),
        ('45["register"]',),
        ('451-["register",{"_placeholder":true,"num":1}]', b"x"),
        ('451-["register",{"_placeholder":true,"num":0}]', '42["register"]'),
        (b"x",),
        ("43[]",),
        ("44{}",),
        ("47[]",),
        ("4" + "[" * 100_000,),
        ("42" + "[" * 40 + '"register"' + "]" * 40,),
        ('4299999999999999999999["register"]',),
    ],
    ids=lambda frames: str(frames[0])[:24],
)
async def test_what_breaks_the_format_closes_the_connection(server: LiveServer, frames: tuple[str | bytes, ...]):
    async with websocket(server) as engine:
        await engine.send("40")
        await engine.frame()
        with suppress(Closed):  # it may notice before the last frame is sent
            for frame in frames:
                await engine.send(frame)
        await engine.closed()


# -- Acknowledgement ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, 456, 2**53 - 1])
async def test_the_receiver_must_respond_with_the_same_id(server: LiveServer, prefix: str, number: int):
    async with websocket(server) as engine:
        await engine.send(f"40{prefix}")
        await engine.frame()
        await engine.send(f'42{prefix}{number}["cancel_streaming"]')
        assert await engine.frame() == f'43{prefix}{number}[{{"success":true,"muted":[]}}]'


async def test_an_acknowledgement_that_nobody_asked_for_changes_nothing(server: LiveServer):
    async with websocket(server) as engine:
        await engine.send("40")
        await engine.frame()
        await engine.send('4312["x"]')
        await engine.send('461-12[{"_placeholder":true,"num":0}]')
        await engine.send(b"x")
        await answers(engine)


# -- Disconnection -----------------------------------------------------------------------------------------------------


async def test_a_client_may_leave_one_namespace_and_stay_in_the_other(server: LiveServer):
    async with websocket(server) as engine:
        for packet in ("40", "40/socket.io,"):
            await engine.send(packet)
            await engine.frame()
        await engine.send("41/socket.io,")
        await engine.send('42/socket.io,1["register"]')
        await answers(engine)


async def test_a_client_that_left_may_come_back_under_another_id(server: LiveServer):
    async with websocket(server) as engine:
        await engine.send("40")
        first = await engine.frame()
        await engine.send("41")
        await engine.send("40")
        assert await engine.frame() != first
        await answers(engine)


async def test_leaving_over_and_over_is_cheap_and_bounded(server: LiveServer):
    async with websocket(server) as engine:
        for _ in range(90):
            await engine.send("40")
            await engine.send("41")
        for _ in range(90):
            assert str(await engine.frame()).startswith("40{")
    async with joined(server) as tab:
        assert isinstance(tab, Tab)
        assert await tab.call("register", {}) == {"success": True, "registered": False}


async def test_malformed_payloads_get_an_error_acknowledgement(server: LiveServer):
    async with joined(server) as tab:
        for event in ("cancel_request", "cancel_streaming"):
            for payload in (
                "x",
                5,
                [],
                [[]],
                True,
                {"turnId": 5},
                {"turnId": "x"},
                {"turnId": {}},
                {"turnId": "z" * 24},
            ):
                answer = await tab.call(event, payload)
                assert answer["success"] is False
                assert answer["error"]["code"] == "invalid_request"
                assert answer["error"]["status"] == 400
            for payload in ((), (None,), ("",), ({},), ({"turnId": None},), ({"turnId": ""},)):
                assert (await tab.call(event, *payload))["success"] is True


async def test_what_proves_nothing_is_acknowledged(server: LiveServer):
    async with joined(server) as tab:
        profiles = [
            {},
            "admin@example.org",
            {"email": "admin@example.org"},
            {"token": "x"},
            {"token": 5},
            5,
            None,
            [[]],
        ]
        for event in ("register", "register_user", "REGISTER"):
            for payload in profiles:
                assert await tab.call(event, payload) == {"success": True, "registered": False}
                await asyncio.sleep(0.02)
