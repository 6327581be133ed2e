"""One Engine.IO 4 session as a state machine: polling and WebSocket, upgrade, heartbeat, close.

The rules are docs/engine.io-protocol/v4-current.md of socketio/socket.io. The binding feeds it requests, frames and
the time, hands its messages on, and sends what `poll_payload` and `next_frame` give; nothing here waits. Times are
monotonic seconds.

While a WebSocket probes, the session still polls: what is queued goes out with the next poll, or a noop does, so that
the client can let go of polling; after the upgrade packet everything goes over the WebSocket.
"""

from collections import deque
from enum import Enum, auto

import msgspec
import orjson

from twinspeak.transports.socketio.wire import packets
from twinspeak.transports.socketio.wire.packets import Packet, ProtocolError

Message = str | bytes


class EngineLimits(msgspec.Struct, frozen=True):
    """Seconds and counts. `max_queue` bounds packets that wait for the peer; over it the session is closed."""

    ping_interval_s: float = 25
    ping_timeout_s: float = 20
    max_payload: int = 1_000_000
    max_packets: int = 256
    max_queue: int = 1_024
    upgrade_timeout_s: float = 10


class Transport(Enum):
    """How packets reach the peer now."""

    POLLING = auto()
    WEBSOCKET = auto()


class Poll(Enum):
    """What a GET gets."""

    REFUSED = auto()
    """400: the session is closed or has left polling."""
    CLASH = auto()
    """400, and the session is closed: another GET is waiting already."""
    READY = auto()
    """`poll_payload` has something at once."""
    WAIT = auto()
    """Keep the request until `poll_ready`."""


