"""A Socket.IO client of our own over one WebSocket: enough to join, to take events and to send some."""

import asyncio
import base64
import os
import struct
import time
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

import orjson

from bench.load.http import Gone

OnEvent = Callable[[list[Any], int, float], None]
"""Takes an event (name first), the bytes it took, and when it came (monotonic seconds)."""

_TEXT, _CLOSE, _PING = 1, 8, 9
_PATH = "/socket.io/?EIO=4&transport=websocket"


class SocketClient(asyncio.Protocol):
    """One socket in the main namespace; `sid` is its Socket.IO id once joined."""

    def __init__(self, host: str, token: str) -> None:
        """Not connected yet: use `join`."""
        self.sid = ""
        self.on_event: OnEvent | None = None
        self.transport: asyncio.Transport | None = None
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._host = host
        self._auth = {"token": token}
        self._buffer = bytearray()
        self._upgraded = False

    @classmethod
    async def join(cls, url: str, token: str) -> "SocketClient":
        """Connect, upgrade and join with a token. Raises Gone."""
        parts = urlsplit(url)
        loop = asyncio.get_running_loop()
        host, port = parts.hostname or "", parts.port or 80
        _, made = await loop.create_connection(lambda: cls(parts.netloc, token), host, port)
        await made.joined
        return made

    @property
    def open(self) -> bool:
        """Whether it can be used."""
        return self.transport is not None and not self.transport.is_closing()

    def emit(self, name: str, *args: object) -> None:
        """Send an event."""
        self._send("42" + orjson.dumps([name, *args]).decode())

    def close(self) -> None:
        """Hang up."""
        if self.transport is not None:
            self.transport.abort()

    # -- asyncio's ----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop has classes of its own
        key = base64.b64encode(os.urandom(16)).decode()
        head = (
            f"GET {_PATH} HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        self._write(head.encode())

    def data_received(self, data: bytes) -> None:
        """Take frames apart."""
        now = time.monotonic()
        self._buffer += data
        if not self._upgraded and not self._upgrade():
            return
        while (frame := self._next()) is not None:
            opcode, payload = frame
            if opcode == _TEXT:
                self._packet(payload, now)
            elif opcode == _CLOSE:
                self.close()
            elif opcode == _PING:
                self._frame(0xA, payload)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        if not self.joined.done():
            self.joined.set_exception(Gone(str(exc or "closed")))

    # -- inside -------------------------------------------------------------------------------------------------------

    def _upgrade(self) -> bool:
        head, found, _ = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return False
        if not head.startswith(b"HTTP/1.1 101"):
            self.joined.set_exception(Gone(head[:100].decode("latin-1")))
            self.close()
            return False
        del self._buffer[: len(head) + 4]
        self._upgraded = True
        return True

    def _next(self) -> tuple[int, bytes] | None:
        """Return the next whole frame: a server's are not masked, and ours sends none in parts."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1] & 0x7F, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(buffer) < start:
                return None
            size = int.from_bytes(buffer[2:start], "big")
        if len(buffer) < start + size:
            return None
        opcode, payload = buffer[0] & 0xF, bytes(memoryview(buffer)[start : start + size])
        del buffer[: start + size]
        return opcode, payload

    def _packet(self, payload: bytes, now: float) -> None:
        """Take one Engine.IO packet, and the Socket.IO packet in it."""
        kind = payload[:2]
        if kind == b"42":
            if self.on_event is not None:
                self.on_event(orjson.loads(payload[2:]), len(payload), now)
        elif payload == b"2":
            self._send("3")
        elif payload[:1] == b"0":
            self._send("40" + orjson.dumps(self._auth).decode())
        elif kind == b"40" and not self.joined.done():
            self.sid = orjson.loads(payload[2:])["sid"]
            self.joined.set_result(None)

    def _send(self, text: str) -> None:
        self._frame(_TEXT, text.encode())

    def _frame(self, opcode: int, payload: bytes) -> None:
        """Send a frame, masked with zeros: a client's frames must be masked, and nothing says by what."""
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
        else:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
        self._write(head + b"\0\0\0\0" + payload)

    def _write(self, data: bytes) -> None:
        if self.open and self.transport is not None:
            self.transport.write(data)
