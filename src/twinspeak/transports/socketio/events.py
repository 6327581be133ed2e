"""What clients send, and what happens then: join, register, cancel, mute (contract 4.3)."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from typing import Any, cast

import msgspec

from twinspeak.domain.access import Access, Gate
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import AuthenticationRequired, CallerError, CodedError, RateLimited
from twinspeak.domain.ids import new_secret, parse_id
from twinspeak.services.auth import Held
from twinspeak.transports import wire_names as wire
from twinspeak.transports.socketio.hub import Hub
from twinspeak.transports.socketio.link import Link
from twinspeak.transports.socketio.sockets import Socket
from twinspeak.transports.socketio.wire.connection import Connected, Happening, Left, Received

_LONGEST_TOKEN = 4_096
_LONGEST_CLIENT_ID = 128
_DEPTH = 4
"""How deep a payload is searched for a token: vendors' clients wrap it in a profile, in an object."""
_TRIES = 3
"""How many of the tokens in one payload are tried: a profile may hold others than ours."""
_WIDTH = 64
"""How many members of an object or list are looked at."""
_OURS = 500
"""From this status on it is not the token's fault."""
_LOOKS_LIKE_ONE = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)


Authenticate = Callable[[str], Awaitable[Held]]


class Handler(msgspec.Struct, frozen=True):
    """What an event declares (as routes do), and what it does; the answer goes into the acknowledgement."""

    access: Access
    run: Callable[[Socket, list[Any]], Awaitable[dict[str, Any]]]


class Events:
    """Handles what the clients of all links do."""

    def __init__(self, hub: Hub, authenticate: Authenticate) -> None:
        """Keep the parts."""
        self._hub = hub
        self._authenticate = authenticate
        self._sockets: dict[Link, dict[str, Socket]] = {}
        self.handlers: dict[str, Handler] = {
            **dict.fromkeys(wire.REGISTER_EVENTS, Handler(Access(Gate.PUBLIC), self._on_register)),
            wire.CANCEL_REQUEST: Handler(Access(Gate.SOCKET), self._on_cancel),
            wire.CANCEL_STREAMING: Handler(Access(Gate.SOCKET), self._on_mute),
        }
        """By the event's name: whom it lets in, and what it does."""

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
        for socket in self._sockets.pop(link, {}).values():
            self._hub.leave(socket)

    async def _join(self, link: Link, asked: Connected) -> None:
        """Let a client in. A token that is good binds the socket; one that is not proves nothing and harms nothing.

        Who is connected is registered: the token is looked at first.
        """
        tokens = [*tokens_in(asked.auth), *([link.peer.token] if link.peer.token else [])]
        held = await self._held(tokens)
        if isinstance(held, CodedError) and held.status >= _OURS:
            link.close("could not look at the token")  # the client comes again by itself
        if link.closed:
            return
        socket = Socket(new_secret(15), link, asked.namespace)
        socket.client_id = _client_id(asked.auth)
        if not link.connection.accept(asked.namespace, socket.sid):
            return
        self._sockets.setdefault(link, {})[asked.namespace] = socket
        self._hub.join(socket)
        if isinstance(held, Held):
            self._bind(socket, held)

    async def _received(self, link: Link, event: Received) -> None:
        socket = self._sockets.get(link, {}).get(event.namespace)
        handler = self.handlers.get(event.name)
        if socket is None or handler is None:
            return
        try:
            answer: dict[str, Any] = {"success": True, **await handler.run(socket, event.args)}
        except CodedError as error:
            detail = {"code": error.code, "status": error.status, "message": error.message}
            answer = {"success": False, "message": error.message, wire.ERROR: detail}
        if event.ack is not None:
            link.connection.acknowledge(event.namespace, event.ack, answer)

    async def _on_register(self, socket: Socket, args: list[Any]) -> dict[str, Any]:
        """Bind by a token anywhere in the payload; anything else is acknowledged and proves nothing."""
        client_id = _client_id(args[0]) if args else None
        held = await self._held(tokens_in(args))
        if isinstance(held, CodedError) and held.status >= _OURS:
            raise held
        if not socket.live or held is None or isinstance(held, CodedError):
            return {"registered": False}
        socket.client_id = client_id or socket.client_id
        if not self._bind(socket, held):
            raise RateLimited("You have too many connections open.", retry_after_s=60)
        return {"registered": True}

    async def _on_cancel(self, socket: Socket, args: list[Any]) -> dict[str, Any]:
        return {"cancelled": self._hub.cancel(socket, _turn_id(args))}

    async def _on_mute(self, socket: Socket, args: list[Any]) -> dict[str, Any]:
        return {"muted": self._hub.mute(socket, _turn_id(args))}

    async def _held(self, tokens: Iterator[str] | list[str]) -> Held | CodedError | None:
        """Return whom the first good token speaks for, else why the last one is none; None without any."""
        found: Held | CodedError | None = None
        for token in islice(tokens, _TRIES):
            found = await self._look_at(token)
            if isinstance(found, Held):
                return found
        return found

    async def _look_at(self, token: str) -> Held | CodedError:
        """Ask whom a token speaks for, and again if sessions were revoked meanwhile: one of them may be its own."""
        if len(token) > _LONGEST_TOKEN:
            return AuthenticationRequired()
        while True:
            revocations = self._hub.revocations
            try:
                held = await self._authenticate(token)
            except CodedError as error:
                return error
            if revocations == self._hub.revocations:
                return held

    def _bind(self, socket: Socket, held: Held) -> bool:
        """Register a socket until its token expires. False: the user has too many."""
        if not self._hub.register(socket, held.caller, client_id=socket.client_id):
            return False
        wait_s = max(0, held.expires - now_ms()) / 1000
        socket.expiry = asyncio.get_running_loop().call_later(wait_s, socket.link.close, "token expired")
        return True

    def _left(self, link: Link, namespace: str) -> None:
        socket = self._sockets.get(link, {}).pop(namespace, None)
        if socket is not None:
            self._hub.leave(socket)


def tokens_in(payload: Any, depth: int = _DEPTH) -> Iterator[str]:
    """Yield what may be a token in a payload, however wrapped: text that looks like one, a field of that name."""
    if isinstance(payload, str):
        bare = payload.removeprefix("Bearer ").strip()
        if _LOOKS_LIKE_ONE.fullmatch(bare):
            yield bare
    if depth == 0:
        return
    inner: list[Any] = []
    if isinstance(payload, dict):
        held = cast("dict[str, Any]", payload)
        own = held.get(wire.TOKEN_FIELD)
        if isinstance(own, str) and own:
            yield own.removeprefix("Bearer ").strip()
        inner = list(islice((value for name, value in held.items() if name != wire.TOKEN_FIELD), _WIDTH))
    elif isinstance(payload, list):
        inner = cast("list[Any]", payload)[:_WIDTH]
    for item in inner:
        yield from tokens_in(item, depth - 1)


def _client_id(payload: Any) -> str | None:
    if not isinstance(payload, dict):
        return None
    value = cast("dict[str, Any]", payload).get(wire.CLIENT_ID)
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
