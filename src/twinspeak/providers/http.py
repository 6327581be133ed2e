"""The one way a model is asked: a POST whose answer streams, retried only while nothing of the answer has come.

What a provider refuses with becomes `ProviderFailed`; its own words stay in the log, because they can hold a key's
last letters or somebody's prompt.
"""

import asyncio
import math
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import structlog

from twinspeak.domain.errors import ProviderFailed
from twinspeak.egress.client import TrustedClient
from twinspeak.providers.wire.loose import mapping

_RETRIED = frozenset({408, 500, 502, 503, 504, 529})
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


class Refusal(msgspec.Struct, frozen=True):
    """An answer that is not a stream: what is known of it."""

    status: int
    code: str = ""
    kind: str = ""
    param: str = ""
    retry_after_s: float | None = None

    @property
    def transient(self) -> bool:
        """True when asking again may help; an empty account (429 `insufficient_quota`) does not fill by waiting."""
        return self.status in _RETRIED or (self.status == 429 and not self.out_of_quota)

    @property
    def out_of_quota(self) -> bool:
        """True when the operator's account with the provider is empty."""
        return "insufficient_quota" in (self.code, self.kind) or self.status == 402


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
                raise failure_of(endpoint.provider, refusal)
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


def refusal_from(status: int, headers: dict[str, str], body: bytes) -> Refusal:
    """Take an error response apart; any body will do. Shapes: `{"error": {…}}`, `{"error": "…"}`, `{"message": …}`."""
    try:
        payload: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        payload = {}
    outer = mapping(payload)
    error = mapping(outer.get("error", outer))
    lowered = {name.lower(): value for name, value in headers.items()}
    return Refusal(
        status=status,
        code=_word(error.get("code")),
        kind=_word(error.get("type")),
        param=_word(error.get("param")),
        retry_after_s=_retry_after(lowered),
    )


def _word(value: object) -> str:
    return str(value)[:80] if isinstance(value, str | int) else ""


def _retry_after(headers: dict[str, str]) -> float | None:
    """Read `retry-after-ms` or `Retry-After` in seconds; a date is taken as a long wait."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        if text := headers.get(name, "").strip():
            try:
                wait = float(text) / unit
            except ValueError:
                return 60.0
            return max(0.0, wait) if math.isfinite(wait) else 60.0
    return None


def failure_of(provider: str, refusal: Refusal) -> ProviderFailed:
    """Turn a refusal into the error that callers see: what to do, never the provider's own words."""
    wait = refusal.retry_after_s
    return ProviderFailed(
        _message(refusal),
        details={"provider": provider, "status": refusal.status},
        retry_after_s=int(wait + 0.999) if wait is not None and refusal.transient else None,
    )


def _message(refusal: Refusal) -> str | None:
    too_long = refusal.code == "context_length_exceeded" or refusal.status == 413
    cases = (
        (refusal.out_of_quota, "This server's account with the model provider is used up. Its operator must act."),
        (refusal.status in {401, 403}, "The model provider does not accept this server's key. Its operator must act."),
        (refusal.status == 404, "The model provider does not know this model. The server's operator must act."),
        (too_long, "The question and its conversation are too long for this model."),
        (refusal.status == 429, "The model provider is busy. Please try again in a moment."),
        (300 <= refusal.status < 500, "The model provider did not accept the request. The server's operator must act."),
    )
    return next((message for applies, message in cases if applies), None)
