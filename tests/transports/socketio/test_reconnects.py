"""Connections cut at seeded random bytes, slow readers among them: nothing lost, nothing doubled (issue 3)."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from random import Random

import pytest

from tests.fakes.upstream import MODEL
from tests.transports.socketio.resuming import SseFollower, reply
from tests.transports.socketio.socket_followers import PollingFollower, SocketFollower
from tests.world import World, world

pytestmark = pytest.mark.usefixtures("database")

SEED = 20_261_121
AT_A_TIME = 12
FACES = ["sse", "delta", "websocket", "polling"]


@asynccontextmanager
async def stage(tmp_path: Path) -> AsyncGenerator[World]:
    # A polling session that is lost between two requests is known to be lost only when its heart has stopped.
    changes = {"default_model": MODEL, "trusted_proxies": ("127.0.0.1",), "sockets_per_user": 100_000}
    async with world(tmp_path, credits=10_000_000, stream_coalesce_ms=1, max_sockets=100_000, **changes) as here:
        here.upstream.default = reply(Random(SEED))  # noqa: S311 -- seeded, so that a failure comes again
        yield here


async def reconnect(here: World, face: str, times: int) -> int:
    """Follow turns on a face until connections were lost so many times; return how many turns that took."""
    lost = 0
    numbers = count()

    async def one_after_the_other() -> None:
        nonlocal lost
        while lost < times:
            rng = Random(SEED + next(numbers))  # noqa: S311 -- as above
            follower = follower_of(here, face, rng)
            await follower.follow()
            follower.check()
            lost += follower.connections - 1

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_A_TIME):
            group.create_task(one_after_the_other())
    return next(numbers)


def follower_of(here: World, face: str, rng: Random) -> SseFollower | SocketFollower:
    if face == "websocket":
        return SocketFollower(here, rng)
    if face == "polling":
        return PollingFollower(here, rng)
    return SseFollower(here, rng, mode="delta" if face == "delta" else "")


@pytest.mark.parametrize("face", FACES)
async def test_a_hundred_reconnects(tmp_path: Path, face: str):
    async with stage(tmp_path) as here:
        assert await reconnect(here, face, 100) > 5


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("face", FACES)
async def test_ten_thousand_reconnects(tmp_path: Path, face: str):
    async with stage(tmp_path) as here:
        turns = await reconnect(here, face, 10_000)
        assert turns < 10_000  # several connections a turn
