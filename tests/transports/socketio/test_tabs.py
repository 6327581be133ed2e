"""Tabs that reload, sleep, lose their network or are opened twice: no word of an answer is lost (decision 017)."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from tests.faces import Face, body_of
from tests.transports.socketio.answers import FIRST, TEXT, asking, halves
from tests.transports.socketio.clients import Tab, eventually, hub, joined, links_of
from tests.transports.socketio.networks import Network
from tests.world import World

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]


def whole(tab: Tab, turn_id: str) -> bool:
    """Whether a tab that came later was told everything once: reload, then tools, then all text so far in one frame."""
    kinds = [each["type"] for each in tab.of(turn_id)]
    return kinds[0] == "RELOAD" and kinds.count("RELOAD") == 1 and tab.text(turn_id) == TEXT


async def test_a_tab_that_reloads_ends_with_the_whole_text(here: World):
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(joined(here.server, here.token))
        asked = await stack.enter_async_context(asking(here, socketId=first.sid))
        await first.reads(FIRST)
        await first.engine.socket.close()
        await eventually(lambda: not hub(here.server)._sockets)
        again = await stack.enter_async_context(joined(here.server, here.token))
        await again.reads(FIRST)
        frames = again.of(asked.turn_id)
        assert frames[0]["type"] == "RELOAD"
        assert [each["delta"] for each in frames if each["type"] == "STREAM"] == [FIRST]
        assert (await asked.reply())["streamingFailed"] is False
        await again.reads(TEXT)
        assert whole(again, asked.turn_id)


@pytest.mark.parametrize("probed", ["socket first", "call first"])
async def test_a_reload_ends_call_and_socket_in_either_order(here: World, probed: str):
    async with AsyncExitStack() as stack:
        tab = await stack.enter_async_context(joined(here.server, here.token))
        asked = await stack.enter_async_context(asking(here, socketId=tab.sid))
        turn = here.server.live.turns._running[asked.turn_id]
        if probed == "call first":
            asked.task.cancel()
            await eventually(hub(here.server)._deliveries[asked.turn_id].answered.is_set)
        await tab.engine.socket.close()
        await eventually(lambda: not hub(here.server)._sockets)
        if probed == "socket first":
            asked.task.cancel()
            await eventually(hub(here.server)._deliveries[asked.turn_id].answered.is_set)
        again = await stack.enter_async_context(joined(here.server, here.token))
        await again.reads(FIRST)
        asked.go_on.set()
        await again.reads(TEXT)
        await asyncio.wait_for(turn.ended(), 5)
        assert turn.reply is not None
        assert not turn.reply.cancelled


async def test_a_call_that_hangs_up_without_a_socket_cancels(here: World):
    async with asking(here) as asked:
        turn = here.server.live.turns._running[asked.turn_id]
        asked.task.cancel()
        await asyncio.wait_for(turn.ended(), 5)
        assert turn.reply is not None
        assert turn.reply.cancelled
        assert turn.reply.output == FIRST


async def test_a_call_that_hangs_up_while_nobody_has_heard_of_the_turn_cancels(here: World):
    async with asking(here, socketId="stale") as asked:
        turn = here.server.live.turns._running[asked.turn_id]
        asked.task.cancel()
        await asyncio.wait_for(turn.ended(), 5)
        assert turn.reply is not None
        assert turn.reply.cancelled


@pytest.mark.parametrize("others", [0, 1])
async def test_a_black_holed_tab_loses_its_turn_to_the_next_that_registers(here: World, others: int):
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(Network(here.server.url))
        for _ in range(others):
            await stack.enter_async_context(joined(here.server, here.token))
        a = await stack.enter_async_context(joined(here.server, here.token, url=network.url))
        asked = await stack.enter_async_context(asking(here, socketId=a.sid))
        await a.reads(FIRST)
        network.black_hole()
        fresh = await stack.enter_async_context(joined(here.server, here.token))
        await fresh.reads(FIRST)
        assert (await asked.reply())["streamingFailed"] is False
        await fresh.reads(TEXT)
        assert whole(fresh, asked.turn_id)
        assert a.text() == FIRST


async def test_a_turn_that_ends_while_its_tab_is_in_a_black_hole_still_comes_whole(here: World):
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(Network(here.server.url))
        a = await stack.enter_async_context(joined(here.server, here.token, url=network.url))
        asked = await stack.enter_async_context(asking(here, socketId=a.sid))
        await a.reads(FIRST)
        network.black_hole()
        assert (await asked.reply())["streamingFailed"] is False
        delivery = hub(here.server)._deliveries[asked.turn_id]
        await eventually(lambda: delivery.sent_all)
        assert not delivery.confirmed
        fresh = await stack.enter_async_context(joined(here.server, here.token))
        await fresh.reads(TEXT)
        assert whole(fresh, asked.turn_id)


async def test_an_answered_ping_that_was_sent_before_the_last_frame_confirms_nothing(here: World):
    async with joined(here.server, here.token) as tab, asking(here, socketId=tab.sid) as asked:
        tab.engine.answering = False
        (link,) = links_of(here.server).values()
        link.session.probe_alive(asyncio.get_running_loop().time(), 20)
        link.touch()
        await tab.call("cancel_streaming", {"turnId": "0" * 24})  # behind the ping, so that has arrived
        assert (await asked.reply())["streamingFailed"] is False
        delivery = hub(here.server)._deliveries[asked.turn_id]
        await eventually(lambda: delivery.sent_all)
        await tab.engine.send("3")
        assert await tab.call("register", {}) == {"success": True, "registered": False}  # behind the pong
        assert (delivery.confirmed, delivery.probed) == (False, True)
        await tab.engine.send("3")
        await eventually(lambda: delivery.confirmed)


async def test_a_tab_that_is_alive_is_never_displaced(here: World):
    async with joined(here.server, here.token) as a, asking(here, socketId=a.sid) as asked:
        await a.reads(FIRST)
        async with joined(here.server, here.token) as b:
            (link,) = (each for each in links_of(here.server).values() if a.sid in each.connection.joined.values())
            await eventually(lambda: not link.session.unanswered)
            await asked.reply()
            await a.reads(TEXT)
            assert b.of() == []
        assert not a.gone.is_set()


async def test_a_confirmed_answer_is_not_told_again(here: World):
    async with joined(here.server, here.token) as a, asking(here, socketId=a.sid) as asked:
        await asked.reply()
        await a.reads(TEXT)
        delivery = hub(here.server)._deliveries[asked.turn_id]
        await eventually(lambda: delivery.confirmed)
    async with joined(here.server, here.token) as b:
        await b.call("register", {})
        assert b.of() == []


async def test_with_its_client_id_a_tab_takes_its_turn_back_at_once(here: World):
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(Network(here.server.url))
        a = await stack.enter_async_context(joined(here.server, here.token, url=network.url, client_id="tab-a"))
        b = await stack.enter_async_context(joined(here.server, here.token, client_id="tab-b"))
        asked = await stack.enter_async_context(asking(here, socketId=a.sid))
        await a.reads(FIRST)
        network.black_hole()
        other = await stack.enter_async_context(joined(here.server, here.token, client_id="tab-c"))
        again = await stack.enter_async_context(joined(here.server, here.token, client_id="tab-a"))
        await again.reads(FIRST)
        assert (await asked.reply())["streamingFailed"] is False
        await again.reads(TEXT)
        assert whole(again, asked.turn_id)
        assert a.of()
        assert b.of() == other.of() == []
        await eventually(lambda: a.sid not in hub(here.server)._sockets)


async def test_a_tab_takes_its_turn_back_from_the_one_that_got_it_meanwhile(here: World):
    async with AsyncExitStack() as stack:
        a = await stack.enter_async_context(joined(here.server, here.token, client_id="tab-a"))
        b = await stack.enter_async_context(joined(here.server, here.token, client_id="tab-b"))
        asked = await stack.enter_async_context(asking(here, socketId=a.sid))
        await a.engine.socket.close()
        await b.reads(FIRST)
        again = await stack.enter_async_context(joined(here.server, here.token, client_id="tab-a"))
        await again.reads(FIRST)
        await asked.reply()
        await again.reads(TEXT)
        assert b.text() == FIRST


async def test_a_live_twin_of_a_duplicated_tab_lives_on(here: World):
    async with (
        joined(here.server, here.token, client_id="tab") as a,
        joined(here.server, here.token, client_id="tab") as b,
    ):
        await eventually(lambda: not any(link.session.unanswered for link in links_of(here.server).values()))
        async with asking(here, socketId=a.sid) as asked:
            await asked.reply()
            await a.reads(TEXT)
        assert b.of() == []
        assert not a.gone.is_set()


async def test_when_socket_and_call_are_gone_the_turn_ends_abandoned(here: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub(here.server)._audience, "_abandoned_s", 0.2)
    async with joined(here.server, here.token) as tab, asking(here, socketId=tab.sid) as asked:
        turn = here.server.live.turns._running[asked.turn_id]
        asked.task.cancel()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(turn.ended(), 0.4)
        await tab.engine.socket.close()
        await asyncio.wait_for(turn.ended(), 5)
        assert turn.reply is not None
        assert (turn.reply.cancelled, turn.reply.output) == (True, FIRST)


async def test_who_comes_in_time_stops_the_clock(here: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub(here.server)._audience, "_abandoned_s", 0.3)
    async with asking(here, socketId="stale") as asked:
        turn = here.server.live.turns._running[asked.turn_id]
        async with joined(here.server, here.token) as first:
            await first.reads(FIRST)
            asked.task.cancel()
            await eventually(hub(here.server)._deliveries[asked.turn_id].answered.is_set)
        async with joined(here.server, here.token) as second:
            await second.reads(FIRST)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(turn.ended(), 0.5)
            asked.go_on.set()
            await second.reads(TEXT)
            await asyncio.wait_for(turn.ended(), 5)
        assert turn.reply is not None
        assert not turn.reply.cancelled


async def test_a_laptop_that_is_shut_and_opened_again(here: World):
    """Call and socket die together without a word."""
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(Network(here.server.url))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        a = await stack.enter_async_context(joined(here.server, here.token, url=network.url))
        reply, go_on = halves()
        here.upstream.script(reply)
        http = await stack.enter_async_context(aiohttp.ClientSession(network.url))
        body = body_of(Face.REST, socketId=a.sid)
        call = group.create_task(_post(http, body, here.server.auth(here.token)))
        await a.reads(FIRST)
        network.black_hole()
        fresh = await stack.enter_async_context(joined(here.server, here.token))
        await fresh.reads(FIRST)
        go_on.set()
        await fresh.reads(TEXT)
        call.cancel()


async def _post(http: aiohttp.ClientSession, body: dict[str, Any], headers: dict[str, str]) -> bytes:
    async with http.post("/api/ai/personal/qanda", json=body, headers=headers) as response:
        return await response.read()
