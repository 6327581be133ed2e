"""Launches from other sites: what a page may have signed, what a site's server may say, and what neither may."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from sqlalchemy import text, update

from tests.faces import Face, ask
from tests.organisation import Org, organisation
from tests.world import looking_into, world
from twinspeak.domain.ids import new_uuid
from twinspeak.domain.launch import signature
from twinspeak.persistence.identity_tables import launch_secrets, launches
from twinspeak.persistence.repos import memberships, users
from twinspeak.persistence.secrets import SecretBox
from twinspeak.services.launches import rotate_secrets

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

SITE = "https://learn.example.edu"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def org(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Org]:
    async with world(tmp_path_factory.mktemp("launches")) as here:
        made = await organisation(here)
        open_one = {"publicAuthorizedUrls": [f"{SITE}/courses"], "allowJoining": "public"}
        await made.good("PUT", f"/api/admin/institution/{made.ids['oak']}", open_one, "admin")
        yield made


@pytest.fixture(autouse=True)
def unlimited(org: Org) -> None:
    org.unlimited()


class Browser:
    """A browser with a page of a site in it."""

    def __init__(self, org: Org, http: aiohttp.ClientSession) -> None:
        self.org, self.http = org, http

    async def call(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        async with self.http.post(path, json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def signed(self, twin: str = "oak", **params: Any) -> dict[str, Any]:
        """Have the server sign what the page says; return the launch."""
        public = self.org.ids[f"{twin} public"]
        given = {"institutionid": public, **params}
        status, body = await self.call("/api/auth/sdk-sign", {"params": given, "institutionId": public}, origin=SITE)
        assert status == 200, body
        assert (len(body["launch_token"]), len(body["nonce"]), body["success"]) == (64, 32, True)
        return {"params": given, **{name: body[name] for name in ("launch_token", "nonce", "timestamp")}}

    async def verify(self, launch: dict[str, Any]) -> tuple[int, Any]:
        return await self.call("/api/auth/sdk-verify", launch)

    async def enter(self, twin: str = "oak", **said: Any) -> tuple[int, Any]:
        return await self.call("/api/auth/autosignup", {"institution_id": self.org.ids[f"{twin} public"], **said})

    async def launched(self, launch: dict[str, Any], twin: str = "oak", **said: Any) -> tuple[int, Any]:
        """Verify and enter, as the documented client does: without repeating the launch."""
        assert (await self.verify(launch))[0] == 200
        named = {"email": launch["params"].get("email", ""), "lxp_user_id": str(launch["params"].get("userid", ""))}
        return await self.enter(twin, **{**named, **said})


@pytest_asyncio.fixture(loop_scope="module")
async def browser(org: Org) -> AsyncGenerator[Browser]:
    async with aiohttp.ClientSession(org.here.server.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        yield Browser(org, http)


async def secret_of(org: Org, twin: str = "oak") -> str:
    return (await org.good("POST", f"/api/admin/institution/{org.ids[twin]}/launchSecret", {}, "admin"))["secret"]


def by_server(org: Org, secret: str, *, at: float | None = None, **params: Any) -> dict[str, Any]:
    """Sign as a site's own server would."""
    given = {"institutionid": org.ids["oak public"], **{name: str(value) for name, value in params.items()}}
    nonce, timestamp = new_uuid().replace("-", ""), int(time.time() if at is None else at)
    token = signature(secret, given, nonce, timestamp)
    return {"params": given, "launch_token": token, "nonce": nonce, "timestamp": timestamp}


async def kind_in_oak(org: Org, user_id: str) -> tuple[str, str]:
    found = await org.here.server.ground.db.read(lambda tx: memberships.get(tx, user_id, org.ids["oak"]))
    assert found
    return found.account_type, found.status


# -- by a page --------------------------------------------------------------------------------------------------------


