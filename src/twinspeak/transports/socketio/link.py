"""One Engine.IO session with its Socket.IO connection, and what waits on them.

The machines in `wire` decide; a link keeps their time, moves what they want sent, and lets writers, polls and feeds
sleep until something has changed. Feeds take turns: they send only while little waits, so a peer that does not read
costs one frame of memory, and the turn's log merges the rest.
"""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from twinspeak.transports.socketio.wire.connection import Happening, SioConnection
from twinspeak.transports.socketio.wire.engine import EngineSession, Message
from twinspeak.transports.socketio.wire.packets import ProtocolError

_OUTSTANDING = 1
"""Packets that may wait for the peer before feeds hold back."""
_MESSAGES_PER_S = 50
_BURST = 200


class Peer(msgspec.Struct, frozen=True):
    """Who is at the other end, as its first request said: address, page (None: no page, or ours), token if any."""

    address: str
    origin: str | None = None
    token: str | None = None


class Link:
    """A session alive in this process. `on_happening` is awaited for each thing that the client did, in order."""

    def __init__(
        self,
        session: EngineSession,
        connection: SioConnection,
        peer: Peer,
        *,
        on_happening: Callable[["Link", Happening], Awaitable[None]],
        on_closed: Callable[["Link"], None],
    ) -> None:
        """Start the clock; `on_closed` is called once."""
        self.session = session
        self.connection = connection
        self.peer = peer
        self._on_happening = on_happening
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._sleepers: set[asyncio.Future[None]] = set()
        self._timer: asyncio.Handle | None = None
        self._rings_at = 0.0  # uvloop's handle of a time that has come does not know when that was
        self._tokens = float(_BURST)
        self._refilled = self._loop.time()
        self._receiving = asyncio.Lock()
        self._told_closed = False
        self.touch()

    @property
    def closed(self) -> bool:
        """Whether the session is over."""
        return self.session.closed

    @property
    def has_room(self) -> bool:
        """Whether a feed may send now."""
        return self.session.waiting < _OUTSTANDING

    async def changed(self) -> None:
        """Sleep until something may have changed."""
        sleeper: asyncio.Future[None] = self._loop.create_future()
        self._sleepers.add(sleeper)
        try:
            await sleeper
        finally:
            self._sleepers.discard(sleeper)

    async def room(self) -> bool:
        """Sleep until a feed may send; return False when the session is over."""
        while not self.closed and not self.has_room:
            await self.changed()
        return not self.closed

    def touch(self) -> None:
        """Say that something has changed: wake who sleeps, set the clock, notice the end."""
        self._flush()
        for sleeper in self._sleepers:
            if not sleeper.done():
                sleeper.set_result(None)
        if self.closed:
            self._end()
        else:
            self._arm()

    def close(self, reason: str) -> None:
        """End the session."""
        self.session.close(reason)
        self.touch()

    def finish(self, reason: str) -> None:
        """End the session when what waits has been sent."""
        self._flush()
        self.session.finish(reason)
        self.touch()

    async def over(self) -> None:
        """Sleep until the session is over."""
        while not self.closed:
            await self.changed()

    async def receive(self, messages: list[Message]) -> None:
        """Handle the messages of one frame or body in order. A bad one, or one too many, closes the session.

        A frame without any (a pong, a noop) counts as one: they cost us time as well.
        """
        async with self._receiving:
            if not messages and not self._within_rate():
                self.session.close("too many frames")
            for message in messages:
                if self.closed:
                    break
                if not self._within_rate():
                    self.session.close("too many messages")
                    break
                try:
                    happenings = self.connection.receive(message)
                except ProtocolError as error:
                    self.session.close(str(error))
                    break
                for happening in happenings:
                    await self._on_happening(self, happening)
                    self._flush()
        self.touch()

    def _flush(self) -> None:
        outgoing = self.connection.outgoing
        while outgoing and not self.closed:
            self.session.send(outgoing.popleft())

    def _within_rate(self) -> bool:
        now = self._loop.time()
        self._tokens = min(_BURST, self._tokens + (now - self._refilled) * _MESSAGES_PER_S) - 1
        self._refilled = now
        return self._tokens >= 0

    def _deadline(self) -> float | None:
        times = (self.session.deadline, self.connection.deadline)
        return min((at for at in times if at is not None), default=None)

    def _arm(self) -> None:
        deadline = self._deadline()
        if deadline is None or (self._timer is not None and self._rings_at <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._rings_at = self._loop.call_at(deadline, self._ring), deadline

    def _ring(self) -> None:
        self._timer = None
        now = self._loop.time()
        connect_by = self.connection.deadline
        if connect_by is not None and now >= connect_by:
            self.session.close("nothing was connected in time")
        self.session.tick(now)
        self.touch()

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._told_closed:
            self._told_closed = True
            self._on_closed(self)
