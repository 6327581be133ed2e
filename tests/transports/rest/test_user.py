"""One's own profile over HTTP: refresh, edits, password change."""

from typing import Any

import pytest

from tests.services.stage import PASSWORD
from tests.transports.rest.conftest import House, refusal

NEW = "another good password"
ME = "/api/user/me"
REFRESH = "/api/user/refresh/profile"


async def profile_of(house: House, header: dict[str, str]) -> dict[str, Any]:
    answer = await house.client.post(REFRESH, headers=header)
    assert answer.status_code == 200, answer.text
    return answer.json()["profile"]


@pytest.mark.parametrize("body", [None, {}, {"slug": "x", "tag": 1}, []])
async def test_refreshing_gives_a_new_token_whatever_the_body(house: House, body: Any):
    user, header = await house.newcomer()
    answer = await house.client.post(REFRESH, headers=header, json=body)
    assert answer.status_code == 200
    fresh = answer.json()
    assert set(fresh) == {"success", "token", "profile"}
    assert fresh["profile"]["_id"] == user.id
    for token in (fresh["token"], header["x-access-token"]):
        assert (await house.client.get("/api/ai/turns", headers={"x-access-token": token})).status_code == 200


async def test_a_token_in_the_body_refreshes_too(house: House):
    _, header = await house.newcomer()
    answer = await house.client.post(REFRESH, json={"token": header["x-access-token"]})
    assert answer.status_code == 200


async def test_a_profile_is_edited(house: House):
    _, header = await house.newcomer()
    edit = {
        "fname": "Ada",
        "lname": "Lovelace",
        "remember_history_count": 15,
        "ragIgnore": True,
        "ragOnlySearch": False,
        "dark_mode": True,
        "showSideBar": False,
        "browser_voices": ["a", "b"],
        "picture": None,
        "email": "ADA@example.org",
        "mustChangePassword": False,
    }
    answer = await house.client.put(ME, json=edit, headers=header)
    assert (answer.status_code, answer.json()["success"]) == (200, True)
    profile = await profile_of(house, header)
    kept = {name: profile[name] for name in edit if name not in ("picture", "email")}
    assert kept == {name: value for name, value in edit.items() if name in kept}
    assert (profile["email"], profile["picture"]) == ("ada@example.org", "")


async def test_an_edit_leaves_the_rest_alone_and_null_takes_a_switch_back(house: House):
    _, header = await house.newcomer()
    await house.client.put(ME, json={"fname": "Ada", "ragIgnore": True, "dark_mode": True}, headers=header)
    await house.client.put(ME, json={"lname": "L", "ragIgnore": None, "pin_ui": True}, headers=header)
    profile = await profile_of(house, header)
    assert (profile["fname"], profile["lname"], profile["ragIgnore"]) == ("Ada", "L", None)
    assert (profile["dark_mode"], profile["pin_ui"]) == (True, True)


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        ({"accountType": "super"}, "accountType"),
        ({"credits": 1_000}, "credits"),
        ({"fname": "x", "_id": "a" * 24}, "_id"),
        ({"remember_history_count": 16}, "remember_history_count"),
        ({"remember_history_count": "3"}, "remember_history_count"),
        ({"remember_history_count": 2**70}, "remember_history_count"),
        ({"fname": ["x"]}, "fname"),
        ({"fname": "x" * 5_000}, "fname"),
        ({"fname": "x" * 500}, "fname"),
        ({"dark_mode": "yes"}, "dark_mode"),
        ({"browser_voices": [1]}, "browser_voices.0"),
        ({"email": "bob at example.org", "fname": "x"}, "email"),
        ({"mustChangePassword": True}, "mustChangePassword"),
    ],
)
async def test_an_edit_that_may_not_be_changes_nothing(house: House, edit: dict[str, Any], field: str):
    _, header = await house.newcomer()
    before = await profile_of(house, header)
    answer = await house.client.put(ME, json=edit, headers=header)
    assert refusal(answer) == (422, "validation_failed")
    assert [wrong["field"] for wrong in answer.json()["error"]["details"]["fields"]] == [field]
    assert await profile_of(house, header) == before


@pytest.mark.parametrize("body", [[], "x", 7, None])
async def test_an_edit_that_is_no_object_is_refused(house: House, body: Any):
    _, header = await house.newcomer()
    assert refusal(await house.client.put(ME, json=body, headers=header)) == (422, "validation_failed")


# -- the password -----------------------------------------------------------------------------------------------------


async def change(house: House, header: dict[str, str], **body: Any) -> Any:
    code = (await profile_of(house, header))["resetCodeId"]
    full = {"resetCodeId": code, "password": PASSWORD, "newPassword": NEW, **body}
    return await house.client.put(ME, json=full, headers=header)


async def test_a_password_change_ends_every_older_session(house: House):
    _, header = await house.newcomer()
    elsewhere = await house.sign_in()
    answer = await change(house, header)
    assert answer.status_code == 200
    for old in (header, elsewhere):
        assert refusal(await house.client.get("/api/ai/turns", headers=old)) == (401, "invalid_token")
    fresh = {"x-access-token": answer.json()["token"]}
    assert (await house.client.get("/api/ai/turns", headers=fresh)).status_code == 200
    assert await house.sign_in(password=NEW)
    again = await house.client.post("/api/auth/signin", json={"email": "ada@example.org", "password": PASSWORD})
    assert refusal(again) == (401, "invalid_credentials")


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"password": "wrong"}, 401, "invalid_credentials", "password"),
        ({"newPassword": "short"}, 422, "validation_failed", "newPassword"),
        ({"newPassword": PASSWORD}, 422, "validation_failed", "newPassword"),
        ({"newPassword": None}, 422, "validation_failed", "newPassword"),
        ({"password": None}, 422, "validation_failed", "password"),
        ({"resetCodeId": "3f0c8f0e-6d1b-4f43-9b6c-0d2f7a1c5e11"}, 422, "validation_failed", "resetCodeId"),
        ({"resetCodeId": ""}, 422, "validation_failed", "resetCodeId"),
        ({"resetCodeId": None}, 422, "validation_failed", "resetCodeId"),
    ],
)
async def test_a_wrong_password_change_changes_nothing(
    house: House, body: dict[str, Any], status: int, code: str, param: str
):
    _, header = await house.newcomer()
    answer = await change(house, header, **body)
    assert refusal(answer) == (status, code)
    assert answer.json()["error"]["param"] == param
    assert (await house.client.get("/api/ai/turns", headers=header)).status_code == 200
    assert await house.sign_in()


async def test_the_current_password_cannot_be_guessed(house: House):
    _, header = await house.newcomer()
    for _ in range(10):
        assert refusal(await change(house, header, password="wrong")) == (401, "invalid_credentials")
    refused = await change(house, header)
    assert refusal(refused) == (429, "rate_limited")
    assert refused.headers["ratelimit-limit"] == "10"


async def test_another_persons_code_is_of_no_use(house: House):
    _, ada = await house.newcomer()
    _, bob = await house.newcomer("bob@example.org")
    code = (await profile_of(house, bob))["resetCodeId"]
    assert refusal(await change(house, ada, resetCodeId=code)) == (422, "validation_failed")
