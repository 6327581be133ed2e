"""Connections that go to the very addresses that were judged: resolving, judging and connecting are one step.

aiohttp asks its connector's resolver whenever it opens a connection, and connects to what that returns: a name that
changes its mind between check and use changes nothing. TLS and the Host header keep the name.
"""

import asyncio
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from twinspeak.domain.errors import AddressNotAllowed
from twinspeak.egress.guard import Guard

_LOOKUPS = 8
_WAITING_LOOKUPS = 64
_LOOKUP_S = 5.0


class Names(Protocol):
    """Whoever turns names into addresses."""

    async def addresses(self, host: str) -> list[str]:
        """Return every address of `host` as text. Raises OSError."""
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


class SystemNames:
    """The system's resolver, on threads of its own: names that never resolve must not stop other work of the process.

    At most 64 names wait, each for at most 5 seconds.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="egress-names")
        self._waiting = 0

    async def addresses(self, host: str) -> list[str]:
        """Return every address of `host`. Raises OSError."""
        if self._waiting >= _WAITING_LOOKUPS:
            raise OSError("too many names are being looked up")
        loop = asyncio.get_running_loop()
        self._waiting += 1
        looking = loop.run_in_executor(self._threads, _look_up, host)
        looking.add_done_callback(self._done)
        async with asyncio.timeout(_LOOKUP_S):
            return await asyncio.shield(looking)

    async def close(self) -> None:
        """Stop taking names."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _done(self, looking: "asyncio.Future[list[str]]") -> None:
        self._waiting -= 1
        if not looking.cancelled():
            looking.exception()


def _look_up(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for _, _, _, _, address in found]


class GuardedResolver(AbstractResolver):
    """Gives aiohttp only addresses that the guard lets pass. Raises AddressNotAllowed from inside a request."""

    def __init__(self, guard: Guard, names: Names) -> None:
        self._guard = guard
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return where to connect, best first."""
        try:
            answer = await self._names.addresses(host)
        except (OSError, UnicodeError):
            raise AddressNotAllowed(details={"reason": "host"}) from None
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._guard.judge_answer(host, answer, port)
            if family in (socket.AF_UNSPEC, socket.AF_INET if address.version == 4 else socket.AF_INET6)
        ]

    async def close(self) -> None:
        """Leave the names to who made them: aiohttp closes no resolver that it was given."""


def guarded_session(
    guard: Guard,
    names: Names,
    *,
    connect_s: float,
    limit: int,
    tls: ssl.SSLContext | None = None,
    unpack: bool = True,
) -> aiohttp.ClientSession:
    """Return a session whose every connection is judged; what is asked of it must have passed `guard.parse` first.

    No cookies, no proxy or netrc of the environment. `limit` bounds connections, 0 for no bound; without `unpack` what
    comes compressed stays so.
    """
    connector = aiohttp.TCPConnector(
        resolver=GuardedResolver(guard, names),
        use_dns_cache=False,
        limit=limit,
        ssl=tls or True,
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_s, connect=None),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=unpack,
    )