async def test_a_pages_launch_makes_a_user_of_the_twin(org: Org, browser: Browser) -> None:
    launch = await browser.signed(email="lena@example.edu", userid=77, usertype=4, profilename="Lena")
    status, body = await browser.launched(launch, fname="Lena", lname="Lang", lxp_user_type=4, lxp_partner_name="Edu")
    assert status == 200, body
    profile = body["profile"]
    assert (profile["accountType"], profile["permissions"], profile["institution"]["name"]) == ("user", [], "oak")
    assert (profile["fname"], profile["lname"], profile["credits"]) == ("Lena", "Lang", 0)
    assert (profile["lxp_user_id"], profile["lxp_user_type"], profile["lxp_partner_name"]) == ("77", 4, "Edu")
    assert await kind_in_oak(org, profile["_id"]) == ("user", "active")
    assert await org.code("POST", "/api/admin/users", {}, body["token"]) == "admin_required"
    answer = await ask(org.here.server, body["token"], Face.REST, "What is a digital twin?")
    assert answer.status == 200


async def test_only_the_same_browser_is_the_same_person(org: Org, browser: Browser) -> None:
    first = await browser.launched(await browser.signed(email="mia@example.edu"))
    again = await browser.launched(await browser.signed(email="mia@example.edu"))
    assert first[1]["profile"]["_id"] == again[1]["profile"]["_id"]
    async with aiohttp.ClientSession(org.here.server.url) as http:
        thief = Browser(org, http)
        other = await thief.launched(await thief.signed(email="mia@example.edu"))
    assert other[0] == 200
    assert other[1]["profile"]["_id"] != first[1]["profile"]["_id"]


async def test_a_page_takes_nobodys_address_or_account(org: Org, browser: Browser) -> None:
    for name in ("admin@example.org", "member@example.org", "new@example.edu"):
        _, body = await browser.launched(await browser.signed(email=name))
        assert body["profile"]["email"].endswith("@launched.invalid")
        assert body["profile"]["_id"] not in (org.ids["super"], org.ids["member"])
    status, _ = await org.call("POST", "/api/auth/signup", {"email": "new@example.edu", "password": "a quiet lamp"})
    assert status == 200


async def test_who_was_made_an_administrator_proves_it_otherwise(org: Org, browser: Browser) -> None:
    _, body = await browser.launched(await browser.signed(email="nina@example.edu"))
    user = body["profile"]["_id"]
    await org.here.server.ground.db.write(lambda tx: users.edit(tx, user, {"account_type": "admin"}))
    status, body = await browser.launched(await browser.signed(email="nina@example.edu"))
    assert (status, body["error"]["code"]) == (401, "launch_invalid")


@pytest.mark.parametrize("origin", ["", "null", "https://evil.example", "https://sub.learn.example.edu", "file://x"])
async def test_a_page_that_the_twin_does_not_list_gets_nothing_signed(org: Org, browser: Browser, origin: str) -> None:
    public = org.ids["oak public"]
    body = {"params": {"email": "x@example.edu"}, "institutionId": public}
    status, answer = await browser.call("/api/auth/sdk-sign", body, **({"origin": origin} if origin else {}))
    assert (status, answer["error"]["code"]) == (403, "origin_not_allowed")
    unknown = await browser.call("/api/auth/sdk-sign", {**body, "institutionId": new_uuid()}, origin=SITE)
    assert (unknown[0], unknown[1]["error"]["code"]) == (403, "origin_not_allowed")


async def test_a_star_lists_no_host(org: Org, browser: Browser) -> None:
    await org.set_twin("elm", public_authorized_urls='["*"]', allow_joining="public")
    public = org.ids["elm public"]
    status, _ = await browser.call("/api/auth/sdk-sign", {"params": {}, "institutionId": public}, origin=SITE)
    assert status == 403


async def test_a_referer_will_do_and_an_empty_twin_will_not(org: Org, browser: Browser) -> None:
    public = org.ids["oak public"]
    body = {"params": {"email": "x@example.edu"}, "institutionId": public}
    assert (await browser.call("/api/auth/sdk-sign", body, referer=f"{SITE}/courses/7"))[0] == 200
    chooser = {"params": {"digitaltwin": True}, "institutionId": ""}
    assert (await browser.call("/api/auth/sdk-sign", chooser, origin=SITE))[0] == 403
    other = {**body, "params": {"institutionid": org.ids["elm public"]}}
    assert (await browser.call("/api/auth/sdk-sign", other, origin=SITE))[0] == 422


