"""Engine.IO over ASGI: polling requests and WebSockets become calls of `wire.engine`, and back."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from twinspeak.domain.errors import CodedError
from twinspeak.domain.ids import new_secret
from twinspeak.transports import wire_names as wire
from twinspeak.transports.socketio.events import Events
from twinspeak.transports.socketio.link import Link, Peer
from twinspeak.transports.socketio.wire.connection import ConnectionLimits, SioConnection
from twinspeak.transports.socketio.wire.engine import EngineLimits, EngineSession, Poll, Transport
from twinspeak.transports.socketio.wire.packets import ProtocolError
from twinspeak.transports.stream import ClientGone, hang_up

_TEXT = "text/plain; charset=UTF-8"


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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or one WebSocket."""
        if scope["type"] == "websocket":
            await self._websocket(WebSocket(scope, receive, send))
            return
        request = Request(scope, receive)
        response = await self._request(request)
        await response(scope, receive, send)

    def close_all(self, reason: str) -> None:
        """End every session."""
        for link in tuple(self._links.values()):
            link.close(reason)

    def __len__(self) -> int:
        """Return how many sessions there are."""
        return len(self._links)

    # -- polling ------------------------------------------------------------------------------------------------------

    async def _request(self, request: Request) -> Response:
        query = request.query_params
        if query.get("EIO") != "4" or query.get("transport") != "polling":
            return _refused()
        sid = query.get("sid")
        if sid is None:
            return await self._handshake(request) if request.method == "GET" else _refused()
        link = self._links.get(sid)
        if link is None:
            return _refused()
        if request.method == "GET":
            return await self._poll(request, link)
        return await self._post(request, link) if request.method == "POST" else _refused()

    async def _handshake(self, request: Request) -> Response:
        link = await self._open(request, Transport.POLLING)
        if link is None:
            return _refused(503)
        link.session.poll()
        return _body(link.session.poll_payload())

    async def _poll(self, request: Request, link: Link) -> Response:
        state = link.session.poll()
        if state is Poll.CLASH:
            link.touch()
        if state in (Poll.REFUSED, Poll.CLASH):
            return _refused()
        try:
            async with asyncio.TaskGroup() as group:
                listener = group.create_task(hang_up(request.receive), name="listen for hang-up")
                while not link.session.poll_ready:
                    await link.changed()
                listener.cancel()
        except* ClientGone:
            link.session.poll_dropped()
        payload = link.session.poll_payload()
        link.touch()
        return _body(payload)

    async def _post(self, request: Request, link: Link) -> Response:
        try:
            link.session.begin_post()
        except ProtocolError:
            link.touch()
            return _refused()
        try:
            messages = link.session.post(await self._read(request, link))
        except (ProtocolError, TimeoutError, ClientDisconnect):
            link.close("bad post")
            return _refused()
        finally:
            link.session.end_post()
        await link.receive(messages)
        self._events.alive(link)
        return PlainTextResponse("ok")

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
        query = socket.query_params
        if query.get("EIO") != "4" or query.get("transport") != "websocket":
            await socket.close()
            return
        sid = query.get("sid")
        link = await self._open(socket, Transport.WEBSOCKET) if sid is None else self._links.get(sid)
        if link is None or (sid is not None and not link.session.attach()):
            await socket.close()
            return
        try:
            await socket.accept()
            async with asyncio.TaskGroup() as group:
                reader = group.create_task(self._read_frames(socket, link), name="read frames")
                await self._write_frames(socket, link)
                reader.cancel()
        except* (WebSocketDisconnect, TimeoutError, OSError, RuntimeError):
            pass
        finally:
            link.session.detach()
            link.touch()
        if socket.application_state is WebSocketState.CONNECTED and socket.client_state is WebSocketState.CONNECTED:
            await _close(socket)

    async def _read_frames(self, socket: WebSocket, link: Link) -> None:
        while not link.closed:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect
            data = message.get("text")
            try:
                messages = link.session.frame(data if data is not None else message.get("bytes") or b"")
            except ProtocolError:
                messages = []
            await link.receive(messages)
            self._events.alive(link)

    async def _write_frames(self, socket: WebSocket, link: Link) -> None:
        while True:
            frame = link.session.next_frame()
            if frame is None:
                if link.closed:
                    return
                await link.changed()
                continue
            async with asyncio.timeout(self._limits.write_timeout_s):
                await (socket.send_text(frame) if isinstance(frame, str) else socket.send_bytes(frame))
            link.touch()

    # -- both ---------------------------------------------------------------------------------------------------------

    async def _open(self, connection: HTTPConnection, transport: Transport) -> Link | None:
        """Open a session; None when the server, or the address, has as many as it may."""
        try:
            peer = await self._greet(connection)
        except CodedError:
            return None
        if len(self._links) >= self._limits.max_links:
            return None
        if self._per_address.get(peer.address, 0) >= self._limits.links_per_address:
            return None
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


def _refused(status: int = 400) -> Response:
    return PlainTextResponse("refused", status_code=status)


async def _close(socket: WebSocket) -> None:
    try:
        async with asyncio.timeout(5):
            await socket.close()
    except (RuntimeError, OSError, TimeoutError):
        return
