"""The page as people use it: asking, reading, stopping, coming back."""

import asyncio
import re

import pytest
from playwright.async_api import expect

from tests.fakes.upstream import Reply, chunk, ending, text_reply, text_steps, tool_reply
from tests.web.browser.visitor import Visitor

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

FIRST, REST = "The answer begins here ", "and ends there, **whole**."
WHOLE = "The answer begins here and ends there, whole."


def halting(gate: asyncio.Event) -> Reply:
    """An answer that stops in the middle until the gate is opened."""
    return Reply([*text_steps(FIRST), gate, *text_steps(REST), *ending()])


async def test_from_the_first_page_to_a_cited_answer(visitor: Visitor):
    page = visitor.page
    await expect(page).to_have_url(re.compile("/signin$"))
    await visitor.sign_in()
    await expect(page.get_by_role("heading", name="Sage")).to_be_visible()
    visitor.upstream.script(text_reply("Answers are streamed over SSE [1]. No such source [77]."))
    await visitor.ask("How are answers streamed to a client?")
    await visitor.answered("Answers are streamed over SSE")
    await expect(page).to_have_url(re.compile(r"/chat/\d+$"))
    await expect(visitor.turn().locator(".step summary")).to_contain_text("Searching documents")
    await expect(visitor.answer()).to_contain_text("[77]")
    await visitor.answer().get_by_role("button", name=re.compile("^Source 1:")).click()
    passage = page.get_by_role("dialog", name=re.compile("^Source 1:"))
    await expect(passage.locator("blockquote")).not_to_be_empty()
    await page.keyboard.press("Escape")
    await expect(passage).to_have_count(0)
    await expect(visitor.turn().locator(".facts")).to_contain_text("credit")
    await expect(page.get_by_role("navigation").get_by_text("How are answers streamed")).to_be_visible()


async def test_a_wrong_password_is_told_and_can_be_mended(visitor: Visitor):
    await visitor.page.get_by_label("E-mail address").fill("admin@example.org")
    await visitor.page.get_by_label("Password", exact=True).fill("wrong horse battery")
    await visitor.page.get_by_role("button", name="Sign in").click()
    await expect(visitor.page.get_by_role("alert")).to_contain_text("wrong")
    await visitor.sign_in()


async def test_what_is_streamed_is_seen_while_it_comes(visitor: Visitor):
    gate, asked = asyncio.Event(), list[str]()
    visitor.page.on("request", lambda request: asked.append(request.url))
    visitor.upstream.script(halting(gate))
    await visitor.sign_in()
    await visitor.ask("Begin.")
    await visitor.stands(FIRST.strip(), "streaming")
    # Over the socket: the stream is for those who have none, and they wait for it.
    assert any(url.endswith("/api/ai/personal/qanda") for url in asked)
    assert not any("-stream" in url for url in asked)
    gate.set()
    await visitor.answered(WHOLE)
    await expect(visitor.answer().locator("strong")).to_have_text("whole")


async def test_stopping_keeps_what_there_is(visitor: Visitor):
    gate = asyncio.Event()
    visitor.upstream.script(halting(gate))
    await visitor.sign_in()
    await visitor.ask("Begin, and be stopped.")
    await visitor.stands(FIRST.strip(), "streaming")
    await visitor.page.get_by_role("button", name="Stop answering").click()
    await visitor.stands(FIRST.strip(), "cancelled")
    await expect(visitor.turn()).to_contain_text("You stopped this answer.")
    await visitor.page.reload()
    await visitor.stands(FIRST.strip(), "cancelled")
    gate.set()


async def test_reasoning_is_folded_and_tools_are_told(visitor: Visitor):
    visitor.upstream.script(
        tool_reply(("search_uploads", {"query": "refund rules"})), text_reply("Found it.", thinking="First I look.")
    )
    await visitor.sign_in()
    await visitor.ask("What are the rules?")
    await visitor.answered("Found it.")
    steps = visitor.turn().locator(".step")
    await expect(steps.filter(has_text="refund rules")).to_have_count(1)
    thought = steps.filter(has_text="Thought for")
    await expect(thought.locator(".thought")).to_be_hidden()
    await thought.locator("summary").click()
    await expect(thought.locator(".thought")).to_have_text("First I look.")
    await visitor.page.reload()
    kept = visitor.turn().locator(".step").filter(has_text="Reasoning")
    await kept.locator("summary").click()
    await expect(kept.locator(".thought")).to_have_text("First I look.")


