"""The MCP client against servers that behave and that do not, over real sockets."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.egress.sites import fetching
from tests.fakes.mcp import ECHO, McpFake, mcp_fake, text_result
from twinspeak.tools.mcp import client, wire
from twinspeak.tools.mcp.client import Result
from twinspeak.tools.mcp.http import Endpoint, HttpServer, Unavailable

KEY = {"Authorization": "Bearer the-key"}


@asynccontextmanager
async def talking(*, max_bytes: int = 1_000_000, **settings: Any) -> AsyncGenerator[tuple[McpFake, HttpServer]]:
    async with mcp_fake(**settings) as fake, fetching(f"127.0.0.1:{fake.port}") as (fetcher, _):
        yield fake, HttpServer(fetcher, Endpoint(fake.url, KEY), max_bytes=max_bytes)


async def echo(server: HttpServer, text: str = "hi", **more: Any) -> Result:
    return await client.call(server, "echo", {"text": text}, timeout_s=more.pop("timeout_s", 5), **more)


@pytest.mark.parametrize("mode", ["json", "stream", "resumed"])
async def test_a_tool_is_listed_and_called(mode: str):
    told: list[tuple[float | None, str]] = []
    async with talking(mode=mode) as (fake, server):
        (tool,) = await client.tools_of(server)
        result = await echo(server, progress=lambda far, words: told.append((far, words)))
        await server.close()
    assert (tool.name, tool.title, tool.description) == ("echo", "Echo", "Says it again.")
    assert result == Result("hi", success=True)
    assert told == ([(0.5, "half")] if mode == "stream" else [])
    assert fake.methods()[:3] == ["initialize", "notifications/initialized", "tools/list"]
    assert fake.methods()[-1] == "DELETE"
    initialize, *others = [headers for _, _, headers in fake.seen]
    assert "mcp-session-id" not in initialize
    for headers in others:
        assert headers["mcp-session-id"] == "session-1"
        assert headers["mcp-protocol-version"] == "2025-06-18"
    assert {headers["authorization"] for _, _, headers in fake.seen} == {"Bearer the-key"}
    if mode == "resumed":
        assert [headers.get("last-event-id") for method, _, headers in fake.seen if method == "GET"] == ["1"]


async def test_a_servers_requests_are_answered_with_what_we_do_not_offer():
    async with talking(mode="stream") as (fake, server):
        await echo(server)
    refused, pinged = [reply for reply in fake.replies if "id" in reply]
    assert (refused["id"], refused["error"]["code"]) == ("s1", wire.METHOD_NOT_FOUND)
    assert (pinged["id"], pinged["result"]) == ("s2", {})


async def test_a_forgotten_session_is_begun_anew():
    async with talking() as (fake, server):
        await echo(server)
        fake.session = "session-2"
        assert (await echo(server)).text == "hi"
        assert fake.methods().count("initialize") == 2
        assert fake.seen[-1][2]["mcp-session-id"] == "session-2"


async def test_a_server_without_sessions():
    async with talking(session=None) as (fake, server):
        assert (await echo(server)).text == "hi"
        assert "mcp-session-id" not in fake.seen[-1][2]
        await server.close()
        assert fake.methods()[-1] == "tools/call"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mode": "nonsense"}, "does not speak"),
        ({"mode": "other answer"}, "does not speak"),
        ({"mode": "closes"}, "does not speak"),
        ({"mode": "floods"}, "more than it may"),
        ({"mode": "hangs"}, "too long"),
        ({"refuse": 401}, "credential"),
        ({"refuse": 403}, "credential"),
        ({"refuse": 500}, "500"),
        ({"version": "1999-01-01"}, "version"),
    ],
    ids=str,
)
async def test_a_server_that_cannot_be_used_says_why(settings: dict[str, Any], words: str):
    async with talking(max_bytes=300_000, **settings) as (fake, server):
        with pytest.raises(Unavailable, match=words) as caught:
            await echo(server, timeout_s=0.5 if settings.get("mode") == "hangs" else 10)
        assert "the-key" not in str(caught.value)
        if settings.get("mode") in ("floods", "hangs"):
            await asyncio.wait_for(fake.gone.wait(), 5)


async def test_cancelling_a_call_closes_its_connection():
    async with talking(mode="hangs") as (fake, server):
        calling = asyncio.ensure_future(echo(server))
        await asyncio.wait_for(fake.reached.wait(), 5)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await asyncio.wait_for(fake.gone.wait(), 5)


async def test_what_a_tool_reports_as_an_error_is_no_success():
    async with talking(mode="error") as (_, server):
        assert await echo(server) == Result("It cannot.", success=False)
    async with talking(answer=lambda *_: text_result("Bad.", failed=True)) as (_, server):
        assert await echo(server) == Result("Bad.", success=False)


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "a\n\nb"),
        ({"content": [{"type": "image", "data": "x" * 100, "mimeType": "image/png"}]}, "[image: image/png, not shown]"),
        ({"content": [{"type": "resource", "resource": {"uri": "x://a", "text": "inside"}}]}, "inside"),
        ({"content": [{"type": "resource", "resource": {"uri": "x://a", "blob": "AA"}}]}, "[data at x://a]"),
        ({"content": [{"type": "resource_link", "uri": "x://a", "name": "A"}]}, "A x://a"),
        ({"content": [], "structuredContent": {"a": 1}}, '{"a":1}'),
        ({"content": "text"}, "It gave no text."),
        ({"content": [3, None, {"type": "new"}]}, "It gave no text."),
        ({}, "It gave no text."),
        ({"content": [{"type": "text", "text": "a\u200b\U000e0041b"}]}, "ab"),
    ],
    ids=range(10),
)
async def test_results_become_text(result: dict[str, Any], text: str):
    async with talking(answer=lambda *_: result) as (_, server):
        assert (await echo(server)).text == text


async def test_only_what_is_a_tool_is_listed():
    bad: list[Any] = [
        3, {}, {"name": ""}, {"name": "x" * 200, "inputSchema": {}}, {"name": "a\nb", "inputSchema": {}},
        {"name": "none"}, {"name": "array", "inputSchema": {"type": "array"}},
        {"name": "large", "inputSchema": {"type": "object", "description": "x" * 30_000}},
        {"name": "elsewhere", "inputSchema": {"type": "object", "properties": {"a": {"$ref": "http://evil/"}}}},
        {"name": "odd", "inputSchema": {"type": "object", "properties": []}},
    ]  # fmt: skip
    plain = {"name": "plain", "description": "x" * 5_000, "inputSchema": {}}
    async with talking(tools=[*bad, ECHO, ECHO, plain]) as (_, server):
        tools = await client.tools_of(server)
    assert [tool.name for tool in tools] == ["echo", "plain"]
    assert len(tools[1].description) == 1_500
    assert tools[1].schema == {"type": "object", "properties": {}}


async def test_pages_are_read_up_to_a_bound():
    named = [{**ECHO, "name": f"tool{number}"} for number in range(500)]
    pages = [{"tools": named[at : at + 50], "nextCursor": str(at // 50 + 1)} for at in range(0, 500, 50)]
    async with talking(pages=pages) as (_, server):
        assert len(await client.tools_of(server)) == client.MAX_TOOLS
    endless = [{"tools": [], "nextCursor": "0"}, {"tools": [], "nextCursor": "1"}]
    async with talking(pages=endless) as (fake, server):
        assert await client.tools_of(server) == []
        assert fake.methods().count("tools/list") <= 21
