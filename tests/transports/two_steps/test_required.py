"""A twin that wants a second step of its members: who chose none gets a mailed code."""

import pytest
from sqlalchemy import update

from tests.newcomers import Somebody
from tests.organisation import Org
from twinspeak.persistence.identity_tables import second_factors
from twinspeak.persistence.tables import memberships

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]


async def required(org: Org, *, on: bool) -> None:
    path = f"/api/admin/institution/{org.ids['oak']}"
    await org.good("PUT", path, {"requireSecondFactor": on}, "admin")


async def test_who_chose_none_gets_a_mailed_code(org: Org, ada: Somebody) -> None:
    await required(org, on=True)
    before = ada.sent()
    asked = await ada.sign_in()
    assert (asked["mfaRequired"], asked["method"]) == (True, "email")
    code = await ada.mailed(before)
    assert await ada.wrong(asked["challengeId"], f"{(int(code) + 1) % 1_000_000:06}") == "invalid_code"
    status, signed = await ada.verify(asked["challengeId"], code)
    assert status == 200
    assert signed["profile"]["mfaEnabled"] is False
    standing = await ada.good("GET", "/api/user/me/mfa", token=signed["token"])
    assert (standing["required"], standing["mfaEnabled"], standing["method"]) == (True, False, None)
    assert "token" in await ada.sign_in()  # this browser is trusted now
    ada.forget()
    assert (await ada.sign_in())["mfaRequired"] is True
    await required(org, on=False)
    assert "token" in await ada.sign_in()


async def test_what_somebody_chose_comes_first_and_switching_it_off_changes_nothing(org: Org, ada: Somebody) -> None:
    token, _, _ = await ada.by_app()
    await required(org, on=True)
    ada.forget()
    assert (await ada.sign_in())["method"] == "totp"
    await ada.good("PUT", "/api/user/me", {"mfaEnabled": False}, token)
    ada.forget()
    assert (await ada.sign_in())["method"] == "email"
    await required(org, on=False)


async def test_only_members_are_asked(org: Org, ada: Somebody) -> None:
    await required(org, on=True)
    gone = update(memberships).where(memberships.c.user_id == org.ids[ada.name]).values(status="suspended")
    await org.here.server.ground.db.write(lambda tx: tx.run(gone))
    answer = await ada.sign_in()
    assert "mfaRequired" not in answer
    await required(org, on=False)


async def test_an_address_that_nobody_confirmed_is_no_way_round(org: Org, ada: Somebody) -> None:
    token = (await ada.sign_in())["token"]
    await ada.good("PUT", "/api/user/me", {"mfaEnabled": True}, token)
    unsure = update(second_factors).where(second_factors.c.user_id == org.ids[ada.name]).values(confirmed=None)
    await org.here.server.ground.db.write(lambda tx: tx.run(unsure))
    await required(org, on=True)
    ada.forget()
    assert (await ada.sign_in())["method"] == "email"
    await required(org, on=False)


@pytest.mark.parametrize("wrong", ["perhaps", 2, [], {}])
async def test_it_is_a_switch(org: Org, wrong: object) -> None:
    path = f"/api/admin/institution/{org.ids['oak']}"
    assert await org.code("PUT", path, {"requireSecondFactor": wrong}, "admin") == "validation_failed"
    assert await org.code("PUT", path, {"requireSecondFactor": True}, "stranger") == "not_found"
