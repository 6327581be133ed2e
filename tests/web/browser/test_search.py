"""Finding again what was said: words of questions and answers, over all of one's conversations."""

import json
import re

import pytest
from playwright.async_api import Browser, Route, expect

from tests.fakes.upstream import text_reply
from tests.web.browser.test_everybody import faults
from tests.web.browser.visitor import Visitor
from tests.world import World

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

FIRST = 1_790_000_000_000
HITS = 22


async def said(here: World, course: int, question: str, answer: str) -> None:
    here.upstream.script(text_reply(answer, size=1_000))
    body = {"inputs": [question], "requestArgs": {"selectedCourse": {"course_id": course}, "ragIgnore": True}}
    status, reply = await here.post("/api/ai/personal/qanda", body)
    assert status == 200, reply


async def test_words_are_found_in_messages_and_lead_there(visitor: Visitor, here: World) -> None:
    page, side = visitor.page, visitor.page.get_by_role("navigation")
    await visitor.sign_in()
    await side.get_by_label("Search conversations").fill("quince")
    await expect(side.get_by_text("No conversations yet.")).to_be_visible()
    await said(here, FIRST, "What fruit?", f"{'Long ago. ' * 40}A **quince** is one. <img src=x onerror=alert(1)>")
    for number in range(40):
        await said(here, FIRST, f"Filler {number}", "Nothing. " * 20)
    for number in range(HITS):
        await said(here, FIRST + 1, f"Pear {number}", "Pears are green.")
    await page.reload()
    found = side.get_by_role("region", name="In messages")
    await side.get_by_label("Search conversations").fill("quinc")
    await expect(side.get_by_text("No conversation matches “quinc”.")).to_be_visible()
    await expect(found.get_by_role("link")).to_have_count(1)
    await expect(found.locator("mark")).to_have_text("quinc")
    await expect(found.get_by_role("link")).to_contain_text("A quince is one.")
    await expect(found.get_by_role("status")).to_have_text("1 found")
    assert await faults(page) == []
    await visitor.shot("search")
    await found.get_by_role("link").click()
    # The turn is 41 turns up, further than is read at once.
    there = page.locator("article.turn").filter(has_text="A quince is one.")
    await expect(there).to_be_in_viewport()
    await expect(page).to_have_url(re.compile(rf"/chat/{FIRST}#turn-[0-9a-f]{{24}}$"))

    await side.get_by_label("Search conversations").fill("pears")
    await expect(found.get_by_role("link")).to_have_count(20)
    await found.get_by_role("button", name="Show more").click()
    await expect(found.get_by_role("link")).to_have_count(HITS)
    await side.get_by_label("Search conversations").fill("nobody said this")
    await expect(found.get_by_text("No message says “nobody said this”.")).to_be_visible()
    await visitor.shot("search-nothing")


async def test_a_search_that_fails_says_so_and_can_be_tried_again(visitor: Visitor, here: World) -> None:
    page, side = visitor.page, visitor.page.get_by_role("navigation")
    await said(here, FIRST + 2, "Medlars?", "Medlars are brown.")

    async def broken(route: Route) -> None:
        if "medlars" in (route.request.post_data or ""):
            await route.fulfill(status=400, body=json.dumps({"error": {"code": "invalid", "message": "No."}}))
        else:
            await route.continue_()

    await visitor.sign_in()
    await page.route("**/api/user/histories", broken)
    await side.get_by_label("Search conversations").fill("medlars")
    found = side.get_by_role("region", name="In messages")
    await expect(found.get_by_role("alert")).to_contain_text("cannot be searched now")
    await visitor.shot("search-failed")
    await page.unroute("**/api/user/histories")
    await found.get_by_role("button", name="Try again").click()
    await expect(found.get_by_role("link")).to_contain_text("Medlars?")


async def test_searching_on_a_phone(browser: Browser, here: World) -> None:
    phone = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True, "color_scheme": "dark"}
    await said(here, FIRST + 3, "Rowan?", "Rowan_berries_without_end_" * 10 + " rowan")
    async with Visitor.arriving(browser, here.server.url, here.upstream, **phone) as visitor:
        page = visitor.page
        await visitor.sign_in()
        await page.get_by_role("button", name="Open menu").click()
        await page.get_by_label("Search conversations").fill("rowan")
        hit = page.get_by_role("region", name="In messages").get_by_role("link")
        await expect(hit).to_have_count(1)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert await faults(page) == []
        await visitor.shot("phone-search-dark")
        await hit.click()
        await expect(page.get_by_role("navigation")).to_have_count(0)
        await expect(page.locator("article.turn").filter(has_text="Rowan_berries")).to_be_in_viewport()
