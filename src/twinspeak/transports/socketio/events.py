"""What clients send, and what happens then: join, register, cancel, mute (contract 4.3)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import AuthenticationRequired, CallerError, CodedError, RateLimited
from twinspeak.domain.ids import new_secret, parse_id
from twinspeak.services.auth import Held
from twinspeak.telemetry import logs
from twinspeak.transports import wire_names as wire
from twinspeak.transports.socketio.hub import Hub
from twinspeak.transports.socketio.link import Link
from twinspeak.transports.socketio.sockets import Socket
from twinspeak.transports.socketio.wire.connection import Connected, Happening, Left, Received

_log = logs.get("sockets")
_LONGEST_TOKEN = 4_096
_LONGEST_CLIENT_ID = 128
_DEPTH = 4
"""How deep a payload is searched for a token: vendors' clients wrap it in a profile, in an object."""


Authenticate = Callable[[str], Awaitable[Held]]


class Events:
    """Handles what the clients of all links do."""

    def __init__(self, hub: Hub, authenticate: Authenticate) -> None:
        """Keep the parts."""
        self._hub = hub
        self._authenticate = authenticate
        self._sockets: dict[str, Socket] = {}

    async def handle(self, link: Link, happening: Happening) -> None:
        """Handle one thing that a client did."""
        if isinstance(happening, Connected):
            await self._join(link, happening)
        elif isinstance(happening, Received):
            await self._received(link, happening)
        elif isinstance(happening, Left):
            self._left(link, happening.namespace)
        # Acknowledgements are not waited for: nothing that is emitted asks for one.

    def alive(self, link: Link) -> None:
        """Note that the peer has sent something."""
        self._hub.alive(link)

    def closed(self, link: Link) -> None:
        """Take every socket of a link out."""
        for sid in link.connection.joined.values():
            if (socket := self._sockets.pop(sid, None)) is not None:
                self._hub.leave(socket)

    async def _join(self, link: Link, asked: Connected) -> None:
        """Let a client in. A token that is good binds the socket; one that is not proves nothing and harms nothing."""
        socket = Socket(new_secret(15), link, asked.namespace)
        socket.client_id = _client_id(asked.auth)
        self._sockets[socket.sid] = socket
        self._hub.join(socket)
        link.connection.accept(asked.namespace, socket.sid)
        for token in (token_in(asked.auth), link.peer.token):
            if token and await self._register(socket, token) is None:
                return

    async def _received(self, link: Link, event: Received) -> None:
        sid = link.connection.joined.get(event.namespace)
        socket = self._sockets.get(sid) if sid else None
        handler = self._handlers().get(event.name)
        if socket is None or handler is None:
            return
        try:
            answer: dict[str, Any] = {"success": True, **await handler(socket, event.args)}
        except CodedError as error:
            detail = {"code": error.code, "status": error.status, "message": error.message}
            answer = {"success": False, "message": error.message, "error": detail}
        if event.ack is not None:
            link.connection.acknowledge(event.namespace, event.ack, answer)

    def _handlers(self) -> dict[str, Callable[[Socket, list[Any]], Awaitable[dict[str, Any]]]]:
        registering = dict.fromkeys(wire.REGISTER_EVENTS, self._on_register)
        return {**registering, wire.CANCEL_REQUEST: self._on_cancel, wire.CANCEL_STREAMING: self._on_mute}

    async def _on_register(self, socket: Socket, args: list[Any]) -> dict[str, Any]:
        """Bind by a token anywhere in the payload; anything else is acknowledged and proves nothing."""
        if args and isinstance(args[0], dict):
            socket.client_id = _client_id(cast("dict[str, Any]", args[0])) or socket.client_id
        token = token_in(args)
        if token is None:
            return {"registered": False}
        error = await self._register(socket, token)
        if isinstance(error, RateLimited):
            raise error
        return {"registered": error is None}

    async def _on_cancel(self, socket: Socket, args: list[Any]) -> dict[str, Any]:
        return {"cancelled": self._hub.cancel(socket, _turn_id(args))}

    async def _on_mute(self, socket: Socket, args: list[Any]) -> dict[str, Any]:
        return {"muted": self._hub.mute(socket, _turn_id(args))}

    async def _register(self, socket: Socket, token: str) -> CodedError | None:
        """Bind a socket by a token; return why not."""
        try:
            if len(token) > _LONGEST_TOKEN:
                raise AuthenticationRequired
            held = await self._authenticate(token)
        except CodedError as error:
            return error
        if not socket.live:
            return AuthenticationRequired()
        if not self._hub.register(socket, held.caller, client_id=socket.client_id):
            return RateLimited("You have too many connections open.", retry_after_s=60)
        wait_s = max(0, held.expires - now_ms()) / 1000
        socket.expiry = asyncio.get_running_loop().call_later(wait_s, socket.link.close, "token expired")
        return None

    def _left(self, link: Link, namespace: str) -> None:
        gone = [socket for socket in self._sockets.values() if socket.link is link and socket.namespace == namespace]
        for socket in gone:
            del self._sockets[socket.sid]
            self._hub.leave(socket)
        if not link.connection.joined:
            _log.debug("last namespace left")


def token_in(payload: Any, depth: int = _DEPTH) -> str | None:
    """Return the first `token` in a payload: a string that looks like one, or a field of that name, however wrapped."""
    if isinstance(payload, str):
        bare = payload.removeprefix("Bearer ").strip()
        return bare if bare.count(".") == 2 else None
    if depth == 0:
        return None
    if isinstance(payload, dict):
        held = cast("dict[str, Any]", payload)
        own = held.get(wire.TOKEN_FIELD)
        if isinstance(own, str) and own:
            return own.removeprefix("Bearer ").strip()
        inner = list(held.values())
    elif isinstance(payload, list):
        inner = cast("list[Any]", payload)
    else:
        return None
    return next((found for item in inner[:64] if (found := token_in(item, depth - 1)) is not None), None)


def _client_id(payload: dict[str, Any]) -> str | None:
    value = payload.get(wire.CLIENT_ID)
    return value[:_LONGEST_CLIENT_ID] if isinstance(value, str) and value else None


def _turn_id(args: list[Any]) -> str | None:
    """Return the `turnId` of a cancel or mute, None when it names none. Raises CallerError for a malformed payload."""
    if not args or args[0] is None or args[0] == "":
        return None
    first = args[0]
    if not isinstance(first, dict):
        raise CallerError("Send an object, or nothing.")
    value = cast("dict[str, Any]", first).get("turnId")
    if value is None or value == "":
        return None
    parsed = parse_id(value) if isinstance(value, str) else None
    if parsed is None:
        raise CallerError("turnId must be 24 hexadecimal digits.", param="turnId")
    return parsed
