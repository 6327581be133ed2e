"""The product on SQLite alone: for tests of what no database has a say in, so that they run once.

pytestmark = pytest.mark.usefixtures("sqlite_file")

@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory) -> AsyncGenerator[World]:
    async with sqlite_world(tmp_path_factory.mktemp("tools")) as made:
        yield made
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests import databases
from tests.live import LiveServer, live_server
from tests.world import World, world


@asynccontextmanager
async def sqlite_world(folder: Path, **changes: Any) -> AsyncGenerator[World]:
    """As `tests.world.world`."""
    with databases.using(databases.SQLITE):
        databases.note(asked=True)
        async with world(folder, **changes) as made:
            yield made


@asynccontextmanager
async def sqlite_server(folder: Path, **changes: Any) -> AsyncGenerator[LiveServer]:
    """As `tests.live.live_server`."""
    with databases.using(databases.SQLITE):
        databases.note(asked=True)
        async with live_server(folder, **changes) as made:
            yield made
