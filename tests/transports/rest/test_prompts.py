"""What administrators see of a turn's prompt (`GET /api/admin/history/{id}/prompt`)."""

from typing import Any

import httpx
import pytest

from tests.transports.rest.ada import Ada
from tests.transports.rest.conftest import House, refusal
from twinspeak.domain.ids import new_id
from twinspeak.domain.prompts import PromptSeen
from twinspeak.engine import prompt


async def seen(client: httpx.AsyncClient, header: dict[str, str], turn_id: str) -> httpx.Response:
    return await client.get(f"/api/admin/history/{turn_id}/prompt", headers=header)


async def asked(house: House, ada: Ada, text: str) -> str:
    plan = await house.stage.plan(ada.caller, text, timezone="Europe/Berlin")
    await house.stage.turns.begin(plan, wanted=0, least=0)
    built = prompt.build(plan, ())
    parts = tuple((part.name, part.text) for part in built.fragments)
    seen = PromptSeen(fragments=parts, messages=len(built.messages), tokens=built.tokens)
    await house.stage.end(plan, "Because.", prompt=seen)
    return plan.ask.turn_id


async def administrator(house: House, ada: Ada, *, verbs: tuple[str, ...], of: Any = None) -> dict[str, str]:
    boss = house.stage.person("boss@example.org", account_type="admin")
    house.stage.join(boss, of or ada.oak, account_type="admin", verbs=verbs)
    return await house.sign_in("boss@example.org")


async def test_an_administrator_of_the_twin_sees_the_fragments_by_name(house: House, ada: Ada):
    turn_id = await asked(house, ada, "Why?")
    header = await administrator(house, ada, verbs=("histories.list",))
    body = (await seen(house.client, header, turn_id)).json()["data"]
    assert body["historyId"] == turn_id
    assert [part["name"] for part in body["fragments"]] == ["identity", "context"]
    assert "Europe/Berlin" in body["fragments"][1]["text"]
    assert (body["messages"], body["compacted"]) == (1, False)
    assert body["tokens"] > 0


@pytest.mark.parametrize("case", ["other twin", "no verb", "no administrator", "unknown", "malformed", "nothing kept"])
async def test_who_has_no_reach_learns_nothing(house: House, ada: Ada, case: str):
    turn_id = await asked(house, ada, "Why?")
    verbs = () if case == "no verb" else ("histories.list",)
    header = await administrator(house, ada, verbs=verbs, of=ada.elm if case == "other twin" else None)
    expected = (404, "not_found")
    if case == "no verb":
        expected = (403, "entitlement_missing")
    elif case == "no administrator":
        header, expected = ada.header, (403, "admin_required")
    elif case == "malformed":
        turn_id, expected = "x", (400, "invalid_id")
    elif case == "unknown":
        turn_id = new_id()
    elif case == "nothing kept":
        turn_id = await ada.turn()
    assert refusal(await seen(house.client, header, turn_id)) == expected


async def test_what_is_personal_is_not_for_administrators_of_twins(house: House, ada: Ada):
    house.stage.edit(ada.user, active_institution_id=None)
    turn_id = await asked(house, ada, "Why?")
    header = await administrator(house, ada, verbs=("histories.list",))
    assert refusal(await seen(house.client, header, turn_id)) == (404, "not_found")
