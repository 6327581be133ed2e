"""One Socket.IO 5 connection as a state machine: namespaces, events, acknowledgements, binary attachments.

The rules are docs/socket.io-protocol/v5-current.md of socketio/socket.io. Fed the messages of an Engine.IO session, it
returns what happened; what it wants sent is in `outgoing`. Nothing is sent to a namespace before its CONNECT.

Feed the next message when a `Connected` has been answered: until then the client is not in, and what it sends to that
namespace is dropped, as is what was on its way to a namespace that it has been put out of.
"""

from collections import deque
from typing import Any

import msgspec

from twinspeak.transports.socketio.wire import parser
from twinspeak.transports.socketio.wire.packets import ProtocolError
from twinspeak.transports.socketio.wire.parser import SioPacket


class ConnectionLimits(msgspec.Struct, frozen=True):
    """`connect_s` is how long a client may take to get into a namespace; `max_attachment_bytes` bounds one event's."""

    connect_s: float = 20
    max_attachment_bytes: int = 1_000_000


class Connected(msgspec.Struct, frozen=True):
    """A client joined a namespace; `auth` is what it brought. Answer with `accept` or `refuse`."""

    namespace: str
    auth: dict[str, Any]


class Received(msgspec.Struct, frozen=True):
    """An event. `ack` is the id to acknowledge it by, None when nobody waits."""

    namespace: str
    name: str
    args: list[Any]
    ack: int | None


class Acknowledged(msgspec.Struct, frozen=True):
    """The client acknowledged an event of ours."""

    namespace: str
    id: int
    args: list[Any]


class Left(msgspec.Struct, frozen=True):
    """A client left a namespace."""

    namespace: str


Happening = Connected | Received | Acknowledged | Left


class SioConnection:
    """The namespaces of one Engine.IO session."""

    def __init__(self, namespaces: frozenset[str], limits: ConnectionLimits, *, now: float) -> None:
        """`namespaces` are those that exist."""
        self.outgoing: deque[str | bytes] = deque()
        self._known = namespaces
        self._limits = limits
        self._joined: dict[str, str] = {}
        self._asked: set[str] = set()
        self._connect_by: float | None = now + limits.connect_s
        self._binary: SioPacket | None = None
        self._buffers: list[bytes] = []
        self._buffered = 0

    @property
    def deadline(self) -> float | None:
        """When the connection is to be closed unless a namespace was joined by then."""
        return self._connect_by

    @property
    def joined(self) -> dict[str, str]:
        """Namespace to socket id."""
        return dict(self._joined)

    def receive(self, message: str | bytes) -> list[Happening]:
        """Take one message. Raises ProtocolError when the connection must be closed."""
        if isinstance(message, bytes):
            return self._attachment(message)
        if self._binary is not None:
            raise ProtocolError("text where an attachment is due")
        packet = parser.decode(message)
        if packet.type == parser.CONNECT:
            return self._connect(packet)
        if self._connect_by is not None and not self._asked:
            raise ProtocolError("CONNECT must come first")
        if packet.attachments:
            self._binary = packet
            return []
        return self._packet(packet)

    def accept(self, namespace: str, sid: str) -> bool:
        """Let a client into a namespace it asked for, as socket `sid`. False: it has withdrawn, and is not in."""
        if namespace not in self._asked:
            return False
        self._asked.discard(namespace)
        self._connect_by = None
        self._joined[namespace] = sid
        self._send(SioPacket(parser.CONNECT, namespace, {"sid": sid}))
        return True

    def refuse(self, namespace: str, message: str) -> None:
        """Turn a client away from a namespace it asked for."""
        if namespace in self._asked:
            self._asked.discard(namespace)
            self._send(SioPacket(parser.CONNECT_ERROR, namespace, {"message": message}))

    def emit(self, namespace: str, *args: Any) -> None:
        """Send an event; nothing goes to a namespace that the client has not joined."""
        if namespace in self._joined:
            self._send(SioPacket(parser.EVENT, namespace, list(args)))

    def acknowledge(self, namespace: str, ack: int, *args: Any) -> None:
        """Acknowledge an event."""
        if namespace in self._joined:
            self._send(SioPacket(parser.ACK, namespace, list(args), ack))

    def disconnect(self, namespace: str) -> None:
        """Put a client out of a namespace."""
        if self._joined.pop(namespace, None) is not None:
            self._send(SioPacket(parser.DISCONNECT, namespace))

    def _send(self, packet: SioPacket) -> None:
        self.outgoing.extend(parser.encode(packet))

    def _packet(self, packet: SioPacket) -> list[Happening]:
        if packet.namespace not in self._joined:
            if packet.type == parser.DISCONNECT:
                self._asked.discard(packet.namespace)
            return []
        if packet.type == parser.DISCONNECT:
            del self._joined[packet.namespace]
            return [Left(packet.namespace)]
        if packet.type == parser.ACK:
            return [Acknowledged(packet.namespace, packet.id or 0, packet.data)]
        name, *args = packet.data
        return [Received(packet.namespace, str(name), args, packet.id)]

    def _connect(self, packet: SioPacket) -> list[Happening]:
        if packet.namespace not in self._known:
            self._send(SioPacket(parser.CONNECT_ERROR, packet.namespace, {"message": "Invalid namespace"}))
            return []
        if packet.namespace in self._joined:  # every CONNECT is answered; this one changes nothing
            self._send(SioPacket(parser.CONNECT, packet.namespace, {"sid": self._joined[packet.namespace]}))
            return []
        if packet.namespace in self._asked:
            return []
        self._asked.add(packet.namespace)
        return [Connected(packet.namespace, packet.data or {})]

    def _attachment(self, data: bytes) -> list[Happening]:
        if self._binary is None:
            raise ProtocolError("an attachment that no packet announced")
        self._buffers.append(data)
        self._buffered += len(data)
        if self._buffered > self._limits.max_attachment_bytes:
            raise ProtocolError("attachments too large")
        if len(self._buffers) < self._binary.attachments:
            return []
        packet, buffers = self._binary, self._buffers
        self._binary, self._buffers, self._buffered = None, [], 0
        return self._packet(parser.fill(packet, buffers))
