"""A twin on another site's page: two origins, two servers, and a browser that keeps them apart."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import FrameLocator, Page, expect

from tests.fakes.upstream import text_reply
from tests.web.browser.sites import site
from tests.web.browser.test_everybody import axe
from tests.web.browser.visitor import Visitor
from tests.world import World
from twinspeak.domain.launch import signature

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sites(here: World) -> AsyncGenerator[tuple[str, str, str]]:
    """A site that the sample twin lists, one that it does not, and the twin's public id."""
    async with site(here.server.url) as listed, site(here.server.url) as other:
        _, profile = await here.post("/api/user/refresh/profile")
        twin = profile["profile"]["institution"]
        wanted = {"publicAuthorizedUrls": [f"{listed}/courses"], "allowJoining": "public"}
        headers = here.server.auth(here.token)
        path = f"/api/admin/institution/{twin['_id']}"
        async with here.server.http.put(path, json=wanted, headers=headers) as response:
            assert response.status == 200, await response.text()
        yield listed, other, twin["publicId"]


def framed(page: Page) -> FrameLocator:
    return page.frame_locator("iframe")


async def ask(page: Page, question: str) -> None:
    box = framed(page).get_by_role("textbox", name=re.compile("Message to"))
    await box.fill(question)
    await box.press("Enter")


async def load(page: Page, twin: str, **display: Any) -> None:
    await page.evaluate("given => { window.shown = twinspeak.load(given) }", {"twin": twin, "display": display})


async def test_a_listed_site_shows_the_twin_and_a_visitor_asks(visitor: Visitor, sites: tuple[str, str, str]) -> None:
    page, (listed, _, twin) = visitor.page, sites
    await page.goto(listed)
    await load(page, twin, title="Sage")
    assert await page.locator("iframe").count() == 0, "nobody has come yet"
    button = page.get_by_role("button", name="Sage")
    await button.click()
    await expect(framed(page).get_by_role("heading", name="Sage").first).to_be_visible()
    await page.evaluate("window.shown")
    visitor.upstream.script(text_reply("Welcome, **stranger**."))
    await ask(page, "Who am I?")
    await expect(framed(page).locator("article.turn")).to_have_attribute("data-status", "done")
    await expect(framed(page).locator(".prose strong")).to_have_text("stranger")
    await visitor.shot("embed")
    frame = page.frames[1]
    await frame.evaluate(axe())
    found = await frame.evaluate("axe.run(document)")
    assert [one["id"] for one in found["violations"] if one["impact"] in ("serious", "critical")] == []
    # No token where a script of this page, or the next one, could find it.
    assert await frame.evaluate("document.cookie") == ""
    look = "try { return JSON.stringify([{...localStorage}, {...sessionStorage}]) } catch { return 'denied' }"
    assert "eyJ" not in await frame.evaluate(f"(() => {{ {look} }})()")
    assert "token" not in frame.url
    await framed(page).get_by_role("button", name="Close").click()
    await expect(page.locator("iframe")).to_be_hidden()
    await expect(button).to_be_focused()


async def test_commands_go_by_our_names_and_by_the_documented_ones(
    visitor: Visitor, sites: tuple[str, str, str]
) -> None:
    page, (listed, _, twin) = visitor.page, sites
    await page.goto(listed)
    assert await page.evaluate("(() => { try { pria.send({command: 'ask'}) } catch (e) { return e.message } })()")
    base = await page.locator("script").get_attribute("src")
    given = [str(base).removesuffix("/twinspeak.js"), {"userid": "7"}, twin, None, {"openOnLoad": True}]
    await page.evaluate("given => priasdk(...given)", given)
    await page.wait_for_function("pria.isReady()")
    await page.evaluate("window.told = []; pria.subscribe(one => told.push(one))")
    visitor.upstream.script(text_reply("One."), text_reply("Two."))
    await page.evaluate("pria.send({command: 'post.message', inputs: ['First?']})")
    await page.wait_for_function("told.length === 1")
    first = await page.evaluate("told[0]")
    assert (first["type"], first["version"]) == ("pria-response", 1)
    assert first["response"]["command"] == "post.message"
    assert (first["response"]["isError"], first["response"]["type"]) == (False, "object")
    assert first["response"]["content"]["outputs"] == ["One."]
    asked = await page.evaluate("twinspeak.ask('Second?')")
    assert (asked["outputs"], asked["course_id"]) == (["Two."], first["response"]["content"]["course_id"])
    for command, type_, error in (
        ("assistants.list", "array", False),
        ("convo.start", "object", True),
        ("nonsense", "object", True),
        ("conversation.new", "string", False),
    ):
        await page.evaluate("command => { told.length = 0; pria.send({command}) }", command)
        await page.wait_for_function("told.length === 1")
        response = (await page.evaluate("told[0]"))["response"]
        assert (response["command"], response["type"], response["isError"]) == (command, type_, error)
    await page.evaluate("PriaIntegration.destroySdk()")
    await expect(page.locator("iframe")).to_have_count(0)


