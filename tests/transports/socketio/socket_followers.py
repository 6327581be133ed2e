"""Tabs that lose their socket at any byte and connect again, over WebSocket and over polling."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random
from typing import Any

import aiohttp

from tests.faces import Answer, Face, ask
from tests.transports.socketio.clients import PATH, SEPARATOR, Closed, Engine, Tab, hub, query, websocket
from tests.transports.socketio.networks import Network
from tests.transports.socketio.resuming import TEXT, THOUGHT, WAIT_S, offset
from tests.world import World


class PollingEngine(Engine):
    """An Engine.IO session over polling that reads like the one over WebSocket."""

    def __init__(self, http: aiohttp.ClientSession, headers: dict[str, str]) -> None:
        self.http = http
        self.headers = headers
        self.answering = True
        self.sid: str | None = None
        self._came: list[str] = []

    async def open(self) -> None:
        self.sid = json.loads((await self._get())[0][1:])["sid"]

    async def _get(self) -> list[str]:
        params = query("polling", self.sid)
        try:
            async with asyncio.timeout(WAIT_S), self.http.get(PATH, params=params, headers=self.headers) as response:
                if response.status != 200:
                    raise Closed
                return (await response.text()).split(SEPARATOR)
        except aiohttp.ClientError:
            raise Closed from None

    async def frame(self, *, raw: bool = False) -> str | bytes:
        while True:
            while not self._came:
                self._came = await self._get()
            packet = self._came.pop(0)
            if packet == "2":
                await self.send("3")
            elif packet != "6":
                return packet

    async def send(self, data: str | bytes) -> None:
        params = query("polling", self.sid)
        try:
            async with self.http.post(PATH, params=params, data=data, headers=self.headers) as response:
                if response.status != 200:
                    raise Closed
        except aiohttp.ClientError:
            raise Closed from None


@dataclass
class SocketFollower:
    """A tab with a `clientId` that asks once and connects until it has the whole answer."""

    here: World
    rng: Random
    connections: int = 0
    tabs: list[Tab] = field(default_factory=list)
    answer: Answer | None = None
    turn_id: str = ""
    number: int = field(default_factory=count().__next__)

    async def follow(self) -> None:
        async with Network(self.here.server.url, self._budget) as network, asyncio.TaskGroup() as group:
            call: asyncio.Task[Answer] | None = None
            while not self._whole():
                try:
                    async with self._tab(network) as tab:
                        call = call or group.create_task(self._ask(tab))
                        await self._stay(tab)
                        if self.connections == 1:
                            await network.cut()
                except* (Closed, aiohttp.ClientError):
                    pass
            assert call
            self.answer = await call

    async def _ask(self, tab: Tab) -> Answer:
        return await ask(self.here.server, self.here.token, Face.REST, socketId=tab.sid)

    def _budget(self) -> int | None:
        """The first connection is there until it has been told something of the answer, however much it adopts."""
        return offset(self.rng) if self.connections > 1 else None

    async def _stay(self, tab: Tab) -> None:
        slow = self.rng.random() < 0.1
        async with asyncio.timeout(WAIT_S):
            while not tab.gone.is_set() and not self._whole():
                await asyncio.sleep(0.02 if slow else 0.002)
                if self.connections == 1 and len(self._mine(tab)) > self.rng.randrange(20):
                    return

    @asynccontextmanager
    async def _tab(self, network: Network) -> AsyncGenerator[Tab]:
        self.connections += 1
        address = ".".join(["10", *(str(self.rng.randrange(256)) for _ in range(3))])
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(aiohttp.ClientSession(network.url))
            http._retry_connection = False  # no browser sends a GET twice: what was on its way would be skipped
            engine = await self._engine(stack, http, {"X-Forwarded-For": address})
            tab = Tab(engine, "/")
            self.tabs.append(tab)
            group = await stack.enter_async_context(asyncio.TaskGroup())
            reading = group.create_task(tab.read())
            try:
                await engine.send("40" + json.dumps({"token": self.here.token, "clientId": self.client_id}))
                await tab.until(lambda: tab.sid or tab.gone.is_set())
                if not tab.sid:
                    raise Closed
                yield tab
            finally:
                reading.cancel()

    async def _engine(self, stack: AsyncExitStack, http: aiohttp.ClientSession, headers: dict[str, str]) -> Engine:
        server = replace(self.here.server, http=http)
        return await stack.enter_async_context(websocket(server, headers=headers))

    @property
    def client_id(self) -> str:
        """What tells the server which tab this is."""
        return f"tab-{self.number}"

    def _mine(self, tab: Tab) -> list[dict[str, Any]]:
        """Return what a tab was told of the turn that this one asked for: it may have adopted others too."""
        if not self.turn_id:
            bound = hub(self.here.server)._deliveries.values()
            self.turn_id = next((each.turn.turn_id for each in bound if each.client_id == self.client_id), "")
        return tab.of(self.turn_id) if self.turn_id else []

    def _whole(self) -> bool:
        if not self.tabs:
            return False
        payloads = self._mine(self.tabs[-1])
        return bool(payloads) and payloads[-1].get("prompt") == TEXT

    def check(self) -> None:
        """Each connection was told a turn from its beginning, in order and once; the last one all of it."""
        assert self.answer
        assert self.answer.json["outputs"] == [TEXT]
        for tab in self.tabs:
            if payloads := self._mine(tab):
                assert payloads[0]["type"] == "RELOAD"
                kinds = [each["type"] for each in payloads]
                assert kinds.count("RELOAD") == 1
                assert kinds.count("TOOL_CALL") <= 1
                assert kinds.count("TOOL_RESULT") <= 1
                assert TEXT.startswith(tab.text(self.answer.turn_id))
        last = self._mine(self.tabs[-1])
        assert self.tabs[-1].text(self.answer.turn_id) == TEXT
        assert [each["text"] for each in last if each.get("done")] == [THOUGHT], last


class PollingFollower(SocketFollower):
    """The same over polling."""

    async def _engine(self, stack: AsyncExitStack, http: aiohttp.ClientSession, headers: dict[str, str]) -> Engine:
        engine = PollingEngine(http, headers)
        await engine.open()
        return engine
