from collections.abc import AsyncIterator

import pytest

from tests.egress.sites import Site, serving


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving() as made:
        yield made
