"""A stream's response: writes are waited for only so long, heartbeats come in silence, and nothing is left behind."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from twinspeak.domain.events import TextDelta, TurnEnded, TurnEvent
from twinspeak.engine.buffer import TextBuffer
from twinspeak.engine.log import TurnLog
from twinspeak.transports.stream import EventStream, Pacer, data_frame, paced

LIMIT_S = 0.1


class Client:
    """The ASGI server's side: `pause_s` is how long each write takes, None for ever; `leaves` hangs up at once."""

    def __init__(self, *, pause_s: float | None = 0, leaves: bool = False) -> None:
        self.got: list[bytes] = []
        self.gone = 0
        self.closed = False
        self._pause_s = pause_s
        self._leaves = leaves

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            return
        if self._pause_s is None:
            await asyncio.Event().wait()
        await asyncio.sleep(self._pause_s or 0)
        self.got.append(message["body"])

    async def receive(self) -> Any:
        if not self._leaves:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def frames(self, count: int, silence_s: float = 0) -> AsyncGenerator[bytes]:
        try:
            for number in range(count):
                await asyncio.sleep(silence_s)
                yield b"%d" % number
        finally:
            self.closed = True

    async def served(self, frames: AsyncGenerator[bytes], *, limit_s: float = LIMIT_S) -> None:
        def gone() -> None:
            self.gone += 1

        stream = EventStream(frames, headers={}, on_gone=gone, write_timeout_s=limit_s)
        async with asyncio.timeout(10):
            await stream({"type": "http"}, self.receive, self.send)


def shown(event: TurnEvent | None) -> TurnEvent | str:
    return event or "heartbeat"


async def test_a_stream_is_sent_to_its_end():
    client = Client()
    await client.served(client.frames(3))
    assert (client.got, client.gone, client.closed) == ([b"0", b"1", b"2", b""], 0, True)


async def test_a_client_that_takes_nothing_is_given_up():
    client = Client(pause_s=None)
    began = asyncio.get_running_loop().time()
    await client.served(client.frames(3))
    assert (client.got, client.gone, client.closed) == ([], 1, True)
    assert asyncio.get_running_loop().time() - began >= LIMIT_S


async def test_a_client_that_stops_taking_after_a_while_is_given_up_too():
    client = Client(pause_s=None)
    began = asyncio.get_running_loop().time()
    await client.served(client.frames(3, silence_s=LIMIT_S * 2.5))
    assert (client.got, client.gone) == ([], 1)
    assert asyncio.get_running_loop().time() - began < LIMIT_S * 20


async def test_neither_slow_writes_nor_silence_add_up():
    slow, silent = Client(pause_s=LIMIT_S / 2), Client()
    await asyncio.gather(slow.served(slow.frames(5)), silent.served(silent.frames(3, silence_s=LIMIT_S * 1.5)))
    assert (len(slow.got), slow.gone) == (6, 0)
    assert (len(silent.got), silent.gone) == (4, 0)


async def test_a_client_that_leaves_is_told_of_once():
    client = Client(leaves=True)
    await client.served(client.frames(1_000, silence_s=0.01))
    assert (client.gone, client.closed) == (1, True)


def a_log() -> TurnLog:
    return TurnLog("epoch", text=TextBuffer(), thinking=TextBuffer())


def say(log: TurnLog, text: str) -> None:
    log.append(TextDelta(text=text, end=log.text.append(text)))


async def test_a_heartbeat_comes_after_silence_not_after_text():
    log, loop = a_log(), asyncio.get_running_loop()
    heartbeat_s, said = 0.2, loop.time()
    reader = log.read()
    pacer = Pacer(coalesce_ms=0, cumulative=False)
    async with aclosing(paced(reader, pacer, shown, heartbeat_s=heartbeat_s)) as events:
        for number in range(3):
            loop.call_later(heartbeat_s * 0.7, say, log, str(number))
            event = await anext(events)
            assert isinstance(event, TextDelta), "text within the time of a heartbeat leaves none due"
            said = loop.time()
        assert await anext(events) == "heartbeat"
        assert loop.time() - said >= heartbeat_s * 0.95
        assert await anext(events) == "heartbeat", "silence goes on, and so do heartbeats"
    assert reader._timer is None


async def test_a_reader_that_has_come_to_the_end_leaves_no_timer():
    log = a_log()
    reader = log.read()
    asyncio.get_running_loop().call_later(0.01, log.append, TurnEnded())
    async with aclosing(paced(reader, Pacer(coalesce_ms=20, cumulative=True), shown, heartbeat_s=3_600)) as events:
        assert [event async for event in events] == [TurnEnded()]
    assert reader._timer is None


@pytest.mark.parametrize("text", ["plain", "a\u0085b", "a\u2028b\u2029c", "é\u2028", "💬"])
def test_a_frame_is_one_line_for_whoever_splits_lines(text: str):
    assert len(data_frame({"text": text}).decode().rstrip("\n").splitlines()) == 1
