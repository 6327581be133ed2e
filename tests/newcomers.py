"""Somebody with a password and a browser, who may want a second step at sign-in."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.mailbox import code_in, mails, next_mail
from tests.organisation import EMAILS, Org
from twinspeak.domain.clock import now_ms
from twinspeak.identity.totp import STEP_S, code_at
from twinspeak.persistence.repos import users

PASSWORD = "a quiet green lamp"
OTHER = "another quiet lamp"


class Somebody:
    """A person of the twin oak with a password, and one of her browsers."""

    def __init__(self, org: Org, name: str, http: aiohttp.ClientSession) -> None:
        self.org, self.name, self.http = org, name, http
        self.email = f"{EMAILS.get(name, name)}@example.org"
        self.headers = {"x-forwarded-for": "198.51.100.7"}

    async def call(self, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
        headers = {**self.headers, **({"x-access-token": token} if token else {})}
        async with self.http.request(method, path, json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def good(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        status, answer = await self.call(method, path, body, token)
        assert status == 200, (path, answer)
        return answer

    async def code(self, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, str]:
        status, answer = await self.call(method, path, body, token)
        return status, answer["error"]["code"]

    async def sign_in(self, password: str = PASSWORD) -> Any:
        return await self.good("POST", "/api/auth/signin", {"email": self.email, "password": password})

    async def verify(self, challenge: str, code: str, **more: Any) -> tuple[int, Any]:
        return await self.call("POST", "/api/auth/mfa-verify", {"challengeId": challenge, "code": code, **more})

    async def wrong(self, challenge: str, code: str = "000000") -> str:
        status, answer = await self.verify(challenge, code)
        assert status == 400, answer
        return answer["error"]["code"]

    def sent(self) -> int:
        return len(mails(self.org.here.server.settings.data_dir, self.email))

    async def mailed(self, before: int) -> str:
        return code_in(await next_mail(self.org.here.server.settings.data_dir, self.email, after=before))

    def forget(self) -> None:
        self.http.cookie_jar.clear()

    async def by_mail(self) -> str:
        """Switch the second step on, and confirm it; return a token."""
        token = (await self.sign_in())["token"]
        await self.good("PUT", "/api/user/me", {"mfaEnabled": True}, token)
        before = self.sent()
        asked = await self.good("POST", "/api/user/me/mfa-enroll", token=token)
        status, signed = await self.verify(asked["challengeId"], await self.mailed(before))
        assert status == 200, signed
        assert signed["profile"]["mfaEnabled"] is True
        return signed["token"]

    async def by_app(self) -> tuple[str, str, list[str]]:
        """Make an app the second step; return a token, the app's secret and the recovery codes."""
        token = (await self.sign_in())["token"]
        app = await self.good("POST", "/api/user/me/totp", {"password": PASSWORD}, token)
        before = self.sent()
        made = await self.good("POST", "/api/user/me/totp/confirm", {"code": code_at(app["secret"], step())}, token)
        await next_mail(self.org.here.server.settings.data_dir, self.email, after=before)  # that it is so now
        return token, app["secret"], made["recoveryCodes"]


def step() -> int:
    return now_ms() // 1000 // STEP_S


_count = iter(range(10_000))


@asynccontextmanager
async def somebody(org: Org) -> AsyncGenerator[Somebody]:
    """Add a member of the twin oak with a password, and give her a browser."""
    name = f"ada{next(_count)}"
    await org.person(name, "oak")
    made = await org.here.server.ground.passwords.hash(PASSWORD)
    await org.here.server.ground.db.write(lambda tx: users.set_password(tx, org.ids[name], made))
    async with aiohttp.ClientSession(org.here.server.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        yield Somebody(org, name, http)
