"""One server for a module's tests; each test brings documents of its own."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.vault.house import House, house


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[House]:
    async with house(tmp_path_factory.mktemp("vault")) as made:
        yield made


@pytest.fixture(autouse=True)
def unlimited(request: pytest.FixtureRequest) -> None:
    """Everybody in a test comes from one address, and asks often."""
    if "here" in request.fixturenames:
        request.getfixturevalue("here").org.unlimited()
