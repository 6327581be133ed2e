"""Clients that speak HTTP by hand, so that they can be slow, cut short, or deaf."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.faces import PATHS, Face, body_of
from tests.live import LiveServer

WAIT_S = 10


@dataclass
class Client:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read a response's status and headers."""
        raw = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), WAIT_S)
        first, *lines = raw.decode("latin-1").strip().split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}

    async def whole(self) -> tuple[int, dict[str, Any]]:
        """Read a response with a length and a JSON body."""
        status, headers = await self.head()
        body = await asyncio.wait_for(self.reader.readexactly(int(headers["content-length"])), WAIT_S)
        return status, json.loads(body)

    async def until(self, text: bytes) -> bytes:
        """Read until `text` has come."""
        return await asyncio.wait_for(self.reader.readuntil(text), WAIT_S)

    async def closed(self) -> None:
        """Read on until the server has closed the connection."""
        try:
            while await asyncio.wait_for(self.reader.read(65_536), WAIT_S):
                pass
        except ConnectionError:
            pass

    def reset(self) -> None:
        """Vanish without goodbye."""
        self.writer.transport.abort()


@asynccontextmanager
async def connected(server: LiveServer, *, receive_buffer: int = 0) -> AsyncGenerator[Client]:
    """Open a connection; `receive_buffer` bytes is all that the system takes for a client that does not read."""
    place = urlsplit(server.url)
    sock = socket.socket()
    sock.setblocking(False)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(sock, (place.hostname, place.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=receive_buffer or 65_536)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


def head_of(face: Face, token: str, **headers: str) -> bytes:
    """Return a request's head, without the line that ends it."""
    lines = {"Host": "localhost", "x-access-token": token, "Content-Type": "application/json", **headers}
    shown = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {PATHS[face]} HTTP/1.1\r\n{shown}".encode()


def request_of(face: Face, token: str, question: str = "What is a digital twin?") -> bytes:
    """Return a whole request."""
    body = json.dumps(body_of(face, question)).encode()
    return head_of(face, token) + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
