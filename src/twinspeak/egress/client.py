"""The client for addresses that the operator chose: model providers. What users name goes through a guard instead."""

import io
from typing import Self

import aiohttp
from yarl import URL

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
