"""Links that mails and organisations lead to: joining, approving, coming back signed in or not."""

import re

import pytest
from playwright.async_api import expect

from tests.live import EMAIL, PASSWORD
from tests.web.browser.test_everybody import faults
from tests.web.browser.visitor import Visitor
from tests.world import STRANGER, STRANGER_PASSWORD, World

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]


async def test_an_invitation_is_followed_and_a_request_approved(visitor: Visitor, here: World) -> None:
    page = visitor.page
    eve = await here.stranger()
    _, profile = await here.post("/api/user/refresh/profile")
    twin = profile["profile"]["institution"]["_id"]
    _, made = await here.post("/api/user/institutionCreateJoinId", {"institutionId": twin})
    path = f"/api/admin/institution/{twin}"
    rules = {"allowJoining": "public", "joiningAdminOnly": True}
    async with here.server.http.put(path, json=rules, headers=here.server.auth(here.token)) as response:
        assert response.status == 200, await response.text()

    # Somebody asks to join, and whoever follows the link lets her in.
    _, them = await here.post("/api/user/refresh/profile", token=eve)
    asked = {"institution": twin, "referrer": them["profile"]["_id"]}
    async with here.server.http.put("/api/user/institutionJoin", json=asked, headers=here.server.auth(eve)) as response:
        membership = (await response.json())["ui"]
    assert membership["status"] == "pending", membership
    await page.goto(f"/approve?membership={membership['_id']}")
    await sign_in(visitor, EMAIL, PASSWORD)
    await expect(page.get_by_text("Somebody asks to join")).to_be_visible()
    assert await faults(page) == []
    await visitor.shot("link-approve")
    await page.get_by_role("button", name="Let them in").click()
    await expect(page.get_by_text("They are a member now.")).to_be_visible()
    await page.goto("/approve?membership=000000000000000000000000")
    await page.get_by_role("button", name="Let them in").click()
    await expect(page.get_by_role("alert")).not_to_be_empty()
    assert await faults(page) == []

    await visitor.context.clear_cookies()
    await page.goto(f"/join?institution={twin}&key={made['data']['joinId']}")
    await sign_in(visitor, STRANGER, STRANGER_PASSWORD)
    await expect(page.get_by_text("You are invited")).to_be_visible()
    await expect(page.get_by_role("heading", name="Invitation")).to_be_visible()
    assert await faults(page) == []
    await visitor.shot("link-join")
    await page.get_by_role("button", name="Join it").click()
    await page.get_by_role("button", name="Talk to it").click()
    await expect(page.get_by_role("heading", name="Sage")).to_be_visible()
    await expect(page.locator(".welcome-notice")).to_contain_text("can read conversations")
    await page.goto(f"/join?institution={'0' * 24}&key=nonsense")
    await page.get_by_role("button", name="Join it").click()
    await expect(page.get_by_role("alert")).not_to_be_empty()


async def test_coming_back_from_an_organisation(visitor: Visitor) -> None:
    page = visitor.page
    await page.goto("/#sso?code=wrong&state=nobody-began")
    await expect(page.get_by_role("alert")).not_to_be_empty()
    await expect(page).to_have_url(re.compile("/signin$"))
    await visitor.shot("sso-refused")
    # What worked is the session of whoever it is; here the server's answer is that of a sign-in by password.
    answer = (
        "fetch('/api/session', {method: 'POST', headers: {'content-type': 'application/json'}, "
        f"body: JSON.stringify({{email: '{EMAIL}', password: '{PASSWORD}'}})}}).then(r => r.json())"
    )
    signed = await page.evaluate(answer)
    await page.route("**/api/session/sso", lambda route: route.fulfill(json=signed))
    await page.goto("about:blank")
    await page.goto("/#sso?code=good&state=good")
    await expect(visitor.composer()).to_be_visible()
    assert "good" not in page.url


async def sign_in(visitor: Visitor, email: str, password: str) -> None:
    """Sign in where the page asks for it, and go on to where the link leads."""
    await visitor.page.get_by_label("E-mail address").fill(email)
    await visitor.page.get_by_label("Password", exact=True).fill(password)
    await visitor.page.get_by_role("button", name="Sign in").click()
