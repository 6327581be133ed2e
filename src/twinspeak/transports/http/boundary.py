"""The last place where an error of ours is caught: the caller gets a coded 500, the log gets the rest."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twinspeak.domain.errors import CodedError
from twinspeak.telemetry import logs
from twinspeak.transports.http import errors

_log = logs.get("http")


class Boundary:
    """Pure ASGI, directly around the application, so that the answer still passes CORS and the access log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request; answer for it if it breaks before it has answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # boundary: whatever breaks in a request must not end the server or show itself
            if started:
                raise  # only a broken connection tells the client that the answer is not whole; the server logs it
            known = error if isinstance(error, CodedError) else None
            if known is None:
                _log.exception("request broke", method=scope["method"], path=scope["path"][:200])
            await errors.response(known or CodedError(), scope["state"].get("request_id", ""))(scope, receive, send)
