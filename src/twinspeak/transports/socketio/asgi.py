"""Engine.IO over ASGI: polling requests and WebSockets become calls of `wire.engine`, and back."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from twinspeak.domain.errors import (
    CallerError,
    CodedError,
    Overloaded,
    RateLimited,
    RequestTimeout,
    ServerStopping,
)
from twinspeak.domain.ids import new_secret
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http import errors
from twinspeak.transports.http.request_id import request_id
from twinspeak.transports.socketio.events import Events
from twinspeak.transports.socketio.link import Link, Peer
from twinspeak.transports.socketio.wire.connection import ConnectionLimits, SioConnection
from twinspeak.transports.socketio.wire.engine import EngineLimits, EngineSession, Poll, Transport
from twinspeak.transports.socketio.wire.packets import ProtocolError
from twinspeak.transports.stream import ClientGone, hang_up

_TEXT = "text/plain; charset=UTF-8"
_LAST_FRAME_S = 1.0
"""How long the last frame of a session that is over may take to leave."""
_BROKEN = (WebSocketDisconnect, TimeoutError, OSError, RuntimeError)
"""How a WebSocket that its client has left shows itself."""


class SocketLimits(msgspec.Struct, frozen=True):
    """Of the face as a whole; `post_timeout_s` is how long the body of a POST may take."""

    engine: EngineLimits = EngineLimits()
    connection: ConnectionLimits = ConnectionLimits()
    max_links: int = 20_000
    links_per_address: int = 2_000
    write_timeout_s: float = 60
    post_timeout_s: float = 20


Greet = Callable[[HTTPConnection], Awaitable[Peer]]
"""Says who is at the other end of a first request. Raises a coded error to turn it away."""


class SocketFace:
    """The ASGI application mounted at `/socket.io`."""

    def __init__(self, events: Events, greet: Greet, limits: SocketLimits) -> None:
        """`greet` decides who may open a session."""
        self._events = events
        self._greet = greet
        self._limits = limits
        self._links: dict[str, Link] = {}
        self._per_address: dict[str, int] = {}
        self._stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or one WebSocket."""
        if scope["type"] == "websocket":
            await self._websocket(WebSocket(scope, receive, send))
            return
        request = Request(scope, receive)
        response = await self._request(request)
        await response(scope, receive, send)

    async def close_all(self, reason: str, patience_s: float = 1.0) -> None:
        """End every session, those that read with what they are still owed; take no new one."""
        self._stopping = True
        leaving = tuple(self._links.values())
        for link in leaving:
            link.finish(reason)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                for link in leaving:
                    await link.over()
        for link in leaving:
            link.close(reason)

    def __len__(self) -> int:
        """Return how many sessions there are."""
        return len(self._links)

    # -- polling ------------------------------------------------------------------------------------------------------

    async def _request(self, request: Request) -> Response:
        try:
            return await self._answer(request)
        except CodedError as error:
            return errors.response(error, request_id(request))

    async def _answer(self, request: Request) -> Response:
        query = request.query_params
        if query.get("EIO") != "4" or query.get("transport") != "polling":
            raise CallerError("Speak Engine.IO 4 (EIO=4) over polling or WebSocket.")
        sid = query.get("sid")
        if sid is None:
            if request.method != "GET":
                raise CallerError("A session begins with a GET.")
            return await self._handshake(request)
        link = self._links.get(sid)
        if link is None:
            raise _unknown_session()
        if request.method == "GET":
            return await self._poll(request, link)
        if request.method == "POST":
            return await self._post(request, link)
        raise CallerError("A session takes GET and POST.")

    async def _handshake(self, request: Request) -> Response:
        link = await self._open(request, Transport.POLLING)
        link.session.poll()
        return _body(link.session.poll_payload())

    async def _poll(self, request: Request, link: Link) -> Response:
        state = link.session.poll()
        if state is Poll.CLASH:
            link.touch()
        if state in (Poll.REFUSED, Poll.CLASH):
            raise _unknown_session()
        if state is Poll.WAIT:
            await self._wait(request, link)
        payload = link.session.poll_payload()
        link.touch()
        return _body(payload)

    async def _wait(self, request: Request, link: Link) -> None:
        """Wait until there is something for the waiting GET, or its client has hung up."""
        try:
            async with asyncio.TaskGroup() as group:
                listener = group.create_task(hang_up(request.receive), name="listen for hang-up")
                while not link.session.poll_ready:
                    await link.changed()
                listener.cancel()
        except* ClientGone:
            link.session.poll_dropped()
            link.touch()

    async def _post(self, request: Request, link: Link) -> Response:
        try:
            link.session.begin_post()
        except ProtocolError:
            link.touch()
            raise _unknown_session() from None
        try:
            await link.receive(link.session.post(await self._read(request, link)))
        except (TimeoutError, ClientDisconnect):
            link.close("post cut short")
            raise RequestTimeout from None
        except ProtocolError:  # the session has closed itself, or has just left polling and lives on
            raise CallerError("The session cannot take this.") from None
        finally:
            link.session.end_post()
            link.touch()
        self._events.alive(link)
        return PlainTextResponse(wire.POST_OK)

    async def _read(self, request: Request, link: Link) -> bytes:
        """Read a body within its bounds. Raises ProtocolError, TimeoutError, ClientDisconnect."""
        chunks: list[bytes] = []
        size = 0
        async with asyncio.timeout(self._limits.post_timeout_s):
            async for chunk in request.stream():
                size += len(chunk)
                if size > self._limits.engine.max_payload:
                    link.session.close("payload too large")
                    raise ProtocolError("payload too large")
                chunks.append(chunk)
        return b"".join(chunks)

    # -- WebSocket ----------------------------------------------------------------------------------------------------

    async def _websocket(self, socket: WebSocket) -> None:
        link = await self._link_of(socket)
        if link is None:
            await socket.close()
            return
        try:
            await socket.accept()
            await self._converse(socket, link)
        except* _BROKEN:
            pass
        finally:
            link.session.detach()
            link.touch()
        if socket.application_state is WebSocketState.CONNECTED and socket.client_state is WebSocketState.CONNECTED:
            await _close(socket)

    async def _link_of(self, socket: WebSocket) -> Link | None:
        """Return the session that a WebSocket opens, or is to be the new transport of; None: turn it away."""
        query = socket.query_params
        if query.get("EIO") != "4" or query.get("transport") != "websocket":
            return None
        sid = query.get("sid")
        if sid is None:
            with suppress(CodedError):
                return await self._open(socket, Transport.WEBSOCKET)
            return None
        link = self._links.get(sid)
        if link is None or not link.session.attach():
            return None
        link.touch()
        return link

    async def _converse(self, socket: WebSocket, link: Link) -> None:
        """Carry frames both ways until the session is over, this WebSocket is given up, or its client is gone."""
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(self._read_frames(socket, link), name="read frames")
            writer = group.create_task(self._write_frames(socket, link), name="write frames")
            while not (link.closed or link.session.abandoned):
                await link.changed()
            await asyncio.wait((writer,), timeout=_LAST_FRAME_S)
            reader.cancel()
            writer.cancel()

    async def _read_frames(self, socket: WebSocket, link: Link) -> None:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect
            data = message.get("text")
            try:
                messages = link.session.frame(data if data is not None else message.get("bytes") or b"")
            except ProtocolError:
                link.touch()
                return
            await link.receive(messages)
            self._events.alive(link)

    async def _write_frames(self, socket: WebSocket, link: Link) -> None:
        while True:
            frame = link.session.next_frame()
            if frame is not None:
                async with asyncio.timeout(self._limits.write_timeout_s):
                    await (socket.send_text(frame) if isinstance(frame, str) else socket.send_bytes(frame))
                link.touch()
            elif link.closed or link.session.abandoned:
                return
            else:
                await link.changed()

    # -- both ---------------------------------------------------------------------------------------------------------

    async def _open(self, connection: HTTPConnection, transport: Transport) -> Link:
        """Open a session.

        Raises ServerStopping, Overloaded, RateLimited (the address has as many as it may), and what `greet` raises.
        """
        peer = await self._greet(connection)
        if self._stopping:
            raise ServerStopping(retry_after_s=10)
        if len(self._links) >= self._limits.max_links:
            raise Overloaded(retry_after_s=10)
        if self._per_address.get(peer.address, 0) >= self._limits.links_per_address:
            raise RateLimited(retry_after_s=60)
        now = asyncio.get_running_loop().time()
        sid = new_secret(15)
        link = Link(
            EngineSession(sid, self._limits.engine, now=now, transport=transport),
            SioConnection(frozenset(wire.NAMESPACES), self._limits.connection, now=now),
            peer,
            on_happening=self._events.handle,
            on_closed=self._closed,
        )
        self._links[sid] = link
        self._per_address[peer.address] = self._per_address.get(peer.address, 0) + 1
        return link

    def _closed(self, link: Link) -> None:
        self._events.closed(link)
        if self._links.pop(link.session.sid, None) is None:
            return
        address = link.peer.address
        self._per_address[address] -= 1
        if not self._per_address[address]:
            del self._per_address[address]


def _body(payload: bytes) -> Response:
    return Response(payload, media_type=_TEXT, headers={"cache-control": "no-store"})


def _unknown_session() -> CallerError:
    return CallerError("There is no such session, or it takes no such request now.")


async def _close(socket: WebSocket) -> None:
    try:
        async with asyncio.timeout(5):
            await socket.close()
    except (RuntimeError, OSError, TimeoutError):
        return
