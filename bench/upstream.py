"""The fake model provider: a process of its own, raw asyncio, one write a chunk on an absolute schedule.

`python -m bench.upstream` prints its address. `POST /v1/chat/completions` answers as `bench.answers` says, and so do
the paths of the other vendors (`bench.vendors`); the record of what became of each tagged exchange is at
`GET /bench/seen` (which empties it).
"""

import asyncio
import contextlib
import time
from typing import Any, cast

import httptools
import uvloop

from bench import vendors, wire
from bench.answers import Answer, asked
from bench.children import announce
from bench.vendors import vendor_of


class Exchange:
    """One answer being sent."""

    def __init__(self, connection: "Connection", answer: Answer, head: bytes, steps: list[bytes]) -> None:
        """Begin: the head at once, the first step after the answer's pause."""
        self.answer = answer
        self.sent = 0
        self.began = time.monotonic()
        self.ended: float | None = None
        self.closed: float | None = None
        self.paused_s = 0.0
        self.bunched = 0
        self.complete = False
        self._steps = steps
        self._stalls = answer.stall >= 0
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._paused_at: float | None = None
        connection.transport.write(head)
        self._start = self._loop.time() + answer.first / 1000
        self._timer: asyncio.TimerHandle | None = self._loop.call_at(self._start, self._tick)

    def _tick(self) -> None:
        """Send what is due. What is late goes out in one write, and is counted: the load was more than we can send."""
        interval = self.answer.interval / 1000
        late = self._loop.time() - self._start + 0.0005
        due = len(self._steps) if interval == 0 else min(len(self._steps), int(late / interval) + 1)
        if due > self.sent and self._paused_at is None:
            self.bunched += due - self.sent - 1 if interval else 0
            self._connection.transport.write(b"".join(self._steps[self.sent : due]))
            self.sent = due
        if self.sent < len(self._steps):
            at = self._start + (due if self._paused_at is None else due + 1) * interval
            self._timer = self._loop.call_at(at, self._tick)
            return
        self._timer = None
        if not self._stalls:
            self.complete, self.ended = True, time.monotonic()
            self._connection.answered(self)

    def pause(self) -> None:
        """Send nothing: whoever reads is too slow."""
        self._paused_at = time.monotonic()

    def resume(self) -> None:
        """Go on, with all that is late by now."""
        if self._paused_at is not None:
            self.paused_s += time.monotonic() - self._paused_at
            self._paused_at = None

    def close(self) -> None:
        """Note that the other end closed the connection."""
        self.closed = time.monotonic()
        if self._timer is not None:
            self._timer.cancel()

    def record(self) -> dict[str, Any]:
        """Return what is known, times in seconds on the machine's monotonic clock."""
        return {
            "tag": self.answer.tag,
            "began": self.began,
            "ended": self.ended,
            "closed": self.closed,
            "complete": self.complete,
            "sent": self.sent,
            "bunched": self.bunched,
            "paused_s": self.paused_s,
        }


class Connection(asyncio.Protocol):
    """One keep-alive connection; a request comes only after the answer to the one before."""

    transport: asyncio.Transport

    def __init__(self, record: "Record") -> None:
        """Wait for a request."""
        self._record = record
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body: list[bytes] = []
        self._running: Exchange | None = None

    # -- asyncio's ----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop has classes of its own

    def data_received(self, data: bytes) -> None:
        """Parse."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note when, for whoever measures a cancel."""
        del exc
        if self._running is not None:
            self._running.close()
            self._record.keep(self._running)
            self._running = None

    def pause_writing(self) -> None:
        """Hold the answer back."""
        if self._running is not None:
            self._running.pause()

    def resume_writing(self) -> None:
        """Let it go on."""
        if self._running is not None:
            self._running.resume()

    # -- the parser's -------------------------------------------------------------------------------------------------

    def on_url(self, url: bytes) -> None:
        """Keep the path."""
        self._url = url
        self._body.clear()

    def on_body(self, body: bytes) -> None:
        """Keep a piece."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Answer."""
        body = b"".join(self._body)
        if self._url.startswith(b"/bench/seen"):
            self.transport.write(wire.json_response(self._record.take()))
        elif self._url.endswith(b"/models"):
            models = [{"id": wire.MODEL, "object": "model", "owned_by": "bench"}]
            self.transport.write(wire.json_response({"object": "list", "data": models}))
        else:
            answer = asked(body)
            self._running = Exchange(self, answer, *_script(self._url, body, answer))
            self._record.begin(self._running)

    def answered(self, exchange: Exchange) -> None:
        """Be ready for the next request."""
        self._record.keep(exchange)
        self._running = None


def _script(path: bytes, body: bytes, answer: Answer) -> tuple[bytes, list[bytes]]:
    """Return the response's head, and what follows it, on the wire that the request came over."""
    vendor = vendor_of(path)
    if vendor:
        return vendor.head, vendors.script(vendor, answer)
    searching = bool(answer.tool) and b'"role":"tool"' not in body.replace(b'": "', b'":"')
    return wire.RESPONSE_HEAD, wire.tool_script(answer) if searching else wire.script(answer)


class Record:
    """What became of the exchanges; `bunched` counts chunks that left together because this process was late."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._ended: list[dict[str, Any]] = []
        self._running: set[Exchange] = set()
        self._bunched = 0
        self._sent = 0

    def begin(self, exchange: Exchange) -> None:
        """Note an exchange that has begun."""
        self._running.add(exchange)

    def keep(self, exchange: Exchange) -> None:
        """Keep an exchange that is over; only tagged ones in full."""
        self._running.discard(exchange)
        self._bunched += exchange.bunched
        self._sent += exchange.sent
        if exchange.answer.tag:
            self._ended.append(exchange.record())

    def take(self) -> dict[str, Any]:
        """Return everything, exchanges that still run too, and begin anew."""
        running = [exchange.record() for exchange in self._running if exchange.answer.tag]
        taken = {"exchanges": [*self._ended, *running], "bunched": self._bunched, "sent": self._sent}
        self._ended, self._bunched, self._sent = [], 0, 0
        return taken


async def serve() -> None:
    """Serve until killed."""
    record = Record()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(record), "127.0.0.1", 0, backlog=2048)
    announce(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve())
