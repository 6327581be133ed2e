"""Who may open a socket, for how long, and what happens to those who ask for too much."""

import asyncio
import base64
import io
import json
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from sqlalchemy import update

from tests.fakes.upstream import MODEL
from tests.live import LiveServer
from tests.transports.socketio.answers import FIRST, TEXT, asking
from tests.transports.socketio.clients import (
    PATH,
    Closed,
    Polling,
    eventually,
    hub,
    joined,
    links_of,
    query,
    websocket,
)
from tests.world import World, world
from twinspeak.persistence.db import Tx
from twinspeak.persistence.tables import institutions

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]


# -- sessions that end -------------------------------------------------------------------------------------------------


async def test_sign_out_closes_sockets_and_ends_turns_at_once(here: World):
    token, other = await here.server.sign_in(), await here.server.sign_in()
    async with joined(here.server, token) as mine, joined(here.server, other) as elsewhere:
        async with asking(here, token, socketId=mine.sid) as asked:
            status, _ = await here.post("/api/auth/signout", token=token)
            assert status == 200
            await asyncio.wait_for(mine.gone.wait(), 2)
            answer = await asyncio.wait_for(asked.task, 5)
            assert answer.json["outputs"] == [FIRST]
        assert not elsewhere.gone.is_set()
    async with joined(here.server, token):
        assert hub(here.server)._by_user == {}


async def test_sign_out_closes_a_polling_session_with_its_waiting_get(here: World):
    token = await here.server.sign_in()
    session = await Polling.open(here.server)
    assert await session.post("40" + json.dumps({"token": token})) == (200, "ok")
    assert (await session.get())[0] == 200
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(session.get())
        await eventually(lambda: links_of(here.server)[session.sid].session._polling)
        await here.post("/api/auth/signout", token=token)
    assert waiting.result() == (200, ["1"])
    assert (await session.get())[0] == 400


async def test_a_sign_out_that_overtakes_a_registration_wins(here: World, monkeypatch: pytest.MonkeyPatch):
    """The database has said yes, the sign-out is told, and only then is the socket registered."""
    token = await here.server.sign_in()
    async with joined(here.server) as tab:
        (link,) = links_of(here.server).values()
        events = link._on_happening.__self__  # pyright: ignore[reportFunctionMemberAccess]
        authenticate = events._authenticate

        async def slowly(given: str) -> object:
            held = await authenticate(given)
            monkeypatch.setattr(events, "_authenticate", authenticate)
            await here.post("/api/auth/signout", token=token)
            return held

        monkeypatch.setattr(events, "_authenticate", slowly)
        assert await tab.call("register", {"token": token}) == {"success": True, "registered": False}
        assert hub(here.server)._by_user == {}


async def test_a_password_change_closes_every_socket_of_the_user(here: World):
    token = await here.stranger()
    async with joined(here.server, token) as a, joined(here.server, token) as b, joined(here.server) as guest:
        _, me = await here.post("/api/user/refresh/profile", token=token)
        code = me["profile"]["resetCodeId"]
        body = {"resetCodeId": code, "password": "battery staple horse", "newPassword": "horse staple battery"}
        async with here.server.http.put("/api/user/me", json=body, headers=here.server.auth(token)) as response:
            assert response.status == 200, await response.text()
        await asyncio.wait_for(asyncio.gather(a.gone.wait(), b.gone.wait()), 2)
        assert not guest.gone.is_set()


def clock_before_expiry(token: str, ms: int) -> Callable[[], int]:
    """Return a clock that stands `ms` milliseconds before a token expires."""
    claims = token.split(".")[1]
    expires = json.loads(base64.urlsafe_b64decode(claims + "=="))["exp"]
    return lambda: expires * 1000 - ms


NOW = "twinspeak.transports.socketio.events.now_ms"


async def test_a_token_that_expires_closes_the_socket(here: World, monkeypatch: pytest.MonkeyPatch):
    token = await here.server.sign_in()
    monkeypatch.setattr(NOW, clock_before_expiry(token, 300))
    async with joined(here.server, token) as tab, joined(here.server) as guest:
        assert not tab.gone.is_set()
        await asyncio.wait_for(tab.gone.wait(), 5)
        assert not guest.gone.is_set()


async def test_a_newer_token_keeps_the_socket_open(here: World, monkeypatch: pytest.MonkeyPatch):
    token = await here.server.sign_in()
    with monkeypatch.context() as patch:
        patch.setattr(NOW, clock_before_expiry(token, 400))
        tab = joined(here.server, token)
        opened = await tab.__aenter__()
    assert (await opened.call("register", {"token": token}))["registered"] is True
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(opened.gone.wait(), 0.8)
    await tab.__aexit__(None, None, None)


