"""The cookie of the chat page, and who tries to use it: other sites, other sessions, scripts."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from sqlalchemy import update
from yarl import URL

from tests.live import EMAIL, PASSWORD
from tests.mailbox import code_in, next_mail
from tests.transports.socketio.clients import PATH, Closed, Engine, eventually, hub, links_of, query
from tests.world import World
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import users
from twinspeak.persistence.tables import institutions

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

EVIL = "https://evil.example"
PARTNER = "https://partner.example"
"""A page that some tests let a twin authorize; lists are remembered for a while, so no other test may use it."""
CREDENTIALS = {"email": EMAIL, "password": PASSWORD}
QUESTION = {"inputs": ["What is a digital twin?"]}


class Page:
    """A tab of the page, as far as a browser lets it be seen: `own` are the headers that the browser adds."""

    def __init__(self, here: World, http: aiohttp.ClientSession) -> None:
        self.here, self.http = here, http
        self.own = {"origin": here.server.url, "sec-fetch-site": "same-origin"}
        self.csrf = ""

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
        sent = {**self.own, **({"x-csrf-token": self.csrf} if self.csrf else {}), **headers}
        async with self.http.request(
            method, path, json=body, headers={name.replace("_", "-"): value for name, value in sent.items() if value}
        ) as response:
            return response.status, json.loads(await response.text())

    async def sign_in(self) -> dict[str, Any]:
        status, body = await self.send("POST", "/api/session", CREDENTIALS)
        assert status == 200, body
        self.csrf = body["csrfToken"]
        return body

    @property
    def cookie(self) -> str:
        return self.http.cookie_jar.filter_cookies(URL(self.here.server.url))["twinspeak_session"].value


@pytest_asyncio.fixture(loop_scope="module")
async def page(here: World):
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(here.server.url, cookie_jar=jar) as http:
        made = Page(here, http)
        await made.sign_in()
        yield made


def code(answer: tuple[int, dict[str, Any]]) -> tuple[int, str]:
    return answer[0], answer[1]["error"]["code"]


# -- the page's own day ------------------------------------------------------------------------------------------------


async def test_signing_in_sets_a_cookie_that_no_script_and_no_other_site_gets(here: World):
    headers = {"origin": here.server.url}
    async with here.server.http.post("/api/session", json=CREDENTIALS, headers=headers) as response:
        body, cookie = await response.json(), response.headers["set-cookie"]
    assert body["profile"]["email"] == EMAIL
    assert "token" not in body
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= parts
    lifetime = next(int(part.removeprefix("max-age=")) for part in parts if part.startswith("max-age="))
    assert 86_400 - 60 <= lifetime <= 86_400
    assert not any(part.startswith("domain") for part in parts)
    token = cookie.partition("=")[2].partition(";")[0]
    assert token not in json.dumps(body)
    assert body["csrfToken"] not in token


async def test_behind_tls_the_cookie_belongs_to_this_host_alone(here: World):
    host = here.server.url.removeprefix("http://")
    headers = {"origin": f"https://{host}", "sec-fetch-site": "same-origin"}
    async with here.server.http.post("/api/session", json=CREDENTIALS, headers=headers) as response:
        cookie = response.headers["set-cookie"]
    assert cookie.startswith("__Host-twinspeak_session=")
    assert {"secure", "httponly"} <= {part.strip().lower() for part in cookie.split(";")}


async def test_the_session_speaks_for_its_person_until_it_signs_out(page: Page):
    status, body = await page.send("GET", "/api/session")
    assert (status, body["profile"]["email"], body["csrfToken"]) == (200, EMAIL, page.csrf)
    status, body = await page.send("POST", "/api/ai/personal/qanda", QUESTION)
    assert (status, body["success"]) == (200, True)
    status, renewed = await page.send("POST", "/api/session/refresh")
    assert (status, renewed["csrfToken"]) == (200, page.csrf)
    kept = page.cookie
    assert await page.send("DELETE", "/api/session") == (200, {"success": True, "message": "You are signed out."})
    assert (await page.send("GET", "/api/session"))[1]["profile"] is None
    assert code(await page.send("GET", "/api/ai/turns")) == (401, "authentication_required")
    assert code(await page.send("GET", "/api/ai/turns", cookie=f"twinspeak_session={kept}")) == (401, "invalid_token")


async def test_signing_up_on_the_page_ends_with_a_cookie_and_no_token(here: World):
    new = {"email": "page@example.org", "password": "a quiet green lamp"}
    async with aiohttp.ClientSession(here.server.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        fresh = Page(here, http)
        assert (await fresh.send("GET", "/api/session"))[1]["signUp"] is True
        assert (await fresh.send("POST", "/api/auth/signup", new))[0] == 200
        shown = {"email": new["email"], "code": code_in(await next_mail(here.server.settings.data_dir, new["email"]))}
        for origin in (EVIL, ""):
            refused = await fresh.send("POST", "/api/session/signup", shown, **{"origin": origin, "sec-fetch-site": ""})
            assert code(refused) == (403, "origin_not_allowed")
        wrong = await fresh.send("POST", "/api/session/signup", {**shown, "code": "AAAAAAAA"})
        assert code(wrong) == (400, "invalid_code")
        status, body = await fresh.send("POST", "/api/session/signup", shown)
        assert (status, body["profile"]["email"], body["signUp"]) == (200, new["email"], False)
        assert fresh.cookie not in json.dumps(body)
        assert "token" not in body
        assert (await fresh.send("GET", "/api/session"))[1]["profile"]["email"] == new["email"]
        assert code(await fresh.send("POST", "/api/session/signup", shown)) == (400, "invalid_code")


async def test_a_wrong_password_gets_no_cookie(here: World):
    own = {"origin": here.server.url}
    body = {**CREDENTIALS, "password": "wrong horse battery"}
    async with here.server.http.post("/api/session", json=body, headers=own) as response:
        assert (response.status, "set-cookie" in response.headers) == (401, False)


@pytest.mark.parametrize("cookie", ["x", "x" * 5_000, "eyJhbGciOiJub25lIn0.e30."])
async def test_a_cookie_that_is_no_token_is_nobody(page: Page, cookie: str):
    page.http.cookie_jar.clear()
    headers = {"cookie": f"twinspeak_session={cookie}"}
    assert (await page.send("GET", "/api/session", **headers))[1]["profile"] is None
    assert code(await page.send("GET", "/api/ai/turns", **headers)) == (401, "invalid_token")


async def test_no_route_hands_the_cookies_token_to_a_script(page: Page):
    assert code(await page.send("POST", "/api/user/refresh/profile")) == (401, "authentication_required")
    _, session = await page.send("GET", "/api/session")
    change = {"resetCodeId": session["profile"]["resetCodeId"], "password": PASSWORD, "newPassword": PASSWORD + "!"}
    before = page.cookie
    status, body = await page.send("PUT", "/api/user/me", change)
    assert (status, body["token"]) == (200, None)
    assert page.cookie != before
    _, session = await page.send("GET", "/api/session")
    page.csrf = session["csrfToken"]
    back = {"resetCodeId": session["profile"]["resetCodeId"], "password": PASSWORD + "!", "newPassword": PASSWORD}
    assert (await page.send("PUT", "/api/user/me", back))[0] == 200
    page.here.token = await page.here.server.sign_in()


async def test_the_pages_routes_are_not_for_tokens(here: World):
    auth = here.server.auth(here.token)
    for method, path in (("POST", "/api/session/refresh"), ("DELETE", "/api/session")):
        async with here.server.http.request(method, path, headers=auth) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (401, "invalid_token")


# -- other sites -------------------------------------------------------------------------------------------------------

FOREIGN = {
    "another origin": {"origin": EVIL, "sec-fetch-site": "cross-site"},
    "another origin, browser without fetch metadata": {"origin": EVIL, "sec-fetch-site": ""},
    "a sibling host": {"origin": "", "sec-fetch-site": "same-site"},
    "an opaque origin": {"origin": "null", "sec-fetch-site": "cross-site"},
    "our origin on another port": {"origin": "http://127.0.0.1:1", "sec-fetch-site": "same-site"},
    "nobody says who": {"origin": "", "sec-fetch-site": ""},
}


@pytest.mark.parametrize("browser", FOREIGN.values(), ids=FOREIGN)
async def test_another_site_can_change_nothing_with_the_cookie(page: Page, browser: dict[str, str]):
    """Even if it knew the CSRF token."""
    for method, path, body in (
        ("POST", "/api/ai/personal/qanda", QUESTION),
        ("POST", "/api/ai/personal-stream/qanda-stream", QUESTION),
        ("POST", "/api/user/histories", {}),
        ("PUT", "/api/user/me", {"fname": "Mallory"}),
        ("POST", "/api/session/refresh", None),
        ("DELETE", "/api/session", None),
    ):
        assert code(await page.send(method, path, body, **browser)) == (401, "authentication_required"), path
    assert (await page.send("GET", "/api/session"))[1]["profile"]["email"] == EMAIL


@pytest.mark.parametrize("browser", list(FOREIGN.values())[:-1], ids=list(FOREIGN)[:-1])
async def test_another_site_can_read_nothing_with_the_cookie(page: Page, browser: dict[str, str]):
    assert (await page.send("GET", "/api/session", **browser))[1]["profile"] is None
    assert code(await page.send("GET", "/api/ai/turns", **browser)) == (401, "authentication_required")


@pytest.mark.parametrize("browser", FOREIGN.values(), ids=FOREIGN)
async def test_another_site_cannot_sign_somebody_in(page: Page, browser: dict[str, str]):
    """Else a victim would type into the attacker's account."""
    assert code(await page.send("POST", "/api/session", CREDENTIALS, **browser)) == (403, "origin_not_allowed")


