"""The Socket.IO clients that people use, behind one face: npm's socket.io-client and python-socketio's."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Protocol

import socketio
from socketio.exceptions import ConnectionError as RefusedError

from tests.conformance.node import Judge

WAIT_S = 15
_names = count()


class SocketClient(Protocol):
    """One connected client in one namespace."""

    async def call(self, event: str, *args: Any) -> Any:
        """Emit, and return what it was acknowledged with."""
        ...

    async def emit(self, event: str, *args: Any) -> None:
        """Emit."""
        ...

    async def sid(self) -> str:
        """The socket id that the client knows."""
        ...

    async def transport(self) -> str:
        """What it speaks now."""
        ...

    async def payloads(self) -> list[dict[str, Any]]:
        """Every `RECEIVE_STREAM` so far."""
        ...

    async def upgraded(self) -> None:
        """Wait until it speaks WebSocket."""
        ...

    async def connected(self, times: int) -> None:
        """Wait until it has been let into its namespace so many times."""
        ...

    async def told(self, turn_id: str, length: int) -> list[dict[str, Any]]:
        """Wait until a turn's text has `length` characters; return the turn's payloads."""
        ...


class NpmClient:
    """socket.io-client, in the judge's process."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._name = f"client-{next(_names)}"

    async def open(self, url: str, namespace: str, transports: list[str], auth: dict[str, Any]) -> list[str]:
        """Connect; return the errors that came instead."""
        options = {"transports": transports, "auth": auth}
        path = "" if namespace == "/" else namespace
        opened = await self._ask("sioOpen", url=url + path, options=options)
        return opened["errors"]

    async def call(self, event: str, *args: Any) -> Any:
        given = [{"hex": arg.hex()} if isinstance(arg, bytes) else arg for arg in args]
        return (await self._ask("sioCall", event=event, args=given))["answer"]

    async def emit(self, event: str, *args: Any) -> None:
        await self._ask("sioEmit", event=event, args=list(args))

    async def sid(self) -> str:
        return (await self._ask("sioState"))["sid"]

    async def transport(self) -> str:
        return (await self._ask("sioState"))["transport"]

    async def payloads(self) -> list[dict[str, Any]]:
        return (await self._ask("sioState"))["payloads"]

    async def upgraded(self) -> None:
        await self._ask("sioUntil", transport="websocket")

    async def connected(self, times: int) -> None:
        await self._ask("sioUntil", connects=times)

    async def told(self, turn_id: str, length: int) -> list[dict[str, Any]]:
        state = await self._ask("sioUntil", length=length, turnId=turn_id)
        return [each for each in state["payloads"] if each["turnId"] == turn_id]

    async def close(self) -> None:
        await self._ask("sioClose")

    async def _ask(self, kind: str, **request: Any) -> dict[str, Any]:
        return await self._judge.ask(kind, name=self._name, **request)


class PythonClient:
    """python-socketio's asyncio client."""

    def __init__(self) -> None:
        self._client: Any = socketio.AsyncClient(reconnection_delay=1, randomization_factor=0, reconnection_delay_max=1)
        self._namespace = "/"
        self._payloads: list[dict[str, Any]] = []
        self._connects = 0
        self._changed = asyncio.Condition()

    async def open(self, url: str, namespace: str, transports: list[str], auth: dict[str, Any]) -> list[str]:
        """Connect; return the errors that came instead."""
        self._namespace = namespace
        self._client.on("RECEIVE_STREAM", self._received, namespace=namespace)
        self._client.on("connect", self._connected, namespace=namespace)
        try:
            await self._client.connect(url, transports=transports, auth=auth, namespaces=[namespace])
        except RefusedError as error:
            return [str(error)]
        return []

    async def _received(self, payload: dict[str, Any]) -> None:
        async with self._changed:
            self._payloads.append(payload)
            self._changed.notify_all()

    async def _connected(self) -> None:
        async with self._changed:
            self._connects += 1
            self._changed.notify_all()

    async def call(self, event: str, *args: Any) -> Any:
        return await self._client.call(event, args, namespace=self._namespace, timeout=10)

    async def emit(self, event: str, *args: Any) -> None:
        await self._client.emit(event, args, namespace=self._namespace)

    async def sid(self) -> str:
        return self._client.get_sid(self._namespace)

    async def transport(self) -> str:
        return self._client.transport()

    async def payloads(self) -> list[dict[str, Any]]:
        return list(self._payloads)

    async def upgraded(self) -> None:
        assert self._client.transport() == "websocket"  # it upgrades before it connects

    async def connected(self, times: int) -> None:
        async with asyncio.timeout(WAIT_S), self._changed:
            await self._changed.wait_for(lambda: self._connects >= times)

    async def told(self, turn_id: str, length: int) -> list[dict[str, Any]]:
        def told() -> bool:
            texts = [each for each in self._payloads if each["type"] == "STREAM" and each["turnId"] == turn_id]
            return bool(texts) and len(texts[-1]["prompt"]) >= length

        async with asyncio.timeout(WAIT_S), self._changed:
            await self._changed.wait_for(told)
        return [each for each in self._payloads if each["turnId"] == turn_id]

    async def close(self) -> None:
        await self._client.shutdown()


def client_of(kind: str, judge: Judge) -> NpmClient | PythonClient:
    """Return a client that has not connected."""
    return NpmClient(judge) if kind == "npm" else PythonClient()


@asynccontextmanager
async def connected(
    client: NpmClient | PythonClient, url: str, namespace: str, transports: list[str], **auth: Any
) -> AsyncGenerator[SocketClient]:
    """Connect a client until the block ends."""
    try:
        assert await client.open(url, namespace, transports, auth) == []
        yield client
    finally:
        await client.close()
