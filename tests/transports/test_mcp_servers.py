"""Administration of twins' MCP servers: how they look, what is refused, what never comes out."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio

from tests.transports.mcp_place import KEY, MANY, ONE, Place, mcp_place
from twinspeak.domain.ids import new_id
from twinspeak.services.administered import MASK
from twinspeak.services.mcp_servers import MAX_PER_TWIN

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[Place]:
    async with mcp_place(tmp_path_factory.mktemp("mcp-servers"), both=True) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def made(place: Place) -> AsyncGenerator[str]:
    async with place.having(name=f"Server {new_id()}", authorization_header=KEY) as server_id:
        yield server_id


async def test_a_server_looks_as_documented_and_its_credential_never_comes_out(place: Place):
    fields = {"name": "Looks", "authorization_header": KEY, "description": "Books", "server_type": "url"}
    status, body = await place.call("POST", ONE, {**fields, "server_url": place.fake.url})
    assert (status, body["message"]) == (200, "MCP server created!")
    shown = await place.read(body["id"])
    assert shown.pop("created").endswith("Z")
    assert shown.pop("user")
    assert shown == {
        "_id": body["id"],
        "name": "Looks",
        "institution": place.twin,
        "server_type": "url",
        "server_url": place.fake.url,
        "authorization_header": MASK,
        "description": "Books",
        "require_approval": {"enabled": False, "skip_approval_tools": []},
        "tool_configuration": {"enabled": True, "allowed_tools": []},
        "sharesDocuments": False,
        "status": "active",
        "health": {"status": "unknown", "checked": None, "tools": 0, "error": ""},
    }
    _, listed = await place.call("POST", MANY, {"institution": place.twin})
    assert [one["name"] for one in listed["data"]] == ["Looks"]
    assert {name: listed[name] for name in ("total", "page", "pageSize", "hasMore")} == {
        "total": 1,
        "page": 1,
        "pageSize": 100,
        "hasMore": False,
    }
    assert "key-of-the-library" not in str(listed)
    assert "key-of-the-library" not in place.dump()
    assert (await place.call("DELETE", f"{ONE}/{body['id']}"))[0] == 200
    assert (await place.call("GET", f"{ONE}/{body['id']}"))[0] == 404
    assert (await place.call("PUT", f"{ONE}/{body['id']}", {"description": "X"}))[0] == 404
    async with place.having(name="Looks"):
        """A deleted server's name is free."""


async def test_what_is_read_can_be_written_back(place: Place, made: str):
    before = await place.read(made)
    sent = {name: value for name, value in before.items() if name not in ("_id", "user", "created", "health")}
    sent.pop("institution")
    assert (await place.call("PUT", f"{ONE}/{made}", sent))[0] == 200
    assert await place.read(made) == before
    await place.call("POST", f"{ONE}/{made}/test")
    assert place.fake.seen[-1][2]["authorization"] == KEY
    await place.call("PUT", f"{ONE}/{made}", {"authorization_header": ""})
    assert (await place.read(made))["authorization_header"] == ""
    await place.call("POST", f"{ONE}/{made}/test")
    assert "authorization" not in place.fake.seen[-1][2]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "   "}, "name"),
    ({"name": "x" * 201}, "name"),
    ({"name": 3}, "name"),
    ({"name": ["x"]}, "name"),
    ({"server_url": ""}, "server_url"),
    ({"server_url": "http://mcp.example.org/"}, "server_url"),
    ({"server_url": "ftp://mcp.example.org/"}, "server_url"),
    ({"server_url": "https://user:word@mcp.example.org/"}, "server_url"),
    ({"server_url": "https://169.254.169.254/"}, "server_url"),
    ({"server_url": "https://10.0.0.1/mcp"}, "server_url"),
    ({"server_url": "https://[::1]/mcp"}, "server_url"),
    ({"server_url": "https://localhost/mcp"}, "server_url"),
    ({"server_url": f"https://mcp.example.org/{'x' * 3_000}"}, "server_url"),
    ({"server_type": "stdio"}, "server_type"),
    ({"command": "rm"}, "command"),
    ({"authorization_header": "a\r\nX-Evil: 1"}, "authorization_header"),
    ({"authorization_header": "x" * 8_001}, "authorization_header"),
    ({"authorization_header": 1}, "authorization_header"),
    ({"description": "x" * 501}, "description"),
    ({"status": "deleted"}, "status"),
    ({"status": True}, "status"),
    ({"tool_configuration": {"enabled": "yes"}}, "tool_configuration.enabled"),
    ({"tool_configuration": {"allowed_tools": [""]}}, "tool_configuration.allowed_tools.0"),
    ({"tool_configuration": {"allowed_tools": ["x"] * 201}}, "tool_configuration.allowed_tools"),
    ({"require_approval": {"enabled": True}}, "require_approval.enabled"),
    ({"require_approval": {"skip_approval_tools": ["x"]}}, "require_approval"),
    ({"sharesDocuments": "yes"}, "sharesDocuments"),
]