# -- pages -------------------------------------------------------------------------------------------------------------


async def allow(here: World, twin: str, page: str) -> None:
    """Let a page talk to a twin."""

    def change(tx: Tx) -> None:
        tx.run(
            update(institutions).where(institutions.c.name == twin).values(public_authorized_urls=json.dumps([page]))
        )

    await here.server.ground.db.write(change)


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "https://127.0.0.1.example"])
async def test_a_page_that_no_twin_allows_opens_no_socket(server: LiveServer, origin: str):
    headers = {"Origin": origin}
    async with server.http.get(PATH, params=query("polling"), headers=headers) as response:
        assert response.status == 403
        assert (await response.json())["error"]["code"] == "origin_not_allowed"
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await server.http.ws_connect(PATH, params=query("websocket"), headers=headers)
    assert refused.value.status == 403


async def test_our_own_page_opens_sockets(server: LiveServer):
    async with websocket(server, headers={"Origin": server.url}) as engine:
        assert engine.opened


async def test_a_page_gets_only_the_turns_of_twins_that_allow_it(tmp_path: Path):
    async with world(tmp_path, default_model=MODEL) as here:
        await here.stranger()
        await allow(here, "Sample", "https://ours.example")
        await allow(here, "Other", "https://theirs.example")
        ours, theirs = ({"Origin": f"https://{name}.example"} for name in ("ours", "theirs"))
        async with joined(here.server, here.token, headers=theirs) as elsewhere:
            async with asking(here, socketId=elsewhere.sid) as asked:
                assert (await asked.reply())["streamingFailed"] is True
            async with joined(here.server, here.token, headers=ours) as tab, asking(here, socketId=tab.sid) as asked:
                assert (await asked.reply())["streamingFailed"] is False
                await tab.reads(TEXT, asked.turn_id)
            assert elsewhere.of() == []


# -- too much ----------------------------------------------------------------------------------------------------------


async def test_a_thousand_sockets_of_one_user(tmp_path: Path):
    async with world(tmp_path, default_model=MODEL, socket_probe_s=60, trusted_proxies=("127.0.0.1",)) as here:
        async with AsyncExitStack() as stack:
            connector = aiohttp.TCPConnector(limit=0)
            http = await stack.enter_async_context(aiohttp.ClientSession(here.server.url, connector=connector))
            many = replace(here.server, http=http)
            answers = [await _one_of_many(many, here.token, stack, number) for number in range(1_000)]
            assert sum(bool(answer.get("registered")) for answer in answers) == 50
            refused = [answer["error"]["code"] for answer in answers if not answer["success"]]
            assert refused == ["rate_limited"] * 950
            assert len(links_of(here.server)) == 1_000
            assert sum(map(len, hub(here.server)._by_user.values())) == 50
        await eventually(lambda: not links_of(here.server))
        assert hub(here.server)._by_user == hub(here.server)._sockets == {}
        async with joined(here.server, here.token, headers={"X-Forwarded-For": "10.1.0.0"}) as tab:
            assert (await tab.call("register", {"token": here.token}))["registered"] is True


async def _one_of_many(server: LiveServer, token: str, stack: AsyncExitStack, number: int) -> dict[str, Any]:
    headers = {"X-Forwarded-For": f"10.0.{number // 250}.{number % 250}"}
    engine = await stack.enter_async_context(websocket(server, headers=headers))
    await engine.send("40")
    await engine.frame()
    await engine.send("421" + json.dumps(["register", {"token": token}]))
    return json.loads(str(await engine.frame())[3:])[0]


async def test_an_address_has_so_many_sessions_and_the_server_too(tmp_path: Path):
    async with world(tmp_path, sockets_per_address=3, max_sockets=4, trusted_proxies=("127.0.0.1",)) as here:
        one, two = {"X-Forwarded-For": "10.0.0.1"}, {"X-Forwarded-For": "10.0.0.2"}
        sessions = [await Polling.open(here.server, one) for _ in range(3)]
        assert await _refusal(here.server, one) == (429, "rate_limited")
        sessions.append(await Polling.open(here.server, two))
        assert await _refusal(here.server, two) == (503, "overloaded")
        await sessions[0].post("1")
        await Polling.open(here.server, one)


