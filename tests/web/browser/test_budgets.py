"""What the page weighs, and what it does with much text."""

import gzip
from pathlib import Path

import pytest
from playwright.async_api import Response, expect

from tests.fakes.upstream import Reply, chunk, ending, text_reply
from tests.web.browser.visitor import Visitor
from tests.world import World

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

TO_COMPOSER_KB = 150
TO_ANSWER_KB = 260
LOADER_KB = 4
WORDS = 20_000
LONGEST_TASK_MS = 200
"""An aim: machines differ, so it is reported and not judged."""
RATE = 100
REPORT = Path("build/page-report.txt")


def tell(line: str) -> None:
    """Keep a figure where `make test-page` shows it."""
    REPORT.parent.mkdir(exist_ok=True)
    with REPORT.open("a", encoding="utf-8") as report:
        report.write(line + "\n")


async def test_at_most_so_much_script_is_loaded(visitor: Visitor):
    loaded: list[Response] = []

    def note(response: Response) -> None:
        loaded.append(response)

    visitor.page.on("response", note)

    async def weight() -> float:
        scripts = [each for each in loaded if each.url.split("?")[0].endswith(".js")]
        return sum([len(gzip.compress(await each.body(), 9)) for each in scripts]) / 1000

    await visitor.sign_in()
    await visitor.page.reload(wait_until="networkidle")
    loaded.clear()
    await visitor.page.reload(wait_until="networkidle")
    await expect(visitor.composer()).to_be_editable()
    composer = await weight()
    visitor.upstream.script(text_reply("**Bold** and `code` [1]."))
    await visitor.ask("Weigh it.")
    await visitor.answered("Bold and code")
    answer = await weight()
    tell(f"JavaScript, gzip: {composer:.1f} kB to a usable composer, {answer:.1f} kB through the first answer")
    assert composer <= TO_COMPOSER_KB
    assert answer <= TO_ANSWER_KB


async def test_what_other_sites_load_is_small(here: World):
    async with here.server.http.get("/twinspeak.js") as response:
        assert response.status == 200
        weight = len(gzip.compress(await response.read(), 9)) / 1000
    tell(f"The script that other sites load, gzip: {weight:.1f} kB")
    assert weight <= LOADER_KB


async def test_a_long_conversation_is_measured(visitor: Visitor, here: World):
    turns, course = 25, 1_790_000_000_000
    each = "word " * (WORDS // turns) + "\n\n- one\n- two\n\n`code`\n"
    for number in range(turns):
        visitor.upstream.script(text_reply(each, size=2_000))
        body = {"inputs": [f"Question {number}"], "requestArgs": {"selectedCourse": {"course_id": course}}}
        assert (await here.post("/api/ai/personal/qanda", body))[0] == 200
    await visitor.sign_in()
    page = visitor.page
    await page.goto(f"/chat/{course}")
    await expect(page.locator("article.turn")).to_have_count(turns)
    await page.evaluate(
        "() => { window.tasks = []; new PerformanceObserver(list => list.getEntries().forEach("
        "e => window.tasks.push(Math.round(e.duration)))).observe({entryTypes: ['longtask']}) }"
    )
    box = page.get_by_role("region", name="Conversation")
    for at in (0, 0.25, 0.5, 0.75, 1):
        await box.evaluate(f"box => {{ box.scrollTop = box.scrollHeight * {at} }}")
        await page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    scrolled: list[int] = await page.evaluate("window.tasks.splice(0)")
    steps = [chunk({"role": "assistant", "content": ""})]
    for number in range(5 * RATE):
        steps += [chunk({"content": f"piece {number} " + ("\n\n" if number % 50 == 49 else "")}), 1 / RATE]
    visitor.upstream.script(Reply([*steps, *ending()]))
    await visitor.ask("Stream.")
    await visitor.answered(f"piece {5 * RATE - 1}")
    streamed: list[int] = await page.evaluate("window.tasks.splice(0)")
    worst = {"scrolling": max(scrolled, default=0), "streaming": max(streamed, default=0)}
    tell(f"Longest task in ms with {WORDS} words (aim: {LONGEST_TASK_MS}): {worst}")
