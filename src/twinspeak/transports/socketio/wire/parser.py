"""Socket.IO 5 packets (socketio/socket.io, docs/socket.io-protocol/v5-current.md, "Packet encoding")."""

from collections.abc import Iterable
from typing import Any, cast

import msgspec
import orjson

from twinspeak.transports.socketio.wire.packets import SEPARATOR, ProtocolError

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = range(7)
MAIN = "/"
MAX_ATTACHMENTS = 10
MAX_ACK_ID = 2**53 - 1
_LONGEST_NAMESPACE = 200
_MAX_DEPTH = 32
_PLACEHOLDER, _NUM = "_placeholder", "num"


class SioPacket(msgspec.Struct, frozen=True):
    """`data` is an object or None for CONNECT, a list for events and acks; `attachments` is how many frames follow."""

    type: int
    namespace: str = MAIN
    data: Any = None
    id: int | None = None
    attachments: int = 0


def decode(text: str) -> SioPacket:
    """Decode one text packet; binary parts are placeholders still. Raises ProtocolError."""
    if not text or text[0] not in "0123456":
        raise ProtocolError("unknown socket.io packet type")
    kind = int(text[0])
    at = 1
    attachments = 0
    if kind in (BINARY_EVENT, BINARY_ACK):
        attachments, at = _number(text, at, "-")
        if not 0 < attachments <= MAX_ATTACHMENTS:
            raise ProtocolError("bad number of attachments")
    namespace, at = _namespace(text, at)
    packet_id: int | None = None
    if at < len(text) and text[at] in "0123456789":
        packet_id, at = _number(text, at, None)
    data = _payload(text[at:])
    return _checked(
        SioPacket(type=kind, namespace=namespace, data=data, id=packet_id, attachments=attachments),
        empty=at == len(text),
    )


def encode(packet: SioPacket) -> list[str | bytes]:
    """Encode a packet: its text, then the bytes that its data held, each an Engine.IO message of its own.

    Integers go out whole: JSON has no largest one, but JavaScript reads them exactly only up to 2^53 - 1, so ids that
    may be larger are sent as strings. Raises ValueError for a namespace that cannot be told from what follows it.
    """
    if "," in packet.namespace:
        raise ValueError("a namespace holds no comma")
    buffers: list[bytes] = []
    kind, data = packet.type, packet.data
    if kind in (EVENT, ACK, BINARY_EVENT, BINARY_ACK):
        data = _extract(data, buffers)
        base = EVENT if kind in (EVENT, BINARY_EVENT) else ACK
        kind = base + (BINARY_EVENT - EVENT if buffers else 0)
    head = f"{kind}{f'{len(buffers)}-' if buffers else ''}"
    if packet.namespace != MAIN:
        head += f"{packet.namespace},"
    if packet.id is not None:
        head += str(packet.id)
    body = "" if data is None else orjson.dumps(data).decode()
    return [head + body, *buffers]


def fill(packet: SioPacket, buffers: list[bytes]) -> SioPacket:
    """Put the attachments where their placeholders stand. Raises ProtocolError for one that names no attachment."""
    kind = EVENT if packet.type == BINARY_EVENT else ACK
    return msgspec.structs.replace(packet, type=kind, data=_filled(packet.data, buffers), attachments=0)


def _number(text: str, at: int, end: str | None) -> tuple[int, int]:
    """Read digits from `at`, up to the character `end` (which is skipped) or to the first that is none."""
    stop = at
    while stop < len(text) and text[stop] in "0123456789" and stop - at < 17:
        stop += 1
    if stop == at or (end is not None and text[stop : stop + 1] != end):
        raise ProtocolError("bad number")
    number = int(text[at:stop])
    if number > MAX_ACK_ID:
        raise ProtocolError("number out of range")
    return number, stop + (0 if end is None else 1)


def _namespace(text: str, at: int) -> tuple[str, int]:
    if text[at : at + 1] != "/":
        return MAIN, at
    comma = text.find(",", at)
    end = len(text) if comma < 0 else comma
    name = text[at:end].partition("?")[0]
    if len(name) > _LONGEST_NAMESPACE or SEPARATOR in name:
        raise ProtocolError("bad namespace")
    return name, end if comma < 0 else comma + 1


def _payload(text: str) -> Any:
    if not text:
        return None
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ProtocolError("payload is not JSON") from None
    _bounded(data, _MAX_DEPTH)
    return data


def _bounded(data: Any, depth: int) -> None:
    if not isinstance(data, dict | list):
        return
    if depth == 0:
        raise ProtocolError("payload nested too deep")
    held = cast("dict[str, Any] | list[Any]", data)
    for item in held.values() if isinstance(held, dict) else held:
        _bounded(item, depth - 1)


def _checked(packet: SioPacket, *, empty: bool) -> SioPacket:
    kind, data = packet.type, packet.data
    if kind == CONNECT and not (empty or data is None or isinstance(data, dict)):
        raise ProtocolError("CONNECT carries an object or nothing")
    if kind == DISCONNECT and not empty:
        raise ProtocolError("DISCONNECT carries nothing")
    if kind == CONNECT_ERROR:
        raise ProtocolError("only a server sends CONNECT_ERROR")
    if kind in (EVENT, BINARY_EVENT):
        named = isinstance(data, list) and bool(cast("list[Any]", data)) and _is_name(cast("list[Any]", data)[0])
        if not named:
            raise ProtocolError("an event is a list that begins with its name")
    if kind in (ACK, BINARY_ACK) and not (isinstance(data, list) and packet.id is not None):
        raise ProtocolError("an acknowledgement is a list with an id")
    return packet


def _is_name(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))


def _extract(data: Any, buffers: list[bytes]) -> Any:
    if isinstance(data, bytes | bytearray | memoryview):
        buffers.append(bytes(cast("bytes", data)))
        return {_PLACEHOLDER: True, _NUM: len(buffers) - 1}
    if isinstance(data, dict):
        return {key: _extract(value, buffers) for key, value in cast("dict[str, Any]", data).items()}
    if isinstance(data, list | tuple):
        return [_extract(value, buffers) for value in cast("Iterable[Any]", data)]
    return data


def _filled(data: Any, buffers: list[bytes]) -> Any:
    if isinstance(data, dict):
        held = cast("dict[str, Any]", data)
        if held.get(_PLACEHOLDER) is True:
            number = held.get(_NUM)
            if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(buffers):
                raise ProtocolError("a mark names no attachment")
            return buffers[number]
        return {key: _filled(value, buffers) for key, value in held.items()}
    if isinstance(data, list):
        return [_filled(value, buffers) for value in cast("list[Any]", data)]
    return data
