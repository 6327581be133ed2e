"""The second step at sign-in: by mail, by app, by recovery code; trusted browsers; guessing; administration."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, text, update
from yarl import URL

from tests.mailbox import next_mail
from tests.newcomers import OTHER, PASSWORD, Somebody
from tests.organisation import Org
from tests.world import looking_into
from twinspeak.domain.clock import now_ms
from twinspeak.persistence.identity_tables import codes, trusted_devices
from twinspeak.persistence.repos import users
from twinspeak.services.codes import MAX_TRIES
from twinspeak.services.second_factors import MAX_BURNED

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

DEVICE = "twinspeak_device"


async def changed(org: Org, statement: Any) -> None:
    await org.here.server.ground.db.write(lambda tx: tx.run(statement))


async def older(org: Org, challenge: str, ms: int) -> None:
    """Let time pass for a challenge."""
    aged = {"created": codes.c.created - ms, "expires": codes.c.expires - ms}
    await changed(org, update(codes).where(codes.c.id == challenge).values(aged))


# -- by mail ----------------------------------------------------------------------------------------------------------


async def test_without_it_a_password_is_enough(ada: Somebody) -> None:
    signed = await ada.sign_in()
    assert signed["profile"]["mfaEnabled"] is False
    assert DEVICE not in str(list(ada.http.cookie_jar))


async def test_a_new_browser_shows_the_mailed_code(ada: Somebody) -> None:
    await ada.by_mail()
    ada.forget()
    before = ada.sent()
    asked = await ada.sign_in()
    assert asked == {
        "success": True,
        "mfaRequired": True,
        "challengeId": asked["challengeId"],
        "maskedEmail": "ad***@example.org",
        "method": "email",
    }
    code = await ada.mailed(before)
    assert (len(code), code.isdigit()) == (6, True)
    status, signed = await ada.verify(asked["challengeId"], f" {code[:3]} {code[3:]} ")
    assert status == 200
    assert set(signed) == {"token", "profile"}
    await ada.good("POST", "/api/user/refresh/profile", token=signed["token"])
    assert await ada.wrong(asked["challengeId"], code) == "invalid_code"


async def test_switched_on_it_counts_before_it_is_confirmed(ada: Somebody) -> None:
    """Reference 1.5: the switch is the profile's; the address is known to be hers."""
    token = (await ada.sign_in())["token"]
    await ada.good("PUT", "/api/user/me", {"mfaEnabled": True}, token)
    assert (await ada.sign_in())["mfaRequired"] is True
    await ada.good("PUT", "/api/user/me", {"mfaEnabled": False}, token)
    assert "token" in await ada.sign_in()


async def test_an_address_that_nobody_has_shown_locks_nobody_out(org: Org, ada: Somebody) -> None:
    token = (await ada.sign_in())["token"]
    db = org.here.server.ground.db
    await db.write(lambda tx: users.edit(tx, org.ids[ada.name], {"email_verified": None}))
    await ada.good("PUT", "/api/user/me", {"mfaEnabled": True}, token)
    assert "token" in await ada.sign_in()


async def test_a_trusted_browser_needs_no_code(org: Org, ada: Somebody) -> None:
    await ada.by_mail()
    assert "token" in await ada.sign_in()
    ada.headers["x-forwarded-for"] = "198.51.200.9"
    assert "token" in await ada.sign_in()  # another address of the same network
    ada.headers["x-forwarded-for"] = "203.0.113.5"
    assert (await ada.sign_in())["mfaRequired"] is True
    ada.headers["x-forwarded-for"] = "198.51.100.7"
    late = update(trusted_devices).where(trusted_devices.c.user_id == org.ids[ada.name]).values(expires=now_ms() - 1)
    await changed(org, late)
    assert (await ada.sign_in())["mfaRequired"] is True


async def test_the_cookie_is_of_one_person_and_of_no_script(org: Org, ada: Somebody) -> None:
    token = await ada.by_mail()
    [kept] = [one for one in ada.http.cookie_jar if one.key == DEVICE]
    assert (kept["httponly"], kept["samesite"].lower(), int(kept["max-age"])) == (True, "strict", 7 * 86_400)
    stored = await org.here.server.ground.db.read(lambda tx: tx.value(select(trusted_devices.c.token_hash)))
    assert kept.value not in str(stored)
    shown = await ada.good("GET", "/api/user/me/mfa", token=token)
    assert [one["ip"] for one in shown["devices"]] == ["198.51.100.7"]
    assert (shown["method"], shown["mfaEnabled"], shown["recoveryCodes"]) == ("email", True, 0)
    await ada.good("DELETE", f"/api/user/me/devices/{shown['devices'][0]['_id']}", token=token)
    assert (await ada.sign_in())["mfaRequired"] is True


async def test_who_wants_no_trust_leaves_no_cookie(ada: Somebody) -> None:
    await ada.by_mail()
    ada.forget()
    before = ada.sent()
    asked = await ada.sign_in()
    assert (await ada.verify(asked["challengeId"], await ada.mailed(before), trustDevice=False))[0] == 200
    assert (await ada.sign_in())["mfaRequired"] is True