async def test_another_site_is_refused_by_the_browser_and_by_the_server(
    visitor: Visitor, here: World, sites: tuple[str, str, str]
) -> None:
    page, (_, other, twin) = visitor.page, sites
    asked = list[str]()
    page.on("request", lambda request: asked.append(request.url))
    await page.clock.install()
    await page.goto(other)
    given = {"twin": twin, "display": {"openOnLoad": True}}
    await page.evaluate("given => { window.why = twinspeak.load(given).catch(error => error.message) }", given)
    for _ in range(100):
        if visitor.complaints:
            break
        await asyncio.sleep(0.05)
    assert any("frame-ancestors" in complaint for complaint in visitor.complaints)
    visitor.complaints.clear()
    await visitor.shot("embed-refused")
    # A frame that is not shown cannot say so: whoever waits for it is told after a while.
    await page.clock.fast_forward(15_000)
    assert await page.evaluate("window.why") == "frame_refused"
    assert await page.evaluate("twinspeak.isReady()") is False
    assert not any("/api/" in url for url in asked), "a page that is not shown does nothing"
    signed = "fetch(given[0] + '/api/auth/sdk-sign', {method: 'POST', headers: {'content-type': 'application/json'}, "
    signed += "body: JSON.stringify({params: {userid: '1'}, institutionId: given[1]})}).then(r => r.status, () => 0)"
    assert await page.evaluate(f"given => {signed}", [here.server.url, twin]) == 0
    visitor.complaints.clear()


async def test_a_load_settles_whatever_becomes_of_it(visitor: Visitor, sites: tuple[str, str, str]) -> None:
    page, (listed, _, twin) = visitor.page, sites
    await page.clock.install()
    await page.goto(listed)
    # The site's own server never says who comes.
    waiting = (
        "given => { window.why = twinspeak.load({...given, launch: () => new Promise(() => 0)}).catch(e => e.message) }"
    )
    given = {"twin": twin, "display": {"openOnLoad": True}}
    await page.evaluate(waiting, given)
    await expect(framed(page).get_by_text("Loading")).to_be_visible()
    await page.clock.fast_forward(30_000)
    assert await page.evaluate("window.why") == "silent"
    await page.evaluate(waiting, given)
    await page.evaluate("twinspeak.destroy()")
    assert await page.evaluate("window.why") == "destroyed"


async def test_who_may_frame_is_told_by_the_policy(here: World, sites: tuple[str, str, str]) -> None:
    listed, _, twin = sites
    nobody = "00000000-0000-4000-8000-000000000000"
    for path, status, framers in (
        (f"/embed/{twin}", 200, listed),
        (f"/embed/{nobody}", 404, "'none'"),
        ("/embed/nonsense", 404, "'none'"),
        ("/", 200, "'none'"),
    ):
        async with here.server.http.get(path) as response:
            assert response.status == status
            assert response.headers["content-security-policy"].endswith(f"frame-ancestors {framers}")


async def test_only_the_page_around_is_heard(visitor: Visitor, sites: tuple[str, str, str]) -> None:
    """Another frame on the same site may send what it likes to the twin's frame."""
    page, (listed, _, twin) = visitor.page, sites
    await page.goto(listed)
    await load(page, twin, openOnLoad=True)
    await page.evaluate("window.shown")
    await page.evaluate(
        """() => {
            const other = document.body.appendChild(document.createElement('iframe'));
            const command = {twinspeak: 1, type: 'command', id: 1, command: {command: 'ask', inputs: ['Evil?']}};
            const script = other.contentDocument.createElement('script');
            script.textContent = `parent.frames[0].postMessage(${JSON.stringify(command)}, '*')`;
            other.contentDocument.body.append(script);
        }"""
    )
    # What was posted before this is heard before its answer.
    visitor.upstream.script(text_reply("Good."))
    assert (await page.evaluate("twinspeak.ask('Good?')"))["outputs"] == ["Good."]
    await expect(framed(page).locator("article.turn")).to_have_count(1)
    # And the page does not take a stranger's word for the frame's.
    answer = "{twinspeak: 1, type: 'close'}"
    await page.evaluate(f"window.postMessage({answer}, '*')")
    await page.evaluate("new Promise(done => setTimeout(done))")
    await expect(page.locator("iframe").first).to_be_visible()


async def test_a_twin_for_members_takes_what_the_sites_server_signed_and_nothing_else(
    visitor: Visitor, here: World, sites: tuple[str, str, str]
) -> None:
    page, (listed, _, twin) = visitor.page, sites
    _, profile = await here.post("/api/user/refresh/profile")
    path = f"/api/admin/institution/{profile['profile']['institution']['_id']}"
    headers = here.server.auth(here.token)
    async with here.server.http.put(path, json={"allowJoining": "disabled"}, headers=headers) as response:
        assert response.status == 200, await response.text()
    await page.goto(listed)
    given = {"twin": twin, "display": {"openOnLoad": True}}
    await page.evaluate("given => { window.why = twinspeak.load(given).catch(error => error.message) }", given)
    await expect(framed(page).get_by_role("alert")).to_contain_text("for its members")
    await expect(framed(page).get_by_role("link", name="Sign in on its own page")).to_be_visible()
    assert await page.evaluate("window.why") == "joining_refused"
    await visitor.shot("embed-members-only")

    status, made = await here.post(f"{path}/launchSecret")
    assert status == 200, made
    params, nonce, now = {"institutionid": twin, "userid": "ada"}, "f" * 32, int(time.time())
    token = signature(made["secret"], params, nonce, now)
    launch = {"params": params, "launch_token": token, "nonce": nonce, "timestamp": now}
    given = {"twin": twin, "launch": launch, "display": {"openOnLoad": True}}
    await page.evaluate("given => twinspeak.load(given)", given)
    visitor.upstream.script(text_reply("Hello, Ada."))
    assert (await page.evaluate("twinspeak.ask('Me?')"))["outputs"] == ["Hello, Ada."]
