"""Clients that speak Engine.IO 4 and Socket.IO 5 by hand, over a real socket, without a library.

async with websocket(server) as eio:          # one WebSocket; `eio.frame()` is the next frame, pings answered
    await eio.send("40")
polling = await Polling.open(server)          # one polling session
async with joined(server, token=…) as tab:    # a Socket.IO client in a namespace: `tab.sid`, `tab.events`, …
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self, cast

import aiohttp
from starlette.routing import Mount

from tests.live import LiveServer
from twinspeak.transports.socketio.asgi import SocketFace
from twinspeak.transports.socketio.hub import Hub
from twinspeak.transports.socketio.link import Link

WAIT_S = 10
SEPARATOR = "\x1e"
PATH = "/socket.io/"


def query(transport: str, sid: str | None = None, **more: str) -> dict[str, str]:
    return {"EIO": "4", "transport": transport, **({"sid": sid} if sid else {}), **more}


async def eventually(holds: Callable[[], Any], within: float = WAIT_S) -> None:
    """Wait until something inside the server holds: no client is told of it."""
    async with asyncio.timeout(within):
        for _ in iter(lambda: bool(holds()), True):
            await asyncio.sleep(0.002)


def face(server: LiveServer) -> SocketFace:
    """Return the server's face for sockets: it is in this process."""
    mounts = [route for route in cast("Any", server.live.asgi).routes if isinstance(route, Mount)]
    return next(mount.app for mount in mounts if isinstance(mount.app, SocketFace))


def links_of(server: LiveServer) -> dict[str, Link]:
    """Return the server's sessions by id."""
    return face(server)._links


def hub(server: LiveServer) -> Hub:
    """Return who knows the server's sockets."""
    return face(server)._events._hub


class Closed(Exception):
    """The server has closed the connection."""


@dataclass
class Engine:
    """An Engine.IO session over a WebSocket."""

    socket: aiohttp.ClientWebSocketResponse
    answering: bool = True
    opened: dict[str, Any] = field(default_factory=dict)

    async def frame(self, *, raw: bool = False) -> str | bytes:
        """Return the next frame; pings are answered and passed over unless `raw`."""
        while True:
            async with asyncio.timeout(WAIT_S):
                message = await self.socket.receive()
            if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                raise Closed
            if message.data == "2" and not raw:
                if self.answering:
                    await self.send("3")
                continue
            return message.data

    async def send(self, data: str | bytes) -> None:
        try:
            await (self.socket.send_str(data) if isinstance(data, str) else self.socket.send_bytes(data))
        except ConnectionError:
            raise Closed from None

    async def closed(self) -> None:
        """Read until the server has closed."""
        try:
            while True:
                await self.frame()
        except Closed:
            return


@asynccontextmanager
async def websocket(
    server: LiveServer, *, headers: dict[str, str] | None = None, url: str = "", **more: str
) -> AsyncGenerator[Engine]:
    async with server.http.ws_connect(
        f"{url}{PATH}", params=query("websocket", **more), headers=headers, max_msg_size=0, autoping=True
    ) as socket:
        engine = Engine(socket)
        if "sid" not in more:
            first = await engine.frame()
            assert isinstance(first, str)
            assert first[0] == "0"
            engine.opened = json.loads(first[1:])
        yield engine


@dataclass
class Polling:
    """An Engine.IO session over polling."""

    server: LiveServer
    opened: dict[str, Any]

    @classmethod
    async def open(cls, server: LiveServer, headers: dict[str, str] | None = None) -> Self:
        async with server.http.get(PATH, params=query("polling"), headers=headers) as response:
            assert response.status == 200, await response.text()
            assert response.headers["content-type"] == "text/plain; charset=UTF-8"
            text = await response.text()
        assert text[0] == "0"
        return cls(server, json.loads(text[1:]))

    @property
    def sid(self) -> str:
        return self.opened["sid"]

    async def get(self) -> tuple[int, list[str]]:
        async with asyncio.timeout(WAIT_S):
            async with self.server.http.get(PATH, params=query("polling", self.sid)) as response:
                return response.status, (await response.text()).split(SEPARATOR)

    async def post(self, *packets: str, body: Any = None) -> tuple[int, str]:
        data = SEPARATOR.join(packets).encode() if body is None else body
        async with asyncio.timeout(WAIT_S):
            async with self.server.http.post(PATH, params=query("polling", self.sid), data=data) as response:
                return response.status, await response.text()


