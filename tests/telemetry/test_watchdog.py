"""The watch over the event loop, with a loop that really blocks."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from twinspeak.telemetry.watchdog import Lag, Watchdog

Records = list[MutableMapping[str, Any]]


@pytest.fixture
def told() -> Iterator[Records]:
    """Give the records that were logged, as structlog has them before rendering."""
    with structlog.testing.capture_logs() as records:
        yield records


@asynccontextmanager
async def running(watchdog: Watchdog) -> AsyncGenerator[Watchdog]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watchdog.run())
        await asyncio.sleep(0)
        yield watchdog
        task.cancel()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a thread changes it, and nothing tells the loop
            await asyncio.sleep(0.005)


def block_the_loop(seconds: float) -> None:
    time.sleep(seconds)


async def test_a_free_loop_is_not_stuck_and_its_lag_is_small(told: Records):
    async with running(Watchdog(beat_s=0.005, stuck_after_s=1)) as watchdog:
        await asyncio.sleep(0.1)
        lag = watchdog.lag()
        assert not watchdog.stuck
    assert 0 <= lag.p50_ms <= lag.p95_ms <= lag.p99_ms <= lag.max_ms
    assert lag.mean_ms <= lag.max_ms
    assert told == []


async def test_a_blocked_loop_is_reported_once_with_its_stack(told: Records):
    async with running(Watchdog(beat_s=0.01, stuck_after_s=0.1, recent_s=60)) as watchdog:
        await asyncio.sleep(0.02)
        block_the_loop(0.5)
        await until(lambda: len(told) >= 2)
        assert watchdog.stuck
        assert watchdog.lag().max_ms > 350
    stuck, again = told
    assert stuck["log_level"] == "error"
    assert "block_the_loop" in str(stuck["stack"])
    assert again["event"] == "event loop runs again"
    assert float(str(again["still_s"])) >= 0.4
    assert watchdog.episodes == 1


async def test_another_thread_sees_the_loop_stuck_while_it_is(told: Records):
    seen: list[bool] = []
    async with running(Watchdog(beat_s=0.01, stuck_after_s=0.1)) as watchdog:
        looker = threading.Timer(0.3, lambda: seen.append(watchdog.stuck))
        looker.start()
        block_the_loop(0.5)
        looker.join(5)
    assert seen == [True]


async def test_stuck_is_forgotten_after_a_while(told: Records):
    async with running(Watchdog(beat_s=0.01, stuck_after_s=0.1, recent_s=0.05)) as watchdog:
        await asyncio.sleep(0.02)
        block_the_loop(0.2)
        await until(lambda: not watchdog.stuck and watchdog.lag().max_ms > 100)


async def test_the_thread_ends_with_the_task():
    async with running(Watchdog(beat_s=0.01, stuck_after_s=0.1)):
        names = [thread.name for thread in threading.enumerate()]
        assert "twinspeak-watchdog" in names
    await until(lambda: all(thread.name != "twinspeak-watchdog" for thread in threading.enumerate()))


def test_before_it_runs_there_is_nothing_to_tell():
    watchdog = Watchdog()
    assert watchdog.lag() == Lag()
    assert not watchdog.stuck
