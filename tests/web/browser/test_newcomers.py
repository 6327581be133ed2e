"""Signing up, and a new password by a mailed code: the same for those who are known here and those who are not."""

import re
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.mailbox import code_in, mails, next_mail
from tests.web.browser.test_everybody import faults
from tests.web.browser.visitor import Visitor
from tests.world import World, world

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

NEW, OTHER = "a quiet green lamp", "another quiet lamp"
PHONE = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True, "color_scheme": "dark"}


@pytest.fixture(autouse=True)
def unlimited(here: World) -> None:
    """Limits have tests of their own; everybody here comes from one address."""
    cast("Any", here.server.live.asgi).state.services.limits._counters.clear()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[World]:
    async with world(tmp_path_factory.mktemp("closed"), sign_up="closed") as made:
        yield made


async def sign_up(page: Page, email: str, password: str = NEW) -> None:
    await page.get_by_role("button", name="Create an account").click()
    await page.get_by_label("First name").fill("Ida")
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_label("New password", exact=True).fill(password)
    await page.get_by_role("button", name="Send the code").click()


async def enter(page: Page, code: str) -> None:
    await page.get_by_label("Code", exact=True).fill(code)
    await page.get_by_role("button", name="Continue").click()


async def test_somebody_new_makes_an_account_and_asks(visitor: Visitor, here: World) -> None:
    page, outbox = visitor.page, here.server.settings.data_dir
    assert await faults(page) == []
    await sign_up(page, "ida@example.org")
    await expect(page.get_by_label("Code", exact=True)).to_be_focused()
    assert await faults(page) == []
    await visitor.shot("sign-up-code")
    await enter(page, "AAAAAAAA")
    await expect(page.get_by_role("alert")).to_contain_text("no longer good")
    code = code_in(await next_mail(outbox, "ida@example.org"))
    await enter(page, f" {code.lower()} ")
    await expect(visitor.composer()).to_be_visible()
    await visitor.shot("first-visit")
    # The page holds no token, and is signed in all the same after a reload.
    kept = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
    assert "eyJ" not in await page.evaluate(kept)
    await page.reload()
    await page.get_by_role("button", name="Account and settings").click()
    await expect(page.get_by_text("ida@example.org")).to_be_visible()


async def test_nothing_on_the_page_tells_who_has_an_account(visitor: Visitor, here: World) -> None:
    page, outbox = visitor.page, here.server.settings.data_dir
    seen: dict[str, list[str]] = {"admin@example.org": [], "nobody@example.org": []}
    for email, texts in seen.items():
        await page.goto("/signin")
        await sign_up(page, email)
        await expect(page.get_by_label("Code", exact=True)).to_be_visible()
        texts.append((await page.get_by_role("main").inner_text()).replace(email, "…"))
        await page.goto("/signin")
        await page.get_by_role("button", name="Forgotten your password?").click()
        await page.get_by_label("E-mail address").fill(email)
        await page.get_by_role("button", name="Send the code").click()
        await expect(page.get_by_label("Code", exact=True)).to_be_visible()
        texts.append((await page.get_by_role("main").inner_text()).replace(email, "…"))
        await page.get_by_label("New password", exact=True).fill(OTHER)
        await enter(page, "AAAAAAAA")
        await expect(page.get_by_role("alert")).to_contain_text("no longer good")
    assert seen["admin@example.org"] == seen["nobody@example.org"]
    assert "already" in (await next_mail(outbox, "admin@example.org"))["Subject"]
    assert len(mails(outbox, "nobody@example.org")) == 1


async def test_a_forgotten_password_is_set_anew(visitor: Visitor, here: World) -> None:
    page, outbox = visitor.page, here.server.settings.data_dir
    email = "eve@example.org"
    await here.stranger()
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_role("button", name="Forgotten your password?").click()
    await expect(page.get_by_label("E-mail address")).to_have_value(email)
    await visitor.shot("reset")
    await page.get_by_role("button", name="Send the code").click()
    first = code_in(await next_mail(outbox, email))
    await page.get_by_role("button", name="Send another code").click()
    await expect(page.get_by_role("status").filter(has_text="on its way")).to_be_visible()
    second = code_in(await next_mail(outbox, email, after=1))
    assert first != second
    await page.get_by_label("New password", exact=True).fill("short")
    await enter(page, second)
    await expect(page.get_by_label("Code", exact=True)).to_be_visible()
    await page.get_by_label("New password", exact=True).fill(OTHER)
    await visitor.shot("reset-code")
    await enter(page, second)
    await expect(visitor.composer()).to_be_visible()
    await visitor.context.clear_cookies()
    await page.goto("/signin")
    await visitor.sign_in(email, OTHER)


async def test_who_lets_nobody_sign_up_offers_it_to_nobody(browser: Browser, closed: World) -> None:
    async with Visitor.arriving(browser, closed.server.url, closed.upstream, **PHONE) as visitor:
        page = visitor.page
        await expect(page.get_by_role("button", name="Forgotten your password?")).to_be_visible()
        await expect(page.get_by_role("button", name="Create an account")).to_have_count(0)
        await visitor.shot("phone-sign-in-closed")
        await page.get_by_role("button", name="Forgotten your password?").click()
        await page.get_by_role("button", name="Back").click()
        await expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
        answer = await page.request.post(
            "/api/session/signup",
            data={"email": "a@example.org", "code": "AAAAAAAA"},
            headers={"origin": "https://evil.example"},
        )
        assert answer.status == 403
        assert visitor.complaints == []


async def test_signing_up_on_a_phone_in_german(browser: Browser, here: World) -> None:
    async with Visitor.arriving(browser, here.server.url, here.upstream, locale="de-DE", **PHONE) as visitor:
        page = visitor.page
        await page.get_by_role("button", name="Konto anlegen").click()
        await expect(page.get_by_label("Vorname")).to_be_focused()
        # A form higher than the screen begins within it.
        top = "document.querySelector('.card').offsetTop"
        assert await page.evaluate(top) >= 0
        await page.evaluate("document.querySelector('.signin').scrollTop = 0")
        await visitor.shot("phone-sign-up-german-dark")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert await faults(page) == []
        await page.get_by_role("button", name="Zurück").click()
        await page.get_by_label("E-Mail").fill("admin@example.org")
        await page.get_by_label("Passwort", exact=True).fill("wrong horse battery")
        await page.get_by_role("button", name="Anmelden").click()
        await expect(page.get_by_role("alert")).to_contain_text(re.compile("falsch"))
        assert visitor.complaints == []
