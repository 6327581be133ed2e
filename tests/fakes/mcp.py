"""An MCP server for tests, over streamable HTTP; `mode` says how it behaves, `tools` what it offers."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

ECHO = {
    "name": "echo",
    "title": "Echo",
    "description": "Says it again.",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
}


def text_result(text: str, *, failed: bool = False) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "isError": failed}


@dataclass
class McpFake:
    """`answer(name, arguments)` makes a call's result. `seen` keeps (method, params, headers) of every message."""

    port: int = 0
    mode: str = "json"
    version: str = "2025-06-18"
    session: str | None = "session-1"
    tools: list[Any] = field(default_factory=lambda: [ECHO])
    pages: list[dict[str, Any]] | None = None
    answer: Callable[[str, dict[str, Any]], Any] = lambda name, arguments: text_result(str(arguments.get("text", name)))
    seen: list[tuple[str, dict[str, Any], dict[str, str]]] = field(default_factory=list)
    replies: list[dict[str, Any]] = field(default_factory=list)
    refuse: int | None = None
    held: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    def methods(self) -> list[str]:
        return [method for method, _, _ in self.seen]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if request.method != "POST":
            self.seen.append((request.method, {}, headers))
            if request.method == "GET" and self.mode == "resumed":
                return await self._stream(request, [(b"id: 2\n", self._call_answer())])
            return web.Response(status=405)
        message = await request.json()
        method = message.get("method", "")
        self.seen.append((method, message.get("params") or {}, headers))
        if "id" not in message or not method:
            self.replies.append(message)
            return web.Response(status=202)
        if self.refuse is not None:
            return web.Response(status=self.refuse, text="no")
        if method != "initialize" and self.session and headers.get("mcp-session-id") != self.session:
            return web.Response(status=404)
        return await self._answer(request, message, method)

    async def _answer(self, request: web.Request, message: dict[str, Any], method: str) -> web.StreamResponse:
        body = {"jsonrpc": "2.0", "id": message["id"]}
        if method == "initialize":
            info = {"name": "fake", "version": "1"}
            result: Any = {"protocolVersion": self.version, "capabilities": {"tools": {}}, "serverInfo": info}
            extra = {"Mcp-Session-Id": self.session} if self.session else {}
            return web.json_response({**body, "result": result}, headers=extra)
        if method == "tools/list":
            cursor = int((message.get("params") or {}).get("cursor", 0))
            result = {"tools": self.tools} if self.pages is None else self.pages[min(cursor, len(self.pages) - 1)]
            return web.json_response({**body, "result": result})
        self._body = body
        self._params = message["params"]
        return await self._misbehaving(request)

    def _call_answer(self) -> dict[str, Any]:
        return {**self._body, "result": self.answer(self._params["name"], self._params.get("arguments", {}))}

    async def _misbehaving(self, request: web.Request) -> web.StreamResponse:
        token = self._params.get("_meta", {}).get("progressToken")
        if self.mode == "json":
            return web.json_response(self._call_answer())
        if self.mode == "hangs":
            await self._hang()
        if self.mode == "error":
            return web.json_response({**self._body, "error": {"code": -32000, "message": "It cannot."}})
        bodies: dict[str, Any] = {"nonsense": "[[[[", "other answer": '{"jsonrpc": "2.0", "id": 999999, "result": {}}'}
        if self.mode in bodies:
            return web.Response(text=bodies[self.mode], content_type="application/json")
        if self.mode == "floods":
            return await self._flood(request)
        if self.mode in ("resumed", "closes"):
            return await self._stream(request, [(b"id: 1\nretry: 1\n", None)] if self.mode == "resumed" else [])
        done = {"progressToken": token, "progress": 1, "total": 2, "message": "half"}
        asks = {"jsonrpc": "2.0", "id": "s1", "method": "sampling/createMessage", "params": {}}
        pings = {"jsonrpc": "2.0", "id": "s2", "method": "ping"}
        notes = {"jsonrpc": "2.0", "method": "notifications/progress", "params": done}
        return await self._stream(request, [(b"", one) for one in (asks, pings, notes, self._call_answer())])

    async def _hang(self) -> None:
        self.reached.set()
        try:
            await self.held.wait()
        finally:
            self.gone.set()

    async def _stream(self, request: web.Request, events: list[tuple[bytes, Any]]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for head, message in events:
            data = b"" if message is None else json.dumps(message).encode()
            await response.write(head + b"data: " + data + b"\r\n\r\n")
        return response

    async def _flood(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b"data: " + b"x" * 100_000 + b"\n")
        except ConnectionError:
            return response
        finally:
            self.gone.set()


@asynccontextmanager
async def mcp_fake(**settings: Any) -> AsyncGenerator[McpFake]:
    fake = McpFake(**settings)
    app = web.Application()
    app.router.add_route("*", "/mcp", fake.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        fake.port = runner.addresses[0][1]
        yield fake
    finally:
        fake.held.set()
        await runner.cleanup()
