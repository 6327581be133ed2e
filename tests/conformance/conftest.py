"""One server with a scripted model behind it and one Node process, shared by the tests of a module."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
import pytest_asyncio

from tests.conformance.node import INSTALL_S, Judge, open_judge, packages
from tests.conformance.stage import Stage, open_stage

T = TypeVar("T")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the test that happens to be first the time to install the npm packages."""
    for item in items:
        if isinstance(item, pytest.Function) and "npm_packages" in item.fixturenames:
            item.add_marker(pytest.mark.timeout(INSTALL_S + 60))


@pytest.fixture(scope="session")
def npm_packages() -> Path:
    return packages()


@asynccontextmanager
async def kept_open(entered: AbstractAsyncContextManager[T]) -> AsyncGenerator[T]:
    """Enter and leave in one task, which a fixture's set-up and tear-down are not."""
    ready: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def hold() -> None:
        async with entered as value:
            ready.set_result(value)
            await over.wait()

    holding = asyncio.create_task(hold())
    await asyncio.wait({holding, ready}, return_when=asyncio.FIRST_COMPLETED)
    if holding.done():
        holding.result()
    try:
        yield ready.result()
    finally:
        over.set()
        await holding


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def judge(npm_packages: Path) -> AsyncGenerator[Judge]:
    async with kept_open(open_judge()) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Stage]:
    async with kept_open(open_stage(tmp_path_factory.mktemp("stage"))) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def beating(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Stage]:
    """As `stage`, with a heartbeat every 20 ms."""
    async with kept_open(open_stage(tmp_path_factory.mktemp("beating"), stream_heartbeat_s=0.02)) as opened:
        yield opened
