"""Signing in through an organisation, with a real provider in a process of its own."""

import asyncio
import re
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import pytest_asyncio
from sqlalchemy import select, update

from tests.organisation import Org, organisation
from tests.world import WAIT_S, world
from twinspeak.persistence.identity_tables import sso_logins, sso_providers
from twinspeak.persistence.secrets import SecretBox
from twinspeak.services.administered import MASK
from twinspeak.services.sso_providers import rotate_secrets

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

SECRET = "the provider's secret"
VERBS = ["users.list"]


@asynccontextmanager
async def provider() -> AsyncGenerator[str]:
    """Run PyPI's oidc-provider-mock; its address is its issuer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    null = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=null, stderr=null)
    try:
        async with aiohttp.ClientSession() as http, asyncio.timeout(4 * WAIT_S):
            while True:
                try:
                    async with http.get(f"http://127.0.0.1:{port}/.well-known/openid-configuration") as answer:
                        assert answer.status == 200
                        break
                except aiohttp.ClientConnectionError:
                    assert process.returncode is None
                    await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def issuer(database: str) -> AsyncGenerator[str]:
    async with provider() as address:
        yield address


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def org(tmp_path_factory: pytest.TempPathFactory, issuer: str, database: str) -> AsyncGenerator[Org]:
    settings: dict[str, Any] = {"egress_allow": ("127.0.0.1",), "public_url": "http://twins.example"}
    async with world(tmp_path_factory.mktemp("sso"), **settings) as here:
        made = await organisation(here)
        record = {
            "institution": made.ids["oak"],
            "slug": "oak",
            "clientId": "twinspeak",
            "clientSecret": SECRET,
            "issuer": issuer,
            "scope": "openid email profile",
            "roleMapping": {"teachers": VERBS},
        }
        made.ids["provider"] = (await made.good("POST", "/api/admin/ssoProvider", record, "admin"))["id"]
        yield made


@pytest.fixture(autouse=True)
def unlimited(org: Org) -> None:
    org.unlimited()


class Browser:
    """Somebody at the provider, and what the browser keeps."""

    def __init__(self, org: Org) -> None:
        self.org = org
        self.http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def go(self, slug: str = "oak") -> str:
        """Return where the provider's sign-in is."""
        async with self.http.get(f"{self.org.here.server.url}/sso/{slug}", allow_redirects=False) as answer:
            assert answer.status == 302, await answer.text()
            assert "httponly" in answer.headers["set-cookie"].lower()
            return answer.headers["location"]

    async def sign_in(self, where: str, subject: str, issuer: str, **claims: Any) -> dict[str, str]:
        """Sign in at the provider; return what it sent back with."""
        async with self.http.put(f"{issuer}/users/{subject}", json=claims) as answer:
            assert answer.status == 204
        async with self.http.post(where, data={"sub": subject}, allow_redirects=False) as answer:
            back = answer.headers["location"]
        assert back.startswith("http://twins.example/sso/callback?")
        return {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}

    async def finish(self, said: dict[str, str]) -> tuple[int, Any]:
        body = {"code": said["code"], "state": said["state"]}
        async with self.http.post(f"{self.org.here.server.url}/api/auth/sso_callback", json=body) as answer:
            return answer.status, await answer.json()

    async def through(self, subject: str, issuer: str, **claims: Any) -> tuple[int, Any]:
        return await self.finish(await self.sign_in(await self.go(), subject, issuer, **claims))


@pytest_asyncio.fixture(loop_scope="module")
async def browser(org: Org) -> AsyncGenerator[Browser]:
    made = Browser(org)
    yield made
    await made.http.close()


async def test_somebody_new_becomes_a_member(org: Org, browser: Browser, issuer: str) -> None:
    claims = {"email": "Nora@oak.example", "given_name": "Nora", "family_name": "Nett"}
    status, body = await browser.through("nora", issuer, **claims)
    assert status == 200, body
    profile = body["profile"]
    assert (profile["email"], profile["fname"], profile["lname"]) == ("nora@oak.example", "Nora", "Nett")
    assert (profile["institution"]["name"], profile["accountType"], profile["permissions"]) == ("oak", "user", [])
    again = await browser.through("nora", issuer, email="other@oak.example")
    assert (again[0], again[1]["profile"]["_id"]) == (200, profile["_id"])


