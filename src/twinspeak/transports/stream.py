"""What every streaming face shares: pacing a turn's events, and an ASGI response that notices who is not there.

Writers never wait for readers: pacing only decides when this reader takes what the log already holds.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import orjson
from starlette.background import BackgroundTask
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from twinspeak.domain.events import TextDelta, TurnEvent
from twinspeak.engine.log import LogReader

_BYTES_PER_ANSWER = 14
"""Cumulative frames of a whole answer stay near this many times its size (contract: about 20, all frames counted)."""
_ALLOWANCE = 1_536
"""Characters that the first frames may take beyond that, so that a short answer is not held back."""
_FRAME_OVERHEAD = 96
_LONGEST_HOLD_S = 1.5
"""Text is never held back for longer, whatever it costs in bytes."""

_LINE_ENDS = ((b"\xc2\x85", b"\\u0085"), (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"))
"""What ends a line for Python's str.splitlines but not for SSE: as JSON escapes they break no client's lines."""

_DIRECT = "direct_send"

T = TypeVar("T")


def data_frame(body: Mapping[str, Any]) -> bytes:
    """Return `body` as one frame: `data: <json>` and two newlines.

    JSON leaves no line end of SSE in it; U+0085, U+2028 and U+2029 are escaped too, because the many clients that read
    lines with httpx or splitlines, instead of an SSE library, would find the JSON torn.
    """
    raw = orjson.dumps(body)
    if not raw.isascii():
        for character, escape in _LINE_ENDS:
            raw = raw.replace(character, escape)
    return b"data: %b\n\n" % raw


class Pacer:
    """Decides when the next text may go: the first at once, then at most one frame per interval (performance row 3).

    With cumulative frames the interval grows with the text, so that bytes grow linearly with the answer.
    """

    def __init__(self, *, coalesce_ms: int, cumulative: bool) -> None:
        """`coalesce_ms` 0 sends every piece as it comes."""
        self.coalesces = coalesce_ms > 0
        self._interval_s = coalesce_ms / 1000
        self._cumulative = cumulative and coalesce_ms > 0
        self._spent = 0
        self._sent_end = 0
        self._sent_at: float | None = None

    def sent(self, event: TextDelta, now: float) -> None:
        """Count a text frame that goes out at `now` (loop time)."""
        self._sent_at = now
        self._sent_end = event.end
        self._spent += event.end + len(event.text) + _FRAME_OVERHEAD

    @property
    def not_before(self) -> float:
        """The loop time before which no text may go."""
        return 0 if self._sent_at is None else self._sent_at + self._interval_s

    @property
    def not_after(self) -> float | None:
        """The loop time at which text goes in any case."""
        return None if self._sent_at is None else self._sent_at + max(_LONGEST_HOLD_S, self._interval_s)

    @property
    def text_from(self) -> int:
        """How long the answer must be for another cumulative frame to be within the budget."""
        if not self._cumulative or self._sent_at is None:
            return 0
        over = self._spent + _FRAME_OVERHEAD - self._sent_end - _ALLOWANCE
        return max(0, -(-over // (_BYTES_PER_ANSWER - 2)))


async def paced(
    reader: LogReader, pacer: Pacer, render: Callable[[TurnEvent | None], T | None], *, heartbeat_s: float
) -> AsyncGenerator[T]:
    """Yield a turn's events, rendered, as this reader should send them, until the log ends.

    `render` is given None where a heartbeat is due; what it has nothing for is left out.
    """
    loop = asyncio.get_running_loop()
    try:
        while True:
            try:
                if pacer.coalesces:
                    event = await reader.next(
                        idle_s=heartbeat_s,
                        not_before=pacer.not_before,
                        text_from=pacer.text_from,
                        not_after=pacer.not_after,
                    )
                else:
                    event = await reader.next(idle_s=heartbeat_s)
                if event is None:
                    return
            except TimeoutError:
                event = None
            if pacer.coalesces and isinstance(event, TextDelta):
                pacer.sent(event, loop.time())
            if rendered := render(event):
                yield rendered
    finally:
        reader.close()


def direct(scope: Scope, send: Send) -> Send:
    """Return the shortest way for a body's frames: what stands between only looks at how a response starts.

    Half a dozen layers of middleware cost more than rendering a frame does.
    """
    return scope.get("state", {}).get(_DIRECT, send)


def offer_direct(scope: Scope, send: Send) -> None:
    """Let `direct` find the server's own `send`. The outermost middleware calls it."""
    scope.setdefault("state", {})[_DIRECT] = send


class ClientGone(Exception):
    """The client hung up, or has not read for too long."""


class EventStream(Response):
    """Streams frames of bytes until they end or the client is gone.

    `on_gone` is called once when the client hangs up, or when a write takes longer than `write_timeout_s`.
    """

    def __init__(
        self,
        frames: AsyncGenerator[bytes],
        *,
        headers: Mapping[str, str],
        on_gone: Callable[[], None],
        write_timeout_s: float,
    ) -> None:
        """Send `headers` (which say the content type) and then each frame as it comes."""
        super().__init__(headers=dict(headers))
        del self.headers["content-length"]
        self.background: BackgroundTask | None = None
        self._frames = frames
        self._on_gone = on_gone
        self._write_timeout_s = write_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send; watch for the hang-up at the same time. A server that cuts the response short counts as one."""
        complete = False
        try:
            async with asyncio.TaskGroup() as group:
                listener = group.create_task(hang_up(receive), name="listen for hang-up")
                # A task of its own: a frame is not to be woken through all the layers that this call came through.
                await group.create_task(self._send_all(send, direct(scope, send)), name="send frames")
                complete = True
                listener.cancel()
        except* (ClientGone, TimeoutError, OSError):
            pass
        finally:
            if not complete:
                self._on_gone()
            await self._frames.aclose()

    async def _send_all(self, send: Send, send_body: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        async with _Patience(self._write_timeout_s) as patience:
            await send(start)
            async for frame in self._frames:
                patience.writing()
                await send_body({"type": "http.response.body", "body": frame, "more_body": True})
                patience.written()
            patience.writing()
            await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Patience:
    """Raises TimeoutError in its block when a write takes longer than `limit_s`, with one timer for all writes.

    A timeout around each write costs more than most writes do.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._timeout = asyncio.timeout(None)
        self._since: float | None = None

    def writing(self) -> None:
        """A write begins."""
        self._since = self._loop.time()

    def written(self) -> None:
        """It has ended."""
        self._since = None

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self._timer = self._loop.call_later(self._limit_s, self._look)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._timer.cancel()
        return await self._timeout.__aexit__(kind, error, trace)

    def _look(self) -> None:
        now = self._loop.time()
        if self._since is not None and now >= self._since + self._limit_s:
            self._timeout.reschedule(now)
        else:
            self._timer = self._loop.call_at((self._since or now) + self._limit_s, self._look)


async def hang_up(receive: Receive) -> None:
    """Wait until the client hangs up, and raise ClientGone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    raise ClientGone
