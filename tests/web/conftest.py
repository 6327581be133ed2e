"""One server for the tests of a module; each test brings its own browser, or plays one."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.world import World, world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[World]:
    async with world(tmp_path_factory.mktemp("web")) as made:
        yield made
