"""The second step at sign-in by an authenticator app, and by recovery codes."""

import pytest
from sqlalchemy import text, update

from tests.newcomers import OTHER, PASSWORD, Somebody, step
from tests.organisation import Org
from tests.world import looking_into
from twinspeak.identity.totp import code_at
from twinspeak.persistence.identity_tables import second_factors
from twinspeak.persistence.secrets import SecretBox
from twinspeak.services.second_factors import RECOVERY_CODES, rotate_secrets

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

DEVICE = "twinspeak_device"


async def test_an_app_takes_the_password_and_a_code_of_its_own(org: Org, ada: Somebody) -> None:
    token = (await ada.sign_in())["token"]
    path = "/api/user/me/totp"
    assert await ada.code("POST", path, {"password": OTHER}, token) == (401, "invalid_credentials")
    assert await ada.code("POST", f"{path}/confirm", {"code": "123456"}, token) == (400, "invalid_code")
    app = await ada.good("POST", path, {"password": PASSWORD}, token)
    assert app["secret"] in app["address"]
    assert "token" in await ada.sign_in()  # nothing counts yet
    assert await ada.code("POST", f"{path}/confirm", {"code": "000000"}, token) == (400, "invalid_code")
    made = await ada.good("POST", f"{path}/confirm", {"code": code_at(app["secret"], step())}, token)
    assert len(set(made["recoveryCodes"])) == RECOVERY_CODES
    with looking_into(org.here.database) as connection:
        stored = str(connection.execute(text("SELECT * FROM second_factors")).all())
        stored += str(connection.execute(text("SELECT * FROM recovery_codes")).all())
    assert app["secret"] not in stored
    assert not [code for code in made["recoveryCodes"] if code.replace("-", "") in stored]


async def test_the_apps_code_opens_and_never_twice(ada: Somebody) -> None:
    _, secret, _ = await ada.by_app()
    before = ada.sent()
    asked = await ada.sign_in()
    assert asked["method"] == "totp"
    now = step() + 1
    assert await ada.wrong(asked["challengeId"], code_at(secret, now - 10)) == "invalid_code"
    assert (await ada.verify(asked["challengeId"], code_at(secret, now), trustDevice=False))[0] == 200
    again = (await ada.sign_in())["challengeId"]
    assert await ada.wrong(again, code_at(secret, now)) == "invalid_code"
    assert ada.sent() == before


async def test_a_recovery_code_serves_once(ada: Somebody) -> None:
    token, _, recovery = await ada.by_app()
    asked = (await ada.sign_in())["challengeId"]
    assert (await ada.verify(asked, recovery[0].lower(), trustDevice=False))[0] == 200
    again = (await ada.sign_in())["challengeId"]
    assert await ada.wrong(again, recovery[0]) == "invalid_code"
    assert (await ada.verify(again, recovery[1].replace("-", ""), trustDevice=False))[0] == 200
    assert (await ada.good("GET", "/api/user/me/mfa", token=token))["recoveryCodes"] == RECOVERY_CODES - 2
    fresh = await ada.good("POST", "/api/user/me/recovery-codes", {"password": PASSWORD}, token)
    last = (await ada.sign_in())["challengeId"]
    assert await ada.wrong(last, recovery[2]) == "invalid_code"
    assert (await ada.verify(last, fresh["recoveryCodes"][0]))[0] == 200


async def test_an_app_is_dropped_for_the_password(ada: Somebody) -> None:
    token, _, _ = await ada.by_app()
    assert (await ada.code("DELETE", "/api/user/me/totp", {"password": OTHER}, token))[0] == 401
    await ada.good("DELETE", "/api/user/me/totp", {"password": PASSWORD}, token)
    assert (await ada.code("DELETE", "/api/user/me/totp", {"password": PASSWORD}, token))[0] == 409
    before = ada.sent()
    assert (await ada.sign_in())["method"] == "email"
    assert await ada.mailed(before)


async def test_apps_secrets_are_encrypted_anew_with_the_others(org: Org, ada: Somebody) -> None:
    await ada.by_app()
    ground = org.here.server.ground
    await ground.db.write(lambda tx: tx.run(update(second_factors).values(totp_pending="")))
    old = (org.here.server.settings.data_dir / "secrets.key").read_text().split()
    both, kept = SecretBox(["n" * 48, *old]), SecretBox([*old, "n" * 48])
    assert await ground.db.write(lambda tx: rotate_secrets(tx, both)) >= 1
    assert await ground.db.write(lambda tx: rotate_secrets(tx, both)) == 0
    assert await ground.db.write(lambda tx: rotate_secrets(tx, kept)) >= 1
