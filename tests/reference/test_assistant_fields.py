"""Assistants, field by field and right by right of reference content 2.1 to 2.9."""

from typing import Any

import pytest
import pytest_asyncio

from tests.faces import Face, ask, body_of, post
from tests.organisation import Org
from twinspeak.domain.access import Verb

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.usefixtures("database")]

WRITTEN: dict[str, Any] = {
    "name": "Guide",
    "description": "Knows the way",
    "instructions": "Lead.",
    "status": "inactive",
    "picture_url": "/guide.webp",
    "admin_only": True,
    "institution_shared": True,
    "account_shared": True,
    "editable_others": True,
    "remember_history": 0,
    "ragEnabled": False,
    "bypassSystemContext": True,
    "conversationModel": "fake-model",
    "stsConversationModel": "voice-1",
    "ragCollections": ["6920a1b2c3d4e5f60718293a"],
    "assistantToolMode": "selected",
    "assistantTools": [{"tool": "search_uploads", "instructionsOverride": "Look twice."}],
    "argument_1": "one",
    "argument_2": "two",
    "argument_3": "three",
    "argument_4": "four",
    "argument_5": "five",
}
DEFAULTS: dict[str, Any] = {
    "description": "",
    "instructions": "",
    "status": "active",
    "picture_url": "",
    "liked_count": 0,
    "admin_only": False,
    "institution_shared": False,
    "account_shared": False,
    "editable_others": False,
    "remember_history": None,
    "ragEnabled": True,
    "bypassSystemContext": False,
    "conversationModel": "",
    "stsConversationModel": "",
    "ragCollections": [],
    "assistantToolMode": "all",
    "assistantTools": [],
    **dict.fromkeys((f"argument_{number}" for number in range(1, 6)), None),
}
"""`remember_history` None: as many as the person wants, who wants 3 unless he says otherwise."""


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def assistants(org: Org) -> dict[str, dict[str, Any]]:
    """Return an assistant with everything set and one with nothing set, as their owner reads them, and the list's."""
    found: dict[str, dict[str, Any]] = {}
    for name, body in (("full", WRITTEN), ("plain", {"name": "Plain"})):
        made = await org.good("POST", "/api/user/assistant", body, "admin")
        assert (made["success"], made["message"]) == (True, "Assistant created!")
        found[name] = (await org.good("GET", f"/api/user/assistant/{made['id']}", who="admin"))["data"]
        assert found[name]["_id"] == made["id"]
    listed = await org.good("POST", "/api/user/assistants", {"name": "Guide"}, "admin")
    assert set(listed) == {"success", "data"}
    found["listed"] = listed["data"][0]
    page = await org.good("POST", "/api/admin/assistants", {"name": "Guide"}, "admin")
    assert (page["total"], page["hasMore"], page["page"], page["pageSize"]) == (1, False, 1, 100)
    found["admin"] = page["data"][0]
    return found


@pytest.mark.parametrize("field", WRITTEN)
async def test_an_assistant_keeps_the_field(assistants: dict[str, dict[str, Any]], field: str) -> None:
    assert assistants["full"][field] == WRITTEN[field]


@pytest.mark.parametrize("field", DEFAULTS)
async def test_an_assistant_has_the_default_of_the_field(assistants: dict[str, dict[str, Any]], field: str) -> None:
    assert assistants["plain"][field] == DEFAULTS[field]


LISTED = {"_id", "liked_count", "user", "institution", "created", "user_data", "institution_data", "account_data"}
HIDDEN = {f"argument_{number}" for number in range(1, 5)}


@pytest.mark.parametrize("field", sorted((LISTED | set(WRITTEN)) - HIDDEN))
async def test_the_list_tells_the_field(assistants: dict[str, dict[str, Any]], field: str) -> None:
    assert assistants["listed"][field] == assistants["full"][field]