async def test_a_twin_that_does_not_let_everybody_in_takes_no_pages_word(org: Org, browser: Browser) -> None:
    launch = await browser.signed(email="olga@example.edu")
    await org.set_twin("oak", allow_joining="account")
    try:
        status, body = await browser.launched(launch)
    finally:
        await org.set_twin("oak", allow_joining="public")
    assert (status, body["error"]["code"]) == (403, "joining_refused")


async def test_where_joining_takes_approval_a_launch_waits_too(org: Org, browser: Browser) -> None:
    await org.set_twin("oak", joining_admin_only=True)
    try:
        status, body = await browser.launched(await browser.signed(email="paul@example.edu"))
    finally:
        await org.set_twin("oak", joining_admin_only=False)
    assert (status, body["profile"]["institution"]) == (200, None)
    assert await kind_in_oak(org, body["profile"]["_id"]) == ("user", "pending")


# -- tokens -----------------------------------------------------------------------------------------------------------


async def test_a_launch_is_good_as_it_was_signed_and_once(org: Org, browser: Browser) -> None:
    launch = await browser.signed(email="rita@example.edu")
    bent = [
        {**launch, "params": {**launch["params"], "email": "admin@example.org"}},
        {**launch, "params": {**launch["params"], "institutionid": org.ids["elm public"]}},
        {**launch, "launch_token": "0" * 64},
        {**launch, "nonce": "0" * 32},
        {**launch, "timestamp": launch["timestamp"] + 1},
    ]
    for one in bent:
        status, body = await browser.verify(one)
        assert (status, body["message"], body["error"]["code"]) == (401, "Invalid launch token", "launch_invalid")
    assert (await browser.enter(email="rita@example.edu"))[0] == 401  # signed, but not verified
    assert (await browser.verify({**launch, "launch_token": launch["launch_token"].upper()}))[0] == 200
    assert (await browser.enter(email="other@example.edu"))[0] == 401
    assert (await browser.enter("elm", email="rita@example.edu"))[0] == 401
    assert (await browser.enter(nonce=launch["nonce"]))[0] == 200
    assert (await browser.enter(nonce=launch["nonce"]))[0] == 401
    assert (await browser.verify(launch))[0] == 401


async def test_of_two_who_use_one_launch_at_once_one_gets_in(org: Org, browser: Browser) -> None:
    launch = await browser.signed(email="sam@example.edu")
    assert (await browser.verify(launch))[0] == 200
    answers = await asyncio.gather(*(browser.enter(nonce=launch["nonce"]) for _ in range(4)))
    assert sorted(status for status, _ in answers) == [200, 401, 401, 401]


async def test_after_ten_minutes_it_is_too_late(org: Org, browser: Browser) -> None:
    secret = await secret_of(org)
    late = by_server(org, secret, at=time.time() - 601, email="tom@example.edu")
    status, body = await browser.verify(late)
    assert (status, body["message"], body["error"]["code"]) == (401, "Launch token expired", "launch_expired")
    early = by_server(org, secret, at=time.time() + 120, email="tom@example.edu")
    assert (await browser.verify(early))[0] == 401
    launch = await browser.signed(email="tom@example.edu")
    assert (await browser.verify(launch))[0] == 200
    out = update(launches).where(launches.c.nonce == launch["nonce"]).values(expires=0)
    await org.here.server.ground.db.write(lambda tx: tx.run(out))
    assert (await browser.enter(nonce=launch["nonce"]))[0] == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"params": [], "launch_token": "x", "nonce": "0" * 32, "timestamp": 1},
        {"params": {}, "launch_token": "x", "nonce": "0" * 32, "timestamp": "soon"},
        {"params": {}, "launch_token": "x", "nonce": "", "timestamp": 1},
        {"params": {str(n): n for n in range(51)}, "launch_token": "x", "nonce": "0" * 32, "timestamp": 1},
    ],
)
async def test_a_body_that_is_no_launch_is_refused(browser: Browser, body: Any) -> None:
    assert (await browser.call("/api/auth/sdk-verify", body))[0] == 422


