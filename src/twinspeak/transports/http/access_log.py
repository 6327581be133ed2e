"""One log line and one metric a request, and the ids that every record in between carries. No query, no token."""

from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twinspeak.domain.clock import monotonic
from twinspeak.telemetry import logs
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http import request_id
from twinspeak.transports.http.client_ip import client_ip
from twinspeak.transports.stream import offer_direct

_log = logs.get("http")
_QUIET = frozenset({"/healthz", "/readyz", "/metrics", "/api/test/health"})
"""Asked every few seconds by machines: at level debug, as sockets that poll are."""
_MAX_PATH = 200

Observe = Callable[[str, str, int, float], None]
"""(method, route template, status, seconds): `telemetry.metrics.Metrics.http_request`."""


class AccessLog:
    """Pure ASGI, outermost: what it sees is what the client gets."""

    def __init__(self, app: ASGIApp, observe: Observe) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request and tell of it once, after its last byte or when it broke."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = monotonic()
        assigned = request_id.assign(scope)
        offer_direct(scope, send)
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[wire.REQUEST_ID_HEADER] = assigned
            await send(message)

        with logs.context(request_id=assigned):
            try:
                await self._app(scope, receive, watched)
            finally:
                self._tell(scope, status, monotonic() - started)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        """`status` 0 means that nothing was answered: the client left, or the request broke."""
        self._observe(scope["method"], _template(scope), status, seconds)
        quiet = scope["path"] in _QUIET or scope["path"].startswith(wire.SOCKETS_PATH)
        say = _log.debug if quiet else _log.info
        say(
            "request",
            method=scope["method"][:20],
            path=scope["path"][:_MAX_PATH],
            status=status,
            ms=round(seconds * 1000, 1),
            ip=client_ip(HTTPConnection(scope)),
        )


def _template(scope: Scope) -> str:
    """Return the route as it is declared, "" when none matched: metrics must not grow with what is asked for."""
    return getattr(scope.get("route"), "path", "")