@pytest.mark.parametrize("field", ["ragCollections", "assistantToolMode", "assistantTools"])
async def test_the_administrations_list_tells_the_field(assistants: dict[str, dict[str, Any]], field: str) -> None:
    assert assistants["admin"][field] == WRITTEN[field]
    assert assistants["admin"]["history_count"] == 0


async def test_user_and_institution_are_owner_and_twin(org: Org, assistants: dict[str, dict[str, Any]]) -> None:
    full = assistants["full"]
    assert (full["user"], full["institution"]) == (org.ids["admin"], org.ids["oak"])


async def test_user_data_institution_data_and_account_data_are_for_display(
    org: Org, assistants: dict[str, dict[str, Any]]
) -> None:
    full = assistants["full"]
    assert full["user_data"] == {
        "email": "chief@example.org",
        "fname": "Admin",
        "lname": "",
        "institution": org.ids["oak"],
        "accountType": "admin",
    }
    assert full["institution_data"] == {"name": "oak", "ainame": "Oak", "status": "active", "picture": ""}
    assert full["account_data"] == {"_id": org.ids["north"], "name": "north", "status": "active"}


@pytest.mark.parametrize(("number", "status"), [(-1, 422), (0, 200), (15, 200), (16, 422)])
async def test_remember_history_is_0_to_15(org: Org, number: int, status: int) -> None:
    made = await org.good("POST", "/api/user/assistant", {"name": f"Remembers {number}"}, "member")
    path = f"/api/user/assistant/{made['id']}"
    assert (await org.call("PUT", path, {"remember_history": number}, "member"))[0] == status
    kept = (await org.good("GET", path, who="member"))["data"]["remember_history"]
    assert kept == (number if status == 200 else None)


@pytest.mark.parametrize("status", ["active", "unpublished", "inactive", "deleted"])
async def test_status_is_one_of_four(org: Org, status: str) -> None:
    made = await org.good("POST", "/api/user/assistant", {"name": f"Is {status}"}, "member")
    path = f"/api/user/assistant/{made['id']}"
    assert (await org.good("PUT", path, {"status": status}, "member"))["message"] == "Assistant updated!"
    if status == "deleted":
        assert await org.code("GET", path, who="member") == "not_found"
    else:
        assert (await org.good("GET", path, who="member"))["data"]["status"] == status


async def test_not_shared_ones_of_others_are_left_out(org: Org) -> None:
    await org.good("POST", "/api/user/assistant", {"name": "Members alone"}, "member")
    for who, there in (("member", True), ("bare", False), ("other", False)):
        data = (await org.good("POST", "/api/user/assistants", {"name": "Members alone"}, who))["data"]
        assert bool(data) is there


# -- tools ------------------------------------------------------------------------------------------------------------


async def offered(org: Org, **assistant: Any) -> dict[str, str]:
    """Return the descriptions of the tools that a model is offered under an assistant, by name."""
    made = await org.good("POST", "/api/user/assistant", assistant, "super")
    told = await org.here.ask(Face.REST, "Why?", assistantId=made["id"], ragIgnore=True)
    assert told.status == 200, told.body
    sent = org.here.upstream.exchanges[-1].json.get("tools", [])
    return {one["function"]["name"]: one["function"]["description"] for one in sent}


async def test_assistanttoolmode_all_offers_what_the_twin_offers(org: Org) -> None:
    names = await offered(org, name="All tools", assistantTools=[{"tool": "calculate"}])
    assert {"calculate", "current_time"} < set(names)


async def test_assistanttoolmode_selected_offers_the_chosen_ones_with_their_instructionsoverride(org: Org) -> None:
    tools = [{"tool": "calculate", "instructionsOverride": "Add up."}, {"tool": "current_time"}, {"tool": "gone"}]
    found = await offered(org, name="Two tools", assistantToolMode="selected", assistantTools=tools)
    assert set(found) == {"calculate", "current_time"}
    assert found["calculate"] == "Add up."
    assert found["current_time"] not in ("", "Add up.")


