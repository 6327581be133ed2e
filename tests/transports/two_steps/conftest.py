"""A server and somebody who signs in with a second step."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.newcomers import Somebody, somebody
from tests.organisation import Org, organisation
from tests.world import world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def org(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Org]:
    async with world(tmp_path_factory.mktemp("two-steps"), trusted_proxies=("127.0.0.1",)) as here:
        yield await organisation(here)


@pytest.fixture(autouse=True)
def unlimited(org: Org) -> None:
    org.unlimited()


@pytest_asyncio.fixture(loop_scope="module")
async def ada(org: Org) -> AsyncGenerator[Somebody]:
    async with somebody(org) as made:
        yield made