async def test_a_new_password_ends_trust_and_challenges(ada: Somebody) -> None:
    token = await ada.by_mail()
    profile = (await ada.good("POST", "/api/user/refresh/profile", token=token))["profile"]
    jar = list(ada.http.cookie_jar)
    ada.forget()
    before = ada.sent()
    asked = await ada.sign_in()
    code = await ada.mailed(before)
    ada.http.cookie_jar.update_cookies({one.key: one.value for one in jar}, URL(ada.org.here.server.url))
    change = {"resetCodeId": profile["resetCodeId"], "password": PASSWORD, "newPassword": OTHER}
    await ada.good("PUT", "/api/user/me", change, token)
    assert await ada.wrong(asked["challengeId"], code) == "invalid_code"
    assert (await ada.sign_in(OTHER))["mfaRequired"] is True


# -- guessing ---------------------------------------------------------------------------------------------------------


async def test_a_challenge_takes_five_tries(ada: Somebody) -> None:
    await ada.by_mail()
    ada.forget()
    before = ada.sent()
    asked = (await ada.sign_in())["challengeId"]
    code = await ada.mailed(before)
    for _ in range(MAX_TRIES):
        assert await ada.wrong(asked, "000000" if code != "000000" else "000001") == "invalid_code"
    assert await ada.wrong(asked, code) == "invalid_code"


async def test_guessing_at_five_codes_locks_it_for_an_hour(org: Org, ada: Somebody) -> None:
    await ada.by_mail()
    ada.forget()
    for _ in range(MAX_BURNED):
        asked = (await ada.sign_in())["challengeId"]
        await ada.wrong(asked, "wrong")
        await ada.good("POST", "/api/auth/mfa-cancel", {"challengeId": asked})
    status, answer = await ada.call("POST", "/api/auth/signin", {"email": ada.email, "password": PASSWORD})
    assert (status, answer["error"]["code"]) == (429, "second_factor_locked")
    # Only who knows the password learns of it, and an administrator takes it away.
    wrong = {"email": ada.email, "password": OTHER}
    assert await ada.code("POST", "/api/auth/signin", wrong) == (401, "invalid_credentials")
    await org.good("DELETE", f"/api/admin/user/{org.ids[ada.name]}/mfa", who="admin")
    assert "token" in await ada.sign_in()


async def test_challenges_of_one_person_are_bounded(ada: Somebody) -> None:
    await ada.by_mail()
    ada.forget()
    seen = [await ada.call("POST", "/api/auth/signin", {"email": ada.email, "password": PASSWORD}) for _ in range(7)]
    assert sorted({status for status, _ in seen}) == [200, 429]
    assert ada.sent() < 10


async def test_nobody_learns_whether_there_is_a_challenge(ada: Somebody) -> None:
    for unknown in ("f" * 24, "nonsense"):
        assert await ada.wrong(unknown) == "invalid_code"
        assert (await ada.code("POST", "/api/auth/mfa-resend", {"challengeId": unknown})) == (400, "invalid_code")
        await ada.good("POST", "/api/auth/mfa-cancel", {"challengeId": unknown})


async def test_a_code_serves_once_even_when_shown_twice_at_once(ada: Somebody) -> None:
    await ada.by_mail()
    ada.forget()
    before = ada.sent()
    asked = (await ada.sign_in())["challengeId"]
    code = await ada.mailed(before)
    answers = await asyncio.gather(*(ada.verify(asked, code) for _ in range(4)))
    assert sorted(status for status, _ in answers) == [200, 400, 400, 400]


async def test_a_code_runs_out_after_five_minutes(org: Org, ada: Somebody) -> None:
    await ada.by_mail()
    ada.forget()
    before = ada.sent()
    asked = (await ada.sign_in())["challengeId"]
    code = await ada.mailed(before)
    await older(org, asked, 5 * 60_000 + 1)
    assert await ada.wrong(asked, code) == "invalid_code"


async def test_another_code_takes_half_a_minute_and_the_older_ones_place(org: Org, ada: Somebody) -> None:
    await ada.by_mail()
    ada.forget()
    before = ada.sent()
    asked = (await ada.sign_in())["challengeId"]
    first = await ada.mailed(before)
    async with ada.http.post("/api/auth/mfa-resend", json={"challengeId": asked}, headers=ada.headers) as answer:
        assert answer.status == 429
        assert 0 < int(answer.headers["retry-after"]) <= 31
        assert (await answer.json())["error"]["code"] == "resend_too_soon"
    await older(org, asked, 30_001)
    again = await ada.good("POST", "/api/auth/mfa-resend", {"challengeId": asked})
    assert (again["maskedEmail"], again["challengeId"] != asked) == ("ad***@example.org", True)
    second = await ada.mailed(before + 1)
    assert await ada.wrong(asked, first) == "invalid_code"
    assert (await ada.verify(again["challengeId"], second))[0] == 200


