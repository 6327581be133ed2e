"""Which pages of other sites may talk to this server (contract section 3). No cookie is involved, so none is allowed.

A preflight cannot say which twin is meant, so it is answered for the origins of all of them together; the request
itself is then checked against its own twin's, by the resolver.
"""

import re
from collections.abc import Awaitable, Callable, Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twinspeak.domain import origins
from twinspeak.domain.clock import monotonic
from twinspeak.domain.errors import CodedError, OriginNotAllowed
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http import errors

_LITERAL = frozenset({origins.ANY, "null"})
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_MAX_AGE_S = "600"
_KEEP_S = 5.0
"""How long the list of origins is remembered: a change of a twin's list is in force after that."""
_HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{0,2048}")


class AllowedOrigins:
    """The union of what the operator and all active twins allow, read at most every few seconds."""

    def __init__(self, configured: Collection[str], read: Callable[[], Awaitable[Collection[str]]]) -> None:
        """`configured` may hold `*` for any page, and so may what `read` gives: the twins' own lists."""
        self._configured = tuple(configured)
        self._read = read
        self._allowed: frozenset[str] | None = None
        self._until = 0.0

    async def allows(self, origin: str) -> bool:
        """Tell whether some twin, or the operator, lets a page of `origin` in."""
        now = monotonic()
        if self._allowed is None or now >= self._until:
            self._allowed, self._until = await self._reduced(), now + _KEEP_S
        if origins.ANY in self._allowed or origin in self._allowed:
            return True
        return "://" in origin and origins.origin_of(origin) in self._allowed

    async def _reduced(self) -> frozenset[str]:
        """Return what is allowed in the spelling of browsers, so that a long list costs nothing a request."""
        try:
            entries = [*self._configured, *await self._read()]
        except CodedError:  # a busy database must not fail requests that do not need it: the last list stays good
            return self._allowed or frozenset()
        return frozenset(entry if entry in _LITERAL else origins.origin_of(entry) or entry for entry in entries)


class Cors:
    """Pure ASGI, around everything that answers."""

    def __init__(self, app: ASGIApp, origins: AllowedOrigins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight; let any other request through, and name its page in the answer if it is allowed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is None:
            await self._app(scope, receive, send)
            return
        allowed = await self._origins.allows(origin)
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await self._preflight(scope, headers, origin if allowed else None)(scope, receive, send)
            return
        await self._app(scope, receive, _naming(send, origin) if allowed else _varying(send))

    def _preflight(self, scope: Scope, headers: Headers, origin: str | None) -> Response:
        if origin is None:
            answer = errors.response(OriginNotAllowed(), scope["state"].get("request_id", ""))
        else:
            asked = headers.get("access-control-request-headers", "")
            answer = Response(status_code=204)
            answer.headers["access-control-allow-origin"] = origin
            answer.headers["access-control-allow-methods"] = _METHODS
            answer.headers["access-control-allow-headers"] = asked if _HEADER_NAMES.fullmatch(asked) else ""
            answer.headers["access-control-max-age"] = _MAX_AGE_S
        answer.headers["vary"] = "Origin, Access-Control-Request-Headers"
        return answer


def _naming(send: Send, origin: str) -> Send:
    async def named(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["access-control-allow-origin"] = origin
            headers["access-control-expose-headers"] = ", ".join(wire.EXPOSED_HEADERS)
            headers.add_vary_header("Origin")
        await send(message)

    return named


def _varying(send: Send) -> Send:
    async def varied(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).add_vary_header("Origin")
        await send(message)

    return varied
