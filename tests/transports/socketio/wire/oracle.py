"""Readers of both formats that share no line with the code under test."""

import base64
import json
import re
from typing import Any

from twinspeak.transports.socketio.wire.engine import Message

# As docs/socket.io-protocol/v5-current.md writes the format.
_PACKET = re.compile(r"([0-6])(?:([0-9]+)-)?(/[^,]*)?,?([0-9]+)?(.*)", re.DOTALL)
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


def read_payload(body: bytes) -> list[Message]:
    """Decode a polling body."""
    parts = body.decode().split("\x1e")
    assert all(_BASE64.fullmatch(part[1:]) for part in parts if part[:1] == "b")
    return [base64.b64decode(part[1:]) if part[:1] == "b" else part for part in parts]


def write_payload(messages: list[Message]) -> bytes:
    """Encode packets for a POST."""
    coded = ["b" + base64.b64encode(part).decode() if isinstance(part, bytes) else part for part in messages]
    return "\x1e".join(coded).encode()


def read_packet(text: str) -> tuple[int, int, str, int | None, Any]:
    """Decode a well-formed Socket.IO packet: type, attachments, namespace, id, data."""
    read = _PACKET.fullmatch(text)
    assert read is not None
    kind, attachments, namespace, number, payload = read.groups()
    return (
        int(kind),
        int(attachments or 0),
        (namespace or "/").partition("?")[0],
        None if number is None else int(number),
        json.loads(payload, parse_int=_integer) if payload else None,
    )


def filled(data: Any, buffers: list[bytes]) -> Any:
    """Put attachments where their placeholders stand. Raises LookupError for one that names none."""
    if isinstance(data, dict):
        if data.get("_placeholder") is True:
            if type(data.get("num")) is not int or data["num"] < 0:
                raise LookupError
            return buffers[data["num"]]
        return {key: filled(value, buffers) for key, value in data.items()}
    return [filled(value, buffers) for value in data] if isinstance(data, list) else data


def depth(data: Any) -> int:
    """Return how many lists and objects are inside one another."""
    held = data.values() if isinstance(data, dict) else data if isinstance(data, list) else None
    return 0 if held is None else 1 + max(map(depth, held), default=0)


def _integer(digits: str) -> float:
    number = int(digits)
    return number if -(2**63) <= number < 2**64 else float(digits)
