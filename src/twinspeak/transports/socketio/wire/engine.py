"""One Engine.IO 4 session as a state machine: polling and WebSocket, upgrade, heartbeat, close.

The rules are docs/engine.io-protocol/v4-current.md of socketio/socket.io. The binding feeds it requests, frames and
the time, hands its messages on, and sends what `poll_payload` and `next_frame` give; nothing here waits. Times are
monotonic seconds.

While a WebSocket probes, the session still polls: what is queued goes out with the next poll, or a noop does, so that
the client can let go of polling; after the upgrade packet everything goes over the WebSocket. A probe that goes wrong
costs the WebSocket only.
"""

from collections import deque
from enum import Enum, auto

import msgspec

from twinspeak.transports.socketio.wire import packets
from twinspeak.transports.socketio.wire.packets import Packet, ProtocolError

Message = str | bytes


class EngineLimits(msgspec.Struct, frozen=True):
    """Seconds, bytes and counts. `max_payload` bounds a body or frame of the peer, `max_packets` the packets of a body.

    `max_queue` and `max_queue_bytes` bound what waits for the peer; over them the session is closed. A message larger
    than `max_queue_bytes` may wait alone.
    """

    ping_interval_s: float = 25
    ping_timeout_s: float = 20
    max_payload: int = 1_000_000
    max_packets: int = 256
    max_queue: int = 1_024
    max_queue_bytes: int = 2_000_000
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
        self._queue: deque[tuple[Packet, int]] = deque()
        self._probe_queue: deque[Packet] = deque()
        self._polling = False
        self._posting = False
        self._attached = transport is Transport.WEBSOCKET
        self._abandoned = False
        self._probed = False
        self._upgrade_by: float | None = None
        self._upgrade_begins = False
        self._ending: str | None = None
        self._queued_bytes = 0
        self._ping_at: float | None = now + limits.ping_interval_s
        self._pong_by: float | None = None
        self._ping_queued = False
        self._now = now
        upgrades = ["websocket"] if transport is Transport.POLLING else []
        interval_s, timeout_s = limits.ping_interval_s, limits.ping_timeout_s
        self._push(packets.handshake(sid, upgrades, interval_s, timeout_s, limits.max_payload))

    # -- time ---------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When `tick` is due next; None once closed."""
        if self.closed:
            return None
        begins = self._now if self._upgrade_begins else None
        return min(at for at in (self._ping_at, self._pong_by, self._upgrade_by, begins) if at is not None)

    def tick(self, now: float) -> None:
        """Send a ping that is due; close when a pong, or the end of an upgrade, is overdue."""
        self._now = now
        if self.closed:
            return
        if self._pong_by is not None and now >= self._pong_by:
            self.close("ping timeout")
        elif self._ping_at is not None and now >= self._ping_at:
            self._ping(self._limits.ping_timeout_s)
        if self._upgrade_begins:
            self._upgrade_begins, self._upgrade_by = False, now + self._limits.upgrade_timeout_s
        elif self._upgrade_by is not None and now >= self._upgrade_by:
            self._give_up()

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
        """Queue a message. A queue over its bound closes the session: the peer does not read.

        Raises ValueError for text with U+001E, which polling cannot carry; JSON never holds it unescaped.
        """
        if isinstance(data, str) and packets.SEPARATOR in data:
            raise ValueError("a message holds no U+001E")
        if self.closed or self._ending is not None:
            return
        size = packets.size(data)
        too_large = self._queued_bytes + size > self._limits.max_queue_bytes
        if len(self._queue) >= self._limits.max_queue or (self._queue and too_large):
            self.close("too much unread")
        else:
            self._push(Packet(packets.MESSAGE, data), size)

    @property
    def waiting(self) -> int:
        """How many packets wait for the peer."""
        return len(self._queue)

    @property
    def waiting_bytes(self) -> int:
        """How many bytes they take."""
        return self._queued_bytes

    def finish(self, reason: str) -> None:
        """End the session when what is queued has gone out, with a close packet behind it; nothing more is taken.

        A peer that does not read is closed on by the heartbeat, as ever.
        """
        if not self.closed and self._ending is None:
            self._ending = reason
            self._push(Packet(packets.CLOSE))

    def close(self, reason: str) -> None:
        """End the session now: what is queued is dropped.

        A waiting poll is told with a close packet; the binding closes the WebSocket.
        """
        if not self.closed:
            self.closed, self.reason = True, reason
            self._queue.clear()
            self._queued_bytes = 0
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
            return packets.encode_polled(Packet(last))
        if not self._queue or self.transport is not Transport.POLLING:
            return packets.encode_polled(Packet(packets.NOOP))
        taken: list[bytes] = []
        size = 0
        while self._queue:
            encoded = packets.encode_polled(self._queue[0][0])
            size += len(encoded) + 1
            if taken and size > self._limits.max_payload:
                break
            taken.append(encoded)
            self._pop()
        return packets.join_payload(taken)

    def poll_dropped(self) -> None:
        """Close: the client hung up on a waiting GET, so what it would have carried cannot be told from lost.

        After an upgrade it would have carried a noop, and nothing is lost.
        """
        if self._polling:
            self._polling = False
            if self.transport is Transport.POLLING:
                self.close("poll dropped")

    def begin_post(self) -> None:
        """Note that a POST is being read.

        Raises ProtocolError, and closes, when there is one already; raises it and does not close when the session takes
        no posts, being closed or past its upgrade.
        """
        self._must_poll()
        if self._posting:
            self.close("two posts at once")
            raise ProtocolError("two posts at once")
        self._posting = True

    def end_post(self) -> None:
        """Note that a POST is done or gone."""
        self._posting = False

    def post(self, body: bytes) -> list[Message]:
        """Take the body of a POST; return the messages in it.

        Raises ProtocolError, and closes, for a bad one; raises it and does not close as `begin_post` does.
        """
        self._must_poll()
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
        return found

    # -- WebSocket ----------------------------------------------------------------------------------------------------

    def attach(self) -> bool:
        """Take a second connection, a WebSocket that wants to upgrade. False: refuse it; the session lives on.

        Its time begins with the next `tick`, for which `deadline` asks at once: the machine has no clock to read.
        """
        if self.closed or self.transport is not Transport.POLLING or self._attached:
            return False
        self._attached = self._upgrade_begins = True
        return True

    def detach(self) -> None:
        """The WebSocket that `attach` took is gone: an upgrade is given up, a session that lived on it is over."""
        self._give_up()
        self._attached = self._abandoned = False
        if self.transport is Transport.WEBSOCKET:
            self.close("transport closed")

    @property
    def attached(self) -> bool:
        """Whether a WebSocket belongs to the session, in use, probing or abandoned."""
        return self._attached

    @property
    def abandoned(self) -> bool:
        """Whether the upgrade of the attached WebSocket has failed: close it, then `detach`. The session polls on."""
        return self._abandoned

    def frame(self, data: Message) -> list[Message]:
        """Take a WebSocket frame; return the messages in it.

        Raises ProtocolError for a bad one, and closes; while it probes, the WebSocket is only `abandoned`.
        """
        if self.closed:
            return []
        if self.transport is Transport.POLLING and (self._abandoned or not self._attached):
            raise ProtocolError("no upgrade is under way")
        if packets.size(data) > self._limits.max_payload:
            return self._bad_frame("frame too large")
        try:
            packet = Packet(packets.MESSAGE, data) if isinstance(data, bytes) else packets.decode_text(data)
        except ProtocolError as error:
            return self._bad_frame(str(error))
        return self._receive(packet) if self.transport is Transport.WEBSOCKET else self._upgrade(packet)

    def next_frame(self) -> Message | None:
        """Return what to send over the WebSocket next, None when there is nothing now."""
        if self._probe_queue:
            return packets.encode(self._probe_queue.popleft())
        if self.transport is Transport.WEBSOCKET and self._queue:
            return packets.encode(self._pop())
        return None

    # -- inside -------------------------------------------------------------------------------------------------------

    def _push(self, packet: Packet, size: int = 0) -> None:
        """Queue a packet; our own small ones count for nothing, as there are never more than three of them."""
        self._queue.append((packet, size))
        self._queued_bytes += size

    def _pop(self) -> Packet:
        packet, size = self._queue.popleft()
        self._queued_bytes -= size
        if packet.type == packets.PING:
            self._ping_queued = False
        if self._ending is not None and not self._queue:
            self.close(self._ending)
        return packet

    def _ping(self, within_s: float) -> None:
        self._ping_at = None
        self._pong_by = self._now + within_s
        self._ping_queued = True
        self._push(Packet(packets.PING))

    def _receive(self, packet: Packet) -> list[Message]:
        if packet.type == packets.MESSAGE:
            return [packet.data] if self._ending is None else []
        if packet.type == packets.PONG:
            # One that comes before its ping was sent is no sign of life: the peer may not be reading at all.
            if self._pong_by is not None and not self._ping_queued:
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
            if not self._probe_queue:  # one pong answers all that came since the last: a flood of probes waits nowhere
                self._probe_queue.append(Packet(packets.PONG, packets.PROBE))
        elif packet.type == packets.UPGRADE and self._probed:
            self.transport = Transport.WEBSOCKET
            self._probed = self._upgrade_begins = False
            self._upgrade_by = None
        else:
            return self._bad_frame("upgrade out of order")
        return []

    def _give_up(self) -> None:
        """Forget the upgrade; its WebSocket is still to be closed, and no other is taken until it is."""
        self._abandoned = self._attached and self.transport is Transport.POLLING
        self._probed = self._upgrade_begins = False
        self._upgrade_by = None
        if self.transport is Transport.POLLING:
            self._probe_queue.clear()

    def _must_poll(self) -> None:
        if self.closed or self.transport is not Transport.POLLING:
            raise ProtocolError("the session takes no posts")

    def _bad_frame(self, reason: str) -> list[Message]:
        if self.transport is Transport.WEBSOCKET:
            return self._bad(reason)
        self._give_up()
        raise ProtocolError(reason)

    def _bad(self, reason: str) -> list[Message]:
        self.close(reason)
        raise ProtocolError(reason)


_PEER_CLOSED = "closed by the peer"