# -- by a site's server -----------------------------------------------------------------------------------------------


async def test_a_sites_server_is_believed_about_the_twins_people(org: Org, browser: Browser) -> None:
    secret = await secret_of(org)
    status, body = await browser.launched(by_server(org, secret, email="Uma@Example.edu", userid="9"), fname="Uma")
    assert status == 200, body
    assert (body["profile"]["email"], body["profile"]["accountType"]) == ("uma@example.edu", "user")
    async with aiohttp.ClientSession(org.here.server.url) as http:  # any browser: the server says who it is
        again = await Browser(org, http).launched(by_server(org, secret, email="uma@example.edu", userid="9"))
    assert again[1]["profile"]["_id"] == body["profile"]["_id"]


async def test_a_sites_server_may_carry_roles_and_take_them_back(org: Org, browser: Browser) -> None:
    secret = await secret_of(org)
    _, body = await browser.launched(by_server(org, secret, email="vera@example.edu", usertype=4))
    assert (body["profile"]["accountType"], body["profile"]["permissions"]) == ("admin", [])
    user = body["profile"]["_id"]
    assert await kind_in_oak(org, user) == ("admin", "active")
    _, body = await browser.launched(by_server(org, secret, email="vera@example.edu", usertype=1))
    assert body["profile"]["accountType"] == "user"
    assert await kind_in_oak(org, user) == ("user", "active")


async def test_one_twins_server_opens_nobody_elses_account(org: Org, browser: Browser) -> None:
    secret = await secret_of(org)
    for email in ("admin@example.org", "stranger@example.org", "other@example.org", "manager@example.org"):
        status, body = await browser.launched(by_server(org, secret, email=email, usertype=4))
        assert (status, body["error"]["code"]) == (403, "sso_account_exists"), email
    status, _ = await browser.launched(by_server(org, secret, email="member@example.org"))
    assert status == 200  # a member of this twin alone, whom an administrator added, without a password


async def test_a_secret_is_of_one_twin_and_kept_encrypted(org: Org, browser: Browser) -> None:
    secret = await secret_of(org)
    with looking_into(org.here.database) as connection:
        assert secret not in str(connection.execute(text("SELECT * FROM launch_secrets")).all())
        assert secret not in str(connection.execute(text("SELECT * FROM audit_log")).all())
    foreign = by_server(org, secret, email="x@example.edu", institutionid=org.ids["elm public"])
    assert (await browser.verify(foreign))[0] == 401
    newer = await secret_of(org)
    assert (await browser.verify(by_server(org, secret, email="x@example.edu")))[0] == 401
    assert (await browser.verify(by_server(org, newer, email="x@example.edu")))[0] == 200
    await org.good("DELETE", f"/api/admin/institution/{org.ids['oak']}/launchSecret", {}, "admin")
    assert (await browser.verify(by_server(org, newer, email="x@example.edu")))[0] == 401


async def test_launch_secrets_are_encrypted_anew_with_the_others(org: Org) -> None:
    await secret_of(org)
    ground = org.here.server.ground
    old = (org.here.server.settings.data_dir / "secrets.key").read_text().split()
    both, back = SecretBox(["n" * 48, *old]), SecretBox([*old, "n" * 48])
    assert await ground.db.write(lambda tx: rotate_secrets(tx, both)) == 1
    assert await ground.db.write(lambda tx: rotate_secrets(tx, both)) == 0
    assert await ground.db.write(lambda tx: rotate_secrets(tx, SecretBox(["z" * 48]))) == 0
    assert await ground.db.write(lambda tx: rotate_secrets(tx, back)) == 1
    assert launch_secrets.c.secret is not None


async def test_a_closed_twin_takes_no_launch(org: Org, browser: Browser) -> None:
    secret = await secret_of(org)
    launch = by_server(org, secret, email="wim@example.edu")
    assert (await browser.verify(launch))[0] == 200
    await org.set_twin("oak", status="suspended")
    try:
        assert (await browser.enter(nonce=launch["nonce"]))[0] == 401
        assert (await browser.verify(by_server(org, secret, email="wim@example.edu")))[0] == 401
    finally:
        await org.set_twin("oak", status="active")


