"""Who may not ask: missing, malformed, expired, revoked and foreign tokens, on every face."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from tests.faces import FACES, PATHS, Answer, Face, body_of, read
from tests.faults.conftest import nothing_runs
from tests.faults.stage import set_status
from tests.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

OTHER = "another server's secret, as long as it has to be"


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def forged(claims: Any, secret: str, algorithm: str = "HS256", **header: Any) -> str:
    """Sign with the standard library alone."""
    head = encoded(json.dumps({"typ": "JWT", "alg": algorithm, **header}).encode())
    body = encoded(json.dumps(claims).encode())
    digest = {"HS256": hashlib.sha256, "HS512": hashlib.sha512}.get(algorithm)
    signed = f"{head}.{body}"
    signature = encoded(hmac.new(secret.encode(), signed.encode(), digest).digest()) if digest else ""
    return f"{signed}.{signature}"


async def bad_token(here: World, name: str) -> tuple[str | None, str]:
    """Return a token by the name of what is wrong with it, and the code it must be met with."""
    good, secret = here.token, here.server.ground.jwt_secret
    claims = claims_of(good)
    head, body, signature = good.split(".")
    invalid = {
        "no JWT": "open sesame",
        "two parts": f"{head}.{body}",
        "four parts": f"{good}.x",
        "signature of another": forged(claims, OTHER),
        "signature cut": f"{head}.{body}.{signature[:-2]}",
        "payload changed": f"{head}.{encoded(json.dumps({**claims, 'accountType': 'super'}).encode())}x.{signature}",
        "alg none": forged(claims, secret, "none"),
        "alg None": forged(claims, secret, "None"),
        "alg HS512": forged(claims, secret, "HS512"),
        "alg RS256": forged(claims, secret, "RS256"),
        "critical header": forged(claims, secret, crit=["exp"]),
        "not an object": forged([1, 2], secret),
        "no session": forged({**claims, "sessionId": None}, secret),
        "unknown session": forged({**claims, "sessionId": "f" * 24}, secret),
        "another user in the session": forged({**claims, "_id": "f" * 24}, secret),
        "no expiry": forged({name: value for name, value in claims.items() if name != "exp"}, secret),
        "expiry is text": forged({**claims, "exp": "tomorrow"}, secret),
        "huge": "x" * 20_000,
        "huge JWT": forged({**claims, "more": "x" * 9_000}, secret),
    }
    if name in invalid:
        return invalid[name], "invalid_token"
    if name == "expired":
        return forged({**claims, "exp": claims["iat"] - 1}, secret), "token_expired"
    if name == "signed out":
        revoked = await here.server.sign_in()
        assert (await here.post("/api/auth/signout", token=revoked))[0] == 200
        return revoked, "invalid_token"
    assert name == "missing"
    return None, "authentication_required"


NAMES = (
    "missing", "no JWT", "two parts", "four parts", "signature of another", "signature cut", "payload changed",
    "alg none", "alg None", "alg HS512", "alg RS256", "critical header", "not an object", "no session",
    "unknown session", "another user in the session", "no expiry", "expiry is text", "huge", "huge JWT",
    "expired", "signed out",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
async def test_a_bad_token_is_met_on_every_face(here: World, name: str) -> None:
    token, code = await bad_token(here, name)
    with nothing_runs(here):
        for face in FACES:
            headers = here.server.auth(token) if token else {}
            answer = await post(here, face, headers)
            assert answer.status == 401
            assert answer.error
            assert (answer.error["code"], answer.error["type"]) == (code, "authentication_error")
            assert token is None or token not in answer.body.decode()
        for method, path in (("GET", "/api/ai/turns"), ("POST", f"/api/ai/turns/{'a' * 24}/cancel")):
            headers = here.server.auth(token) if token else {}
            async with here.server.http.request(method, path, headers=headers) as response:
                assert (response.status, (await response.json())["error"]["code"]) == (401, code)


@pytest.mark.parametrize("name", ["signature of another", "expired"])
async def test_a_bad_token_is_bad_wherever_it_is_carried(here: World, name: str) -> None:
    token, code = await bad_token(here, name)
    with nothing_runs(here):
        for face in FACES:
            bearer = await post(here, face, {"Authorization": f"Bearer {token}"})
            inside = await post(here, face, {}, token=token)
            for answer in (bearer, inside):
                assert answer.status == 401
                assert answer.error
                assert answer.error["code"] == code


async def test_a_good_token_in_the_url_is_not_looked_at(here: World) -> None:
    with nothing_runs(here):
        for face in FACES:
            path = f"{PATHS[face]}?token={here.token}"
            async with here.server.http.post(path, json=body_of(face)) as response:
                answer = await read(face, response)
                assert answer.error
                assert (answer.status, answer.error["code"]) == (401, "authentication_required")


async def test_the_first_place_wins(here: World) -> None:
    """A good token further back does not help a bad one in front."""
    with nothing_runs(here):
        for face in FACES:
            headers = {"x-access-token": "no", "Authorization": f"Bearer {here.token}"}
            assert (await post(here, face, headers)).status == 401


async def test_somebody_deleted_or_suspended_is_out_at_once(here: World) -> None:
    token = await here.stranger()
    try:
        with nothing_runs(here):
            for status, code, answered in (("suspended", "account_suspended", 403), ("deleted", "invalid_token", 401)):
                await set_status(here, "eve@example.org", status)
                for face in FACES:
                    answer = await post(here, face, here.server.auth(token))
                    assert answer.error
                    assert (answer.status, answer.error["code"]) == (answered, code)
                body = {"email": "eve@example.org", "password": "battery staple horse"}
                async with here.server.http.post("/api/auth/signin", json=body) as response:
                    assert response.status == (403 if status == "suspended" else 401)
    finally:
        await set_status(here, "eve@example.org", "active")


async def post(here: World, face: Face, headers: dict[str, str], **extra: Any) -> Answer:
    body = {**body_of(face), **extra}
    async with here.server.http.post(PATHS[face], json=body, headers=headers) as response:
        return await read(face, response)
