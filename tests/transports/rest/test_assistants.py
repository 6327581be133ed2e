"""Assistants over HTTP, rule by rule of reference content 2: each test is named after the rule it holds."""

from typing import Any

import httpx
import pytest

from tests.transports.rest.conftest import House, refusal
from twinspeak.domain.ids import new_id
from twinspeak.persistence.tables import assistants

VERBS = ("assistants.list", "assistants.add", "assistants.edit", "assistants.delete")


class People:
    """Ada and Bob in Oak, Carol its administrator, Eve in Oak's sibling Elm, Root a super administrator in Oak."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.headers: dict[str, dict[str, str]] = {}
        self.ids: dict[str, str] = {}

    async def settle(self) -> None:
        stage = self.house.stage
        self.oak, self.elm = stage.twin("Oak"), stage.twin("Elm")
        for name, twin in (("ada", self.oak), ("bob", self.oak), ("carol", self.oak), ("eve", self.elm)):
            kind = "admin" if name == "carol" else "user"
            user = stage.person(f"{name}@example.org", account_type=kind)
            stage.join(user, twin, account_type=kind, verbs=VERBS if kind == "admin" else ())
            self.ids[name] = user.id
        root = stage.person("root@example.org", account_type="super")
        stage.join(root, self.oak)
        self.ids["root"] = root.id
        for name in self.ids:
            self.headers[name] = await self.house.sign_in(f"{name}@example.org")

    async def call(self, who: str, method: str, path: str, body: Any = None) -> httpx.Response:
        path = path if path.startswith("/api") else f"/api/user/{path}"
        return await self.house.client.request(method, path, headers=self.headers[who], json=body)

    async def make(self, who: str, name: str, **body: Any) -> str:
        answer = await self.call(who, "POST", "assistant", {"name": name, **body})
        assert answer.status_code == 200, answer.text
        assert answer.json()["message"] == "Assistant created!"
        return answer.json()["id"]

    async def edit(self, who: str, assistant_id: str, **body: Any) -> httpx.Response:
        return await self.call(who, "PUT", f"assistant/{assistant_id}", body)

    async def read(self, who: str, assistant_id: str) -> dict[str, Any]:
        answer = await self.call(who, "GET", f"assistant/{assistant_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def names(self, who: str, **body: Any) -> set[str]:
        answer = await self.call(who, "POST", "assistants", body)
        assert answer.status_code == 200, answer.text
        return {one["name"] for one in answer.json()["data"]}


@pytest.fixture
async def people(house: House) -> People:
    made = People(house)
    await made.settle()
    return made


# -- 2.1 the object ---------------------------------------------------------------------------------------------------

EVERYTHING: dict[str, Any] = {
    "name": "Guide",
    "description": "Knows the way",
    "instructions": "Lead.",
    "status": "active",
    "picture_url": "/guide.webp",
    "admin_only": True,
    "remember_history": 0,
    "editable_others": True,
    "ragEnabled": False,
    "bypassSystemContext": True,
    "conversationModel": "big",
    "stsConversationModel": "voice-1",
    "ragCollections": ["6920a1b2c3d4e5f60718293a"],
    "assistantToolMode": "selected",
    "assistantTools": [{"tool": "search_uploads", "instructionsOverride": "Look twice."}],
    **{f"argument_{number}": f"slot {number}" for number in range(1, 6)},
}


async def test_every_documented_field_is_kept(people: People):
    made = await people.make("ada", **EVERYTHING)
    read = await people.read("ada", made)
    assert {name: read[name] for name in EVERYTHING} == EVERYTHING
    assert (read["_id"], read["user"], read["institution"]) == (made, people.ids["ada"], people.oak.id)
    assert (read["liked_count"], read["institution_shared"], read["account_shared"]) == (0, False, False)
    assert read["user_data"]["email"] == "ada@example.org"
    assert (read["institution_data"]["name"], read["account_data"]["name"]) == ("Oak", "Account")
    assert read["created"].endswith("Z")


async def test_defaults(people: People):
    read = await people.read("ada", await people.make("ada", "Plain"))
    defaults = {"description": "", "instructions": "", "status": "active", "admin_only": False, "ragEnabled": True}
    assert {name: read[name] for name in defaults} == defaults
    assert (read["assistantToolMode"], read["conversationModel"], read["remember_history"]) == ("all", "", None)
    assert [read[f"argument_{number}"] for number in range(1, 6)] == [None] * 5


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": 7}, "name"),
        ({"name": "a", "status": "asleep"}, "status"),
        ({"name": "a", "remember_history": 16}, "remember_history"),
        ({"name": "a", "instructions": "x" * 100_001}, "instructions"),
        ({"name": "a", "picture_url": "javascript:alert(1)"}, "picture_url"),
        ({"name": "a", "conversationModel": "gpt-of-nobody"}, "conversationModel"),
        ({"name": "a", "assistantToolMode": "some"}, "assistantToolMode"),
        ({"name": "a", "user": "6920a1b2c3d4e5f60718293a"}, "user"),
        ({"name": "a", "institution": "", "institution_shared": True}, "institution_shared"),
    ],
)
async def test_what_makes_no_assistant_is_named(people: People, body: dict[str, Any], field: str):
    answer = await people.call("root", "POST", "assistant", body)
    assert refusal(answer) == (422, "validation_failed")
    assert [wrong["field"] for wrong in answer.json()["error"]["details"]["fields"]] == [field]
    assert people.house.stage.column(assistants.c.id) == []


async def test_a_name_is_unique_per_user_and_institution(people: People):
    made = await people.make("ada", "Guide")
    assert refusal(await people.call("ada", "POST", "assistant", {"name": "guide"})) == (409, "conflict")
    await people.make("bob", "Guide")
    await people.make("ada", "Guide", institution="")
    other = await people.make("ada", "Other")
    assert refusal(await people.edit("ada", other, name="GUIDE")) == (409, "conflict")
    assert (await people.edit("ada", made, name="Guide")).status_code == 200


async def test_a_collection_must_be_an_id(people: People):
    answer = await people.call("ada", "POST", "assistant", {"name": "a", "ragCollections": ["x"]})
    assert refusal(answer) == (400, "invalid_id")


# -- 2.2, 2.3 scopes and lists ----------------------------------------------------------------------------------------


async def one_of_each(people: People) -> None:
    people.house.stage.assistant("system", instructions="secret")
    await people.make("ada", "personal")
    await people.make("carol", "instance", institution_shared=True)
    await people.make("carol", "account", account_shared=True)
    await people.make("bob", "bob's")


async def test_the_list_is_the_union_of_what_is_visible(people: People):
    await one_of_each(people)
    assert await people.names("ada") == {"system", "personal", "instance", "account"}
    assert await people.names("bob") == {"system", "instance", "account", "bob's"}
    assert await people.names("eve") == {"system", "account"}  # from a sibling institution


@pytest.mark.parametrize(
    ("kind", "name"), [("admin", "system"), ("user", "personal"), ("instance", "instance"), ("account", "account")]
)
async def test_type_filters(people: People, kind: str, name: str):
    await one_of_each(people)
    assert await people.names("ada", type=kind) == {name}


async def test_name_looks_in_name_and_description_whatever_the_case_and_is_no_pattern(people: People):
    await people.make("ada", "100% Guide", description="Führt durch den Wald 🌳")
    await people.make("ada", "Other")
    for text in ("guide", "100%", "FÜHRT", "🌳"):
        assert await people.names("ada", name=text) == {"100% Guide"}
    for text in (".*", "(a+)+$", "_", "100_", "'; --"):
        assert await people.names("ada", name=text) == set()


async def test_limit(people: People):
    for number in range(3):
        await people.make("ada", f"a{number}")
    assert await people.names("ada", limit=2) == {"a0", "a1"}
    assert (await people.call("ada", "POST", "assistants", {"limit": 0})).status_code == 422


async def test_deleted_ones_are_always_left_out(people: People):
    made = await people.make("ada", "gone")
    assert (await people.edit("ada", made, status="deleted")).status_code == 200
    assert await people.names("ada") == set()
    assert refusal(await people.call("ada", "GET", f"assistant/{made}")) == (404, "not_found")
    await people.make("ada", "gone")  # the name is free again


@pytest.mark.parametrize("status", ["unpublished", "inactive"])
async def test_unpublished_ones_of_others_are_left_out(people: People, status: str):
    await people.make("carol", "draft", institution_shared=True, status=status)
    assert await people.names("carol") == {"draft"}
    assert await people.names("ada") == set()


async def test_ones_that_the_institution_has_disabled_are_left_out(people: People):
    made = await people.make("carol", "off", institution_shared=True)
    people.house.stage.set_twin(people.oak, assistants_disabled=f'["{made}"]')
    assert await people.names("ada") == set()
    caller = await people.house.stage.caller("ada@example.org")
    with pytest.raises(Exception, match="no such assistant"):
        await people.house.stage.plan(caller, assistant_id=made)


async def test_admin_only_is_visible_to_administrators_alone(people: People):
    await people.make("carol", "for us", institution_shared=True, admin_only=True)
    assert await people.names("ada") == set()
    assert await people.names("root") == {"for us"}


async def test_instructions_of_system_ones_are_withheld_but_from_super(people: People):
    made = people.house.stage.assistant("system", instructions="secret")
    for who, told in (("ada", ""), ("carol", ""), ("root", "secret")):
        [listed] = (await people.call(who, "POST", "assistants", {})).json()["data"]
        assert listed["instructions"] == told
        assert (await people.read(who, made))["instructions"] == told


async def test_argument_1_to_4_are_removed_from_every_row(people: People):
    await people.make("ada", "slots", **{f"argument_{number}": "x" for number in range(1, 6)})
    [listed] = (await people.call("ada", "POST", "assistants", {})).json()["data"]
    assert listed["argument_5"] == "x"
    assert not {f"argument_{number}" for number in range(1, 5)} & set(listed)


# -- 2.4 to 2.7 rights ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["institution_shared", "account_shared"])
async def test_sharing_is_for_administrators(people: People, flag: str):
    answer = await people.call("ada", "POST", "assistant", {"name": "mine", flag: True})
    assert refusal(answer) == (403, "admin_required")
    made = await people.make("ada", "mine")
    assert refusal(await people.edit("ada", made, **{flag: True})) == (403, "admin_required")
    assert (await people.edit("carol", made, **{flag: True})).status_code == 200
    assert "mine" in await people.names("bob")
    back = {"institution_shared": False, "account_shared": False}
    assert (await people.edit("ada", made, **back)).status_code == 200
    assert "mine" not in await people.names("bob")


async def test_system_assistants_are_made_by_super_alone(people: People):
    body = {"name": "all's", "user": "", "institution": ""}
    assert refusal(await people.call("carol", "POST", "assistant", body)) == (403, "super_required")
    made = await people.make("root", **body)
    assert await people.names("eve") == {"all's"}
    assert refusal(await people.edit("carol", made, name="mine")) == (403, "owner_required")
    assert (await people.edit("root", made, description="For all")).status_code == 200


async def test_get_is_for_owner_administrator_and_super(people: People):
    made = await people.make("carol", "shared", institution_shared=True)
    for who in ("carol", "root"):
        assert (await people.read(who, made))["name"] == "shared"
    assert refusal(await people.call("ada", "GET", f"assistant/{made}")) == (403, "owner_required")
    adas = await people.make("ada", "hers")
    assert (await people.read("carol", adas))["name"] == "hers"
    for who in ("bob", "eve"):
        assert refusal(await people.call(who, "GET", f"assistant/{adas}")) == (404, "not_found")
    assert refusal(await people.call("ada", "GET", f"assistant/{new_id()}")) == (404, "not_found")
    assert refusal(await people.call("ada", "GET", "assistant/x")) == (400, "invalid_id")


async def test_editable_others_lets_others_edit_what_it_says_and_nothing_else(people: People):
    made = await people.make("carol", "wiki", institution_shared=True, editable_others=True)
    assert (await people.edit("ada", made, instructions="Better.")).json()["message"] == "Assistant updated!"
    for body in (
        {"status": "deleted"},
        {"admin_only": True},
        {"editable_others": False},
        {"institution_shared": False},
    ):
        assert refusal(await people.edit("ada", made, **body)) == (403, "owner_required")
    read = await people.read("carol", made)
    assert (read["instructions"], read["status"], read["institution_shared"]) == ("Better.", "active", True)


async def test_update_takes_what_older_clients_repeat_and_leaves_the_rest(people: People):
    made = await people.make("ada", **EVERYTHING)
    repeated = {"user": people.ids["ada"], "institution": people.oak.id, "name": "New", "argument_2": None}
    assert (await people.edit("ada", made, **repeated)).status_code == 200
    read = await people.read("ada", made)
    assert (read["name"], read["argument_2"], read["argument_1"]) == ("New", None, "slot 1")
    assert (read["instructions"], read["remember_history"]) == ("Lead.", 0)
    assert (await people.edit("ada", made, user=people.ids["bob"])).status_code == 422


async def test_delete_is_for_administrators_of_their_own_and_super_of_all_but_system_ones(people: People):
    system = people.house.stage.assistant("system")
    adas, carols = await people.make("ada", "ada's"), await people.make("carol", "carol's")
    assert refusal(await people.call("ada", "DELETE", f"assistant/{adas}")) == (403, "admin_required")
    assert refusal(await people.call("carol", "DELETE", f"assistant/{adas}")) == (403, "owner_required")
    for who in ("carol", "root"):
        assert refusal(await people.call(who, "DELETE", f"assistant/{system}")) == (403, "super_required")
    assert (await people.call("carol", "DELETE", f"assistant/{carols}")).json()["message"] == "Assistant Deleted"
    assert (await people.call("root", "DELETE", f"assistant/{adas}")).status_code == 200
    names = people.house.stage.column(assistants.c.name, assistants.c.status == "deleted")
    assert sorted(name.split(" ", 1)[1] for name in names) == ["ada's", "carol's"]


# -- likes, copies, the administration's list -------------------------------------------------------------------------


async def test_a_like_counts_once(people: People):
    made = await people.make("carol", "liked", institution_shared=True)
    counts: list[int] = []
    for who, liked in (("ada", True), ("ada", True), ("bob", True), ("ada", False), ("ada", False)):
        answer = await people.call(who, "POST", f"assistant/{made}/like", {"liked": liked})
        counts.append(answer.json()["liked_count"])
    assert counts == [1, 1, 2, 1, 1]
    [listed] = (await people.call("bob", "POST", "assistants", {})).json()["data"]
    assert (listed["liked_count"], listed["liked"]) == (1, True)
    assert refusal(await people.call("eve", "POST", f"assistant/{made}/like")) == (404, "not_found")


async def test_a_copy_is_ones_own_under_a_free_name(people: People):
    made = await people.make("carol", "wiki", institution_shared=True, editable_others=True, instructions="Lead.")
    await people.call("ada", "POST", f"assistant/{made}/clone")
    copied = (await people.call("ada", "POST", f"assistant/{made}/clone")).json()["id"]
    read = await people.read("ada", copied)
    assert (read["name"], read["instructions"], read["institution_shared"]) == ("wiki (copy) 2", "Lead.", False)
    assert refusal(await people.call("eve", "POST", f"assistant/{made}/clone")) == (404, "not_found")
    system = people.house.stage.assistant("system", instructions="secret")
    assert refusal(await people.call("ada", "POST", f"assistant/{system}/clone")) == (403, "owner_required")


async def test_the_administrations_list_is_of_the_twins_one_administers(people: People):
    await one_of_each(people)
    adas = (await people.call("ada", "POST", "assistants", {"type": "user"})).json()["data"][0]["_id"]
    caller = await people.house.stage.caller("ada@example.org")
    await people.house.stage.turn(caller, assistant_id=adas)
    answer = (await people.call("carol", "POST", "/api/admin/assistants", {"pageSize": 3})).json()
    assert [one["name"] for one in answer["data"]] == ["bob's", "account", "instance"]
    assert (answer["total"], answer["hasMore"], answer["page"], answer["pageSize"]) == (4, True, 1, 3)
    second = (await people.call("carol", "POST", "/api/admin/assistants", {"pageSize": 3, "page": 2})).json()
    assert [(one["name"], one["history_count"]) for one in second["data"]] == [("personal", 1)]
    lean = (await people.call("root", "POST", "/api/admin/assistants", {"minimum": True, "name": "system"})).json()
    assert [set(one) for one in lean["data"]] == [{"_id", "name", "status"}]
    elsewhere = {"institution": people.elm.id}
    assert (await people.call("carol", "POST", "/api/admin/assistants", elsewhere)).json()["data"] == []
    assert refusal(await people.call("ada", "POST", "/api/admin/assistants")) == (403, "admin_required")


# -- in a turn --------------------------------------------------------------------------------------------------------


async def test_a_turn_runs_under_what_its_assistant_says(people: People):
    body: dict[str, Any] = {**EVERYTHING, "admin_only": False}
    made = await people.make("ada", **body)
    caller = await people.house.stage.caller("ada@example.org")
    plan = await people.house.stage.plan(caller, assistant_id=made)
    assert (plan.model.id, plan.search_vault, plan.history) == ("big", False, ())
    assert plan.assistant is not None
    assert (plan.assistant.bypass_system_context, plan.assistant.tool_mode) == (True, "selected")


@pytest.mark.parametrize(("own", "remembered"), [(None, 3), (1, 1), (0, 0)])
async def test_remember_history_of_the_assistant_goes_before_the_persons(
    people: People, own: int | None, remembered: int
):
    stage = people.house.stage
    caller = await stage.caller("ada@example.org")
    for number in range(4):
        await stage.turn(caller, f"q{number}", course_id=7)
    made = await people.make("ada", "Guide", remember_history=own)
    course = (await stage.plan(caller, course=None)).course
    plan = await stage.plan(caller, assistant_id=made, course=type(course)(course_id=7))
    assert len(plan.history) == remembered


async def test_an_assistant_deleted_in_mid_turn_changes_nothing_of_that_turn(people: People):
    stage = people.house.stage
    made = await people.make("ada", "Guide", instructions="Lead.")
    caller = await stage.caller("ada@example.org")
    plan = await stage.plan(caller, assistant_id=made)
    await stage.turns.begin(plan, wanted=0, least=0)
    assert (await people.edit("ada", made, status="deleted")).status_code == 200
    await stage.end(plan, "Led.")
    [record] = (await people.call("ada", "POST", "histories", {})).json()["data"]
    assert (record["out"]["output"], record["assistant"]["_id"]) == ("Led.", made)
    with pytest.raises(Exception, match="no such assistant"):
        await stage.plan(caller, assistant_id=made)