async def test_a_twins_authorized_page_may_not_use_the_cookie_either(page: Page):
    await _authorize(page.here, PARTNER)
    try:
        browser = {"origin": PARTNER, "sec-fetch-site": "cross-site"}
        assert code(await page.send("POST", "/api/ai/personal/qanda", QUESTION, **browser)) == (
            401,
            "authentication_required",
        )
        async with page.http.options(
            "/api/session", headers={"origin": PARTNER, "access-control-request-method": "POST"}
        ) as response:
            assert "access-control-allow-credentials" not in response.headers
    finally:
        await _authorize(page.here)


@pytest.mark.parametrize("given", ["", "x", "0" * 64, "é"], ids=["none", "short", "forged", "not ASCII"])
async def test_a_change_without_the_csrf_token_is_refused(page: Page, given: str):
    page.csrf = ""
    for method, path, body in (
        ("POST", "/api/ai/personal/qanda", QUESTION),
        ("PUT", "/api/user/me", {"fname": "Mallory"}),
        ("POST", "/api/session/refresh", None),
        ("DELETE", "/api/session", None),
    ):
        assert code(await page.send(method, path, body, **{"x-csrf-token": given})) == (403, "csrf_failed"), path


async def test_the_csrf_token_of_another_session_is_refused(page: Page):
    first = page.csrf
    await page.sign_in()
    assert page.csrf != first
    page.csrf = first
    assert code(await page.send("PUT", "/api/user/me", {"fname": "Mallory"})) == (403, "csrf_failed")


