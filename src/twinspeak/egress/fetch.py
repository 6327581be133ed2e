"""The fetcher for every URL that a person, a twin or a model names: pages, tools, MCP servers, sign-in providers.

    fetcher = Fetcher.open(Guard(allow))
    async with fetcher.ask(Request("https://example.org/")) as answer:
        async for piece in answer.pieces(): …            # or: text = await answer.read()

Each hop of a redirect is judged as the first address was. Nothing of the environment, no cookie, and no header or body
of the caller's crosses from one origin to another; https never becomes http.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Literal, Self

import aiohttp
import msgspec
import structlog
from yarl import URL

from twinspeak.domain.errors import AddressNotAllowed, CodedError, FetchFailed
from twinspeak.egress.guard import Guard, Target
from twinspeak.egress.pinned import Names, SystemNames, guarded_session

_CONNECTIONS = 64
_CONNECT_S = 10.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEEPING = frozenset({307, 308})
_OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"})
_PLAIN = {"accept", "accept-language", "user-agent"}
_AGENT = "twinspeak"

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Bounds(msgspec.Struct, frozen=True):
    """How much an answer may take: bytes of its body (unpacked), seconds from the call to its end, hops."""

    max_bytes: int = 10_000_000
    total_s: float = 30
    redirects: int = 5


class Request(msgspec.Struct, frozen=True):
    """What to ask. `headers` may hold credentials: they go to the origin of `url` alone."""

    url: str
    method: Literal["GET", "POST", "DELETE"] = "GET"
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Answer:
    """What came, of any status but a redirect that could be followed. `url` is where it came from in the end."""

    def __init__(self, url: str, response: aiohttp.ClientResponse, bounds: Bounds) -> None:
        """Take a response whose body nobody has read."""
        self.url = url
        self.status = response.status
        self.headers: dict[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._response = response
        self._bounds = bounds
        if response.content_length is not None and response.content_length > bounds.max_bytes:
            raise FetchFailed(details={"reason": "too_large", "maxBytes": bounds.max_bytes})

    @property
    def media_type(self) -> str:
        """The type that the answer says it has, without parameters, in lower case; "" for none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def charset(self) -> str | None:
        """The encoding that the answer says it has."""
        return self._response.charset

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Yield the body as it comes. Raises FetchFailed, also for more than `max_bytes`."""
        size = 0
        try:
            while piece := await self._response.content.readany():
                size += len(piece)
                if size > self._bounds.max_bytes:
                    raise FetchFailed(details={"reason": "too_large", "maxBytes": self._bounds.max_bytes})
                yield piece
        except (aiohttp.ClientError, OSError) as error:
            raise FetchFailed(details={"reason": "unreachable"}) from error

    async def read(self) -> bytes:
        """Return the whole body. Raises as `pieces` does."""
        return b"".join([piece async for piece in self.pieces()])


class Fetcher:
    """One pool of guarded connections. Make it inside the event loop that uses it; `close` it there."""

    def __init__(self, guard: Guard, names: Names, session: aiohttp.ClientSession) -> None:
        self._guard = guard
        self._names = names
        self._session = session

    @classmethod
    def open(cls, guard: Guard, *, names: Names | None = None, tls: ssl.SSLContext | None = None) -> Self:
        """Make a fetcher by the rules of `guard`; `names` and `tls` are the system's unless given."""
        names = names or SystemNames()
        return cls(guard, names, guarded_session(guard, names, connect_s=_CONNECT_S, limit=_CONNECTIONS, tls=tls))

    async def close(self) -> None:
        """Close every connection, and the names."""
        await self._session.close()
        await self._names.close()

    @asynccontextmanager
    async def ask(self, request: Request, bounds: Bounds | None = None) -> AsyncGenerator[Answer]:
        """Ask, follow redirects, and give the answer; its connection is closed unless it was read to its end.

        The time bound holds for the block as well. Raises AddressNotAllowed and FetchFailed.
        """
        bounds = bounds or Bounds()
        response: aiohttp.ClientResponse | None = None
        timer = asyncio.timeout(bounds.total_s)
        try:
            async with timer:
                target, response = await self._follow(request, bounds)
                yield Answer(str(target.url), response, bounds)
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise FetchFailed(details={"reason": "timeout"}) from error
        finally:
            if response is not None:
                response.close()

    async def _follow(self, request: Request, bounds: Bounds) -> tuple[Target, aiohttp.ClientResponse]:
        target = self._guard.parse(request.url)
        for _ in range(bounds.redirects + 1):
            response = await self._send(target, request)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                return target, response
            response.close()
            target, request = self._next(target, request, response.status, location)
        raise FetchFailed(details={"reason": "redirects"})

    async def _send(self, target: Target, request: Request) -> aiohttp.ClientResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OWN_HEADERS}
        if not any(name.lower() == "user-agent" for name in headers):
            headers["User-Agent"] = _AGENT
        # Compressed answers are not asked for: a few bytes of them can be very many.
        headers = {name: value for name, value in headers.items() if name.lower() != "accept-encoding"}
        headers["Accept-Encoding"] = "identity"
        try:
            return await self._session.request(
                request.method,
                target.url,
                data=request.body if request.method == "POST" else None,
                headers=headers,
                allow_redirects=False,
            )
        except CodedError:
            _log.info("egress_refused", host=target.host, port=target.port)
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:
            _log.info("egress_failed", host=target.host, port=target.port, error=type(error).__name__)
            raise FetchFailed(details={"reason": "unreachable"}) from error

    def _next(self, at: Target, request: Request, status: int, location: str) -> tuple[Target, Request]:
        """Judge the next hop, and take from the request what it must not carry there."""
        try:
            target = self._guard.parse(str(at.url.join(URL(location))))
        except ValueError:
            raise AddressNotAllowed(details={"reason": "redirect"}) from None
        if at.url.scheme == "https" and target.url.scheme != "https":
            raise AddressNotAllowed(details={"reason": "redirect"})
        same = target.origin == at.origin
        if request.method == "POST" and status in _KEEPING and not same:
            raise AddressNotAllowed(details={"reason": "redirect"})
        keeps = request.method == "GET" or status in _KEEPING
        kept = {name: value for name, value in request.headers.items() if same or name.lower() in _PLAIN}
        if not keeps:
            kept = {name: value for name, value in kept.items() if not name.lower().startswith("content-")}
        return target, Request(
            url=str(target.url),
            method=request.method if keeps else "GET",
            headers=kept,
            body=request.body if keeps else b"",
        )
