"""The one way a model is asked: a POST whose answer streams, retried only while nothing of the answer has come.

What a provider refuses with becomes `ProviderFailed`; its own words stay in the log, because they can hold a key's
last letters or somebody's prompt.
"""

import asyncio
import secrets
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

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Endpoint(msgspec.Struct, frozen=True):
    """Where a provider answers. `headers` hold the key: they must never be logged or shown."""

    provider: str
    url: str
    headers: dict[str, str]


class Retry(msgspec.Struct, frozen=True):
    """How often to ask, how long to wait in between, and the longest `Retry-After` that is waited for (seconds)."""

    attempts: int = 3
    first_wait_s: float = 0.4
    longest_wait_s: float = 5.0

    def wait_s(self, attempt: int, asked: float | None) -> float:
        """Return the wait after failed attempt number `attempt` (from 1): what was asked, else doubling with jitter."""
        if asked is not None:
            return asked
        return self.first_wait_s * 2 ** (attempt - 1) * (0.75 + secrets.randbelow(500) / 1000)


class Refused(Exception):
    """Why a `ProviderFailed` was raised before the stream, for adapters that know what to do about it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal.status))
        self.refusal = refusal


@asynccontextmanager
async def ask(
    client: TrustedClient, endpoint: Endpoint, body: bytes, retry: Retry
) -> AsyncGenerator[aiohttp.ClientResponse]:
    """POST `body` and give the 200 response, to be read by the caller; the connection is closed however that ends.

    Closing is bound to the task that asked as well: when that task is cancelled outside of this block, the traceback
    keeps a suspended generator alive, and the provider would go on writing (and billing) to nobody.
    Raises ProviderFailed.
    """
    response = await _open(client, endpoint, body, retry)

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


async def _open(client: TrustedClient, endpoint: Endpoint, body: bytes, retry: Retry) -> aiohttp.ClientResponse:
    for attempt in range(1, retry.attempts + 1):
        last = attempt == retry.attempts
        asked: float | None = None
        try:
            response = await client.post(endpoint.url, body, endpoint.headers)
        except (aiohttp.ClientError, OSError) as error:
            _log.warning(
                "provider_unreachable", provider=endpoint.provider, attempt=attempt, error=type(error).__name__
            )
            if last:
                raise ProviderFailed(details={"provider": endpoint.provider}) from error
        else:
            if response.status == 200:
                return response
            refusal = await _refusal(response)
            _log_refusal(endpoint, refusal, attempt)
            asked = refusal.retry_after_s
            if last or not refusal.transient or (asked or 0) > retry.longest_wait_s:
                raise failure_of(endpoint.provider, refusal) from Refused(refusal)
        await asyncio.sleep(retry.wait_s(attempt, asked))
    raise ProviderFailed(details={"provider": endpoint.provider})


def _log_refusal(endpoint: Endpoint, refusal: Refusal, attempt: int) -> None:
    _log.warning(
        "provider_refused",
        provider=endpoint.provider,
        attempt=attempt,
        status=refusal.status,
        code=refusal.code,
        kind=refusal.kind,
        param=refusal.param,
    )


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
