"""A turn on its way to one socket: reads the turn's log at the peer's pace and emits what it reads."""

from contextlib import aclosing

import msgspec

from twinspeak.domain.events import TurnEvent, TurnFailed
from twinspeak.engine.turn import Turn
from twinspeak.transports import wire_names as wire
from twinspeak.transports.socketio.link import Link
from twinspeak.transports.socketio.render import Renderer
from twinspeak.transports.stream import Pacer, paced

_IDLE_S = 3_600.0
"""Sockets have a heartbeat of their own; a feed only waits."""


class FeedOptions(msgspec.Struct, frozen=True):
    """What the request asked for: no cumulative text, failures too; and how text is paced."""

    delta_only: bool = False
    extended: bool = False
    coalesce_ms: int = 20


class Feed:
    """One turn to one namespace of one link."""

    def __init__(self, turn: Turn, link: Link, namespace: str, options: FeedOptions) -> None:
        """Nothing is sent before `run`."""
        self.turn = turn
        self._link = link
        self._namespace = namespace
        self._reader = turn.log.read()
        self._muted = False
        cumulative = not options.delta_only
        self._pacer = Pacer(coalesce_ms=options.coalesce_ms, cumulative=cumulative)
        self._renderer = Renderer(turn.turn_id, turn.log.text, cumulative=cumulative, extended=options.extended)

    def mute(self) -> None:
        """Send no more of this turn; the turn goes on."""
        self._muted = True
        self._reader.mute()

    async def run(self, *, catch_up: bool) -> bool:
        """Send the turn to its end; return whether the end was reached.

        `catch_up` sends what there is already as a newcomer should see it: reload, finished reasoning and tools, then
        the whole text in one frame.
        """
        if catch_up:
            for event in self._reader.catch_up():
                if not await self._send(event):
                    return False
        async with aclosing(paced(self._reader, self._pacer, _as_it_is, heartbeat_s=_IDLE_S)) as events:
            async for event in events:
                if not await self._send(event):
                    return False
        return True

    async def _send(self, event: TurnEvent) -> bool:
        payload = self._renderer.payload(event)
        if payload is None:
            return not self._link.closed
        if not await self._link.room():
            return False
        if self._muted and not isinstance(event, TurnFailed):  # it was muted while this one waited for room
            return True
        self._link.connection.emit(self._namespace, wire.RECEIVE_STREAM, payload)
        self._link.touch()
        return True


def _as_it_is(event: TurnEvent | None) -> TurnEvent | None:
    return event
