"""Clients that vanish, do not read, or read a byte at a time, on every face.

The provider's socket is closed at once, there is one record with the part there is, and one charge that says it is an
estimate; nobody else notices, and a writer never waits for a reader.
"""

import asyncio
import tracemalloc
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.faces import FACES, STREAMS, Face
from tests.fakes.upstream import STALL, Exchange, Reply, chunk, ending, text_steps
from tests.faults.raw import Client, connected, request_of
from tests.faults.stage import eventually, reached
from tests.world import World, all_turns, charges, stored, world
from twinspeak.engine.turn import Turn

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]
SETTINGS: dict[str, Any] = {"stream_write_timeout_s": 0.5, "stream_heartbeat_s": 0.05}

PART = "The library opens"
SMALL = 4_096
LONG = "All of the handbook, read aloud. " * 30
PIECES = 200


async def left(here: World, turn: Turn, exchange: Exchange, text: str, *, charged: int) -> None:
    """What must be so once the client is gone."""
    assert await exchange.hung_up(within=5)
    await asyncio.wait_for(turn.ended(), 5)
    rows = [row for row in all_turns(here.database) if row["id"] == turn.turn_id]
    assert [(row["state"], row["output"], row["credits"]) for row in rows] == [("cancelled", text, charged)]
    assert bool(rows[0]["usage_estimated"]) is bool(charged)
    assert charges(here.database, turn.turn_id) == ([charged] if charged else [])
    record = await here.record(turn.turn_id)
    assert (record["state"], record["success"], record["out"]["outputs"]) == ("cancelled", True, [text])


def leave(client: Client, how: str) -> None:
    if how == "reset":
        client.reset()
    elif how == "half":
        client.writer.write_eof()
    else:
        client.writer.close()


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("face", FACES)
async def test_leaving_before_the_first_byte(here: World, face: Face, how: str) -> None:
    here.upstream.script(Reply([STALL]))
    async with connected(here.server) as client:
        await client.send(request_of(face, here.token))
        exchange = await here.upstream.exchange()
        turn = await here.running()
        leave(client, how)
        await left(here, turn, exchange, "", charged=0)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("face", FACES)
async def test_leaving_in_mid_answer(here: World, face: Face, how: str) -> None:
    here.upstream.script(Reply([*text_steps(PART), STALL]))
    async with connected(here.server) as client:
        await client.send(request_of(face, here.token))
        turn = await reached(here, PART)
        if face is not Face.REST:
            await client.until(b"opens")
        leave(client, how)
        await left(here, turn, here.upstream.exchanges[-1], PART, charged=1)


@pytest.mark.parametrize("face", FACES)
async def test_leaving_at_once(here: World, face: Face) -> None:
    """Before the server has looked at the request: a turn that began is ended, and costs nothing."""
    here.upstream.default = lambda _: Reply([STALL])
    seen = len(all_turns(here.database))
    for _ in range(5):
        async with connected(here.server) as client:
            await client.send(request_of(face, here.token))
            client.reset()
    # A request that came whole is read before its reset is seen: ask something else, to be behind all five.
    assert (await here.get("/api/ai/models"))[0] == 200
    await eventually(lambda: len(here.server.live.turns) == 0)
    rows = all_turns(here.database)[seen:]
    assert {(row["state"], row["credits"]) for row in rows} <= {("cancelled", 0)}
    for exchange in here.upstream.exchanges[-len(rows) or len(here.upstream.exchanges) :]:
        assert exchange.completed.is_set() or await exchange.hung_up()


