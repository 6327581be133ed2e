"""The floor: uvicorn and aiohttp passing an upstream's bytes on, nothing parsed, nothing kept.

`python -m bench.passthrough http://127.0.0.1:PORT` prints its own address. Everything it does, any proxy must do.
"""

import asyncio
import socket
import sys
from typing import Any

import aiohttp
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from bench.children import announce

_HEAD: dict[str, Any] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")],
}


class PassThrough:
    """A raw ASGI application."""

    def __init__(self, upstream: str, session: aiohttp.ClientSession) -> None:
        """Send every request to `upstream`, whatever its path."""
        self._url = f"{upstream}/v1/chat/completions"
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, and its answer back as it comes."""
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        async with self._session.post(self._url, data=body, headers={"content-type": "application/json"}) as response:
            await send(_HEAD)
            while data := await response.content.readany():
                await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def serve(upstream: str) -> None:
    """Serve until killed, run as the product runs uvicorn."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        bound = socket.create_server(("127.0.0.1", 0), backlog=2048)
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(
            PassThrough(upstream, session),
            http="httptools",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=75,
        )
        announce(bound.getsockname()[1])
        await uvicorn.Server(config).serve(sockets=[bound])


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1]))