# -- places -----------------------------------------------------------------------------------------------------------


async def test_a_place_leads_to_its_twin(org: Org, browser: Browser) -> None:
    made = await org.good(
        "POST",
        "/api/auth/createInstitutionForContextid",
        {
            "name": "biology.example.edu",
            "ainame": "Bio",
            "account": org.ids["north"],
            "ltiContextIds": [f"{SITE}/courses/7/", "course-7"],
        },
        "super",
    )
    assert (made["status"], made["credits"], made["creditsTotal"], made["allowJoining"]) == (
        "active",
        50,
        50,
        "disabled",
    )
    assert (made["poolCredits"], made["maxCompletionTokens"], made["entitleNewAdmins"]) == (True, -1, False)
    assert made["ltiContextIds"] == [f"{SITE}/courses/7", "course-7"]
    for url in (f"{SITE}/courses/7", f"{SITE}/courses/7/#top", "course-7"):
        status, found = await browser.call("/api/test/url", {"url": url})
        expected = {"ltiassigned": True, "status": "active", "name": "biology.example.edu", "ainame": "Bio"}
        assert (status, {**found, **expected}) == (200, found), url
        assert found["publicId"] == made["publicId"]
    _, found = await browser.call("/api/test/url", {"url": "elsewhere", "institutionid": made["publicId"]})
    assert (found["ltiassigned"], found["name"]) == (False, "biology.example.edu")
    _, nothing = await browser.call("/api/test/url", {"url": "elsewhere"})
    assert nothing == {
        "ltiassigned": False, "status": "invalid", "name": "", "ainame": "", "picture": "", "publicId": "",
    }  # fmt: skip
    again = {"name": "Another", "account": org.ids["north"], "ltiContextIds": [f"{SITE}/courses/7"]}
    assert await org.code("POST", "/api/auth/createInstitutionForContextid", again, "super") == "conflict"
    nameless = {**again, "name": None}
    assert await org.code("POST", "/api/auth/createInstitutionForContextid", nameless, "super") == "validation_failed"
    gone = f"/api/admin/institution/{made['_id']}"
    await org.good("DELETE", gone, {}, "super")
    _, found = await browser.call("/api/test/url", {"institutionid": made["publicId"]})
    assert (found["status"], found["name"]) == ("deleted", "")


async def test_a_domain_finds_the_account(org: Org) -> None:
    await org.good("PUT", f"/api/admin/account/{org.ids['south']}", {"domainUrls": ["https://fox.example"]}, "super")
    body = {"name": "fox", "domain": "fox.example"}
    made = await org.good("POST", "/api/auth/createInstitutionForContextid", body, "super")
    assert made["account"]["_id"] == org.ids["south"]
    assert await org.code("POST", "/api/auth/createInstitutionForContextid", body, "admin") == "super_required"


async def test_a_membership_is_told_to_those_whom_it_concerns(org: Org, browser: Browser) -> None:
    asked = {"institutionid": org.ids["oak public"], "email": "member@example.org"}
    assert await org.code("POST", "/api/test/url", asked) == "authentication_required"
    expected = {"member": "active", "admin": "active", "super": "active", "other": "invalid", "stranger": "invalid"}
    for who, status in expected.items():
        assert (await org.good("POST", "/api/test/url", asked, who))["status"] == status, who
    nobody = {**asked, "email": "nobody-at-all@example.org"}
    assert (await org.good("POST", "/api/test/url", nobody, "admin"))["status"] == "invalid"
    secret = await secret_of(org)
    launch = by_server(org, secret, email="member@example.org", userid="m1")
    assert (await browser.verify(launch))[0] == 200
    shown = {**asked, "nonce": launch["nonce"]}
    assert (await org.good("POST", "/api/test/url", shown))["status"] == "active"
    assert await org.code("POST", "/api/test/url", {**shown, "email": "admin@example.org"}) == "authentication_required"
    pages = await browser.signed(email="member@example.org")
    assert (await browser.verify(pages))[0] == 200
    assert await org.code("POST", "/api/test/url", {**asked, "nonce": pages["nonce"]}) == "authentication_required"
