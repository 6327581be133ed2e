"""The benchmark's own processes, started once for its tests."""

from collections.abc import Iterator

import pytest

from bench.stage import Stage


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(pin=False) as running:
        yield running
