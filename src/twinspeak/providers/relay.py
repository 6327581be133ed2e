"""One way from a response's bytes to events, whatever the wire: what a decoder is, and who drives it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Protocol

import aiohttp

from twinspeak.domain.errors import ProviderFailed
from twinspeak.domain.events import ModelEvent
from twinspeak.egress.client import TrustedClient
from twinspeak.providers.http import Endpoint, ask

_DRAIN_S = 0.05


class Decoder(Protocol):
    """Feed it the body of a 200 answer; it never raises there, so that nothing decoded before a failure is lost."""

    @property
    def finished(self) -> bool:
        """True when nothing that still comes counts: the answer is complete, or has failed."""
        ...

    @property
    def whole(self) -> bool:
        """True when the answer is complete, so that a connection that breaks now takes nothing with it."""
        ...

    def feed(self, data: bytes) -> list[ModelEvent]:
        """Return what `data` completes, in the stream's order."""
        ...

    def close(self) -> list[ModelEvent]:
        """Return the last events, the stop at the very end. Raises ProviderFailed."""
        ...


async def relay(
    client: TrustedClient, endpoint: Endpoint, body: bytes, decoder: Decoder
) -> AsyncGenerator[list[ModelEvent]]:
    """Ask, and yield the events of each network read as one batch. Raises ProviderFailed.

    The upstream connection is closed when this ends, is closed, or when the task that iterates it is cancelled.
    """
    async with ask(client, endpoint, body) as response:
        try:
            while not decoder.finished and (data := await response.content.readany()):
                if events := decoder.feed(data):
                    yield events
        except (aiohttp.ClientError, OSError) as error:
            if not decoder.whole:
                raise ProviderFailed(details={"provider": endpoint.provider}) from error
        yield decoder.close()
        await _drain(response.content)


async def _drain(content: aiohttp.StreamReader) -> None:
    """Give the end of the body, which follows its last event, a moment to come: only then is the connection kept."""
    with contextlib.suppress(aiohttp.ClientError, OSError):
        async with asyncio.timeout(_DRAIN_S):
            while await content.readany():
                pass
