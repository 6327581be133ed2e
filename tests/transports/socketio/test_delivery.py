"""Who gets which turn (contract 4.3), through real sockets."""

import gc
from pathlib import Path

import pytest

from tests.faces import Face, ask
from tests.fakes.upstream import MODEL, text_reply, tool_reply
from tests.transports.socketio.answers import FIRST, TEXT, asking
from tests.transports.socketio.clients import eventually, hub, joined
from tests.world import World, world

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

UNREACHED = "No live socket of yours could be reached."


@pytest.mark.parametrize("namespace", ["/", "/socket.io"])
async def test_a_registered_socket_gets_the_turn_that_names_it(here: World, namespace: str):
    async with joined(here.server, here.token, namespace=namespace) as tab, asking(here, socketId=tab.sid) as asked:
        await tab.reads(FIRST, asked.turn_id)
        reply = await asked.reply()
        await tab.reads(TEXT, asked.turn_id)
        assert tab.of()[0] == {"type": "RELOAD", "turnId": asked.turn_id}
        assert (reply["streamingFailed"], reply["outputs"]) == (False, [TEXT])
        assert "streamingError" not in reply


async def test_two_tabs_of_one_user_each_get_their_own_stream(here: World):
    async with (
        joined(here.server, here.token) as a,
        joined(here.server, here.token) as b,
        asking(here, socketId=a.sid) as first,
        asking(here, socketId=b.sid) as second,
    ):
        await a.reads(FIRST)
        await b.reads(FIRST)
        assert (await second.reply())["streamingFailed"] is False
        assert (await first.reply())["streamingFailed"] is False
        await a.reads(TEXT)
        await b.reads(TEXT)
    assert {each["turnId"] for each in a.of()} == {first.turn_id}
    assert {each["turnId"] for each in b.of()} == {second.turn_id}


async def test_one_tab_may_have_two_turns_at_once(here: World):
    async with (
        joined(here.server, here.token) as tab,
        asking(here, socketId=tab.sid) as first,
        asking(here, socketId=tab.sid) as second,
    ):
        await first.reply()
        await second.reply()
        await tab.reads(TEXT, first.turn_id)
        await tab.reads(TEXT, second.turn_id)


async def test_without_socket_id_nothing_is_streamed(here: World):
    async with joined(here.server, here.token) as tab, asking(here) as asked:
        reply = await asked.reply()
        assert reply["streamingFailed"] is False
        assert await tab.call("cancel_streaming") == {"success": True, "muted": []}
        assert tab.of() == []


async def test_a_stale_socket_id_falls_back_to_the_only_live_socket(here: World):
    async with joined(here.server, here.token) as gone:
        stale = gone.sid
    async with joined(here.server, here.token) as tab, asking(here, socketId=stale) as asked:
        assert (await asked.reply())["streamingFailed"] is False
        await tab.reads(TEXT, asked.turn_id)


@pytest.mark.parametrize("socket_id", ["", "x", "no such socket at all", "../..", "🌍"])
async def test_only_when_nobody_can_be_reached_streaming_has_failed(here: World, socket_id: str):
    async with asking(here, socketId=socket_id) as asked:
        reply = await asked.reply()
    assert reply["outputs"] == [TEXT]
    assert reply["streamingFailed"] is bool(socket_id)
    assert reply.get("streamingError") == (UNREACHED if socket_id else None)


async def test_of_two_live_sockets_neither_is_guessed_but_the_next_that_registers_gets_it(here: World):
    async with joined(here.server, here.token) as a, joined(here.server, here.token) as b:
        async with asking(here, socketId="stale") as asked, joined(here.server, here.token) as c:
            await c.reads(FIRST, asked.turn_id)
            assert (await asked.reply())["streamingFailed"] is False
            await c.reads(TEXT, asked.turn_id)
        assert a.of() == b.of() == []


async def test_a_socket_of_somebody_else_is_never_streamed_to(here: World):
    stranger = await here.stranger()
    async with joined(here.server, stranger) as hers, asking(here, socketId=hers.sid) as asked:
        reply = await asked.reply()
        assert (reply["streamingFailed"], reply["outputs"]) == (True, [TEXT])
        assert await hers.call("cancel_request", {"turnId": asked.turn_id}) == {"success": True, "cancelled": []}
        assert hers.of() == []
        async with joined(here.server, here.token) as mine, asking(here, socketId=hers.sid) as again:
            assert (await again.reply())["streamingFailed"] is False
            await mine.reads(TEXT, again.turn_id)
        assert hers.of() == []
    signed_out = await here.post("/api/auth/signout", token=stranger)
    assert signed_out[0] == 200


async def test_a_socket_that_nobody_has_registered_gets_the_turn_that_names_it(here: World):
    async with joined(here.server) as guest:
        assert await guest.call("register", {"email": "admin@example.org"}) == {"success": True, "registered": False}
        for _ in range(2):
            async with asking(here, socketId=guest.sid) as asked:
                await guest.reads(FIRST, asked.turn_id)
                assert (await asked.reply())["streamingFailed"] is False
                await guest.reads(TEXT, asked.turn_id)
        async with asking(here) as unnamed:
            await unnamed.reply()
        assert guest.of(unnamed.turn_id) == []


async def test_a_guest_adopts_nothing(here: World):
    async with joined(here.server) as guest, asking(here, socketId="stale") as asked:
        assert (await asked.reply())["streamingFailed"] is True
        assert guest.of() == []


