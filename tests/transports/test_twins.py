"""The administration of twins and accounts, through a real server."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio

from tests.faces import Face, ask
from tests.fakes.upstream import STALL, Reply, text_steps
from tests.faults.stage import reached
from tests.organisation import Org, organisation
from tests.transports.socketio.clients import joined
from tests.world import balances, world
from twinspeak.domain.access import Verb
from twinspeak.transports.rest.twin_shapes import NEUTRAL

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

MOMENT_S = 1


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def org(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Org]:
    async with world(tmp_path_factory.mktemp("twins")) as here:
        yield await organisation(here)


@pytest.fixture(autouse=True)
def unlimited(org: Org) -> None:
    org.unlimited()


async def new_twin(org: Org, name: str, **fields: Any) -> str:
    body = {"name": name, "account": org.ids["north"], **fields}
    org.ids[name] = (await org.good("POST", "/api/admin/institution", body, "super"))["data"]["_id"]
    return f"/api/admin/institution/{org.ids[name]}"


async def test_twins_are_listed_within_reach_alone(org: Org) -> None:
    async def found(who: str, **wanted: Any) -> set[str]:
        rows = (await org.good("POST", "/api/admin/institutions", wanted, who))["data"]
        return {row["name"] for row in rows}

    assert await found("admin") == {"oak"}
    assert await found("manager") == {"elm", "fir"}
    assert await found("manager", account=org.ids["north"]) == set()
    assert {"oak", "elm", "fir"} <= await found("super", minimum=True)
    assert await found("super", institutionsearch="OAK") == {"oak"}
    assert await found("super", institutionsearch=org.ids["fir public"]) == {"fir"}
    assert await org.code("POST", "/api/admin/institutions", {}, "bare") == "entitlement_missing"
    one = (await org.good("GET", f"/api/admin/institution/{org.ids['oak']}", who="admin"))["data"]
    assert (one["credits"], one["creditsTotal"], one["account"]["name"]) == (50, 50, "north")
    assert one["id"] == one["_id"] == org.ids["oak"]
    assert one["displayToolExecution"] is True


SETTINGS: dict[str, Any] = {
    "name": "oak tree", "ainame": "Oaken", "about": "About", "prompt": "Be kind.", "picture": "https://example.org/p",
    "contactEmail": "a@example.org, b@example.org", "conversationModel": "gpt-4o", "maxCompletionTokens": 900,
    "reasoningEffort": "low", "ragLimitChunks": 3, "toolResultsMaxChars": 100, "displayThinkingDetails": False,
    "poolCredits": False, "creditAward": 3, "ragIgnore": True, "ragOnly": False, "chatCompletionEnabled": True,
    "chatCompletionOpenAICompat": True, "chatCompletionModel": "gpt-4o", "chatCompletionMaxCompletionTokens": 0,
    "chatCompletionReasoningEffort": "none", "publicAuthorizedUrls": ["https://example.org"],
    "fallbackModels": ["gpt-4o"], "allowJoining": "public", "joiningAdminOnly": True, "entitleNewAdmins": True,
    "questionType": "INSTITUTION", "picture_bg": "/bg.png", "displayToolExecution": False,
    "disableClipboardForUser": True, "assistantsDisabled": [],
}  # fmt: skip


async def test_every_setting_is_kept_and_shown(org: Org) -> None:
    path = await new_twin(org, "beech")
    await org.good("PUT", path, SETTINGS, "super")
    shown = (await org.good("GET", path, who="super"))["data"]
    assert {name: shown[name] for name in SETTINGS} == SETTINGS
    await org.good("PUT", path, shown, "super")  # clients send the whole back


async def test_settings_work(org: Org) -> None:
    """The prompt, the model and the switch of chat completions, in the next turn."""
    await new_twin(org, "ash", prompt="Speak of ashes.", conversationModel="gpt-4o", chatCompletionEnabled=False)
    await org.person("ann", "ash", account_type="admin", verbs=[str(Verb.INSTITUTIONS_EDIT)])
    await ask(org.here.server, org.tokens["ann"], Face.REST)
    sent = org.here.upstream.exchanges[-1].json
    assert sent["model"] == "gpt-4o"
    assert "Speak of ashes." in str(sent)
    refused = await ask(org.here.server, org.tokens["ann"], Face.OPENAI)
    assert refused.error
    assert refused.error["code"] == "chat_completion_disabled"
    await org.good("PUT", "/api/user/institution", {"ainame": "Ashes"}, "ann")
    await org.good("PUT", f"/api/admin/institution/{org.ids['ash']}", {"chatCompletionEnabled": True}, "ann")
    assert (await ask(org.here.server, org.tokens["ann"], Face.OPENAI)).status == 200


@pytest.mark.parametrize("name", NEUTRAL)
async def test_what_is_not_built_is_refused_and_never_kept(org: Org, name: str) -> None:
    path = f"/api/admin/institution/{org.ids['oak']}"
    for value in NEUTRAL[name]:
        await org.good("PUT", path, {name: value}, "admin")
    status, body = await org.call("PUT", path, {name: "something", "ainame": "Other"}, "admin")
    assert (status, body["error"]["param"]) == (422, name)
    shown = (await org.good("GET", path, who="admin"))["data"]
    assert shown["ainame"] == "Oak"
    assert name not in shown


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"status": "inactive"}, "super_required"),
        ({"credits": 9_999}, "validation_failed"),
        ({"publicId": "x"}, "validation_failed"),
        ({"account": "x"}, "validation_failed"),
        ({"nonsense": 1}, "validation_failed"),
        ({"conversationModel": "local/no-such-model"}, "validation_failed"),
        ({"fallbackModels": ["gpt-4o", "local/no-such-model"]}, "validation_failed"),
        ({"contactEmail": "nobody"}, "validation_failed"),
        ({"publicAuthorizedUrls": ["javascript:alert(1)"]}, "validation_failed"),
        ({"picture": "javascript:alert(1)"}, "validation_failed"),
        ({"ragLimitChunks": 0}, "validation_failed"),
        ({"ainame": 7}, "validation_failed"),
        ({"name": ""}, "validation_failed"),
    ],
    ids=str,
)
async def test_wrong_changes_change_nothing(org: Org, change: dict[str, Any], code: str) -> None:
    path = f"/api/admin/institution/{org.ids['oak']}"
    before = (await org.good("GET", path, who="admin"))["data"]
    assert await org.code("PUT", path, {"about": "Changed", **change}, "admin") == code
    assert (await org.good("GET", path, who="admin"))["data"] == before


async def test_one_changes_only_what_one_administers(org: Org) -> None:
    path = f"/api/admin/institution/{org.ids['oak']}"
    for who, code in (("stranger", "not_found"), ("manager", "not_found"), ("bare", "entitlement_missing")):
        assert await org.code("PUT", path, {"about": "X"}, who) == code
        assert await org.code("GET", path, who=who) == code
    assert await org.code("PUT", "/api/user/institution", {"about": "X"}, "member") == "admin_required"
    assert await org.code("PUT", "/api/user/institution", {"about": "X"}, "bare") == "entitlement_missing"
    assert await org.code("PUT", "/api/user/institution", {"about": "X"}, "nobody") == "not_a_member"
    assert await org.code("PUT", "/api/user/institution", {"creditAward": 5}, "admin") == "validation_failed"


async def test_closing_a_twin_ends_what_runs_there(org: Org) -> None:
    path = await new_twin(org, "yew")
    await org.person("yuri", "yew")
    server, token = org.here.server, org.tokens["yuri"]
    org.here.upstream.script(Reply([*text_steps("The library opens"), STALL]))
    async with asyncio.TaskGroup() as group, joined(server, token) as tab:
        asking = group.create_task(ask(server, token, Face.SSE, "When?", model="gpt-4o"))
        await reached(org.here, "The library opens")
        async with asyncio.timeout(MOMENT_S):
            await org.good("PUT", path, {"status": "inactive"}, "super")
            await asyncio.wait({asking})
            await tab.gone.wait()
    assert (await org.good("POST", "/api/user/refresh/profile", {}, "yuri"))["profile"]["institution"] is None
    found = await org.good("POST", "/api/admin/institutions", {"statusFilter": "inactive"}, "super")
    assert [row["name"] for row in found["data"]] == ["yew"]
    await org.good("PUT", path, {"status": "active"}, "super")
    await org.good("DELETE", path, who="super")
    assert await org.code("GET", path, who="super") == "not_found"


async def test_a_new_twin_is_its_makers(org: Org) -> None:
    await org.person("gil", "oak", account_type="admin", verbs=["institutions.add", "institutions.list"])
    body = {"name": "sapling", "account": org.ids["north"]}
    assert await org.code("POST", "/api/admin/institution", {"name": "x"}, "gil") == "super_required"
    assert await org.code("POST", "/api/admin/institution", {"name": None}, "super") == "validation_failed"
    assert await org.code("POST", "/api/admin/institution", {**body, "account": org.ids["south"]}, "gil") == "not_found"
    made = (await org.good("POST", "/api/admin/institution", body, "gil"))["data"]
    assert (made["credits"], made["status"], made["allowJoining"]) == (50, "active", "disabled")
    mine = (await org.good("POST", "/api/user/refresh/entitlements", {}, "gil"))["entitlements"]
    verbs = next(one["entitlements"] for one in mine if one["institution"] == made["_id"])
    assert verbs == ["institutions.list", "institutions.add"]
    path = f"/api/admin/institution/{made['_id']}"
    assert await org.code("PUT", path, {"about": "X"}, "gil") == "entitlement_missing"
    await org.good("PUT", path, {"prompt": "Grow."}, "super")
    copy = (await org.good("POST", f"{path}/clone", {"name": "second"}, "gil"))["data"]
    assert (copy["name"], copy["prompt"], copy["account"]["_id"]) == ("second", "Grow.", org.ids["north"])
    assert copy["publicId"] != made["publicId"]
    assert balances(org.here.database)[copy["_id"]] == 50


async def test_a_twin_moves_between_accounts_that_one_manages(org: Org) -> None:
    path = await new_twin(org, "larch")
    move = f"{path}/account"
    assert await org.code("PATCH", move, {"account": org.ids["south"]}, "manager") == "not_found"
    assert await org.code("PATCH", move, {"account": org.ids["south"], "more": 1}, "super") == "validation_failed"
    await org.good("PATCH", move, {"account": org.ids["south"]}, "super")
    assert (await org.good("GET", path, who="manager"))["data"]["account"]["name"] == "south"
    assert await org.code("PATCH", move, {"account": org.ids["north"]}, "manager") == "not_found"
    assert await org.code("PATCH", move, {"account": None}, "manager") == "super_required"
    assert (await org.good("PATCH", move, {"account": None}, "super"))["data"]["account"] is None
    assert await org.code("GET", path, who="manager") == "not_found"
    await org.person("lars", "larch")
    assert (await org.good("POST", "/api/user/assistants", {}, "lars"))["success"]


async def test_accounts_are_the_super_administrators_and_their_managers(org: Org) -> None:
    path = "/api/admin/account"
    new = {"name": "West School", "managerEmail": ["Manager@example.org", "x@example.org"], "credits": 20}
    assert await org.code("POST", path, new, "manager") == "super_required"
    made = (await org.good("POST", path, new, "super"))["data"]
    assert (made["name"], made["credits"], made["managerEmail"]) == ("west school", 20, "manager@example.org")
    assert await org.code("POST", path, {**new, "name": "WEST school"}, "super") == "conflict"
    one = f"{path}/{made['_id']}"
    assert await org.code("GET", one, who="admin") == "account_manager_required"
    assert await org.code("PUT", one, {"name": "mine"}, "manager") == "super_required"
    assert await org.code("PUT", one, {"managerEmail": "nobody"}, "manager") == "validation_failed"
    edited = {"domainUrls": ["https://west.example"], "managerEmail": ["manager@example.org"]}
    assert (await org.good("PUT", one, edited, "manager"))["data"]["domainUrls"] == ["https://west.example"]
    listed = (await org.good("POST", "/api/admin/accounts", {}, "manager"))["data"]
    assert [row["name"] for row in listed] == ["south", "west school"]
    assert await org.code("GET", f"{path}/{org.ids['north']}", who="manager") == "not_found"
    assert await org.code("DELETE", f"{path}/{org.ids['south']}", who="super") == "conflict"
    await org.good("PUT", one, {"managerEmail": ["x@example.org"]}, "super")
    assert await org.code("GET", one, who="manager") == "not_found"
    await org.good("DELETE", one, who="super")
    assert await org.code("GET", one, who="super") == "not_found"
    await org.good("POST", path, new, "super")
