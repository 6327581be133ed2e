"""What is taken from a turn in its middle: the model was offered it, and calls it, and does not get it any more."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from tests.faces import Face
from tests.fakes.mcp import ECHO, text_result
from tests.fakes.upstream import Reply, text_reply, tool_reply
from tests.transports.mcp_place import ONE, Call, Place, mcp_place
from tests.world import balances

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

ECHOED: Call = ("Library__echo", {"text": "hi"})
SUM: Call = ("calculate", {"expression": "6 * 7"})
Change = Callable[[Place, str], Awaitable[Any]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Place]:
    async with mcp_place(tmp_path_factory.mktemp("taken-away"), both=True) as made:
        yield made


async def called(place: Place, call: Call, change: Callable[[], Awaitable[Any]]) -> dict[str, Any]:
    """Ask; `change` is done once the model has been offered its tools; return how its call ended then."""
    go = asyncio.Event()
    while not place.world.upstream._arrivals.empty():
        await place.world.upstream.exchange()
    place.world.upstream.script(Reply([go, *tool_reply(call).steps]), text_reply("As you wish."))
    asking = asyncio.create_task(place.world.ask(Face.SSE, "Say hi.", ragIgnore=True))
    exchange = await asyncio.wait_for(place.world.upstream.exchange(), 10)
    assert call[0] in {tool["function"]["name"] for tool in exchange.json["tools"]}
    status, body = await change()
    assert status == 200, body
    go.set()
    answer = await asyncio.wait_for(asking, 10)
    assert (answer.error, answer.reply["outputs"]) == (None, ["As you wish."])
    (begun,), (ended,) = answer.kind("tool_call"), answer.kind("tool_result")
    assert (begun["call_id"], begun["name"]) == (ended["call_id"], call[0])
    (kept,) = await place.tools(answer)
    assert (kept["success"], kept["response"]) == (ended["success"], ended["response"])
    assert kept["response"] in place.world.upstream.exchanges[-1].json["messages"][-1]["content"]
    balances(place.world.database)
    return kept


SERVERS: dict[str, Change] = {
    "deleted": lambda place, made: place.call("DELETE", f"{ONE}/{made}"),
    "inactive": lambda place, made: place.call("PUT", f"{ONE}/{made}", {"status": "inactive"}),
    "renamed": lambda place, made: place.call("PUT", f"{ONE}/{made}", {"name": "Archive"}),
    "disabled": lambda place, made: place.call("PUT", f"{ONE}/{made}", {"tool_configuration": {"enabled": False}}),
    "not allowed": lambda place, made: place.call(
        "PUT", f"{ONE}/{made}", {"tool_configuration": {"allowed_tools": ["other"]}}
    ),
    "new credential": lambda place, made: place.call("PUT", f"{ONE}/{made}", {"authorization_header": "Bearer new"}),
    "switched off": lambda place, _: place.call(
        "PUT", f"/api/admin/institution/{place.twin}", {"toolsDisabled": ["Library__echo"]}
    ),
}


@pytest.mark.parametrize("name", SERVERS)
async def test_a_servers_tool(place: Place, name: str):
    async with place.having() as made:
        kept = await called(place, ECHOED, lambda: SERVERS[name](place, made))
        assert (kept["success"], kept["refusal"]) == (False, "not_granted")
        assert "tools/call" not in place.fake.methods()
        await place.call("PUT", f"/api/admin/institution/{place.twin}", {"toolsDisabled": []})


async def test_a_tool_of_this_server(place: Place):
    _, listed = await place.call("POST", "/api/admin/tools", {"minimum": True})
    path = "/api/admin/tool/" + next(tool["_id"] for tool in listed["data"] if tool["name"] == SUM[0])
    twin = f"/api/admin/institution/{place.twin}"
    for change, back in (
        (("PUT", path, {"status": "inactive"}), ("PUT", path, {"status": "active"})),
        (("DELETE", path, None), ("POST", "/api/admin/tool", {"name": SUM[0]})),
        (("PUT", twin, {"toolsDisabled": [SUM[0]]}), ("PUT", twin, {"toolsDisabled": []})),
    ):
        kept = await called(place, SUM, lambda change=change: place.call(*change))
        assert (kept["success"], kept["refusal"]) == (False, "not_granted"), change
        assert (await place.call(*back))[0] == 200


async def test_another_server_of_its_name_is_not_called_instead(place: Place):
    """Both are called `A_B__echo`, the second with a number; without the first, that name must not mean the second."""
    async with place.having(name="A.B") as first, place.having(name="A B"):
        place.fake.seen.clear()
        kept = await called(place, ("A_B__echo", {"text": "hi"}), lambda: place.call("DELETE", f"{ONE}/{first}"))
        assert kept["refusal"] == "not_granted"
        assert "tools/call" not in place.fake.methods()


async def test_what_comes_in_the_middle_waits_for_the_next_question(place: Place):
    made: list[str] = []

    async def add() -> tuple[int, Any]:
        made.append(await place.add(name="Later"))
        return 200, made

    async with place.having():
        place.fake.answer = lambda _name, arguments: text_result(str(arguments["text"]))
        assert (await called(place, ECHOED, add))["response"] == "hi"
        assert "Later__echo" not in place.offered()
        await place.ask("Say hi.", ("Later__echo", {"text": "hi"}))
        assert "Later__echo" in place.offered()
    await place.call("DELETE", f"{ONE}/{made[0]}")


async def test_a_list_that_changes_in_the_middle_leaves_names_what_they_were(place: Place):
    """`e cho` and `e.cho` are both told as `Library__e_cho`, the later one with a number."""
    place.fake.tools = [{**ECHO, "name": name} for name in ("e cho", "e.cho")]
    place.fake.answer = lambda name, _arguments: text_result(f"this was {name}")
    async with place.having() as made:

        async def relist() -> tuple[int, Any]:
            place.fake.tools = place.fake.tools[1:]
            return await place.call("POST", f"{ONE}/{made}/test")

        assert (await called(place, ("Library__e_cho", {"text": "hi"}), relist))["response"] == "this was e cho"
        await place.ask("Say hi.", ("Library__e_cho", {"text": "hi"}))
        assert "this was e.cho" in place.world.upstream.exchanges[-1].json["messages"][-1]["content"]
    place.fake.tools = [ECHO]