class EngineSession:
    """A session from its handshake to its close; `reason` says why it closed."""

    def __init__(self, sid: str, limits: EngineLimits, *, now: float, transport: Transport) -> None:
        """Open: the first packet queued is the handshake."""
        self.sid = sid
        self.transport = transport
        self.closed = False
        self.reason = ""
        self._limits = limits
        self._queue: deque[Packet] = deque()
        self._probe_queue: deque[Packet] = deque()
        self._polling = False
        self._posting = False
        self._attached = transport is Transport.WEBSOCKET
        self._probed = False
        self._upgrade_by: float | None = None
        self._ping_at: float | None = now + limits.ping_interval_s
        self._pong_by: float | None = None
        self._now = now
        self._queue.append(Packet(packets.OPEN, self._handshake()))

    # -- time ---------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When `tick` is due next; None once closed."""
        if self.closed:
            return None
        return min(at for at in (self._ping_at, self._pong_by, self._upgrade_by) if at is not None)

    def tick(self, now: float) -> None:
        """Send a ping that is due; close when a pong, or the end of an upgrade, is overdue."""
        self._now = now
        if self.closed:
            return
        if self._pong_by is not None and now >= self._pong_by:
            self.close("ping timeout")
        elif self._ping_at is not None and now >= self._ping_at:
            self._ping(self._limits.ping_timeout_s)
        if self._upgrade_by is not None and now >= self._upgrade_by:
            self.detach()

    def probe_alive(self, now: float, within_s: float) -> None:
        """Ask at once whether the peer is there; the session closes unless it answers in time."""
        self._now = now
        if self.closed:
            return
        if self._pong_by is None:
            self._ping(within_s)
        else:
            self._pong_by = min(self._pong_by, now + within_s)

    @property
    def unanswered(self) -> bool:
        """Whether a ping waits for its pong."""
        return self._pong_by is not None

    # -- sending ------------------------------------------------------------------------------------------------------

    def send(self, data: Message) -> None:
        """Queue a message. A queue over its bound closes the session: the peer does not read."""
        if self.closed:
            return
        if len(self._queue) >= self._limits.max_queue:
            self.close("too much unread")
            return
        self._queue.append(Packet(packets.MESSAGE, data))

    @property
    def waiting(self) -> int:
        """How many packets wait for the peer."""
        return len(self._queue)

    def close(self, reason: str) -> None:
        """End the session. A waiting poll is told with a close packet; the binding closes the WebSocket."""
        if not self.closed:
            self.closed, self.reason = True, reason
            self._queue.clear()
            self._probe_queue.clear()

    # -- polling ------------------------------------------------------------------------------------------------------

    def poll(self) -> Poll:
        """Take a GET."""
        if self.closed or self.transport is not Transport.POLLING:
            return Poll.REFUSED
        if self._polling:
            self.close("two polls at once")
            return Poll.CLASH
        self._polling = True
        return Poll.READY if self.poll_ready else Poll.WAIT

    @property
    def poll_ready(self) -> bool:
        """Whether a waiting GET can be answered."""
        return self._polling and bool(
            self._queue or self.closed or self._probed or self.transport is not Transport.POLLING
        )

    def poll_payload(self) -> bytes:
        """Return the body that answers the waiting GET: what is queued, as much as one payload may hold."""
        self._polling = False
        if self.closed:
            last = packets.NOOP if self.reason == _PEER_CLOSED else packets.CLOSE
            return packets.encode_payload([Packet(last)])
        if not self._queue or self.transport is not Transport.POLLING:
            return packets.encode_payload([Packet(packets.NOOP)])
        taken: list[Packet] = []
        size = 0
        while self._queue:
            size += len(packets.encode_polled(self._queue[0]).encode()) + 1
            if taken and size > self._limits.max_payload:
                break
            taken.append(self._queue.popleft())
        return packets.encode_payload(taken)

    def poll_dropped(self) -> None:
        """Close: the client hung up on a waiting GET, so what it would have carried cannot be told from lost."""
        if self._polling:
            self._polling = False
            self.close("poll dropped")

    def begin_post(self) -> None:
        """Note that a POST is being read. Raises ProtocolError, and closes, when there is one already."""
        if self._posting:
            self.close("two posts at once")
            raise ProtocolError("two posts at once")
        self._posting = True

    def end_post(self) -> None:
        """Note that a POST is done or gone."""
        self._posting = False

    def post(self, body: bytes) -> list[Message]:
        """Take the body of a POST; return the messages in it. Raises ProtocolError, and closes, for a bad one."""
        if self.closed or self.transport is not Transport.POLLING:
            raise ProtocolError("the session takes no posts")
        if len(body) > self._limits.max_payload:
            self.close("payload too large")
            raise ProtocolError("payload too large")
        try:
            received = packets.decode_payload(body, most=self._limits.max_packets)
        except ProtocolError:
            self.close("bad payload")
            raise
        found: list[Message] = []
        for packet in received:
            if self.closed:
                break
            found += self._receive(packet)
        if self.closed and self.reason != _PEER_CLOSED:
            raise ProtocolError(self.reason)
        return found

    # -- WebSocket ----------------------------------------------------------------------------------------------------

    def attach(self) -> bool:
        """Take a second connection, a WebSocket that wants to upgrade. False: refuse it; the session lives on."""
        if self.closed or self.transport is not Transport.POLLING or self._attached:
            return False
        self._attached = True
        self._upgrade_by = self._now + self._limits.upgrade_timeout_s
        return True

    def detach(self) -> None:
        """The WebSocket is gone: an upgrade is given up, a session that lived on it is over."""
        self._attached = False
        self._upgrade_by = None
        self._probed = False
        self._probe_queue.clear()
        if self.transport is Transport.WEBSOCKET:
            self.close("transport closed")

    @property
    def attached(self) -> bool:
        """Whether a WebSocket belongs to the session, in use or probing."""
        return self._attached

    def frame(self, data: Message) -> list[Message]:
        """Take a WebSocket frame; return the messages in it. Raises ProtocolError, and closes, for a bad one."""
        if self.closed:
            return []
        if len(data) > self._limits.max_payload:
            return self._bad("frame too large")
        if isinstance(data, bytes):
            if self.transport is not Transport.WEBSOCKET:
                return self._bad("binary before upgrade")
            return [data]
        try:
            packet = packets.decode_text(data)
        except ProtocolError as error:
            return self._bad(str(error))
        if self.transport is Transport.WEBSOCKET:
            return self._receive(packet)
        return self._upgrade(packet)

    def next_frame(self) -> Message | None:
        """Return what to send over the WebSocket next, None when there is nothing now."""
        if self._probe_queue:
            return packets.encode(self._probe_queue.popleft())
        if self.transport is Transport.WEBSOCKET and self._queue:
            return packets.encode(self._queue.popleft())
        return None

    # -- inside -------------------------------------------------------------------------------------------------------

    def _handshake(self) -> str:
        limits = self._limits
        upgrades = ["websocket"] if self.transport is Transport.POLLING else []
        return orjson.dumps(
            {
                "sid": self.sid,
                "upgrades": upgrades,
                "pingInterval": round(limits.ping_interval_s * 1000),
                "pingTimeout": round(limits.ping_timeout_s * 1000),
                "maxPayload": limits.max_payload,
            }
        ).decode()

    def _ping(self, within_s: float) -> None:
        self._ping_at = None
        self._pong_by = self._now + within_s
        self._queue.append(Packet(packets.PING))

    def _receive(self, packet: Packet) -> list[Message]:
        if packet.type == packets.MESSAGE:
            return [packet.data]
        if packet.type == packets.PONG:
            if self._pong_by is not None:
                self._pong_by = None
                self._ping_at = self._now + self._limits.ping_interval_s
            return []
        if packet.type == packets.CLOSE:
            self.close(_PEER_CLOSED)
        elif packet.type != packets.NOOP:
            return self._bad("packet out of place")
        return []

    def _upgrade(self, packet: Packet) -> list[Message]:
        if packet == Packet(packets.PING, packets.PROBE):
            self._probed = True
            self._probe_queue.append(Packet(packets.PONG, packets.PROBE))
        elif packet.type == packets.UPGRADE and self._probed:
            self.transport = Transport.WEBSOCKET
            self._probed = False
            self._upgrade_by = None
        else:
            return self._bad("upgrade out of order")
        return []

    def _bad(self, reason: str) -> list[Message]:
        self.close(reason)
        raise ProtocolError(reason)


_PEER_CLOSED = "closed by the peer"
