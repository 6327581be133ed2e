"""The one way a model is asked: a POST whose answer streams. Asking again is `routing`'s.

What a provider refuses with becomes `ProviderFailed`; its own words stay in the log, because they can hold a key's
last letters or somebody's prompt.
"""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import structlog

from twinspeak.domain.errors import ProviderFailed
from twinspeak.egress.client import TrustedClient
from twinspeak.providers.refusals import Refusal, failure_of, refusal_from

_ERROR_BYTES = 65_536
_ERROR_S = 5.0
_WORD = re.compile(r"[A-Za-z_]{1,50}(?:[.:\[\]][A-Za-z_]{0,50}){0,4}")

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Endpoint(msgspec.Struct, frozen=True):
    """Where a provider answers. `headers` hold the key: they must never be logged or shown."""

    provider: str
    url: str
    headers: dict[str, str]


@asynccontextmanager
async def ask(client: TrustedClient, endpoint: Endpoint, body: bytes) -> AsyncGenerator[aiohttp.ClientResponse]:
    """POST `body` and give the 200 response, to be read by the caller; the connection is closed however that ends.

    Closing is bound to the task that asked as well: when that task is cancelled outside of this block, the traceback
    keeps a suspended generator alive, and the provider would go on writing (and billing) to nobody.
    Raises ProviderFailed.
    """
    response = await _open(client, endpoint, body)

    def abandon(task: asyncio.Task[object]) -> None:
        if task.cancelled():
            response.close()

    task = asyncio.current_task()
    if task:
        task.add_done_callback(abandon)
    try:
        yield response
    finally:
        # A connection whose answer was read to its end went back to the pool by itself; this closes any other.
        response.close()
        if task:
            task.remove_done_callback(abandon)


async def _open(client: TrustedClient, endpoint: Endpoint, body: bytes) -> aiohttp.ClientResponse:
    try:
        response = await client.post(endpoint.url, body, endpoint.headers)
    except (aiohttp.ClientError, OSError) as error:
        _log.warning("provider_unreachable", provider=endpoint.provider, error=type(error).__name__)
        raise ProviderFailed(details={"provider": endpoint.provider}) from error
    if response.status == 200:
        return response
    refusal = await _refusal(response)
    _log.warning(
        "provider_refused",
        provider=endpoint.provider,
        status=refusal.status,
        code=_plain(refusal.code, endpoint),
        kind=_plain(refusal.kind, endpoint),
        param=_plain(refusal.param, endpoint),
    )
    raise failure_of(endpoint.provider, refusal)


def _plain(word: str, endpoint: Endpoint) -> str:
    """Return a word of the provider's vocabulary; nothing for what may be a key that it gives back."""
    if not _WORD.fullmatch(word) or any(word in value for value in endpoint.headers.values()):
        return ""
    return word


async def _refusal(response: aiohttp.ClientResponse) -> Refusal:
    """Read as much of an error's body as an error can need, and close the response."""
    body = b""
    try:
        async with asyncio.timeout(_ERROR_S):
            while len(body) < _ERROR_BYTES and (piece := await response.content.readany()):
                body += piece
    except (aiohttp.ClientError, OSError):
        pass
    finally:
        response.close()
    return refusal_from(response.status, dict(response.headers), body)
