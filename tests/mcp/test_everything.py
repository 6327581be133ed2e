"""The official server that has everything (npm), live, asked by our client, and in a whole turn."""

import asyncio
import socket
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from tests.conformance.node import environment, node_home
from tests.egress.sites import fetching
from tests.faces import Face
from tests.fakes.upstream import text_reply, tool_reply
from tests.mcp.node import package
from tests.sqlite import sqlite_world
from twinspeak.tools.mcp import client
from twinspeak.tools.mcp.http import Endpoint, HttpServer, Unavailable
from twinspeak.tools.mcp.stdio import Program, Programs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@asynccontextmanager
async def everything() -> AsyncGenerator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(node_home() / "bin/node"), str(package("server-everything") / "dist/index.js"), "streamableHttp"]
    settings = {**environment(), "PORT": str(port), "HOST": "127.0.0.1"}
    process = await asyncio.create_subprocess_exec(*command, env=settings, stdout=DEVNULL, stderr=DEVNULL)
    try:
        async with asyncio.timeout(30):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    assert process.returncode is None
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break
        yield port
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def over_http() -> AsyncGenerator[client.Server]:
    async with everything() as port, fetching(f"127.0.0.1:{port}") as (fetcher, _):
        yield HttpServer(fetcher, Endpoint(f"http://127.0.0.1:{port}/mcp"))


@asynccontextmanager
async def as_a_program() -> AsyncGenerator[client.Server]:
    script = str(package("server-everything") / "dist/index.js")
    program = Program(command=str(node_home() / "bin/node"), args=(script, "stdio"), twins=("*",), env=environment())
    programs = Programs({"everything": program})
    try:
        yield programs.way("everything", "a" * 24)
    finally:
        await programs.close()


@pytest.mark.parametrize("way", [over_http, as_a_program])
async def test_its_tools_are_listed_and_called(way: Callable[[], AbstractAsyncContextManager[client.Server]]):
    async with way() as server:
        tools = {tool.name: tool for tool in await client.tools_of(server)}
        assert "echo" in tools
        echoed = await client.call(server, "echo", {"message": "Grüße 👋"}, timeout_s=10)
        assert echoed.success
        assert "Grüße 👋" in echoed.text
        total = await client.call(server, _named(tools, "sum", "add"), {"a": 2, "b": 3}, timeout_s=10)
        assert "5" in total.text
        told: list[float | None] = []
        slow = await client.call(
            server,
            _named(tools, "long"),
            {"duration": 0.3, "steps": 3},
            timeout_s=20,
            progress=lambda far, _: told.append(far),
        )
        assert slow.success
        assert told
        wrong = await client.call(server, "echo", {"message": 3}, timeout_s=10)
        assert not wrong.success
        missing = await client.call(server, "no-such-tool", {}, timeout_s=10)
        assert not missing.success
        with pytest.raises(Unavailable, match="too long"):
            await client.call(server, _named(tools, "long"), {"duration": 10, "steps": 2}, timeout_s=0.5)
        await server.close()


@pytest.mark.usefixtures("sqlite_file")
async def test_a_whole_turn_uses_its_tools(tmp_path: Path):
    async with everything() as port, sqlite_world(tmp_path, egress_allow=("127.0.0.1",)) as world:
        new = {"name": "Everything", "server_url": f"http://127.0.0.1:{port}/mcp"}
        status, made = await world.post("/api/admin/mcpserver", new)
        assert status == 200, made
        status, tried = await world.post(f"/api/admin/mcpserver/{made['id']}/test")
        assert (status, "echo" in [tool["name"] for tool in tried["data"]]) == (200, True)
        world.upstream.script(tool_reply(("Everything__echo", {"message": "hello"})), text_reply("It says hello."))
        answer = await world.ask(Face.REST, "Say hello to everything.", ragIgnore=True)
        (call,) = (await world.record(answer.turn_id))["tools"]
        assert (call["name"], call["success"], "hello" in call["response"]) == ("Everything__echo", True, True)
        offered = [tool["function"]["name"] for tool in world.upstream.exchanges[-1].json["tools"]]
        assert len([name for name in offered if name.startswith("Everything__")]) == len(tried["data"])


def _named(tools: dict[str, client.ListedTool], *words: str) -> str:
    return next(name for name in tools for word in words if word in name.lower())
