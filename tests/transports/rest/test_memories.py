"""Memories over HTTP: scopes, provenance, edits, off switch, administrators (reference content 8.1)."""

from typing import Any

import pytest

from tests.transports.rest.ada import Ada
from tests.transports.rest.conftest import House, refusal
from twinspeak.domain.ids import new_id
from twinspeak.persistence.conversation_tables import memories


async def keep(ada: Ada, name: str = "tree", value: str = "An oak.", **body: Any) -> str:
    return (await ada.done("memory", {"name": name, "value": value, **body}))["id"]


async def listed(ada: Ada, header: dict[str, str] | None = None, **body: Any) -> list[dict[str, Any]]:
    answer = await ada.client.post("/api/user/memories", headers=header or ada.header, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def put(ada: Ada, memory_id: str, **body: Any) -> Any:
    return await ada.client.put(f"/api/user/memory/{memory_id}", headers=ada.header, json=body)


async def delete(ada: Ada, memory_id: str) -> Any:
    return await ada.client.delete(f"/api/user/memory/{memory_id}", headers=ada.header)


async def bob_in(house: House, ada: Ada) -> dict[str, str]:
    await ada.somebody_else()
    return await house.sign_in("bob@example.org")


async def test_scopes_are_personal_twin_and_shared(house: House, ada: Ada):
    await keep(ada, "personal", institution=None)
    await keep(ada, "private")
    await keep(ada, "shared", shared=True)
    await keep(ada, "elsewhere", institution=ada.elm.id)
    here = {one["name"]: one["scope"] for one in await listed(ada)}
    assert here == {"personal": "personal", "private": "twin", "shared": "shared"}
    assert {one["name"] for one in await listed(ada, institution=ada.elm.id)} == {"personal", "elsewhere"}
    assert {one["name"] for one in await listed(ada, institution=None)} == {"personal"}
    [seen] = await listed(ada, await bob_in(house, ada))
    assert (seen["name"], seen["user"]) == ("shared", ada.caller.user_id)


async def test_a_memory_says_where_it_comes_from(ada: Ada):
    await keep(ada, description="Which tree", namespace="garden")
    [one] = await listed(ada)
    assert (one["source"], one["historyId"], one["version"]) == ("user", None, 1)
    assert (one["namespace"], one["description"], one["institution"]) == ("garden", "Which tree", ada.oak.id)


async def test_value_description_and_sharing_change_and_the_name_does_not(house: House, ada: Ada):
    memory_id = await keep(ada)
    assert (await put(ada, memory_id, value="An elm.", shared=True)).json()["version"] == 2
    [one] = await listed(ada)
    assert (one["name"], one["value"], one["scope"], one["version"]) == ("tree", "An elm.", "shared", 2)
    assert refusal(await put(ada, memory_id, name="bush")) == (400, "invalid_request")
    assert [one["value"] for one in await listed(ada, await bob_in(house, ada))] == ["An elm."]


async def test_of_two_edits_of_one_version_the_second_is_told(ada: Ada):
    memory_id = await keep(ada)
    assert (await put(ada, memory_id, value="First.", version=1)).status_code == 200
    assert refusal(await put(ada, memory_id, value="Second.", version=1)) == (409, "conflict")
    assert [one["value"] for one in await listed(ada)] == ["First."]


async def test_a_name_is_there_once_in_its_place(ada: Ada):
    await keep(ada, "Tree")
    assert refusal(await ada.post("memory", {"name": "tree", "value": "x"})) == (409, "conflict")
    await keep(ada, "tree", namespace="other")
    await keep(ada, "tree", institution=None)
    shared = await keep(ada, "tree", shared=True)
    assert refusal(await put(ada, shared, shared=False)) == (409, "conflict")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (422, "validation_failed")),
        ({"name": " ", "value": "x"}, (422, "validation_failed")),
        ({"name": "x", "value": ""}, (422, "validation_failed")),
        ({"name": "x" * 101, "value": "x"}, (422, "validation_failed")),
        ({"name": "x", "value": "x" * 2_001}, (422, "validation_failed")),
        ({"name": "x", "value": 7}, (422, "validation_failed")),
        ({"name": "x", "value": "x", "institution": "y"}, (400, "invalid_id")),
        ({"name": "x", "value": "x", "institution": new_id()}, (403, "not_a_member")),
        ({"name": "x", "value": "x", "institution": None, "shared": True}, (400, "invalid_request")),
    ],
)
async def test_a_memory_that_makes_no_sense_is_not_kept(ada: Ada, body: dict[str, Any], expected: tuple[int, str]):
    assert refusal(await ada.post("memory", body)) == expected
    assert ada.stage.column(memories.c.id) == []


