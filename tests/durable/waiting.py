"""Waiting for what nobody announces."""

import asyncio
from collections.abc import Callable

LIMIT_S = 20


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds, for a bounded time."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 -- it looks into a server that has no event for it
            await asyncio.sleep(0.01)
