"""The client for model servers that a twin named: what it connects to, and what goes along."""

import gzip
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from tests.egress.sites import HERE, FakeNames, Site, moved
from twinspeak.domain.errors import AddressNotAllowed
from twinspeak.egress.client import GuardedClient
from twinspeak.egress.guard import AllowList, Guard

NAME = "models.example.org"


@asynccontextmanager
async def asking(
    *words: str, answers: list[list[str]] | None = None, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[tuple[GuardedClient, FakeNames]]:
    names = FakeNames({NAME: answers or []})
    guard = Guard(AllowList(words), schemes=("https",), ports=None)
    client = GuardedClient.guarded(guard, names=names, tls=tls)
    try:
        yield client, names
    finally:
        await client.close()
    assert names.asked[-1] == "closed"


async def test_a_name_that_leads_inside_at_the_second_question_is_not_asked_then(site: Site) -> None:
    """Each connection is judged by the addresses that it goes to: what was true when the record was written is not."""
    site.replies["/v1/x"] = {"text": "ok", "headers": {"Connection": "close"}}
    async with asking(f"{NAME}:{site.port}", answers=[[HERE], ["169.254.169.254"]]) as (client, names):
        url = f"http://{NAME}:{site.port}/v1/x"
        async with await client.post(url, b"{}", {}) as response:
            assert await response.text() == "ok"
        with pytest.raises(AddressNotAllowed):
            await client.post(url, b"{}", {"Authorization": "Bearer key"})
        assert names.asked == [NAME, NAME]
    assert len(site.seen) == 1


@pytest.mark.parametrize(
    "answer",
    [["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["10.0.0.7"], ["93.184.216.34", "127.0.0.1"], ["0.0.0.1"], []],
    ids=str,
)
async def test_a_name_that_leads_inside_is_never_asked(site: Site, answer: list[str]) -> None:
    async with asking(answers=[answer] if answer else None) as (client, _):
        with pytest.raises(AddressNotAllowed):
            await client.post(f"https://{NAME}:{site.port}/v1/x", b"{}", {"Authorization": "Bearer key"})
    assert site.seen == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed_even_to_where_it_could_go(site: Site, status: int) -> None:
    async with asking(f"{HERE}:{site.port}") as (client, _):
        site.replies["/v1/x"] = moved(f"http://{HERE}:{site.port}/stolen", status)
        async with await client.post(f"http://{HERE}:{site.port}/v1/x", b"{}", {}) as response:
            assert response.status == status
        async with await client.get(f"http://{HERE}:{site.port}/v1/x", {}) as response:
            assert response.status == status
    assert [path for _, path, _, _ in site.seen] == ["/v1/x", "/v1/x"]
    assert "cookie" not in site.seen[1][2]


async def test_nothing_is_unpacked(site: Site) -> None:
    packed = gzip.compress(b"\0" * 10_000_000)
    site.replies["/v1/x"] = {"body": packed, "headers": {"Content-Encoding": "gzip"}}
    async with asking(f"{HERE}:{site.port}") as (client, _):
        response = await client.post(f"http://{HERE}:{site.port}/v1/x", b"{}", {})
        assert await response.read() == packed


async def test_headers_of_one_record_are_no_other_ones(site: Site) -> None:
    async with asking(f"{HERE}:{site.port}") as (client, _):
        url = f"http://{HERE}:{site.port}/v1/x"
        ours, theirs = client.carrying({"x-team": "ours", "authorization": "Basic own"}), client.carrying({})
        for one in (ours, theirs):
            async with await one.post(url, b"{}", {"Authorization": "Bearer key"}) as response:
                await response.read()
    sent = [(headers["authorization"], headers.get("x-team")) for _, _, headers, _ in site.seen]
    assert sent == [("Basic own", "ours"), ("Bearer key", None)]


async def test_proxies_of_the_environment_are_not_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with asking(f"{HERE}:{site.port}") as (client, _):
        response = await client.post(f"http://{HERE}:{site.port}/v1/x", b"{}", {})
        assert await response.text() == "hello"