async def test_markdown_tables_code_and_mathematics(visitor: Visitor):
    text = (
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nprint('hi')\n```\n\n"
        "It costs $5 or $6.\n\n$$\nx^2 + y^2\n$$\n\nSo \\(a_1\\) holds.\n"
    )
    visitor.upstream.script(text_reply(text))
    await visitor.sign_in()
    await visitor.ask("Show all of it.")
    await visitor.answered("It costs $5 or $6.")
    await expect(visitor.answer().locator("td")).to_have_text(["1", "2"])
    await expect(visitor.answer().locator("figure.code")).to_contain_text("python")
    await expect(visitor.answer().locator(".katex")).to_have_count(2)
    await visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await visitor.page.get_by_role("button", name="Copy code").click()
    await expect(visitor.page.get_by_role("button", name="Copied")).to_be_visible()
    assert await visitor.page.evaluate("navigator.clipboard.readText()") == "print('hi')\n"


async def test_a_failed_answer_says_what_to_do_and_can_be_asked_again(visitor: Visitor):
    broken = Reply([chunk({"role": "assistant", "content": "Some"}), b'data: {"error": {"message": "boom"}}\n\n'])
    visitor.upstream.script(broken)
    await visitor.sign_in()
    await visitor.ask("Fail, please.")
    await expect(visitor.turn()).to_have_attribute("data-status", "failed")
    await expect(visitor.turn().get_by_role("alert")).to_contain_text("You were not charged.")
    visitor.upstream.script(text_reply("Now it works."))
    await visitor.turn().get_by_role("alert").get_by_role("button", name="Ask again").click()
    await visitor.answered("Now it works.")


async def test_a_draft_survives_a_reload(visitor: Visitor):
    await visitor.sign_in()
    await visitor.composer().fill("Half a thought")
    await visitor.page.reload()
    await expect(visitor.composer()).to_have_value("Half a thought")


async def test_conversations_are_renamed_searched_and_deleted(visitor: Visitor):
    page, side = visitor.page, visitor.page.get_by_role("navigation")
    visitor.upstream.script(text_reply("One."), text_reply("Two."))
    await visitor.sign_in()
    await visitor.ask("Apples and pears")
    await visitor.answered("One.")
    await page.get_by_role("link", name="New conversation").click()
    await visitor.ask("Cherries")
    await visitor.answered("Two.")
    await side.get_by_role("button", name="More about “Apples and pears”").click()
    await page.get_by_role("menuitem", name="Rename").click()
    await page.get_by_label("Name of the conversation").fill("Orchard")
    await page.keyboard.press("Enter")
    await expect(side.get_by_role("link", name="Orchard")).to_be_visible()
    await page.get_by_role("searchbox").fill("orch")
    await expect(side.get_by_role("link", name="Cherries")).to_have_count(0)
    await page.get_by_role("searchbox").fill("")
    await side.get_by_role("button", name="More about “Orchard”").click()
    await page.get_by_role("menuitem", name="Delete").click()
    await expect(side.get_by_role("link", name="Orchard")).to_have_count(0)
    await page.get_by_role("button", name="Undo").click()
    await expect(side.get_by_role("link", name="Orchard")).to_be_visible()
    await side.get_by_role("button", name="More about “Orchard”").click()
    await page.get_by_role("menuitem", name="Delete").click()
    await page.reload()
    await expect(side.get_by_role("link", name="Cherries")).to_be_visible()
    await expect(side.get_by_role("link", name="Orchard")).to_have_count(0)


async def test_signing_out_leaves_nothing(visitor: Visitor):
    page = visitor.page
    await visitor.sign_in()
    await visitor.composer().fill("My secret thought")
    await page.get_by_role("button", name="Account and settings").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page).to_have_url(re.compile("/signin"))
    assert await page.evaluate("Object.keys(localStorage).filter(name => name.includes('draft'))") == []
    assert await visitor.context.cookies() == []
    await page.go_back()
    await expect(page.get_by_label("E-mail address")).to_be_visible()


async def test_no_token_is_anywhere_a_script_can_read(visitor: Visitor):
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    visitor.upstream.script(text_reply("Here."))
    await visitor.sign_in()
    await visitor.ask("Where is it?")
    await visitor.answered("Here.")

    values: list[str] = [cookie.get("value", "") for cookie in await visitor.context.cookies()]
    token = next(value for value in values if len(value) > 100)
    stored = await visitor.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert token[:20] not in stored
    assert [url for url in asked if token[:20] in url] == []
