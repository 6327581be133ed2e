"""The server dies in mid-answer and comes back: what was saved is there, and leads on."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests import databases
from tests.durable.server_process import ServerProcess
from tests.durable.waiting import until
from tests.fakes.upstream import Upstream, text_reply
from tests.web.browser.test_chat import FIRST, halting
from tests.web.browser.visitor import Visitor
from tests.world import all_turns

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]


@pytest_asyncio.fixture(loop_scope="module")
async def upstream() -> AsyncGenerator[Upstream]:
    async with Upstream() as made:
        yield made


@pytest.mark.timeout(180)
async def test_a_killed_server_keeps_what_it_had_saved(browser: Browser, upstream: Upstream, tmp_path: Path):
    server = ServerProcess.on(tmp_path, upstream.base_url)
    await server.start()
    try:
        async with Visitor.arriving(browser, server.url, upstream) as visitor:
            upstream.script(halting(asyncio.Event()))
            await visitor.sign_in()
            await visitor.ask("Begin, and be killed.")
            await visitor.stands(FIRST.strip(), "streaming")
            await until(lambda: FIRST.strip() in all_turns(tmp_path / databases.FILE)[-1]["output"])
            await server.kill()
            await expect(visitor.turn()).to_have_attribute("data-status", "reconnecting")
            await server.start(port=urlsplit(server.url).port or 0)
            await visitor.stands(FIRST.strip(), "interrupted")
            upstream.script(text_reply("and goes on to its end."))
            await visitor.page.get_by_role("button", name="Continue").click()
            await visitor.answered("and goes on to its end.")
    finally:
        await server.kill()
