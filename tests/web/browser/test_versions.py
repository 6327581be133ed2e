"""Versions of a question: edited or asked again, the old path stays, and can be shown and gone on with."""

import asyncio
import re

import pytest
from playwright.async_api import Locator, expect

from tests.fakes.upstream import text_reply
from tests.web.browser.test_chat import FIRST, WHOLE, halting
from tests.web.browser.test_everybody import faults, reach
from tests.web.browser.visitor import Visitor
from tests.world import World

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]


async def says(visitor: Visitor, question: str, answer: str) -> None:
    visitor.upstream.script(text_reply(answer))
    await visitor.ask(question)
    await visitor.answered(answer)


async def path(visitor: Visitor, *answers: str) -> None:
    """Wait until these answers are shown, and no others."""
    await expect(visitor.page.locator("article.turn .prose")).to_have_text([re.compile(answer) for answer in answers])


def versions(visitor: Visitor, at: int) -> Locator:
    return visitor.turn(at).get_by_role("group", name=re.compile("^Version"))


async def test_an_edited_question_keeps_the_old_path(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.sign_in()
    await says(visitor, "Tell me about apples.", "Apples are red.")
    await says(visitor, "And pears?", "Pears are green.")
    await says(visitor, "Which keep longer?", "Apples do.")
    await visitor.composer().fill("Half a thought")
    await visitor.turn(1).get_by_role("button", name="Edit and ask again").click()
    await expect(visitor.composer()).to_have_value("And pears?")
    await visitor.shot("editing")
    await page.get_by_role("button", name="Leave it as it is").click()
    await expect(visitor.composer()).to_have_value("Half a thought")
    await visitor.turn(1).get_by_role("button", name="Edit and ask again").click()

    # While it comes it stands in the old one's place, and the old one can be looked at.
    gate = asyncio.Event()
    visitor.upstream.script(halting(gate))
    await visitor.ask("And plums?")
    await visitor.stands(FIRST.strip(), "streaming", 1)
    await path(visitor, "Apples are red.", FIRST.strip())
    await versions(visitor, 1).get_by_role("button", name="Previous version").click()
    await path(visitor, "Apples are red.", "Pears are green.", "Apples do.")
    await versions(visitor, 1).get_by_role("button", name="Next version").click()
    gate.set()
    await visitor.answered(WHOLE)
    await path(visitor, "Apples are red.", WHOLE)
    await expect(versions(visitor, 1)).to_have_accessible_name("Version 2 of 2")

    # What is asked now goes on from what is shown, after a reload too.
    await says(visitor, "Which are blue?", "Plums are.")
    sent = visitor.upstream.exchanges[-1].body.decode()
    assert "And plums?" in sent
    assert "And pears?" not in sent
    await page.reload()
    await path(visitor, "Apples are red.", WHOLE, "Plums are.")
    await versions(visitor, 1).get_by_role("button", name="Previous version").click()
    await path(visitor, "Apples are red.", "Pears are green.", "Apples do.")
    await says(visitor, "Why?", "Their skin is thick.")
    sent = visitor.upstream.exchanges[-1].body.decode()
    assert "Which keep longer?" in sent
    assert "And plums?" not in sent
    await path(visitor, "Apples are red.", "Pears are green.", "Apples do.", "Their skin is thick.")
    assert await faults(page) == []


async def test_versions_go_by_keyboard_and_are_told(visitor: Visitor) -> None:
    page, keys = visitor.page, visitor.page.keyboard
    await visitor.sign_in()
    await says(visitor, "Name a number.", "One.")
    for answer in ("Two.", "Three."):
        visitor.upstream.script(text_reply(answer))
        await visitor.turn().get_by_role("button", name="Ask again", exact=True).click()
        await visitor.answered(answer)
    await path(visitor, "Three.")
    await page.get_by_role("region", name="Conversation").focus()
    await reach(page, re.compile("^Previous version$"))
    await keys.press("Enter")
    await path(visitor, "Two.")
    await expect(page.get_by_role("status").filter(has_text="Version 2 of 3")).to_have_count(1)
    await expect(page.get_by_role("button", name="Previous version")).to_be_focused()
    await keys.press("Enter")
    await path(visitor, "One.")
    await expect(page.get_by_role("button", name="Previous version")).to_be_focused()
    await expect(page.get_by_role("button", name="Previous version")).to_have_attribute("aria-disabled", "true")
    await keys.press("Enter")
    await path(visitor, "One.")
    await visitor.shot("versions")
    assert await faults(page) == []
    await keys.press("Tab")
    await keys.press("Enter")
    await path(visitor, "Two.")
    await expect(page.get_by_role("button", name="Next version")).to_be_focused()


async def test_a_favourite_on_another_path_is_shown(visitor: Visitor, here: World) -> None:
    page = visitor.page
    await visitor.sign_in()
    await says(visitor, "Name a colour.", "Blue.")
    await says(visitor, "Another one.", "Green.")
    await visitor.turn(0).get_by_role("button", name="Edit and ask again").click()
    await says(visitor, "Name a metal.", "Iron.")
    await path(visitor, "Iron.")
    course = int(page.url.rsplit("/", 1)[1])
    _, found = await here.post("/api/user/histories", {"course_id": course})
    green = next(one["id"] for one in found["data"] if one["out"]["output"] == "Green.")
    await page.goto(f"/chat/{course}#turn-{green}")
    await path(visitor, "Blue.", "Green.")
