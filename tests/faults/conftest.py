"""One server a module, with the module's `SETTINGS`; after every test nothing runs and the books are right."""

from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager

import pytest
import pytest_asyncio

from tests.fakes.upstream import text_reply
from tests.world import World, all_turns, balances, world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, database: str
) -> AsyncGenerator[World]:
    settings = getattr(request.module, "SETTINGS", {})
    async with world(tmp_path_factory.mktemp("faults"), **settings) as made:
        yield made


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def leaves_nothing_behind(request: pytest.FixtureRequest) -> AsyncGenerator[None]:
    """A fault of one test must be met within it: no turn left running, nothing held, no reply unasked for."""
    yield
    if "here" not in request.fixturenames:
        return
    here: World = request.getfixturevalue("here")
    await here.ended()
    assert len(here.server.live.turns) == 0
    left = len(here.upstream._scripts)
    here.upstream._scripts.clear()
    here.upstream.default = lambda _: text_reply("Hello from upstream.")
    here.upstream._arrivals = type(here.upstream._arrivals)()
    assert left == 0, "replies that nobody asked for"
    balances(here.database)


@contextmanager
def nothing_runs(here: World) -> Generator[None]:
    """Within the block no turn is begun, nothing is asked of a provider and nobody pays."""
    turns, asked, books = len(all_turns(here.database)), len(here.upstream.exchanges), balances(here.database)
    yield
    assert len(all_turns(here.database)) == turns
    assert len(here.upstream.exchanges) == asked
    assert balances(here.database) == books
