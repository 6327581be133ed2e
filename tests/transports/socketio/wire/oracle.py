"""Readers of both formats that share no line with the code under test."""

import base64
import json
import re
from typing import Any

from twinspeak.transports.socketio.wire.engine import Message

# As docs/socket.io-protocol/v5-current.md writes the format.
_PACKET = re.compile(r"([0-6])(?:([0-9]+)-)?(/[^,]*)?,?([0-9]+)?(.*)", re.DOTALL)


def read_payload(body: bytes) -> list[Message]:
    """Decode a polling body."""
    return [base64.b64decode(part[1:]) if part[:1] == "b" else part for part in body.decode().split("\x1e")]


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


def _integer(digits: str) -> float:
    number = int(digits)
    return number if -(2**63) <= number < 2**64 else float(digits)
