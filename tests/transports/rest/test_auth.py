"""Signing in and out over HTTP, on the real services."""

import asyncio
from typing import Any

import pytest

from tests.engine.fakes import text
from tests.services.stage import PASSWORD, ask
from tests.transports.rest.conftest import House, refusal
from twinspeak.domain.turn import TurnState
from twinspeak.persistence.tables import sessions
from twinspeak.transports.rest.shapes import ProfileShape

SIGN_IN = "/api/auth/signin"


async def test_signing_in_gives_a_token_and_a_profile(house: House):
    user = house.stage.person(fname="Ada", remember_history_count=7, account_type="admin")
    twin = house.stage.twin("Larkfield", public_authorized_urls=("https://lms.example",))
    house.stage.join(user, twin, account_type="admin")
    answer = await house.client.post(
        SIGN_IN, json={"email": " ADA@example.org ", "password": PASSWORD, "extra": 1}, headers={"user-agent": "curl/8"}
    )
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"token", "profile"}
    profile = body["profile"]
    assert (profile["_id"], profile["email"], profile["fname"]) == (user.id, "ada@example.org", "Ada")
    assert (profile["accountType"], profile["plan"], profile["status"]) == ("admin", "sdk", "active")
    assert (profile["credits"], profile["creditsUsed"], profile["remember_history_count"]) == (50, 0, 7)
    assert profile["institution"]["_id"] == twin.id
    assert profile["institution"]["publicId"] == twin.public_id
    assert profile["institution"]["publicAuthorizedUrls"] == ["https://lms.example"]
    assert "prompt" not in profile["institution"]
    assert house.stage.column(sessions.c.user_agent) == ["curl/8"]
    assert answer.headers["cache-control"] == "no-store"
    assert "password" not in answer.text.replace("mustChangePassword", "").replace("updatePasswordOnSSO", "")


async def test_a_personal_profile_has_no_institution(house: House):
    house.stage.person()
    answer = await house.client.post(SIGN_IN, json={"email": "ada@example.org", "password": PASSWORD})
    profile = answer.json()["profile"]
    assert (profile["institution"], profile["plan"], profile["permissions"]) == (None, "free", [])
    assert profile["created"].endswith("Z")


def test_a_profile_has_every_documented_field():
    """Of reference 1.1 and 2.1, less billing, LXP, Canvas and Google."""
    schema = ProfileShape.model_json_schema(by_alias=True, mode="serialization")
    assert set(schema["properties"]) >= {
        *("_id", "email", "fname", "lname", "picture", "accountType", "permissions", "credits", "creditsUsed", "plan"),
        *("status", "referralId", "resetCodeId", "remember_history_count", "browser_voice", "browser_voices"),
        *("rt_voice", "use_location", "use_stt", "pin_ui", "showSideBar", "galleryAsGrid", "showPriaOptions"),
        *("ragOnlySearch", "ragIgnore", "dark_mode", "mustChangePassword", "updatePasswordOnSSO", "created"),
        "institution",
    }


@pytest.mark.parametrize(
    ("email", "password"),
    [("ada@example.org", "wrong"), ("nobody@example.org", PASSWORD), ("ada@example.org", PASSWORD + " ")],
)
async def test_wrong_is_wrong_and_says_no_more(house: House, email: str, password: str):
    house.stage.person()
    answer = await house.client.post(SIGN_IN, json={"email": email, "password": password})
    assert refusal(answer) == (401, "invalid_credentials")
    assert answer.json()["error"]["param"] is None
    assert house.stage.column(sessions.c.id) == []


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["email", "password"]),
        ({"email": "ada@example.org"}, ["password"]),
        ({"email": "", "password": ""}, ["email", "password"]),
        ({"email": None, "password": {"$ne": ""}}, ["email", "password"]),
        ({"email": ["ada@example.org"], "password": 7}, ["email", "password"]),
        ({"email": "x" * 400, "password": "x" * 5_000}, ["email", "password"]),
    ],
)
async def test_a_wrong_shape_is_named(house: House, body: Any, fields: list[str]):
    answer = await house.client.post(SIGN_IN, json=body)
    assert refusal(answer) == (422, "validation_failed")
    assert [field["field"] for field in answer.json()["error"]["details"]["fields"]] == fields


async def test_a_suspended_person_is_told_only_with_the_password(house: House):
    house.stage.person(status="suspended")
    right = await house.client.post(SIGN_IN, json={"email": "ada@example.org", "password": PASSWORD})
    wrong = await house.client.post(SIGN_IN, json={"email": "ada@example.org", "password": "wrong"})
    assert (refusal(right), refusal(wrong)) == ((403, "account_suspended"), (401, "invalid_credentials"))


async def test_ten_failures_a_minute_are_the_limit_for_one_address(house: House):
    house.stage.person()
    good, bad = ({"email": "ada@example.org", "password": word} for word in (PASSWORD, "wrong"))
    for _ in range(12):
        assert (await house.client.post(SIGN_IN, json=good)).headers["ratelimit-remaining"] == "10"
    for remaining in range(9, -1, -1):
        answer = await house.client.post(SIGN_IN, json=bad)
        assert refusal(answer) == (401, "invalid_credentials")
        assert answer.headers["ratelimit-remaining"] == str(remaining)
    refused = await house.client.post(SIGN_IN, json=good)
    assert refusal(refused) == (429, "rate_limited")
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.headers["ratelimit-limit"] == "10"


async def test_signing_out_takes_effect_at_once(house: House):
    _, header = await house.newcomer()
    other = await house.sign_in()
    answer = await house.client.post("/api/auth/signout", headers=header)
    assert answer.json() == {"success": True, "message": "You are signed out."}
    assert refusal(await house.client.get("/api/ai/turns", headers=header)) == (401, "invalid_token")
    assert refusal(await house.client.post("/api/auth/signout", headers=header)) == (401, "invalid_token")
    assert (await house.client.get("/api/ai/turns", headers=other)).status_code == 200


async def test_signing_out_ends_what_runs_under_the_session(house: House):
    _, header = await house.newcomer()
    caller = await house.stage.auth.authenticate(header["x-access-token"])
    house.provider.script = [[text("some "), asyncio.Event()]]
    turn = house.turns.start(ask(caller))
    await asyncio.wait_for(house.provider.reached.wait(), 5)
    await house.client.post("/api/auth/signout", headers=header)
    await asyncio.wait_for(turn.ended(), 5)
    record = await house.stage.turns.record(caller, turn.turn_id)
    assert (record.state, record.output) == (TurnState.CANCELLED, "some ")


@pytest.mark.parametrize("path", ["/api/auth/signout", "/api/user/refresh/profile", "/api/user/histories"])
async def test_what_needs_a_token_says_so(house: House, path: str):
    assert refusal(await house.client.post(path)) == (401, "authentication_required")
    assert refusal(await house.client.post(path, headers={"x-access-token": "x.y.z"})) == (401, "invalid_token")
