"""Servers for the tests of a module, and the people on them."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.conformance.conftest import kept_open
from tests.fakes.upstream import MODEL
from tests.live import LiveServer, live_server
from tests.transports.socketio.clients import eventually, hub
from tests.world import World, world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[LiveServer]:
    """Sockets alone, with the settings that people get."""
    async with kept_open(live_server(tmp_path_factory.mktemp("server"))) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def quick(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[LiveServer]:
    """A heart that beats more often than once a second."""
    folder = tmp_path_factory.mktemp("quick")
    async with kept_open(live_server(folder, socket_ping_interval_s=0.3, socket_ping_timeout_s=0.4)) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[World]:
    """A scripted model behind the server, which soon knows who is not there."""
    async with kept_open(world(tmp_path_factory.mktemp("stage"), default_model=MODEL, socket_probe_s=0.3)) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def here(stage: World) -> AsyncGenerator[World]:
    """The stage with nobody on it and no turn that could be adopted."""
    yield stage
    known = hub(stage.server)
    await eventually(lambda: not known._sockets)
    assert known._by_user == {}
    for delivery in known._deliveries.values():
        known._take_away(delivery)
    known._deliveries.clear()
    known._owned.clear()
