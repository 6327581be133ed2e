"""cancel_request and cancel_streaming (contract 4.3), through real sockets."""

import asyncio
from typing import Any

import pytest

from tests.faces import Face, body_of, read
from tests.transports.socketio.answers import FIRST, SECOND, TEXT, Asked, asking
from tests.transports.socketio.clients import joined
from tests.world import World

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

UNKNOWN = "0123456789abcdef01234567"


async def cancelled(asked: Asked) -> dict[str, Any]:
    """Return the reply of a call whose turn was cancelled, without letting the model go on."""
    async with asyncio.timeout(5):
        answer = await asked.task
    assert answer.status == 200
    assert (answer.json["success"], answer.json["cancelled"], answer.json["outputs"]) == (True, True, [FIRST])
    assert answer.json["credits"] >= 1
    return answer.json


@pytest.mark.parametrize("payload", ["none", "empty", "null id", "its id", "its id in capitals", "an unknown id"])
async def test_a_request_is_cancelled(here: World, payload: str):
    async with joined(here.server, here.token) as tab, asking(here, socketId=tab.sid) as asked:
        args: dict[str, list[Any]] = {
            "none": [],
            "empty": [{}],
            "null id": [{"turnId": None}],
            "its id": [{"turnId": asked.turn_id}],
            "its id in capitals": [{"turnId": asked.turn_id.upper()}],
            "an unknown id": [{"turnId": UNKNOWN}],
        }
        exchange = here.upstream.exchanges[-1]
        answer = await tab.call("cancel_request", *args[payload])
        assert answer == {"success": True, "cancelled": [asked.turn_id]}
        assert await exchange.hung_up(2)
        assert (await cancelled(asked))["streamingFailed"] is False
        await tab.reads(FIRST)


async def test_an_event_without_acknowledgement_cancels_too(here: World):
    async with joined(here.server) as guest, asking(here, socketId=guest.sid) as asked:
        await guest.emit("cancel_request")
        await cancelled(asked)


async def test_without_an_id_only_what_the_socket_carries_is_cancelled(here: World):
    async with (
        joined(here.server, here.token) as a,
        joined(here.server, here.token) as b,
        asking(here, socketId=a.sid) as first,
        asking(here, socketId=b.sid) as second,
    ):
        assert await a.call("cancel_request") == {"success": True, "cancelled": [first.turn_id]}
        await cancelled(first)
        assert (await second.reply())["outputs"] == [TEXT]
        await b.reads(TEXT)


async def test_two_tabs_cancelling_the_same_turn(here: World):
    async with (
        joined(here.server, here.token) as a,
        joined(here.server, here.token) as b,
        asking(here, socketId=a.sid) as asked,
    ):
        turn = {"turnId": asked.turn_id}
        answers = await asyncio.gather(*(tab.call("cancel_request", turn) for tab in (a, b) * 3))
        assert all(answer["success"] for answer in answers)
        assert {turn_id for answer in answers for turn_id in answer["cancelled"]} == {asked.turn_id}
        await cancelled(asked)
        assert await a.call("cancel_request", turn) == {"success": True, "cancelled": []}


async def test_a_turn_of_another_face_is_cancelled_by_its_id(here: World):
    async with joined(here.server, here.token) as tab, asking(here) as rest, asking(here, socketId=tab.sid) as mine:
        answer = await tab.call("cancel_request", {"turnId": rest.turn_id})
        assert answer == {"success": True, "cancelled": [rest.turn_id]}
        await cancelled(rest)
        assert (await mine.reply())["outputs"] == [TEXT]


@pytest.mark.parametrize("whose", ["a stranger's", "a guest's"])
async def test_a_turn_of_somebody_else_is_as_unknown_as_none(here: World, whose: str):
    stranger = await here.stranger() if whose == "a stranger's" else None
    async with (
        joined(here.server, here.token) as mine,
        joined(here.server, stranger) as other,
        asking(here, socketId=mine.sid) as asked,
    ):
        for turn_id in (asked.turn_id, UNKNOWN):
            for event, answered in (("cancel_request", "cancelled"), ("cancel_streaming", "muted")):
                assert await other.call(event, {"turnId": turn_id}) == {"success": True, answered: []}
        assert (await asked.reply())["outputs"] == [TEXT]
        await mine.reads(TEXT)


@pytest.mark.parametrize("named", [True, False])
async def test_muting_stops_the_chunks_of_this_turn_alone(here: World, named: bool):  # noqa: FBT001 -- a parameter
    async with joined(here.server, here.token) as tab:
        async with asking(here, socketId=tab.sid) as asked:
            await tab.reads(FIRST)
            args = [{"turnId": asked.turn_id}] if named else []
            assert await tab.call("cancel_streaming", *args) == {"success": True, "muted": [asked.turn_id]}
            told = len(tab.of())
            reply = await asked.reply()
            assert (reply["outputs"], reply["streamingFailed"], reply.get("cancelled")) == ([TEXT], False, None)
            await tab.call("register", {})
            assert len(tab.of()) == told
        async with asking(here, socketId=tab.sid) as following:
            await following.reply()
            await tab.reads(TEXT, following.turn_id)


async def test_muting_another_tab_s_turn_mutes_nothing(here: World):
    async with (
        joined(here.server, here.token) as a,
        joined(here.server, here.token) as b,
        asking(here, socketId=a.sid) as asked,
    ):
        assert await b.call("cancel_streaming", {"turnId": asked.turn_id}) == {"success": True, "muted": []}
        await asked.reply()
        await a.reads(TEXT)


async def test_a_cancel_ends_every_reader_of_the_turn(here: World):
    async with joined(here.server, here.token) as tab, asking(here, socketId=tab.sid) as asked:
        url = f"/api/ai/turns/{asked.turn_id}/events"
        async with here.server.http.get(url, headers=here.server.auth(here.token)) as response:
            await tab.call("cancel_request")
            streamed = (await response.read()).decode()
        assert '"type":"done"' in streamed
        assert SECOND not in streamed
        await cancelled(asked)


async def test_a_flood_of_cancels_harms_nobody(here: World):
    async with joined(here.server, here.token) as tab, asking(here, socketId=tab.sid) as asked:
        for _ in range(100):
            await tab.emit("cancel_request", {"turnId": asked.turn_id})
        await cancelled(asked)
        assert (await tab.call("cancel_request"))["success"] is True


async def test_an_sse_stream_is_not_the_sockets_to_mute(here: World):
    async with joined(here.server, here.token) as tab:
        body = body_of(Face.SSE)
        path = "/api/ai/personal-stream/qanda-stream"
        async with here.server.http.post(path, json=body, headers=here.server.auth(here.token)) as response:
            answer = await read(Face.SSE, response)
        assert await tab.call("cancel_streaming", {"turnId": answer.turn_id}) == {"success": True, "muted": []}
        assert tab.of() == []
