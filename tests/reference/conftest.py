"""One server for all that holds the product against the reference field by field."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.organisation import Org, organisation
from tests.world import world


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def org(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Org]:
    async with world(tmp_path_factory.mktemp("reference")) as here:
        yield await organisation(here)


@pytest.fixture(autouse=True)
def unlimited(org: Org) -> None:
    org.unlimited()