class Tab:
    """A Socket.IO client in one namespace, over a WebSocket, that keeps what it is sent."""

    def __init__(self, engine: Engine, namespace: str) -> None:
        self.engine = engine
        self.namespace = namespace
        self.sid = ""
        self.payloads: list[dict[str, Any]] = []
        self.gone = asyncio.Event()
        self._changed = asyncio.Condition()
        self._acks: dict[int, list[Any]] = {}
        self._next = 0

    @property
    def prefix(self) -> str:
        return "" if self.namespace == "/" else f"{self.namespace},"

    async def read(self) -> None:
        try:
            while True:
                await self._take(await self.engine.frame())
        except Closed:
            self.gone.set()
            async with self._changed:
                self._changed.notify_all()

    async def _take(self, frame: str | bytes) -> None:
        assert isinstance(frame, str)
        if frame == "1":
            raise Closed
        assert frame[0] == "4", frame
        kind, rest = frame[1], frame[2:].removeprefix(self.prefix)
        async with self._changed:
            if kind == "0":
                self.sid = json.loads(rest)["sid"]
            elif kind == "2":
                name, payload = json.loads(rest)
                assert name == "RECEIVE_STREAM"
                self.payloads.append(payload)
            elif kind == "3":
                digits = rest[: rest.index("[")]
                self._acks[int(digits)] = json.loads(rest[len(digits) :])
            self._changed.notify_all()

    async def until(self, done: Callable[[], Any]) -> None:
        async with asyncio.timeout(WAIT_S), self._changed:
            await self._changed.wait_for(done)

    async def emit(self, name: str, *args: Any) -> None:
        await self.engine.send(f"42{self.prefix}{json.dumps([name, *args])}")

    async def call(self, name: str, *args: Any) -> dict[str, Any]:
        """Emit and return what it was acknowledged with."""
        self._next += 1
        number = self._next
        await self.engine.send(f"42{self.prefix}{number}{json.dumps([name, *args])}")
        await self.until(lambda: number in self._acks)
        (answer,) = self._acks.pop(number)
        return answer

    # -- what it was sent ---------------------------------------------------------------------------------------------

    def of(self, turn_id: str | None = None, kind: str | None = None) -> list[dict[str, Any]]:
        return [each for each in self.payloads if turn_id in (None, each["turnId"]) and kind in (None, each["type"])]

    def text(self, turn_id: str | None = None) -> str:
        """Return the answer so far as somebody sees it who empties the page at each RELOAD and then adds deltas."""
        text = ""
        for each in self.of(turn_id):
            if each["type"] == "RELOAD":
                text = ""
            elif each["type"] == "STREAM":
                text += each["delta"]
                assert each.get("prompt", text) == text
        return text

    async def reads(self, text: str, turn_id: str | None = None) -> None:
        """Wait until the answer so far is `text`."""
        await self.until(lambda: self.text(turn_id) == text or self.gone.is_set())
        assert self.text(turn_id) == text


@asynccontextmanager
async def joined(
    server: LiveServer,
    token: str | None = None,
    *,
    namespace: str = "/",
    client_id: str | None = None,
    url: str = "",
    headers: dict[str, str] | None = None,
    **more: str,
) -> AsyncGenerator[Tab]:
    """Connect a tab; with `token` it is registered by the time this returns."""
    auth = {name: value for name, value in (("token", token), ("clientId", client_id)) if value}
    async with websocket(server, url=url, headers=headers, **more) as engine:
        tab = Tab(engine, namespace)
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(tab.read())
            await engine.send(f"40{tab.prefix}{json.dumps(auth)}")
            await tab.until(lambda: tab.sid)
            try:
                yield tab
            finally:
                reading.cancel()
