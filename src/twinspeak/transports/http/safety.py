"""Headers that keep browsers from making more of an answer than it is."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ADDED = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


class SafetyHeaders:
    """Pure ASGI. Answers hold tokens and private conversations, so none is kept or framed unless its route says so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers to the answer's start."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message["headers"])  # raw pairs: a third of what MutableHeaders costs
                names = {name.lower() for name, _ in given}
                message["headers"] = [*given, *(pair for pair in _ADDED if pair[0] not in names)]
            await send(message)

        await self._app(scope, receive, guarded)