async def test_a_challenge_that_is_given_up_is_gone(ada: Somebody) -> None:
    await ada.by_mail()
    ada.forget()
    before = ada.sent()
    asked = (await ada.sign_in())["challengeId"]
    await ada.good("POST", "/api/auth/mfa-cancel", {"challengeId": asked})
    assert await ada.wrong(asked, await ada.mailed(before)) == "invalid_code"


# -- everywhere a password signs in, and nowhere else -----------------------------------------------------------------


async def test_the_page_is_asked_too(org: Org, ada: Somebody) -> None:
    await ada.by_mail()
    ada.forget()
    before = ada.sent()
    credentials = {"email": ada.email, "password": PASSWORD}
    ada.headers |= {"origin": org.here.server.url, "sec-fetch-site": "same-origin"}
    opened = await ada.good("POST", "/api/session", credentials)
    assert (opened["profile"], opened["csrfToken"], opened["challenge"]["method"]) == (None, None, "email")
    assert (await ada.good("GET", "/api/session"))["profile"] is None
    answer = {"challengeId": opened["challenge"]["challengeId"], "code": await ada.mailed(before)}
    ada.headers |= {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert await ada.code("POST", "/api/session/verify", answer) == (403, "origin_not_allowed")
    ada.headers |= {"origin": org.here.server.url, "sec-fetch-site": "same-origin"}
    opened = await ada.good("POST", "/api/session/verify", answer)
    assert opened["profile"]["email"] == ada.email
    assert "token" not in opened
    assert (await ada.good("GET", "/api/session"))["profile"]["email"] == ada.email
    assert (await ada.good("POST", "/api/session", credentials))["challenge"] is None  # this browser is trusted now


async def test_keys_are_not_asked_and_suspended_people_are_not_helped(org: Org, ada: Somebody) -> None:
    token = await ada.by_mail()
    db = org.here.server.ground.db
    await db.write(lambda tx: users.edit(tx, org.ids[ada.name], {"account_type": "admin"}))
    key = (await ada.good("POST", "/api/user/api-key", {"name": "One"}, token))["key"]
    async with ada.http.post("/api/auth/api-key-signin", headers={"x-api-key": key}) as answer:
        assert answer.status == 200
    ada.forget()
    before = ada.sent()
    await db.write(lambda tx: users.edit(tx, org.ids[ada.name], {"status": "suspended"}))
    credentials = {"email": ada.email, "password": PASSWORD}
    assert await ada.code("POST", "/api/auth/signin", credentials) == (403, "account_suspended")
    assert ada.sent() == before


# -- administration ---------------------------------------------------------------------------------------------------


async def test_administrators_reset_and_read_about_it(org: Org, ada: Somebody) -> None:
    await ada.by_mail()
    path = f"/api/admin/user/{org.ids[ada.name]}/mfa"
    for who, code in (("member", "admin_required"), ("bare", "entitlement_missing"), ("stranger", "not_found")):
        assert await org.code("DELETE", path, who=who) == code
    before = ada.sent()
    await org.good("DELETE", path, who="admin")
    assert "second step" in (await next_mail(org.here.server.settings.data_dir, ada.email, after=before))["Subject"]
    ada.forget()
    assert (await ada.sign_in())["profile"]["mfaEnabled"] is False
    events = (await org.good("GET", f"/api/admin/users/{org.ids[ada.name]}/mfa-audit", who="admin"))["data"]
    assert [(one["action"], one["actorType"]) for one in events] == [
        ("mfa.reset", "admin"),
        ("mfa.confirmed", "self"),
        ("mfa.code.verified", "self"),
        ("mfa.enrolment_asked", "self"),
        ("mfa.switched_on", "self"),
    ]
    assert await org.code("DELETE", f"/api/admin/user/{org.ids['admin']}/mfa", who="admin") == "not_yourself"


async def test_who_acts_as_somebody_leaves_the_second_step_alone(org: Org, ada: Somebody) -> None:
    await ada.sign_in()
    acting = await org.good("POST", f"/api/admin/user/{org.ids[ada.name]}/actAs", {"reason": "Ticket 17"}, "admin")
    token = acting["token"]
    for method, path, body in (
        ("PUT", "/api/user/me", {"mfaEnabled": True}),
        ("POST", "/api/user/me/mfa-enroll", None),
        ("POST", "/api/user/me/totp", {"password": PASSWORD}),
        ("POST", "/api/user/me/totp/confirm", {"code": "123456"}),
        ("POST", "/api/user/me/recovery-codes", {"password": PASSWORD}),
    ):
        assert await ada.code(method, path, body, token) == (403, "acting_as_somebody")


async def test_a_deleted_account_leaves_nothing_of_it(org: Org, ada: Somebody) -> None:
    token, _, _ = await ada.by_app()
    await ada.good("DELETE", "/api/user/me", {"password": PASSWORD}, token)
    with looking_into(org.here.database) as connection:
        for table in ("second_factors", "recovery_codes", "trusted_devices", "burned_codes", "codes"):
            left = text(f"SELECT count(*) FROM {table} WHERE user_id = :user")  # noqa: S608 - names of our own
            assert connection.execute(left, {"user": org.ids[ada.name]}).scalar() == 0, table
