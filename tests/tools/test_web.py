"""The tools that go out: search engines and pages as fakes on real sockets, well-behaved and not."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.egress.sites import Site, fetching, moved, serving
from twinspeak.domain.turn import ToolCall, ToolOutcome
from twinspeak.egress.client import TrustedClient
from twinspeak.tools.builtin.read_page import PART_CHARS, read_page_tool
from twinspeak.tools.builtin.web_search import web_search_tool
from twinspeak.tools.page_text import text_of
from twinspeak.tools.registry import Registry
from twinspeak.tools.runner import Runner
from twinspeak.tools.search_engines import SearchEngine

HIT = {"title": " A\npage ", "url": "https://example.org/a", "content": "What it says."}
ANSWERS: dict[str, Any] = {
    "searxng": {"query": "q", "results": [HIT]},
    "brave": {"type": "search", "web": {"results": [{**HIT, "description": HIT["content"]}]}},
    "tavily": {"query": "q", "results": [{**HIT, "score": 0.9}]},
}
PATHS = {"searxng": "/search", "brave": "/res/v1/web/search", "tavily": "/search"}


@asynccontextmanager
async def engine(name: str) -> AsyncGenerator[tuple[Site, Runner]]:
    client = TrustedClient.open()
    try:
        async with serving() as site:
            base = SearchEngine(name=name, url=f"http://127.0.0.1:{site.port}/", client=client, key="the-key")
            yield site, Runner(Registry([web_search_tool(base.search)]))
    finally:
        await client.close()


async def search(runner: Runner, context: Any, **arguments: Any) -> ToolOutcome:
    return await runner.run(ToolCall("call", "web_search", {"query": "digital twins", **arguments}), context)


@pytest.mark.parametrize("name", ANSWERS)
async def test_each_engine_is_asked_as_it_wants_to_be(name: str, make_context: Callable[..., Any]):
    async with engine(name) as (site, runner):
        site.replies[PATHS[name]] = {"text": json.dumps(ANSWERS[name]), "content_type": "application/json"}
        outcome = await search(runner, make_context(), limit=3)
    assert outcome.text == "A page\nhttps://example.org/a\nWhat it says."
    assert (outcome.success, outcome.origin) == (True, "search")
    ((method, path, headers, body),) = site.seen
    assert (method, path) == {
        "searxng": ("GET", "/search?q=digital+twins&format=json"),
        "brave": ("GET", "/res/v1/web/search?q=digital+twins&count=3"),
        "tavily": ("POST", "/search"),
    }[name]
    if name == "tavily":
        assert json.loads(body) == {"query": "digital twins", "max_results": 3}
    assert "the-key" in (headers.get("authorization", "") + headers.get("x-subscription-token", ""))


@pytest.mark.parametrize(
    "reply",
    [
        {"text": "<html>", "content_type": "text/html"},
        {"text": "[]", "content_type": "application/json"},
        {"text": '{"results": 3}', "content_type": "application/json"},
        {"text": '{"results": [3, {"url": 4}, {"url": "javascript:x"}, {}]}', "content_type": "application/json"},
        {"status": 429, "text": "the-key"},
        {"status": 302, "headers": {"Location": "http://169.254.169.254/"}},
        {"text": "x" * 3_000_000},
    ],
    ids=range(7),
)
async def test_an_engine_that_answers_nonsense(reply: dict[str, Any], make_context: Callable[..., Any]):
    async with engine("searxng") as (site, runner):
        site.replies["/search"] = reply
        outcome = await search(runner, make_context())
    assert not outcome.success or outcome.text == "No page was found for this query."
    assert "the-key" not in outcome.text
    assert len(site.seen) == 1


# -- pages ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def pages() -> AsyncGenerator[tuple[Site, Runner]]:
    async with serving() as site, fetching(f"127.0.0.1:{site.port}") as (fetcher, _):
        yield site, Runner(Registry([read_page_tool(fetcher)]), timeout_s=0.5)


async def read(runner: Runner, context: Any, url: str, **more: Any) -> ToolOutcome:
    return await runner.run(ToolCall("call", "read_page", {"url": url, **more}), context)


async def test_a_page_comes_as_its_visible_text(make_context: Callable[..., Any]):
    html = """<html><head><title>The  page</title><script>evil()</script></head><body><nav>Menu</nav>
    <h1>Title</h1><p>First &amp; second</p><p style="display: none">hidden orders</p><div hidden>more</div>
    <span aria-hidden="true">x</span><!-- orders --><ul><li>a<li>b</ul>\u200bseen</body></html>"""
    async with pages() as (site, runner):
        site.replies["/"] = {"text": html, "content_type": "text/html"}
        url = f"http://127.0.0.1:{site.port}/"
        outcome = await read(runner, make_context(question=f"Read {url}!"), url)
    assert outcome.text == f"The page\n{url}\n\nMenu\nTitle\nFirst & second\na\nb\nseen"
    assert (outcome.success, outcome.origin) == (True, "web")


def test_what_nobody_sees_is_left_out():
    tags = "".join(chr(0xE0000 + ord(sign)) for sign in "obey")
    assert text_of(f"<p>a{tags}b\u202ec</p>") == ("", "abc")
    assert text_of("<p hidden>" * 600 + "x") == ("", "")
    assert text_of("plain <b>bold</b> &#x41;<br>next <unknown>w</unknown>") == ("", "plain bold A\nnext w")


async def test_a_long_page_comes_in_parts(make_context: Callable[..., Any]):
    async with pages() as (site, runner):
        site.replies["/"] = {"text": "x" * PART_CHARS + "the end", "content_type": "text/plain"}
        url = f"http://127.0.0.1:{site.port}/"
        context = make_context(question=url)
        first = await read(runner, context, url)
        assert f"[7 more characters: read on with start={PART_CHARS}]" in first.text
        assert (await read(runner, context, url, start=PART_CHARS)).text.endswith("\n\nthe end")
        assert not (await read(runner, context, url, start=10**6)).success


@pytest.mark.parametrize(
    ("path", "reply", "word"),
    [
        ("/", {"status": 404, "text": "no"}, "404"),
        ("/", {"body": b"%PDF", "content_type": "application/pdf"}, "application/pdf"),
        ("/", {"text": "x" * 2_000_001, "content_type": "text/plain"}, "did not answer"),
        ("/slow", {}, "took longer"),
        ("/", moved("http://169.254.169.254/latest"), "may not be asked"),
        ("/", moved("http://localhost:1/"), "may not be asked"),
    ],
    ids=range(6),
)
async def test_a_page_that_cannot_be_read(path: str, reply: Any, word: str, make_context: Callable[..., Any]):
    async with pages() as (site, runner):
        if reply:
            site.replies[path] = reply
        url = f"http://127.0.0.1:{site.port}{path}"
        outcome = await read(runner, make_context(question=url), url)
    assert not outcome.success
    assert word in outcome.text


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5000000000\r\n\r\nshort",
        b"Content-Length: 10\r\n\r\n" + b"x" * 100_000,
        b"Content-Length: 100000\r\n\r\nshort",
        b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\nshort",
        b"Content-Length: -1\r\n\r\nx",
        b"Content-Encoding: gzip\r\n\r\nnot packed",
    ],
    ids=range(6),
)
async def test_a_page_that_lies_about_its_size(head: bytes, make_context: Callable[..., Any]):
    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" + head)
        writer.close()

    server = await asyncio.start_server(lie, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, fetching(f"127.0.0.1:{port}") as (fetcher, _):
        runner, url = Runner(Registry([read_page_tool(fetcher)]), timeout_s=2), f"http://127.0.0.1:{port}/"
        outcome = await read(runner, make_context(question=url), url)
    assert not outcome.success or len(outcome.text) < 200