async def test_a_token_registration_overrides_a_guest(here: World):
    stranger = await here.server.sign_in("eve@example.org", "battery staple horse")
    async with joined(here.server) as guest, asking(here, socketId=guest.sid) as asked:
        await guest.reads(FIRST)
        assert await guest.call("register", {"token": stranger}) == {"success": True, "registered": True}
        before = len(guest.of())
        assert (await asked.reply())["streamingFailed"] is True
        assert await guest.call("cancel_streaming") == {"success": True, "muted": []}
        assert len(guest.of()) == before


async def test_a_guest_that_registers_as_the_same_user_keeps_its_turn(here: World):
    async with joined(here.server) as guest, asking(here, socketId=guest.sid) as asked:
        assert await guest.call("register", {"user": {"auth": {"token": here.token}}}) == {
            "success": True,
            "registered": True,
        }
        assert (await asked.reply())["streamingFailed"] is False
        await guest.reads(TEXT, asked.turn_id)


async def test_two_users_never_share_a_guest(here: World):
    stranger = await here.server.sign_in("eve@example.org", "battery staple horse")
    async with joined(here.server) as guest, asking(here, socketId=guest.sid) as mine:
        async with asking(here, stranger, socketId=guest.sid) as hers:
            assert (await hers.reply())["streamingFailed"] is True
        assert (await mine.reply())["streamingFailed"] is False
        await guest.reads(TEXT, mine.turn_id)
        assert {each["turnId"] for each in guest.of()} == {mine.turn_id}


@pytest.mark.parametrize("how", ["bare", "bearer", "field", "wrapped", "after an e-mail", "beside another token"])
async def test_a_valid_token_in_any_payload_binds_the_socket(here: World, how: str):
    token = here.token
    payload = {
        "bare": token,
        "bearer": f"Bearer {token}",
        "field": {"token": token},
        "wrapped": {"profile": {"user": {"token": token}}},
        "after an e-mail": {"email": "a.b@example.org", "picture": "cdn.example.org", "x": [token]},
        "beside another token": {"token": "push-token", "user": {"token": token}},
    }[how]
    async with joined(here.server) as tab:
        assert await tab.call("register", payload) == {"success": True, "registered": True}


@pytest.mark.parametrize("where", ["header", "bearer", "query"])
async def test_a_token_in_the_handshake_binds_the_socket(here: World, where: str):
    headers = {"header": {"x-access-token": here.token}, "bearer": {"Authorization": f"Bearer {here.token}"}}
    more = {"token": here.token} if where == "query" else {}
    async with joined(here.server, headers=headers.get(where), **more):
        assert len(hub(here.server)._by_user) == 1


async def test_delta_mode_leaves_the_cumulative_text_out(here: World):
    async with joined(here.server, here.token) as tab, asking(here, socketId=tab.sid, streamMode="delta") as asked:
        await asked.reply()
        await tab.reads(TEXT)
    assert all("prompt" not in each for each in tab.of(kind="STREAM"))
    async with joined(here.server, here.token) as tab, asking(here, socketId=tab.sid) as asked:
        await asked.reply()
        await tab.reads(TEXT)
        assert tab.of(kind="STREAM")[-1]["prompt"] == TEXT


async def test_tools_and_thinking_come_as_the_contract_says(here: World):
    search = tool_reply(("search_uploads", {"query": "twins"}), text="Let me see.")
    here.upstream.script(search, text_reply("Found.", thinking="Hm, so."))
    async with joined(here.server, here.token) as tab:
        answer = await ask(here.server, here.token, Face.REST, socketId=tab.sid)
        text = "Let me see.\n\nFound."
        assert answer.json["outputs"] == [text]
        await tab.reads(text)
    kinds = [each["type"] for each in tab.of()]
    assert kinds[0] == "RELOAD"
    (automatic, call), (found, result) = tab.of(kind="TOOL_CALL"), tab.of(kind="TOOL_RESULT")
    assert automatic["call_id"] == found["call_id"] != call["call_id"]
    assert call["call_id"] == result["call_id"]
    assert call["arguments"] == result["arguments"] == {"query": "twins"}
    assert set(call["displayInfo"]) == {"icon", "label"}
    assert result["success"] is True, result
    assert result["responseLength"] == len(result["response"])
    *deltas, done = tab.of(kind="THINKING")
    assert "".join(each["delta"] for each in deltas) == done["text"] == "Hm, so."
    assert (done["done"], done["id"], done["round"]) == (True, "round-1", 1)
    assert all(each["turnId"] == answer.turn_id for each in tab.of())


@pytest.mark.parametrize("keep_s", [0, 0.2])
async def test_what_is_kept_for_a_turn_is_let_go(tmp_path: Path, keep_s: float):
    async with world(tmp_path, default_model=MODEL, turn_log_keep_s=keep_s) as here:
        known = hub(here.server)
        async with joined(here.server, here.token) as tab:
            for _ in range(3):
                async with asking(here, socketId=tab.sid) as asked:
                    assert (await asked.reply())["streamingFailed"] is False
                    await tab.reads(TEXT, asked.turn_id)
            async with asking(here, socketId="stale") as asked:
                asked.task.cancel()
            await eventually(lambda: not known._deliveries)
            assert known._owned == {}
            (socket,) = known._sockets.values()
            assert socket.carried == {}
        await eventually(lambda: not known._sockets)
        assert known._by_user == {}
        del asked, socket
        gc.collect()
        assert len(known._audience._turns) <= 1
