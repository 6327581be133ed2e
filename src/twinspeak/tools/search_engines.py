"""Who searches the web for us: SearXNG, Brave or Tavily, at the address and with the key that the operator set.

Sources: docs.searxng.org (search API, `format=json` must be switched on there), api-dashboard.search.brave.com (web
search), docs.tavily.com (search).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast
from urllib.parse import urlencode

import aiohttp
import msgspec

from twinspeak.domain.errors import ToolError
from twinspeak.egress.client import TrustedClient

ENGINES = {
    "searxng": "",
    "brave": "https://api.search.brave.com",
    "tavily": "https://api.tavily.com",
}
"""Each engine's own address; SearXNG has none."""
_MOST_BYTES = 2_000_000
_TIMEOUT_S = 15
_DOWN = "The web search does not answer now. Answer without it, or say that it could not be searched."
_TITLE, _SNIPPET, _ADDRESS = 300, 1_000, 2_000


class Hit(msgspec.Struct, frozen=True):
    """A page that was found."""

    title: str
    url: str
    text: str


class SearchEngine(msgspec.Struct, frozen=True):
    """An engine as the operator set it up. `url` is its base address, `key` what lets us in there."""

    name: str
    url: str
    client: TrustedClient
    key: str = ""

    async def search(self, query: str, limit: int) -> list[Hit]:
        """Return pages for a query, best first. Raises ToolError when the engine does not answer as it should."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                found = await _read(await self._ask(query, limit))
        except (aiohttp.ClientError, OSError, TimeoutError, msgspec.DecodeError) as error:
            raise ToolError(_DOWN) from error
        results = _dictionary(found.get("web")).get("results") if self.name == "brave" else found.get("results")
        text = "description" if self.name == "brave" else "content"
        rows = cast("list[Any]", results) if isinstance(results, list) else []
        hits = (_hit(_dictionary(row), text) for row in rows)
        return [hit for hit in hits if hit is not None][:limit]

    def _ask(self, query: str, limit: int) -> Awaitable[aiohttp.ClientResponse]:
        base, accept = self.url.rstrip("/"), {"Accept": "application/json"}
        if self.name == "searxng":
            asked = urlencode({"q": query, "format": "json"})
            key = {"Authorization": f"Bearer {self.key}"} if self.key else {}
            return self.client.get(f"{base}/search?{asked}", {**accept, **key})
        if self.name == "brave":
            asked = urlencode({"q": query[:400], "count": min(limit, 20)})
            return self.client.get(f"{base}/res/v1/web/search?{asked}", {**accept, "X-Subscription-Token": self.key})
        body = msgspec.json.encode({"query": query, "max_results": min(limit, 20)})
        headers = {**accept, "Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        return self.client.post(f"{base}/search", body, headers)


Search = Callable[[str, int], Awaitable[list[Hit]]]
"""`SearchEngine.search`."""


async def _read(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """Return the answer's object. Raises ToolError, also for more than 2 MB."""
    try:
        if response.status != 200:
            raise ToolError(_DOWN)
        read = bytearray()
        while piece := await response.content.readany():
            read += piece
            if len(read) > _MOST_BYTES:
                raise ToolError(_DOWN)
        return _dictionary(msgspec.json.decode(bytes(read)))
    finally:
        response.close()


def _hit(row: dict[str, Any], text: str) -> Hit | None:
    url = row.get("url")
    if not isinstance(url, str) or not url.lower().startswith(("http://", "https://")) or len(url) > _ADDRESS:
        return None
    return Hit(title=_line(row.get("title"), _TITLE), url=url.split()[0], text=_line(row.get(text), _SNIPPET))


def _line(value: object, most: int) -> str:
    return " ".join(value.split())[:most] if isinstance(value, str) else ""


def _dictionary(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
