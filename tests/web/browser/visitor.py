"""What a person does on the page, in the words of the page."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

from tests.fakes.upstream import Upstream
from tests.live import EMAIL, PASSWORD

WAIT_MS = 15_000
SHOTS = Path("build/screenshots")
EXPECTED_COMPLAINTS = re.compile(r"Failed to load resource|ERR_|WebSocket connection to")
"""A browser logs every request that fails; tests that cut connections or send nonsense mean it."""


class Visitor:
    """A person and the tabs she has open; `page` is the first, `upstream` the model behind the server."""

    def __init__(self, upstream: Upstream, context: BrowserContext, page: Page) -> None:
        self.upstream, self.context, self.page = upstream, context, page
        self.complaints: list[str] = []

    @classmethod
    @asynccontextmanager
    async def arriving(cls, browser: Browser, url: str, upstream: Upstream, **options: Any) -> AsyncGenerator[Self]:
        """Open the page at `url`; `upstream` is what answers there, `options` are Playwright's for a context."""
        context = await browser.new_context(base_url=url, **options)
        context.set_default_timeout(WAIT_MS)
        made = cls(upstream, context, await context.new_page())
        context.on("console", made._hear)
        context.on("weberror", lambda error: made.complaints.append(str(error.error)))
        try:
            await made.page.goto("/")
            yield made
        finally:
            await context.close()

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not EXPECTED_COMPLAINTS.search(message.text):
            self.complaints.append(message.text)

    async def sign_in(self, email: str = EMAIL, password: str = PASSWORD) -> None:
        await self.page.get_by_label("E-mail address").fill(email)
        await self.page.get_by_label("Password", exact=True).fill(password)
        await self.page.get_by_role("button", name="Sign in").click()
        await expect(self.composer()).to_be_visible()

    async def shot(self, name: str, page: Page | None = None) -> None:
        """Keep a picture of what is to be seen, for people to look at."""
        await (page or self.page).screenshot(path=SHOTS / f"{name}.png", animations="disabled")

    def composer(self, page: Page | None = None) -> Locator:
        return (page or self.page).get_by_role("textbox", name=re.compile("Message to"))

    async def ask(self, question: str, page: Page | None = None) -> None:
        await self.composer(page).fill(question)
        await self.composer(page).press("Enter")

    def turn(self, at: int = -1, page: Page | None = None) -> Locator:
        turns = (page or self.page).locator("article.turn")
        return turns.last if at == -1 else turns.nth(at)

    def answer(self, at: int = -1, page: Page | None = None) -> Locator:
        return self.turn(at, page).locator(".prose")

    async def answered(self, text: str, at: int = -1, page: Page | None = None) -> None:
        """Wait until an answer is there, whole and ended."""
        await self.stands(text, "done", at, page)

    async def stands(self, text: str, status: str, at: int = -1, page: Page | None = None) -> None:
        """Wait until an answer has this text and this status."""
        await expect(self.turn(at, page)).to_have_attribute("data-status", status, timeout=WAIT_MS)
        await expect(self.answer(at, page)).to_contain_text(text, timeout=WAIT_MS)