async def test_what_is_wrong_is_named_and_changes_nothing(place: Place, made: str):
    before, rows = await place.read(made), place.dump()
    for fields, named in WRONG:
        new = {"name": f"New {new_id()}", "server_url": place.fake.url, **fields}
        for method, path, body in (("POST", ONE, new), ("PUT", f"{ONE}/{made}", fields)):
            status, answer = await place.call(method, path, body)
            assert status == 422, (fields, answer)
            assert answer["error"]["code"] == "validation_failed"
            assert named in [one["field"] for one in answer["error"]["details"]["fields"]], (fields, answer)
            assert "Evil" not in str(answer)
    for body in ([], "x", None, {}):
        assert (await place.call("POST", ONE, body))[0] in (400, 422)
    status, answer = await place.call(
        "POST", ONE, {"name": "N", "server_url": place.fake.url, "authorization_header": MASK}
    )
    assert (status, answer["error"]["param"]) == (422, "authorization_header")
    assert (await place.read(made), place.dump()) == (before, rows)


async def test_a_credential_goes_to_no_other_address(place: Place, made: str):
    for extra in ({}, {"authorization_header": MASK}):
        status, answer = await place.call("PUT", f"{ONE}/{made}", {"server_url": f"{place.fake.url}/else", **extra})
        assert (status, answer["error"]["param"]) == (422, "authorization_header")
    assert (await place.read(made))["server_url"] == place.fake.url
    moved = {"server_url": f"{place.fake.url}/else", "authorization_header": "Bearer another"}
    assert (await place.call("PUT", f"{ONE}/{made}", moved))[0] == 200


async def test_a_name_means_one_server_also_at_the_same_moment(place: Place):
    new = {"name": "Twice", "server_url": place.fake.url}
    answers = await asyncio.gather(*(place.call("POST", ONE, new) for _ in range(6)))
    assert sorted(status for status, _ in answers) == [200, 409, 409, 409, 409, 409]
    kept = next(body["id"] for status, body in answers if status == 200)
    async with place.having(name="Once") as other:
        status, answer = await place.call("PUT", f"{ONE}/{other}", {"name": "Twice"})
        assert (status, answer["error"]["param"]) == (409, "name")
        assert (await place.read(other))["name"] == "Once"
    await place.call("DELETE", f"{ONE}/{kept}")


async def test_changes_at_the_same_moment_never_mix(place: Place, made: str):
    """The credential that one sends with an address must not stay with the address that another one sets."""
    sent = [
        {"server_url": f"{place.fake.url}/{number}", "authorization_header": f"Bearer {number}"} for number in range(6)
    ]
    answers = await asyncio.gather(*(place.call("PUT", f"{ONE}/{made}", body) for body in sent))
    assert {status for status, _ in answers} <= {200, 409}
    assert 200 in {status for status, _ in answers}


async def test_a_twin_has_only_so_many(place: Place):
    ids = [await place.add(name=f"Many {number}") for number in range(MAX_PER_TWIN)]
    status, answer = await place.call("POST", ONE, {"name": "One more", "server_url": place.fake.url})
    assert (status, answer["error"]["code"]) == (409, "conflict")
    _, page = await place.call("POST", MANY, {"institution": place.twin, "page": 2, "pageSize": 15})
    assert (len(page["data"]), page["total"], page["hasMore"]) == (5, 20, False)
    for server_id in ids:
        await place.call("DELETE", f"{ONE}/{server_id}")


async def test_trying_a_server_tells_its_tools_and_its_health(place: Place):
    allowed = {"enabled": True, "allowed_tools": ["nothing"]}
    async with place.having(tool_configuration=allowed) as server_id:
        status, body = await place.call("POST", f"{ONE}/{server_id}/test")
        assert (status, body["data"]) == (200, [{"name": "echo", "description": "Says it again.", "allowed": False}])
        health = (await place.read(server_id))["health"]
        assert (health["status"], health["tools"], health["error"]) == ("ok", 1, "")
        place.fake.refuse = 401
        try:
            await place.call("PUT", f"{ONE}/{server_id}", {"description": "Changed"})
            status, body = await place.call("POST", f"{ONE}/{server_id}/test")
        finally:
            place.fake.refuse = None
        assert (status, body["error"]["code"]) == (502, "fetch_failed"), body
        health = (await place.read(server_id))["health"]
        assert (health["status"], health["error"]) == ("error", "It does not accept the credential that is set for it.")
        await place.call("PUT", f"{ONE}/{server_id}", {"status": "inactive"})
        assert (await place.call("POST", f"{ONE}/{server_id}/test"))[0] == 409


async def test_somebody_elses_servers_are_not_there(place: Place, made: str):
    stranger = await place.world.stranger()
    for entitled, status in ((False, 403), (True, 404)):
        if entitled:
            await place.entitle(stranger, "institutions.list", "institutions.edit")
        await _check_stranger(place, made, stranger, status)


async def _check_stranger(place: Place, made: str, stranger: str, status: int) -> None:
    for method, path, body in (
        ("GET", f"{ONE}/{made}", None),
        ("PUT", f"{ONE}/{made}", {"description": "Mine"}),
        ("DELETE", f"{ONE}/{made}", None),
        ("POST", f"{ONE}/{made}/test", None),
        ("POST", ONE, {"institution": place.twin, "name": "X", "server_url": place.fake.url}),
    ):
        foreign = await place.call(method, path, body, stranger)
        unknown = await place.call(method, path.replace(made, new_id()), body, stranger)
        assert foreign[0] == status, (method, path, foreign)
        if made in path:
            assert unknown[1]["error"] | {"requestId": ""} == foreign[1]["error"] | {"requestId": ""}
    _, listed = await place.call("POST", MANY, {"institution": place.twin}, stranger)
    assert listed.get("data", []) == []
    assert (await place.call("GET", f"{ONE}/nonsense"))[0] == 400
