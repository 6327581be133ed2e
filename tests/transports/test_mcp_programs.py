"""The operator's programs as twins' MCP servers: who may name which, whole turns with them, and their end."""

import json
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from tests.sqlite import sqlite_world
from tests.tools.test_mcp_stdio import SCRIPT, gone
from tests.transports.mcp_place import KEY, ONE, Place, mcp_place
from tests.world import balances
from twinspeak.app.mcp import programs_of
from twinspeak.domain.errors import OperatorError
from twinspeak.settings import Settings
from twinspeak.tools.mcp import remote, stdio

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("sqlite_file")]

ECHOED = ("Local__echo", {"text": "hi"})
MODES = ("plain", "pid", "dies", "hangs", "floods", "error")


def programs(folder: Path, **more: Any) -> Path:
    """Write the operator's file: a program for each way of behaving, and one that is another twin's."""
    listed: dict[str, Any] = {
        mode: {"command": sys.executable, "args": ["-S", SCRIPT, mode], "twins": ["*"]} for mode in MODES
    }
    listed["elsewhere"] = {**listed["plain"], "twins": ["0" * 24]}
    path = folder / "programs.json"
    path.write_text(json.dumps({"mcpServers": {**listed, **more}}))
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Place]:
    folder = tmp_path_factory.mktemp("programs")
    async with mcp_place(folder, serving={"mcp_programs": programs(folder)}) as made:
        yield made


async def one(place: Place) -> dict[str, Any]:
    (call,) = await place.tools(await place.ask("Say hi.", ECHOED))
    return call


async def test_a_turn_uses_a_programs_tool(place: Place):
    async with place.having(name="Local", server_url="stdio:plain", server_type="stdio") as made:
        call = await one(place)
        assert (call["name"], call["success"], call["response"]) == ("Local__echo", True, "hi")
        shown = await place.read(made)
        assert (shown["server_type"], shown["server_url"], shown["health"]["status"]) == ("stdio", "stdio:plain", "ok")
        status, tried = await place.call("POST", f"{ONE}/{made}/test")
        assert (status, [tool["name"] for tool in tried["data"]]) == (200, ["echo"])


@pytest.mark.parametrize("mode", ["dies", "hangs", "floods", "error"])
async def test_one_that_misbehaves_leaves_the_turn_right(place: Place, mode: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote, "CALL_S", 1.0)
    before = balances(place.world.database)
    async with place.having(name="Local", server_url=f"stdio:{mode}"):
        call = await one(place)
        assert (call["success"], call["refusal"]) == (False, None)
        assert len(call["response"]) < 300
    assert sum(before.values()) == sum(balances(place.world.database).values())


async def test_one_that_is_deleted_or_changed_is_ended(place: Place):
    for change in (("DELETE", None), ("PUT", {"status": "inactive"}), ("PUT", {"server_url": "stdio:plain"})):
        async with place.having(name="Local", server_url="stdio:pid") as made:
            pid = int((await one(place))["response"])
            assert psutil.Process(pid).username()
            assert (await place.call(change[0], f"{ONE}/{made}", change[1]))[0] == 200
            await gone(pid)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"server_url": "stdio:nothing"}, "server_url"),
        ({"server_url": "stdio:elsewhere"}, "server_url"),
        ({"server_url": "stdio:"}, "server_url"),
        ({"server_url": "stdio:/bin/sh"}, "server_url"),
        ({"server_url": "stdio:plain -c id"}, "server_url"),
        ({"server_url": "stdio://plain"}, "server_url"),
        ({"server_url": "STDIO:plain"}, "server_url"),
        ({"server_url": "file:/bin/sh"}, "server_url"),
        ({"server_url": "stdio:plain", "authorization_header": KEY}, "authorization_header"),
        ({"server_url": "stdio:plain", "server_type": "url"}, "server_type"),
        ({"server_url": "https://mcp.example.org/", "server_type": "stdio"}, "server_type"),
        ({"server_url": "stdio:plain", "server_type": "program"}, "server_type"),
        ({"server_url": "stdio:plain", "command": "/bin/sh"}, "command"),
        ({"server_url": "stdio:plain", "args": ["-c", "id"]}, "args"),
        ({"server_url": "stdio:plain", "env": {"A": "b"}}, "env"),
    ],
    ids=str,
)
async def test_nobody_runs_what_the_operator_did_not_name(place: Place, fields: dict[str, Any], param: str):
    before = place.dump()
    status, body = await place.call("POST", ONE, {"name": "Local", **fields})
    assert (status, body["error"]["code"]) == (422, "validation_failed")
    assert param in json.dumps(body["error"])
    assert place.dump() == before
    async with place.having(authorization_header=KEY) as made:
        if param != "authorization_header":
            assert (await place.call("PUT", f"{ONE}/{made}", fields))[0] == 422
        status, body = await place.call("PUT", f"{ONE}/{made}", {"server_url": "stdio:plain"})
        assert (status, body["error"]["param"]) == (422, "authorization_header")


async def test_the_servers_end_is_theirs(tmp_path: Path):
    async with sqlite_world(tmp_path, mcp_programs=programs(tmp_path)) as world:
        place = Place(world, None, "")  # pyright: ignore[reportArgumentType]
        status, body = await place.call("POST", ONE, {"name": "Local", "server_url": "stdio:pid"})
        assert status == 200, body
        pid = int((await one(place))["response"])
        assert pid != os.getpid()
    await gone(pid)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "[]",
        '{"mcpServers": {"a": {"command": "/no/such/program", "twins": []}}}',
        '{"mcpServers": {"a": {"command": "/bin/sh"}}}',
        '{"mcpServers": {"a": {"command": "/bin/sh", "twins": "*"}}}',
        '{"mcpServers": {"a": {"command": "/bin/sh", "twins": [], "shell": true}}}',
        '{"mcpServers": {}, "more": 1}',
    ],
)
async def test_a_file_that_cannot_be_used_stops_the_start(tmp_path: Path, wrong: str):
    path = tmp_path / "programs.json"
    path.write_text(wrong)
    with pytest.raises(OperatorError, match="TWINSPEAK_MCP_PROGRAMS"):
        programs_of(Settings(mcp_programs=path))
    with pytest.raises(OperatorError, match="cannot be used"):
        programs_of(Settings(mcp_programs=tmp_path / "missing.json"))


async def test_without_a_file_there_are_none():
    assert not programs_of(Settings()).allows("plain", "a" * 24)
    assert stdio.MOST_RUNNING
