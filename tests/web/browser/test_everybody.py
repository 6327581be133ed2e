"""The page for everybody: by keyboard, with a screen reader, on a phone, in the dark, in another language."""

import asyncio
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.fakes.upstream import text_reply, tool_reply
from tests.web.browser.test_chat import FIRST, WHOLE, halting
from tests.web.browser.visitor import Visitor
from tests.world import World

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

AXE = Path("web/node_modules/axe-core/axe.min.js")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
EVERYTHING = (
    "## A heading\n\nAnswers are streamed over SSE [1], see `curl -N`.\n\n"
    "| face | frames |\n|---|---|\n| SSE | data |\n\n"
    "```python\nfor chunk in stream:\n    print(chunk)\n```\n\n"
    "$$\ne^{i\\pi} + 1 = 0\n$$\n\n> Quoted.\n\n1. One\n2. Two\n"
)


@cache
def axe() -> str:
    return AXE.read_text(encoding="utf-8")


async def faults(page: Page) -> list[str]:
    """Return what axe finds serious."""
    await page.evaluate(axe())
    options = json.dumps({"runOnly": RULES})
    found: dict[str, Any] = await page.evaluate(f"axe.run(document, {options})")
    return [
        f"{fault['id']}: {node['html'][:160]} {node['failureSummary']}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


async def test_axe_finds_nothing_serious_in_any_state(visitor: Visitor):
    page = visitor.page
    await expect(page.get_by_label("E-mail address")).to_be_visible()
    assert await faults(page) == []
    await visitor.shot("sign-in")
    await visitor.sign_in()
    assert await faults(page) == []
    await visitor.shot("welcome")

    gate = asyncio.Event()
    visitor.upstream.script(halting(gate))
    await visitor.ask("Begin.")
    await visitor.stands(FIRST.strip(), "streaming")
    assert await faults(page) == []
    await visitor.shot("streaming")
    gate.set()
    await visitor.answered(WHOLE)

    calls = tool_reply(("search_uploads", {"query": "streaming"}))
    visitor.upstream.script(calls, text_reply(EVERYTHING, thinking="First I look at what the vault holds."))
    await visitor.ask("How are answers streamed to a client?")
    await visitor.answered("Answers are streamed")
    await expect(visitor.answer().locator(".katex")).to_have_count(1)
    assert await faults(page) == []
    await visitor.shot("answer")
    await visitor.answer().get_by_role("button", name=re.compile("^Source 1:")).click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await faults(page) == []
    await visitor.shot("passage")
    await page.keyboard.press("Escape")
    for step in await visitor.turn().locator(".step summary").all():
        await step.click()
    assert await faults(page) == []
    await visitor.shot("steps")
    await page.get_by_role("button", name="Account and settings").click()
    await page.get_by_role("radio", name="Dark").check()
    assert await faults(page) == []
    await visitor.shot("settings-dark")
    await page.keyboard.press("Escape")
    assert await faults(page) == []
    await visitor.shot("answer-dark")


async def test_everything_goes_by_keyboard(visitor: Visitor):
    page, keys = visitor.page, visitor.page.keyboard
    await page.get_by_label("E-mail address").focus()
    await keys.type("admin@example.org")
    await keys.press("Tab")
    await keys.type("correct horse battery")
    await keys.press("Enter")
    await expect(visitor.composer()).to_be_focused()
    visitor.upstream.script(text_reply("Cited [1]."))
    await keys.type("How are answers streamed?")
    await keys.press("Shift+Enter")
    await keys.type("In two lines.")
    await keys.press("Enter")
    await visitor.answered("Cited")
    await expect(visitor.composer()).to_be_focused()
    await reach(page, re.compile("^Source 1:"))
    await keys.press("Enter")
    await expect(page.get_by_role("dialog", name=re.compile("^Source 1:"))).to_be_visible()
    await keys.press("Escape")
    await expect(page.get_by_role("button", name=re.compile("^Source 1:")).first).to_be_focused()
    await reach(page, re.compile("^Copy$"))
    await reach(page, re.compile("^More about “How are"))
    await keys.press("Enter")
    await expect(page.get_by_role("menuitem").first).to_be_focused()
    await keys.press("Escape")
    await reach(page, re.compile("Account and settings$"))
    await keys.press("Enter")
    await reach(page, re.compile("^Sign out$"))
    await keys.press("Enter")
    await expect(page).to_have_url(re.compile("/signin"))


async def reach(page: Page, name: re.Pattern[str]) -> None:
    """Press Tab until what has this name has the focus."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        named = "a => a.getAttribute('aria-label') || a.textContent.trim()"
        if name.search(await page.evaluate(f"({named})(document.activeElement)")):
            return
    pytest.fail(f"nothing named {name.pattern} is reached by Tab")


async def test_a_screen_reader_hears_of_the_end_and_not_of_every_word(visitor: Visitor):
    await visitor.sign_in()
    heard = await visitor.page.evaluate_handle(
        """() => {
            const said = [];
            new MutationObserver((changes) => {
                for (const change of changes) {
                    const at = change.target.closest ? change.target : change.target.parentElement;
                    const live = at?.closest('[aria-live], [role=status], [role=alert]');
                    if (live) said.push(live.textContent);
                }
            }).observe(document.body, {subtree: true, childList: true, characterData: true});
            return said;
        }"""
    )
    visitor.upstream.script(text_reply("Many words that come one by one, and none of them is told. " * 5))
    await visitor.ask("Say a lot.")
    await visitor.answered("Many words")
    said = set(await heard.json_value())
    assert said == {"Sage has answered."}


async def test_a_phone_has_room_for_all_of_it(browser: Browser, here: World):
    phone = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
    async with Visitor.arriving(browser, here.server.url, here.upstream, **phone) as visitor:
        page = visitor.page
        await visitor.shot("phone-sign-in")
        await visitor.sign_in()
        visitor.upstream.script(text_reply(EVERYTHING + "\n\n" + "A_word_without_end_" * 30))
        await visitor.composer().fill("How are answers streamed to a client?")
        await page.get_by_role("button", name="Send").click()
        await visitor.answered("Answers are streamed")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await expect(page.get_by_role("button", name="Go to the latest message")).to_have_count(0)
        await visitor.shot("phone-answer")
        await page.get_by_role("button", name="Open menu").click()
        await expect(page.get_by_role("navigation")).to_be_visible()
        assert await faults(page) == []
        await visitor.shot("phone-menu")
        await page.get_by_role("link", name="New conversation").click()
        await expect(page.get_by_role("navigation")).to_have_count(0)
        assert visitor.complaints == []


async def test_another_language_from_the_browser_and_by_choice(browser: Browser, here: World):
    async with Visitor.arriving(browser, here.server.url, here.upstream, locale="de-AT") as visitor:
        page = visitor.page
        await expect(page.get_by_role("button", name="Anmelden")).to_be_visible()
        assert await page.evaluate("document.documentElement.lang") == "de"
        await page.get_by_label("E-Mail").fill("admin@example.org")
        await page.get_by_label("Passwort", exact=True).fill("correct horse battery")
        await page.get_by_role("button", name="Anmelden").click()
        await page.get_by_role("button", name="Konto und Einstellungen").click()
        await expect(page.get_by_label("Sprache")).to_be_visible()
        await visitor.shot("settings-german")
        await page.get_by_label("Sprache").select_option("en")
        await expect(page.get_by_role("heading", name="New conversation")).to_be_visible()
        assert visitor.complaints == []


async def test_right_to_left_text_is_written_from_the_right(visitor: Visitor):
    visitor.upstream.script(text_reply("שלום עולם, זו תשובה.\n\n- אחת\n- שתיים\n"))
    await visitor.sign_in()
    await visitor.ask("ספר לי משהו")
    await visitor.answered("שלום")
    for place in (visitor.turn().locator(".bubble"), visitor.answer()):
        assert await place.evaluate("element => getComputedStyle(element).direction") == "rtl"
    await visitor.shot("right-to-left")


async def test_those_who_want_no_motion_get_none(browser: Browser, here: World):
    async with Visitor.arriving(browser, here.server.url, here.upstream, reduced_motion="reduce") as visitor:
        gate = asyncio.Event()
        visitor.upstream.script(halting(gate))
        await visitor.sign_in()
        await visitor.ask("Begin.")
        await visitor.stands(FIRST.strip(), "streaming")
        moving = await visitor.page.evaluate("document.getAnimations().filter(a => a.playState === 'running').length")
        assert moving == 0
        gate.set()
        await visitor.answered(WHOLE)
