"""The clients that ask models: one for addresses that the operator chose, one for those that a twin did.

Every other address that somebody names is `egress.fetch`'s.
"""

import io
import ssl
from collections.abc import Mapping
from typing import Self

import aiohttp
from yarl import URL

from twinspeak.egress.guard import Guard
from twinspeak.egress.pinned import Names, SystemNames, guarded_session

_LARGE = 1_000_000
"""Bytes beyond which aiohttp wants a body as a stream, so that copying it does not hold the event loop."""


class TrustedClient:
    """One connection pool. Follows no redirect, keeps no cookie, reads no proxy or netrc setting.

    There is no limit on connections (the engine limits turns) and none on the time of an answer: aiohttp's default of
    300 s kills long streams, and silence is the engine's to judge. Only connecting has a time limit.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    @classmethod
    def open(cls, *, connect_s: float = 10) -> Self:
        """Make a client; call it inside the event loop that will use it, and `close` it there."""
        return cls(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_s),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        )

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> aiohttp.ClientResponse:
        """Send `body` and return the response as soon as its headers are there; the caller must close it.

        `url` is sent as it is written, since some vendors have it signed. Raises aiohttp.ClientError or OSError.
        """
        data = body if len(body) < _LARGE else io.BytesIO(body)
        return await self._session.post(URL(url, encoded=True), data=data, headers=headers, allow_redirects=False)

    async def get(self, url: str, headers: dict[str, str]) -> aiohttp.ClientResponse:
        """Ask for `url`; as `post`."""
        return await self._session.get(url, headers=headers, allow_redirects=False)

    async def close(self) -> None:
        """Close the pool and every connection in it."""
        await self._session.close()


class GuardedClient(TrustedClient):
    """As `TrustedClient`, for addresses that a twin named: each is judged, and connected to as it was judged.

    Bodies stay packed as they come: nobody asks for that, and a few bytes of them can be very many.
    """

    def __init__(
        self, session: aiohttp.ClientSession, guard: Guard, names: Names, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(session)
        self._guard = guard
        self._names = names
        self._headers = dict(headers or {})

    @classmethod
    def guarded(
        cls, guard: Guard, *, names: Names | None = None, tls: ssl.SSLContext | None = None, connect_s: float = 10
    ) -> Self:
        """Make a client; call it inside the event loop that will use it, and `close` it there."""
        names = names or SystemNames()
        return cls(guarded_session(guard, names, connect_s=connect_s, limit=0, tls=tls, unpack=False), guard, names)

    def carrying(self, headers: Mapping[str, str]) -> "GuardedClient":
        """Return a client of the same connections that sends `headers` too, in place of any of the same name."""
        return GuardedClient(self._session, self._guard, self._names, headers)

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> aiohttp.ClientResponse:
        """As `TrustedClient.post`. Raises AddressNotAllowed."""
        return await super().post(str(self._guard.parse(url).url), body, self._with_own(headers))

    async def get(self, url: str, headers: dict[str, str]) -> aiohttp.ClientResponse:
        """As `TrustedClient.get`. Raises AddressNotAllowed."""
        return await super().get(str(self._guard.parse(url).url), self._with_own(headers))

    async def close(self) -> None:
        """Close the pool, every connection in it, and the names."""
        await super().close()
        await self._names.close()

    def _with_own(self, headers: dict[str, str]) -> dict[str, str]:
        if not self._headers:
            return headers
        replaced = {name.lower() for name in self._headers}
        return {name: value for name, value in headers.items() if name.lower() not in replaced} | self._headers