async def test_a_token_of_ones_own_needs_no_csrf_token(here: World):
    headers = {**here.server.auth(here.token), "origin": here.server.url}
    async with here.server.http.put("/api/user/me", json={"fname": "Ada"}, headers=headers) as response:
        assert response.status == 200


# -- sockets -----------------------------------------------------------------------------------------------------------


async def _registered(page: Page, **browser: str) -> bool:
    """Open a WebSocket with the cookie, as a browser would, and join; tell whether the server knows whose it is."""
    headers = {name: value for name, value in {**page.own, **browser}.items() if value}
    async with page.http.ws_connect(PATH, params=query("websocket"), headers=headers) as socket:
        engine = Engine(socket)
        await engine.frame()
        await engine.send("40")
        await engine.frame()
        known = hub(page.here.server)._sockets.values()
        return any(each.caller is not None for each in known)


async def test_a_socket_of_the_page_is_its_persons(page: Page):
    assert await _registered(page)
    await eventually(lambda: not links_of(page.here.server))


@pytest.mark.parametrize("name", ["another origin", "an opaque origin", "our origin on another port"])
async def test_a_page_of_another_site_gets_no_socket(page: Page, name: str):
    with pytest.raises((aiohttp.WSServerHandshakeError, Closed)):
        await _registered(page, **FOREIGN[name])


async def test_a_twins_authorized_page_gets_a_socket_but_not_by_the_cookie(page: Page):
    await _authorize(page.here, PARTNER)
    try:
        await _until_allowed(page)
        assert not await _registered(page, origin=PARTNER, **{"sec-fetch-site": "cross-site"})
    finally:
        await _authorize(page.here)


async def test_a_socket_that_nobody_says_who_opened_is_nobodys(page: Page):
    assert not await _registered(page, origin="", **{"sec-fetch-site": ""})


async def _authorize(here: World, *origins: str) -> None:
    def change(tx: Tx) -> None:
        user = users.by_email(tx, EMAIL)
        assert user
        twin = institutions.c.id == user.active_institution_id
        tx.run(update(institutions).where(twin).values(public_authorized_urls=json.dumps(origins)))

    await here.server.ground.db.write(change)


async def _until_allowed(page: Page) -> None:
    """Lists of origins are remembered for some seconds."""
    async with asyncio.timeout(15):
        while True:
            async with page.http.get("/api/session", headers={"origin": PARTNER}) as response:
                if response.headers.get("access-control-allow-origin") == PARTNER:
                    return
            await asyncio.sleep(0.1)