@pytest.mark.parametrize("face", FACES)
async def test_two_readers_one_leaves(here: World, face: Face) -> None:
    """The other one's turn is another turn."""
    gate = asyncio.Event()
    here.upstream.default = lambda _: Reply([*text_steps(PART), gate, *ending()])
    async with connected(here.server) as client, asyncio.TaskGroup() as group:
        staying = group.create_task(here.ask(face))
        first = await reached(here, PART)
        await client.send(request_of(face, here.token))
        turns = here.server.live.turns._running
        await eventually(lambda: [turn.log.text.text() for turn in turns.values()] == [PART] * 2)
        leaving = next(turn for turn in turns.values() if turn is not first)
        client.reset()
        await asyncio.wait_for(leaving.ended(), 5)
        assert list(turns) == [first.turn_id]
        gate.set()
    assert stored(here.database, leaving.turn_id)["state"] == "cancelled"
    assert set(staying.result().texts.values()) == {PART}


@pytest.mark.parametrize("face", STREAMS)
async def test_a_client_that_never_reads(here: World, face: Face) -> None:
    """The provider is read at its own speed; when the write has taken too long, the client counts as gone."""
    sent = asyncio.Event()
    pieces = [chunk({"content": LONG}) for _ in range(PIECES)]
    here.upstream.script(Reply([*pieces, sent, STALL]))
    sent.set()
    async with connected(here.server, receive_buffer=SMALL) as client:
        deafen(client)
        await client.send(request_of(face, here.token))
        turn = await reached(here, LONG * PIECES)
        # All of it is here, though the client has taken next to nothing.
        await left(here, turn, here.upstream.exchanges[-1], LONG * PIECES, charged=stored_charge(here, turn))


def stored_charge(here: World, turn: Turn) -> int:
    """What an answer of that length must cost: the prompt is small beside it."""
    return -(-(len(turn.log.text.text()) // 4 + 3_000) // 10_000)


@pytest.mark.parametrize("face", STREAMS)
async def test_a_client_that_reads_a_byte_at_a_time(here: World, face: Face) -> None:
    """It gets all of its answer as long as it reads, and the provider has long been done."""
    here.upstream.script(Reply([*text_steps(PART), *ending()]))
    got = b""
    async with connected(here.server, receive_buffer=SMALL) as client:
        await client.send(request_of(face, here.token))
        end = b"[DONE]" if face is Face.OPENAI else b'"done"}'
        async with asyncio.timeout(20):
            while end not in got:
                got += await client.reader.readexactly(1)
    assert b"opens" in got
    await here.ended()
    assert all_turns(here.database)[-1]["state"] == "done"


@pytest.mark.parametrize("face", STREAMS)
async def test_a_quiet_stream_is_kept_alive(here: World, face: Face) -> None:
    """Heartbeats are empty deltas: they change no text."""
    gate = asyncio.Event()
    here.upstream.script(Reply([*text_steps(PART), gate, *ending()]))
    async with connected(here.server) as client, asyncio.TaskGroup() as group:
        asking = group.create_task(here.ask(face))
        await reached(here, PART)
        beat = b'"content":""' if face is Face.OPENAI else b'"delta":""'
        here.upstream.script(Reply([STALL]))
        await client.send(request_of(face, here.token))
        for _ in range(3):
            await client.until(beat)
        gate.set()
    assert set(asking.result().texts.values()) == {PART}


async def test_memory_for_deaf_clients_is_bounded(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Ten clients that never read, each of an answer whose frames are twelve megabytes: texts are kept, not frames."""
    pieces = [chunk({"content": LONG[:90]}) for _ in range(500)]
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(world(tmp_path_factory.mktemp("deaf"), stream_write_timeout_s=30))
        turns = here.server.live.turns._running
        here.upstream.default = lambda _: Reply([*pieces, STALL])
        tracemalloc.start()
        stack.callback(tracemalloc.stop)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(10):
            client = await stack.enter_async_context(connected(here.server, receive_buffer=SMALL))
            deafen(client)
            await client.send(request_of(Face.SSE, here.token))
        await eventually(lambda: [turn.log.text.length for turn in turns.values()] == [45_000] * 10)
        assert tracemalloc.get_traced_memory()[0] - before < 10 * 1_000_000


def deafen(client: Client) -> None:
    """Read nothing from now on."""
    client.reader._transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue] -- it is one of asyncio's
