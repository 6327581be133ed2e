"""A network between a client and the server that tests can break.

async with Network(server.url) as network:
    ... connect to network.url ...
    network.black_hole()      # nothing arrives any more in either direction, and nobody is told
"""

import asyncio
from collections.abc import Callable
from typing import Self
from urllib.parse import urlsplit


class Network:
    """Carries bytes between clients and a server until told otherwise."""

    def __init__(self, server_url: str, budget: Callable[[], int | None] = lambda: None) -> None:
        """Each connection is cut after `budget()` bytes for the client, None: never."""
        self._budget = budget
        self._server_port = urlsplit(server_url).port
        self._open = asyncio.Event()
        self._open.set()
        self._listening: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    def black_hole(self) -> None:
        """Carry nothing any more; leave every connection open."""
        self._open.clear()

    async def cut(self) -> None:
        """End every connection."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        self._listening = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listening.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listening
        self._listening.close()
        await self.cut()
        await self._listening.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        writers = [writer]
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
            writers.append(server_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, server_writer, None))
                group.create_task(self._carry(server_reader, writer, self._budget()))
        except* (_Cut, OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            for each in writers:
                each.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, budget: int | None) -> None:
        while data := await reader.read(65_536):
            await self._open.wait()
            writer.write(data[:budget])
            await writer.drain()
            if budget is not None and (budget := budget - len(data)) <= 0:
                raise _Cut
        if writer.can_write_eof():
            writer.write_eof()


class _Cut(Exception):
    """As many bytes as were allowed have passed."""
