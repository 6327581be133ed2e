"""Administration of this server's tools: who sees what, what a change does to the next question, what is refused."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio

from tests.transports.mcp_place import Place, mcp_place
from twinspeak.domain.ids import new_id

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("sqlite_file")]

ONE, MANY = "/api/admin/tool", "/api/admin/tools"
OURS = {"ask_twin", "calculate", "current_time", "read_page", "recall_memory", "search_uploads", "set_user_memory"}
"""And `web_search`, which is not set up here."""
SUM = ("calculate", {"expression": "6 * 7"})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Place]:
    async with mcp_place(tmp_path_factory.mktemp("tool-records")) as made:
        yield made


async def ids(place: Place) -> dict[str, str]:
    _, body = await place.call("POST", MANY, {"minimum": True})
    return {tool["name"]: tool["_id"] for tool in body["data"]}


async def outcome(place: Place) -> dict[str, Any]:
    """Return how a call of `calculate` ends now."""
    (call,) = await place.tools(await place.ask("What is 6 times 7?", SUM))
    return call


async def test_lists_are_as_documented(place: Place):
    _, body = await place.call("POST", MANY, {"minimum": True})
    assert set(body) == {"success", "data"}
    assert [tool["name"] for tool in body["data"]] == sorted(OURS | {"web_search"})
    assert set(body["data"][0]) == {"name", "_id", "status", "description", "rtEnabled", "rtOnly", "categories"}
    _, body = await place.call("POST", MANY, {"page": 2, "pageSize": 5})
    assert (len(body["data"]), body["total"], body["page"], body["pageSize"], body["hasMore"]) == (3, 8, 2, 5, False)
    search = next(tool for tool in body["data"] if tool["name"] == "web_search")
    assert (search["unavailable"], "TWINSPEAK_WEB_SEARCH" in search["unavailableReason"]) == (True, True)
    _, one = await place.call("GET", f"{ONE}/{(await ids(place))['calculate']}")
    assert one["data"]["argument_1"]
    assert (one["data"]["unavailable"], one["data"]["isArray"], one["data"]["id"]) == (False, False, one["data"]["_id"])


async def test_everybody_reads_names_and_super_administrators_the_rest(place: Place):
    token = await place.world.stranger()
    assert (await place.call("POST", MANY, {"minimum": True}, token))[0] == 200
    for method, path, body in (
        ("POST", MANY, {}),
        ("GET", f"{ONE}/{new_id()}", None),
        ("PUT", f"{ONE}/{(await ids(place))['calculate']}", {"status": "inactive"}),
        ("DELETE", f"{ONE}/{(await ids(place))['calculate']}", None),
        ("POST", ONE, {"name": "calculate"}),
    ):
        assert (await place.call(method, path, body, token))[0] == 403, (method, path)


async def test_a_change_is_seen_by_the_next_question(place: Place):
    path = f"{ONE}/{(await ids(place))['calculate']}"
    told = {"description": "Sums.", "instructions": "Be exact.", "argument_1": "The sum."}
    assert (await place.call("PUT", path, told))[1]["data"]["description"] == "Sums."
    assert (await outcome(place))["success"]
    shown = place.offered()["calculate"]
    assert shown["description"] == "Sums.\nBe exact."
    assert shown["parameters"]["properties"]["expression"]["description"] == "The sum."
    await place.call("PUT", path, {"description": "", "instructions": "", "argument_1": ""})
    await outcome(place)
    assert place.offered()["calculate"]["description"] not in ("", "Sums.\nBe exact.")
    for change in ({"status": "inactive"}, {"rtOnly": True}):
        await place.call("PUT", path, change)
        assert (await outcome(place))["refusal"] == "not_granted"
        assert "calculate" not in place.offered()
        await place.call("PUT", path, {"status": "active", "rtOnly": False})
    assert (await outcome(place))["response"] == "42"


async def test_a_deleted_tool_is_nobodys_until_it_is_brought_back(place: Place):
    tool_id = (await ids(place))["calculate"]
    assert (await place.call("DELETE", f"{ONE}/{tool_id}"))[0] == 200
    assert "calculate" not in await ids(place)
    for method in ("GET", "PUT", "DELETE"):
        body = {} if method == "PUT" else None
        assert (await place.call(method, f"{ONE}/{tool_id}", body))[0] == 404
    assert not (await outcome(place))["success"]
    assert (await place.call("POST", ONE, {"name": "calculate"}))[1]["data"]["_id"] == tool_id
    assert (await outcome(place))["success"]
    assert (await place.call("POST", ONE, {"name": "calculate"}))[0] == 409
    status, body = await place.call("POST", ONE, {"name": "rm_rf"})
    assert (status, body["error"]["param"]) == (422, "name")


async def test_a_twin_switches_tools_off_by_name_or_id(place: Place):
    path = f"/api/admin/institution/{place.twin}"
    for off in ("calculate", (await ids(place))["calculate"]):
        assert (await place.call("PUT", path, {"toolsDisabled": [off]}))[0] == 200
        assert (await outcome(place))["refusal"] == "not_granted"
    assert (await place.call("PUT", path, {"toolsDisabled": []}))[0] == 200
    assert (await outcome(place))["success"]
    for wrong in ("calculate", [""], [3], ["x"] * 201):
        assert (await place.call("PUT", path, {"toolsDisabled": wrong}))[0] == 422


async def test_what_is_wrong_is_refused(place: Place):
    path = f"{ONE}/{(await ids(place))['calculate']}"
    for wrong in (
        {"status": "deleted"},
        {"status": 1},
        {"description": "x" * 4_001},
        {"description": 3},
        {"categories": "research"},
        {"categories": ["x"] * 51},
        {"rtOnly": "yes"},
        {"argument_7": "x"},
        {"schema": {}},
        {"endpoint": "https://evil.example"},
    ):
        status, body = await place.call("PUT", path, wrong)
        assert (status, body["error"]["code"]) == (422, "validation_failed"), wrong
    for page in ({"page": 0}, {"pageSize": 5_001}, {"page": "x"}):
        assert (await place.call("POST", MANY, page))[0] == 422
    assert (await place.call("GET", f"{ONE}/nonsense"))[0] == 400
    assert (await place.call("GET", f"{ONE}/{new_id()}"))[0] == 404
    assert (await outcome(place))["success"]