async def test_memories_are_deleted_one_by_one_and_the_personal_ones_at_once(ada: Ada):
    private = await keep(ada)
    for name in ("a", "b"):
        await keep(ada, name, institution=None)
    assert (await delete(ada, "personal")).json()["count"] == 2
    assert [one["name"] for one in await listed(ada)] == ["tree"]
    assert (await delete(ada, private)).status_code == 200
    assert refusal(await delete(ada, private)) == (404, "not_found")
    assert refusal(await delete(ada, "x")) == (400, "invalid_id")


async def test_what_others_share_may_be_read_and_not_changed(house: House, ada: Ada):
    private, shared = await keep(ada, "a"), await keep(ada, "b", shared=True)
    header = await bob_in(house, ada)
    for memory_id, expected in ((private, (404, "not_found")), (shared, (403, "owner_required"))):
        for method in ("PUT", "DELETE"):
            path = f"/api/user/memory/{memory_id}"
            answer = await ada.client.request(method, path, headers=header, json={"value": "mine"})
            assert refusal(answer) == expected
    assert {one["value"] for one in await listed(ada)} == {"An oak."}


async def test_who_left_a_twin_reads_and_changes_nothing_there(ada: Ada):
    memory_id = await keep(ada, institution=ada.elm.id)
    ada.stage.leave(ada.caller.user_id, ada.elm.id)
    assert refusal(await put(ada, memory_id, value="x")) == (403, "not_a_member")


async def test_there_are_not_endlessly_many(ada: Ada, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("twinspeak.persistence.repos.memories.MOST_OWN", 1)
    await keep(ada, "a")
    assert refusal(await ada.post("memory", {"name": "b", "value": "x"})) == (409, "conflict")
    await keep(ada, "b", shared=True)


async def test_administrators_list_and_delete_what_is_kept_in_their_twins(house: House, ada: Ada):
    await keep(ada, "personal", institution=None)
    private = await keep(ada, "private")
    boss = house.stage.person("boss@example.org", account_type="admin")
    house.stage.join(boss, ada.oak, account_type="admin", verbs=("users.list",))
    header = await house.sign_in("boss@example.org")
    body = (await ada.client.post("/api/admin/memories", headers=header, json={})).json()
    assert ([one["name"] for one in body["data"]], body["total"]) == (["private"], 1)
    path = f"/api/admin/memory/{private}"
    assert refusal(await ada.client.delete(path, headers=header)) == (403, "entitlement_missing")
    assert refusal(await ada.client.delete(path, headers=ada.header)) == (403, "admin_required")


async def test_the_off_switch_keeps_memories_out_of_prompts_and_the_tool_away(ada: Ada):
    await keep(ada)
    plan = await ada.stage.plan(ada.caller)
    assert ([one.name for one in plan.memories], plan.uses_memory) == (["tree"], True)
    answer = await ada.client.put("/api/user/me", headers=ada.header, json={"use_memory": False})
    assert answer.status_code == 200, answer.text
    plan = await ada.stage.plan(ada.caller)
    assert (plan.memories, plan.uses_memory) == ((), False)