async def test_the_page_gets_a_cookie_and_no_token(org: Org, browser: Browser, issuer: str) -> None:
    said = await browser.sign_in(await browser.go(), "petra", issuer, email="petra@oak.example")
    body, address = {"code": said["code"], "state": said["state"]}, f"{org.here.server.url}/api/session/sso"
    async with browser.http.post(address, json=body, headers={"origin": "https://evil.example"}) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (403, "origin_not_allowed")
    own = {"origin": org.here.server.url}
    async with browser.http.post(address, json=body, headers=own) as answer:
        signed = await answer.json()
        assert (answer.status, signed["profile"]["email"]) == (200, "petra@oak.example"), signed
        assert "token" not in signed
        assert "httponly" in answer.headers["set-cookie"].lower()
    async with browser.http.post(address, json=body, headers=own) as answer:
        assert answer.status == 401


async def test_it_asks_as_the_standards_want(org: Org, browser: Browser, issuer: str) -> None:
    query = parse_qs(urlsplit(await browser.go()).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == ["http://twins.example/sso/callback"]
    assert query["scope"] == ["openid email profile"]
    assert len(query["state"][0]) > 40
    assert len(query["nonce"][0]) > 30
    assert query["state"] != parse_qs(urlsplit(await browser.go()).query)["state"]


async def test_state_is_good_once_and_in_its_own_browser(org: Org, browser: Browser, issuer: str) -> None:
    said = await browser.sign_in(await browser.go(), "olaf", issuer, email="olaf@oak.example")
    thief = Browser(org)
    status, body = await thief.finish(said)
    assert (status, body["error"]["code"]) == (401, "sso_refused")
    await thief.http.close()
    assert (await browser.finish(said))[0] == 401
    said = await browser.sign_in(await browser.go(), "olaf", issuer, email="olaf@oak.example")
    answers = await asyncio.gather(browser.finish(said), browser.finish(said))
    assert sorted(status for status, _ in answers) == [200, 401]
    for wrong in ({"code": "x", "state": "y"}, {**said, "state": "y"}):
        assert (await browser.finish(wrong))[0] == 401
    said = await browser.sign_in(await browser.go(), "olaf", issuer, email="olaf@oak.example")
    assert (await browser.finish({**said, "code": "forged"}))[0] == 401


async def test_a_token_with_another_nonce_is_refused(org: Org, browser: Browser, issuer: str) -> None:
    said = await browser.sign_in(await browser.go(), "pam", issuer, email="pam@oak.example")
    db = org.here.server.ground.db
    await db.write(lambda tx: tx.run(update(sso_logins).values(nonce="another")))
    assert (await browser.finish(said))[0] == 401


async def test_groups_give_and_take_a_role(org: Org, browser: Browser, issuer: str) -> None:
    claims = {"email": "tess@oak.example"}
    _, body = await browser.through("tess", issuer, **claims, groups=["staff", "teachers"])
    assert (body["profile"]["accountType"], body["profile"]["permissions"]) == ("admin", VERBS)
    assert (await org.call("POST", "/api/admin/users", {}, body["token"]))[0] == 200
    first = body["token"]
    _, body = await browser.through("tess", issuer, **claims, groups="pupils")
    assert (body["profile"]["accountType"], body["profile"]["permissions"]) == ("user", [])
    assert (await org.call("POST", "/api/admin/users", {}, first))[0] == 403


async def test_a_provider_is_not_believed_about_others(org: Org, browser: Browser, issuer: str) -> None:
    await org.person("vera", "oak")
    await org.person("wanda", "elm")
    for name in ("admin", "chief", "wanda", "nobody", "other"):
        status, body = await browser.through(f"x-{name}", issuer, email=f"{name}@example.org")
        assert (status, body["error"]["code"]) == (403, "sso_account_exists"), name
    status, body = await browser.through("vera", issuer, email="vera@example.org")
    assert (status, body["profile"]["_id"]) == (200, org.ids["vera"])  # added by an administrator, without a password
    status, body = await browser.through("yves", issuer, email="yves@oak.example", email_verified=False)
    assert (status, body["error"]["code"]) == (401, "sso_refused")
    await org.person("zack", "oak")
    assert (await browser.through("zack", issuer, email="zack@example.org"))[0] == 200
    enrol = {"institution": org.ids["elm"], "users": [org.ids["zack"]], "accountType": "admin"}
    await org.good("POST", "/api/admin/userInstitutions/enroll", enrol, "super")
    status, body = await browser.through("zack", issuer, email="zack@example.org")
    assert (status, body["error"]["code"]) == (403, "sso_account_exists")


async def test_suspended_people_do_not_come_in_by_the_side(org: Org, browser: Browser, issuer: str) -> None:
    _, body = await browser.through("ugo", issuer, email="ugo@oak.example")
    suspend = {"ids": [body["profile"]["_id"]], "status": "inactive"}
    await org.good("PUT", "/api/admin/users/bulk-status", suspend, "super")
    status, body = await browser.through("ugo", issuer, email="ugo@oak.example")
    assert (status, body["error"]["code"]) == (403, "account_suspended")


async def test_the_secret_is_never_shown(org: Org) -> None:
    path = f"/api/admin/ssoProvider/{org.ids['provider']}"
    shown = (await org.good("GET", path, who="admin"))["data"]
    assert shown["clientSecret"] == MASK
    db, box = org.here.server.ground.db, org.here.server.ground.secrets
    stored = await db.read(lambda tx: tx.value(select(sso_providers.c.client_secret)))
    assert SECRET not in stored
    await org.good("PUT", path, {"clientSecret": MASK, "label": "Oak"}, "admin")
    assert box.decrypt(stored, context=f"sso_provider:{org.ids['provider']}") == SECRET
    log = await org.good("POST", "/api/admin/audit", {"action": "sso_provider.changed"}, "admin")
    assert SECRET not in str(log)
    assert log["data"][0]["after"] == {"label": "Oak"}


async def test_stored_secrets_follow_a_new_key(org: Org) -> None:
    old_and_new = SecretBox(["n" * 40, *_keys(org)])
    db = org.here.server.ground.db
    assert await db.write(lambda tx: rotate_secrets(tx, old_and_new)) == 1
    assert await db.write(lambda tx: rotate_secrets(tx, old_and_new)) == 0
    back = SecretBox([*_keys(org), "n" * 40])
    assert await db.write(lambda tx: rotate_secrets(tx, back)) == 1


def _keys(org: Org) -> list[str]:
    return (org.here.server.settings.data_dir / "secrets.key").read_text().split()


async def test_a_record_must_make_sense(org: Org, issuer: str) -> None:
    path = "/api/admin/ssoProvider"
    good = {"institution": org.ids["elm"], "slug": "elm", "clientId": "x", "clientSecret": "y", "issuer": issuer}
    assert await org.code("POST", path, good, "admin") == "not_found"
    for wrong in (
        {"slug": "No Good"}, {"slug": "callback"}, {"issuer": ""}, {"clientId": ""}, {"issuer": "ftp://example.org"},
        {"roleMapping": {"x": ["users.fly"]}}, {"more": 1},
    ):  # fmt: skip
        assert await org.code("POST", path, {**good, **wrong}, "stranger") == "validation_failed", wrong
    assert await org.code("POST", path, {**good, "slug": "oak"}, "stranger") == "conflict"
    await org.person("ada", "elm", account_type="admin", verbs=["sso.add", "sso.list", "sso.edit"])
    mapped = {**good, "roleMapping": {"x": ["users.delete"]}}
    assert await org.code("POST", path, mapped, "ada") == "entitlement_missing"
    made = (await org.good("POST", path, good, "ada"))["id"]
    assert await org.code("POST", path, {**good, "slug": "elm2"}, "ada") == "conflict"
    assert await org.code("DELETE", f"{path}/{made}", who="ada") == "entitlement_missing"
    assert (await org.good("POST", f"{path}/{made}/test", {}, "ada"))["reachable"]
    inside = {"issuer": "http://10.0.0.1"}
    await org.good("PUT", f"{path}/{made}", inside, "ada")
    assert await org.code("POST", f"{path}/{made}/test", {}, "ada") == "address_not_allowed"
    async with org.here.server.http.get("/sso/elm", allow_redirects=False) as answer:
        assert (answer.status, re.search("10.0.0.1", await answer.text())) == (401, None)
    await org.good("PUT", f"{path}/{made}", {"enabled": False}, "ada")
    assert await org.code("GET", "/sso/elm") == await org.code("GET", "/sso/no-such") == "not_found"
    await org.good("DELETE", f"{path}/{made}", who="stranger")


async def test_documented_records_need_no_discovery(org: Org, browser: Browser, issuer: str) -> None:
    record = {
        "institution": org.ids["fir"],
        "slug": "fir",
        "clientId": "twinspeak",
        "clientSecret": SECRET,
        "tokenHost": issuer,
        "userinfoUrl": f"{issuer}/userinfo",
        "scope": "openid email",
    }
    for nothing in ("slug", "clientId"):
        missing = {**record, nothing: None}
        assert await org.code("POST", "/api/admin/ssoProvider", missing, "manager") == "validation_failed"
    await org.good("POST", "/api/admin/ssoProvider", record, "manager")
    said = await browser.sign_in(await browser.go("fir"), "finn", issuer, email="finn@fir.example")
    status, body = await browser.finish(said)
    assert (status, body["profile"]["institution"]["name"]) == (200, "fir")
