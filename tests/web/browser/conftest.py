"""A real browser in front of a real server. One of each for the tests of a module; every test gets a fresh profile."""

import os
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests import databases
from tests.web.browser.visitor import Visitor
from tests.world import World, world
from twinspeak.web import bundle

PLACES = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""A browser that asks nobody on the network anything."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these apart from the tests that need nothing but Python."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


def _chromium() -> str:
    """Return the browser's program; fail with what to do when there is none."""
    named = os.environ.get("CHROMIUM")
    found = named or next((place for place in PLACES if Path(place).exists()), None)
    assert found, "these tests drive Chromium: install it (on Debian: apt install chromium), or name it in CHROMIUM"
    return found


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """One kind of database: what a browser sees is made above the line where they differ."""
    with databases.using(databases.SQLITE) as kind:
        yield kind


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncGenerator[Browser]:
    async with async_playwright() as playwright:
        found = await playwright.chromium.launch(executable_path=_chromium(), args=FLAGS)
        yield found
        await found.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[World]:
    assert bundle.load(), "the chat page has not been built: run `make test-page`"
    async with world(tmp_path_factory.mktemp("browser"), stream_coalesce_ms=20) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def visitor(browser: Browser, here: World) -> AsyncGenerator[Visitor]:
    """Somebody with a fresh browser, at the sign-in page; what the browser complained of fails the test."""
    async with Visitor.arriving(browser, here.server.url, here.upstream) as made:
        yield made
    assert made.complaints == []