async def test_a_tool_of_assistanttools_may_be_said_by_its_id(org: Org) -> None:
    records = (await org.good("POST", "/api/admin/tools", {"pageSize": 100}, "super"))["data"]
    [calculate] = [one["_id"] for one in records if one["name"] == "calculate"]
    tools = [{"tool": calculate, "instructionsOverride": "Add up."}, {"tool": "6920a1b2c3d4e5f60718293a"}]
    body = {"name": "By id", "assistantToolMode": "selected", "assistantTools": tools}
    assert await offered(org, **body) == {"calculate": "Add up."}


async def test_assistanttoolmode_selected_without_any_offers_none(org: Org) -> None:
    assert await offered(org, name="No tools", assistantToolMode="selected") == {}


# -- 2.8 entitlements -------------------------------------------------------------------------------------------------


async def test_an_administrator_needs_the_entitlement_assistants_list(org: Org) -> None:
    assert await org.code("POST", "/api/admin/assistants", {}, "bare") == "entitlement_missing"
    await org.person("lists", "oak", account_type="admin", verbs=(Verb.ASSISTANTS_LIST,))
    await org.good("POST", "/api/admin/assistants", {}, "lists")


async def test_an_administrator_needs_the_entitlement_assistants_add_to_share_a_new_one(org: Org) -> None:
    body = {"name": "For all of Oak", "institution_shared": True}
    assert await org.code("POST", "/api/user/assistant", body, "bare") == "admin_required"
    await org.person("adds", "oak", account_type="admin", verbs=(Verb.ASSISTANTS_ADD,))
    await org.good("POST", "/api/user/assistant", body, "adds")


async def test_an_administrator_needs_the_entitlement_assistants_edit_to_change_anothers(org: Org) -> None:
    made = await org.good("POST", "/api/user/assistant", {"name": "To be edited"}, "member")
    path = f"/api/user/assistant/{made['id']}"
    await org.person("edits", "oak", account_type="admin", verbs=(Verb.ASSISTANTS_LIST, Verb.ASSISTANTS_EDIT))
    assert await org.code("PUT", path, {"description": "x"}, "lists") == "owner_required"
    await org.good("PUT", path, {"description": "x"}, "edits")


# -- 2.9 which assistant answers --------------------------------------------------------------------------------------


async def test_which_assistant_answers(org: Org) -> None:
    """`assistantId` wins, then the conversation's object as older clients send it, then the last one of its records."""
    ids = [
        (await org.good("POST", "/api/user/assistant", {"name": f"Number {number}"}, "member"))["id"]
        for number in range(3)
    ]
    course = {"course_id": 501, "course_name": "Who?"}

    async def answers(selected: dict[str, Any], **args: Any) -> str | None:
        told = await ask(org.here.server, org.tokens["member"], Face.REST, "Who?", selectedCourse=selected, **args)
        assert told.status == 200, told.body
        record = await org.here.record(told.turn_id, org.tokens["member"])
        return record["assistant"] and record["assistant"]["_id"]

    assert await answers(course) is None
    assert await answers({**course, "assistant": {"_id": ids[1]}}, assistantId=ids[0]) == ids[0]
    assert await answers({**course, "assistant": {"_id": ids[1]}}) == ids[1]
    assert await answers(course) == ids[1]
    assert await answers({"course_id": 502, "course_name": "New"}) is None


@pytest.mark.parametrize("header", ["x-praxis-assistant-id", "x-twinspeak-assistant-id"])
async def test_on_chat_completions_a_header_names_the_assistant(org: Org, header: str) -> None:
    made = await org.good("POST", "/api/user/assistant", {"name": f"By {header}"}, "super")
    headers = {**org.here.server.auth(org.here.token), header: made["id"]}
    told = await post(org.here.server, Face.OPENAI, body_of(Face.OPENAI), headers)
    assert told.status == 200, told.body
    assert (await org.here.record(told.turn_id))["assistant"]["_id"] == made["id"]