async def test_handshakes_have_a_rate(tmp_path: Path):
    async with world(tmp_path) as here:
        for _ in range(600):
            async with here.server.http.get(PATH, params=query("polling")) as response:
                assert response.status == 200
        assert await _refusal(here.server, {}) == (429, "rate_limited")


async def _refusal(server: LiveServer, headers: dict[str, str]) -> tuple[int, str]:
    async with server.http.get(PATH, params=query("polling"), headers=headers) as response:
        assert "Retry-After" in response.headers
        return response.status, (await response.json())["error"]["code"]


@pytest.mark.parametrize("frame", ['42["register"]', "3", "6", '43["x"]', '42["nothing"]'])
async def test_a_flood_closes_the_session(server: LiveServer, frame: str):
    async with websocket(server) as engine:
        await engine.send("40")
        with suppress(Closed):
            for _ in range(5_000):
                await engine.send(frame)
        await engine.closed()


@pytest.mark.parametrize("frame", ['42["nothing"]', "6"])
async def test_what_a_person_does_is_no_flood(server: LiveServer, frame: str):
    async with websocket(server) as engine:
        await engine.send("40")
        for _ in range(150):
            await engine.send(frame)
        await engine.send('421["register"]')
        assert str(await engine.frame())[:2] == "40"
        assert str(await engine.frame())[:3] == "431"


async def test_a_polling_flood_closes_the_session(server: LiveServer):
    session = await Polling.open(server)
    assert await session.post(*["6"] * 256) == (200, "ok")
    assert (await session.post(*["6"] * 257))[0] == 400
    session = await Polling.open(server)
    await session.post("40", *['42["nothing"]'] * 250)
    assert (await session.get())[0] == 400


async def test_answers_that_nobody_fetches_are_bounded(server: LiveServer):
    """A client that sends for hours within its rate, asks for answers and never polls."""
    session = await Polling.open(server)
    link = links_of(server)[session.sid]
    await session.post("40")
    statuses: list[int] = []
    while not link.closed and len(statuses) < 1_100:
        link._tokens = 200.0
        statuses.append((await session.post(f'42{len(statuses)}["register"]'))[0])
    assert 1_000 < len(statuses) < 1_030
    assert link.session.reason == "too much unread"


@pytest.mark.parametrize("size", [1_000_001, 5_000_000])
async def test_a_huge_payload_is_not_taken(server: LiveServer, size: int):
    session = await Polling.open(server)
    with suppress(aiohttp.ClientError):  # the server does not read to the end what it refuses
        status, _ = await session.post(body=io.BytesIO(b"4" + b"x" * size))
        assert status == 400
    assert (await session.get())[0] == 400


async def test_a_slow_post_is_cut(tmp_path: Path):
    async with world(tmp_path, body_timeout_s=0.3) as here:
        session = await Polling.open(here.server)
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(here.server.url).port)
        path = f"{PATH}?EIO=4&transport=polling&sid={session.sid}"
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n4".encode())
        answer = await asyncio.wait_for(reader.read(), 5)
        assert b" 408 " in answer.split(b"\r\n")[0]
        writer.close()
        assert (await session.get())[0] == 400


async def test_guessed_session_ids_get_nothing(server: LiveServer):
    async with websocket(server) as engine:
        sid = engine.opened["sid"]
        for guess in ("", "x", sid[:-1], sid + "A", sid.swapcase(), sid[::-1], "../" + sid, "0" * 20, "A" * 10_000):
            async with server.http.get(PATH, params=query("polling") | {"sid": guess}) as response:
                assert response.status in (400, 414, 431)
            async with server.http.post(PATH, params=query("polling") | {"sid": guess[:500]}, data=b"41") as response:
                assert response.status == 400
        await engine.send("40")
        assert str(await engine.frame()).startswith("40")


async def test_a_draining_server_says_what_it_owes_and_takes_no_more(tmp_path: Path):
    async with world(tmp_path, default_model=MODEL) as here, joined(here.server, here.token) as tab:
        async with asking(here, socketId=tab.sid) as asked:
            await tab.reads(FIRST)
            await here.server.live.drain()
            await asyncio.wait_for(tab.gone.wait(), 5)
            answer = await asyncio.wait_for(asked.task, 5)
            assert (answer.json["cancelled"], answer.json["outputs"]) == (True, [FIRST])
        async with here.server.http.get(PATH, params=query("polling")) as response:
            assert response.status == 503
            assert (await response.json())["error"]["code"] == "server_stopping"
