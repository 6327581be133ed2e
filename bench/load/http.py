"""HTTP/1.1 over one keep-alive connection, as little of it as measuring takes."""

import asyncio
import socket
import time
from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import urlsplit

import httptools
import orjson

OnBody = Callable[[bytes, float], None]
"""Takes the body's bytes that came in one read, and when they came (monotonic seconds)."""


class Gone(Exception):
    """The other end closed the connection, or answered what nobody can use."""


class HttpConnection(asyncio.Protocol):
    """Send a request with `post` or `get`; the answer's body goes to `on_body` as it comes."""

    def __init__(self, host: str) -> None:
        """Not connected yet: use `connect`."""
        self.transport: asyncio.Transport | None = None
        self.status = 0
        self.headers: dict[str, str] = {}
        self.received = 0
        self._kept: list[bytes] = []
        self._host = host
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._on_body: OnBody | None = None
        self._head: asyncio.Future[None] | None = None
        self._end: asyncio.Future[None] | None = None
        self._complete = False

    @classmethod
    async def connect(cls, url: str, *, receive_buffer: int = 0) -> "HttpConnection":
        """Connect to the server at `url`. With a small `receive_buffer` (bytes), a client that stops is soon felt."""
        parts = urlsplit(url)
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, (parts.hostname or "", parts.port or 80))
        _, made = await loop.create_connection(lambda: cls(parts.netloc), sock=sock)
        return made

    @property
    def open(self) -> bool:
        """Whether another request can be sent."""
        return self.transport is not None and not self.transport.is_closing()

    async def post(self, path: str, body: object, headers: Mapping[str, str], on_body: OnBody | None = None) -> int:
        """Send JSON; return the status once the head of the answer is there. Raises Gone."""
        return await self._request("POST", path, orjson.dumps(body), headers, on_body)

    async def post_text(self, path: str, text: str) -> int:
        """Send text, as Engine.IO's polling does; otherwise as `post`."""
        return await self._request("POST", path, text.encode(), {}, None)

    async def post_form(self, path: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send a form that is laid out already, its `Content-Type` among `headers`; otherwise as `post`."""
        return await self._request("POST", path, body, headers, None)

    async def get(self, path: str, headers: Mapping[str, str], on_body: OnBody | None = None) -> int:
        """Ask; return the status once the head of the answer is there. Raises Gone."""
        return await self._request("GET", path, b"", headers, on_body)

    async def ended(self) -> None:
        """Wait for the end of the answer. Raises Gone when the connection ends before it."""
        assert self._end is not None
        await asyncio.shield(self._end)

    async def text(self) -> bytes:
        """Wait for the end of an answer that was sent without `on_body`, and return its body."""
        await self.ended()
        return b"".join(self._kept)

    def close(self) -> None:
        """Hang up."""
        if self.transport is not None:
            self.transport.abort()

    async def _request(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], on_body: OnBody | None
    ) -> int:
        if self.transport is None or self.transport.is_closing():
            raise Gone("not connected")
        loop = asyncio.get_running_loop()
        self._head, self._end = loop.create_future(), loop.create_future()
        for future in (self._head, self._end):
            future.add_done_callback(_seen)
        self._parser, self._complete = httptools.HttpResponseParser(self), False
        self._kept = []
        self._on_body = on_body or (lambda data, _: self._kept.append(data))
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}", f"Content-Length: {len(body)}"]
        headers = {"Content-Type": "application/json", **headers}
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        await self._head
        return self.status

    # -- asyncio's ----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop has classes of its own

    def data_received(self, data: bytes) -> None:
        """Parse, and hand the body on in one piece."""
        now = time.monotonic()
        self.received += len(data)
        self._parser.feed_data(data)
        if self._pieces and self._on_body is not None:
            body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces.clear()
            self._on_body(body, now)
        if self._complete and self._end is not None and not self._end.done():
            self._end.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        for future in (self._head, self._end):
            if future is not None and not future.done():
                future.set_exception(Gone(str(exc or "closed")))

    # -- the parser's -------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Forget the answer before."""
        self.headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Wake who asked."""
        self.status = self._parser.get_status_code()
        if self._head is not None and not self._head.done():
            self._head.set_result(None)

    def on_body(self, body: bytes) -> None:
        """Keep a piece."""
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        """Note the end."""
        self._complete = True


def _seen(future: asyncio.Future[None]) -> None:
    """Look at a failure that nobody waits for any more."""
    if not future.cancelled():
        future.exception()
