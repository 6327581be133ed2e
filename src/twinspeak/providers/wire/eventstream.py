"""AWS event streams (`application/vnd.amazon.eventstream`), bytes to messages. No I/O.

Source: the Smithy specification "Amazon Event Stream". A message is: total length, headers length, CRC-32 of those
eight bytes; headers; payload; CRC-32 of everything before. Numbers are big-endian.
"""

import struct
import zlib
from typing import NamedTuple

_PRELUDE = struct.Struct(">III")
_LEAST = _PRELUDE.size + 4
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Of header values by type: true, false, byte, short, integer, long, timestamp, UUID."""
_BYTES, _STRING = 6, 7


class BrokenMessage(ValueError):
    """The bytes are no event stream: a wrong checksum, a length beyond all bounds, headers that do not add up."""


class EventMessage(NamedTuple):
    """`headers` holds those that are strings, which are all that matter here."""

    headers: dict[str, str]
    payload: bytes


class EventStreamSplitter:
    """Feed it the body in pieces of any size; it gives the same messages however the bytes are cut."""

    def __init__(self, *, max_message_bytes: int = 16_777_216) -> None:
        self._max = max_message_bytes
        self._rest = bytearray()
        self._wanted = 0

    @property
    def empty(self) -> bool:
        """True when no message is under way, so that a body that ends here was not cut."""
        return not self._rest

    def feed(self, piece: bytes) -> tuple[list[EventMessage], BrokenMessage | None]:
        """Return the messages that `piece` completes, and what is wrong with what follows them."""
        self._rest += piece
        found: list[EventMessage] = []
        at = 0
        try:
            while (size := self._size(at)) and len(self._rest) - at >= size:
                found.append(_message(bytes(self._rest[at : at + size])))
                at += size
                self._wanted = 0
        except BrokenMessage as broken:
            return found, broken
        finally:
            del self._rest[:at]
        return found, None

    def _size(self, at: int) -> int:
        """Return the length of the message that begins at `at`, 0 while it is not known."""
        if not self._wanted and len(self._rest) - at >= _PRELUDE.size:
            total, headers, checksum = _PRELUDE.unpack_from(self._rest, at)
            if zlib.crc32(self._rest[at : at + 8]) != checksum:
                raise BrokenMessage("the prelude's checksum is wrong")
            if not _LEAST + headers <= total <= self._max:
                raise BrokenMessage("the lengths make no sense")
            self._wanted = total
        return self._wanted


def _message(raw: bytes) -> EventMessage:
    _, size, _ = _PRELUDE.unpack_from(raw)
    if zlib.crc32(raw[:-4]) != int.from_bytes(raw[-4:], "big"):
        raise BrokenMessage("the message's checksum is wrong")
    end = _PRELUDE.size + size
    try:
        return EventMessage(_headers(raw[_PRELUDE.size : end]), raw[end:-4])
    except (IndexError, KeyError, UnicodeDecodeError) as error:
        raise BrokenMessage("the headers make no sense") from error


def _headers(raw: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(raw):
        name, at = _taken(raw, at + 1, raw[at])
        kind = raw[at]
        if kind in {_BYTES, _STRING}:
            size = int.from_bytes(_taken(raw, at + 1, 2)[0], "big")
            value, at = _taken(raw, at + 3, size)
            if kind == _STRING:
                found[name.decode()] = value.decode()
        else:
            _, at = _taken(raw, at + 1, _SIZES[kind])
    return found


def _taken(raw: bytes, at: int, size: int) -> tuple[bytes, int]:
    """Return `size` bytes, which must be there, and where they end."""
    if at + size > len(raw):
        raise IndexError
    return raw[at : at + size], at + size
