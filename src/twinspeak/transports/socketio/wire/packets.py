"""Engine.IO 4 packets and polling payloads ("Packet encoding" in docs/engine.io-protocol/v4-current.md, socketio)."""

import base64
import re
from collections.abc import Iterable

import msgspec
import orjson

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0", "1", "2", "3", "4", "5", "6"
_TYPES = frozenset("0123456")
SEPARATOR = "\x1e"
BINARY_MARK = "b"
# The library's own validation lets surplus padding pass, each version of Python another kind.
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
PROBE = "probe"


class ProtocolError(ValueError):
    """The peer sent what the protocol does not allow; its session is over. The text is for logs, never the peer."""


class Packet(msgspec.Struct, frozen=True):
    """`type` is one of the seven digits; binary data only ever travels in a message."""

    type: str
    data: str | bytes = ""


def handshake(sid: str, upgrades: list[str], interval_s: float, timeout_s: float, max_payload: int) -> Packet:
    """Make the packet that opens a session ("Handshake"): its times are milliseconds."""
    told = {
        "sid": sid,
        "upgrades": upgrades,
        "pingInterval": round(interval_s * 1000),
        "pingTimeout": round(timeout_s * 1000),
        "maxPayload": max_payload,
    }
    return Packet(OPEN, orjson.dumps(told).decode())


def size(data: str | bytes) -> int:
    """Return how many bytes `data` takes on the wire, its type and any base64 aside."""
    if isinstance(data, bytes) or data.isascii():
        return len(data)
    return len(data.encode(errors="surrogatepass"))


def decode_text(text: str) -> Packet:
    """Decode one text frame. Raises ProtocolError."""
    if not text or text[0] not in _TYPES:
        raise ProtocolError("unknown packet type")
    return Packet(type=text[0], data=text[1:])


def decode_payload(body: bytes, *, most: int) -> list[Packet]:
    """Decode the body of a POST: packets parted by U+001E, binary ones in base64 after a `b`.

    `most` bounds the packets of one body. Raises ProtocolError.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise ProtocolError("payload is not UTF-8") from None
    if text.count(SEPARATOR) >= most:
        raise ProtocolError("too many packets in one payload")
    return [_decode_polled(part) for part in text.split(SEPARATOR)]


def encode(packet: Packet) -> str | bytes:
    """Encode for a WebSocket frame: text, or the bytes as they are."""
    return packet.data if isinstance(packet.data, bytes) else packet.type + packet.data


def encode_polled(packet: Packet) -> bytes:
    """Encode for a polling payload."""
    if isinstance(packet.data, bytes):
        return BINARY_MARK.encode() + base64.b64encode(packet.data)
    return (packet.type + packet.data).encode()


def join_payload(encoded: Iterable[bytes]) -> bytes:
    """Make the body of a GET's response of packets from `encode_polled`."""
    return SEPARATOR.encode().join(encoded)


def _decode_polled(part: str) -> Packet:
    if not part.startswith(BINARY_MARK):
        return decode_text(part)
    coded = part[1:]
    if len(coded) % 4 or not _BASE64.fullmatch(coded):
        raise ProtocolError("binary packet is not base64")
    return Packet(type=MESSAGE, data=base64.b64decode(coded))
