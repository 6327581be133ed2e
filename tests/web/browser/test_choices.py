"""What a person chooses: the twin, the assistant, favourites, thumbs."""

import re

import pytest
from playwright.async_api import expect

from tests.fakes.upstream import text_reply
from tests.live import EMAIL
from tests.web.browser.visitor import Visitor
from tests.world import World
from twinspeak.domain.ids import new_id, new_uuid
from twinspeak.domain.institution import Institution
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import institutions, users
from twinspeak.services.users import _join

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]


async def test_an_assistant_answers_in_a_new_conversation(visitor: Visitor):
    page = visitor.page
    await visitor.sign_in()
    tutor = page.get_by_role("region", name="Assistants").get_by_role("button", name=re.compile("^Tutor"))
    await tutor.click()
    await expect(tutor).to_have_attribute("aria-pressed", "true")
    await visitor.shot("assistants")
    visitor.upstream.script(text_reply("As your tutor."), text_reply("Still your tutor."))
    await page.get_by_role("textbox", name="Message to Tutor").fill("Teach me.")
    await page.keyboard.press("Enter")
    await visitor.answered("As your tutor.")
    await visitor.ask("Go on.")
    await visitor.answered("Still your tutor.")
    records = await page.evaluate(
        "fetch('/api/session').then(r => r.json()).then(s => fetch('/api/user/histories', {method: 'POST', "
        "headers: {'x-csrf-token': s.csrfToken, 'content-type': 'application/json'}, body: '{}'})).then(r => r.json())"
    )
    assert [record["assistant"]["name"] for record in records["data"][-2:]] == ["Tutor", "Tutor"]


async def test_a_favourite_is_found_again(visitor: Visitor):
    page, side = visitor.page, visitor.page.get_by_role("navigation")
    visitor.upstream.script(text_reply("Worth keeping."))
    await visitor.sign_in()
    await visitor.ask("Keep this one")
    await visitor.answered("Worth keeping.")
    star = visitor.turn().get_by_role("button", name="Favourite")
    await star.click()
    await expect(star).to_have_attribute("aria-pressed", "true")
    await page.get_by_role("link", name="New conversation").click()
    await side.get_by_role("radio", name="Favourites").check()
    await side.get_by_role("link", name="Keep this one").click()
    await visitor.answered("Worth keeping.")
    await visitor.shot("favourites")
    await star.click()
    await expect(side.get_by_role("link", name="Keep this one")).to_have_count(0)


async def test_a_thumb_down_asks_why(visitor: Visitor):
    visitor.upstream.script(text_reply("Meh."))
    await visitor.sign_in()
    await visitor.ask("Rate me")
    await visitor.answered("Meh.")
    await visitor.turn().get_by_role("button", name="Bad answer").click()
    await visitor.turn().get_by_label("What was wrong, or missing?").fill("Everything.")
    await visitor.turn().get_by_role("button", name="Send feedback").click()
    await expect(visitor.turn().get_by_text("Thank you.")).to_be_visible()
    await visitor.page.reload()
    bad = visitor.turn().get_by_role("button", name="Bad answer")
    await expect(bad).to_have_attribute("aria-pressed", "true")


async def test_changing_the_twin_changes_everything(visitor: Visitor, here: World):
    # The last test here: who joins a twin is there from then on.
    other = Institution(id=new_id(), public_id=new_uuid(), name="Evening school", ai_name="Owl")

    def make(tx: Tx) -> None:
        institutions.create(tx, other, account_id=institutions.ensure_account(tx, "Other"), credits=50)
        user = users.by_email(tx, EMAIL)
        assert user
        _join(tx, user.id, other.public_id, account_type="user")

    await here.server.ground.db.write(make)
    page, side = visitor.page, visitor.page.get_by_role("navigation")
    visitor.upstream.script(text_reply("By Owl."))
    await visitor.sign_in()
    await visitor.ask("Who are you?")
    await visitor.answered("By Owl.")
    for wanted, there in (("Sage", 0), ("Owl", 1)):
        await side.get_by_role("button", name="Change the twin").click()
        await expect(page.get_by_role("menuitemradio", name=wanted)).to_be_visible()
        await visitor.shot("twins")
        await page.get_by_role("menuitemradio", name=wanted).click()
        await expect(page.get_by_role("heading", name=wanted)).to_be_visible()
        await expect(side.get_by_role("link", name="Who are you?")).to_have_count(there)
        await page.reload()
        await expect(page.get_by_role("heading", name=wanted)).to_be_visible()
        await expect(side.get_by_role("link", name="Who are you?")).to_have_count(there)
