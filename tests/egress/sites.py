"""Servers on loopback, and names that answer as a test says, for tests of the guarded way out."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from twinspeak.domain.errors import AddressNotAllowed, FetchFailed
from twinspeak.egress.fetch import Bounds, Fetcher, Request
from twinspeak.egress.guard import AllowList, Guard

HERE = "127.0.0.1"


@dataclass
class FakeNames:
    """Answers per name, one a question; the last one stays."""

    answers: dict[str, list[list[str]]]
    asked: list[str] = field(default_factory=list)

    async def addresses(self, host: str) -> list[str]:
        self.asked.append(host)
        left = self.answers.get(host)
        if not left:
            raise OSError("no such name")
        return left.pop(0) if len(left) > 1 else left[0]

    async def close(self) -> None:
        self.asked.append("closed")


@dataclass
class Site:
    """A server on loopback that answers what a test sets, and keeps what it was asked."""

    port: int = 0
    replies: dict[str, dict[str, Any]] = field(default_factory=dict)
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    held: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append((request.method, request.path_qs, headers, await request.read()))
        if request.path == "/slow":
            await self.held.wait()
        if request.path == "/endless":
            return await self._endless(request)
        plain = {"text": "hello", "content_type": "text/plain", "charset": "utf-8"}
        return web.Response(**self.replies.get(request.path, plain))

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65_536)
        except ConnectionError:
            self.held.set()
        return response


def moved(to: str, status: int = 302) -> dict[str, Any]:
    return {"status": status, "headers": {"Location": to, "Set-Cookie": "crumb=1"}}


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncGenerator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        bound = web.TCPSite(runner, HERE, 0, ssl_context=tls)
        await bound.start()
        site.port = runner.addresses[0][1]
        yield site
    finally:
        site.held.set()
        await runner.cleanup()


@asynccontextmanager
async def fetching(
    *words: str, names: dict[str, list[list[str]]] | None = None, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[tuple[Fetcher, FakeNames]]:
    fake = FakeNames(names or {})
    fetcher = Fetcher.open(Guard(AllowList(words)), names=fake, tls=tls)
    try:
        yield fetcher, fake
    finally:
        await fetcher.close()
    assert fake.asked[-1] == "closed"


async def reason(fetcher: Fetcher, request: Request, bounds: Bounds | None = None) -> str:
    with pytest.raises((AddressNotAllowed, FetchFailed)) as caught:
        async with fetcher.ask(request, bounds) as answer:
            await answer.read()
    return caught.value.details["reason"]
