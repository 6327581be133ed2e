"""Which pages may talk to the server, and which twin-less questions about it are answered."""

from typing import Any

import httpx
import pytest
from starlette.requests import Request

from tests.transports.http.harness import FakeOrigins, World, served
from twinspeak.domain.errors import Overloaded
from twinspeak.transports.http.application import build
from twinspeak.transports.http.cors import AllowedOrigins
from twinspeak.transports.http.origin import origin_of
from twinspeak.transports.services import Edge

ASKED = {"access-control-request-method": "POST", "access-control-request-headers": "content-type, x-access-token"}


def a_world(*twins: str, configured: tuple[str, ...] = ()) -> World:
    return World(origins=FakeOrigins(*twins), edge=Edge(cors_origins=configured))


async def preflight(client: httpx.AsyncClient, origin: str) -> httpx.Response:
    return await client.options("/api/ai/turns", headers={"origin": origin, **ASKED})


async def test_a_preflight_is_answered_for_every_twin_and_the_operator():
    async with served(a_world("https://school.example/lms", configured=("https://lab.example:8443",))) as client:
        for origin in ("https://school.example", "https://lab.example:8443"):
            answer = await preflight(client, origin)
            assert answer.status_code == 204
            assert answer.headers["access-control-allow-origin"] == origin
            assert "POST" in answer.headers["access-control-allow-methods"]
            assert answer.headers["access-control-allow-headers"] == ASKED["access-control-request-headers"]
            assert "access-control-allow-credentials" not in answer.headers
            assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://school.example",
        "https://school.example:444",
        "https://school.example.evil.example",
        "https://notschool.example",
        "null",
        "school.example",
    ],
)
async def test_other_pages_get_no_leave(origin: str):
    async with served(a_world("https://school.example")) as client:
        answer = await preflight(client, origin)
        assert answer.status_code in (400, 403)
        assert "access-control-allow-origin" not in answer.headers
        if answer.status_code == 403:
            assert answer.json()["error"]["code"] == "origin_not_allowed"
            plain = await client.get("/healthz", headers={"origin": origin})
            assert plain.status_code == 200
            assert "access-control-allow-origin" not in plain.headers
            assert plain.headers["vary"] == "Origin"


async def test_a_page_may_read_what_it_needs():
    async with served(a_world("https://school.example")) as client:
        answer = await client.get("/api/ai/turns", headers={"origin": "https://school.example"})
        assert answer.status_code == 401
        assert answer.headers["access-control-allow-origin"] == "https://school.example"
        exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
        assert exposed >= {
            "x-turn-id",
            "x-conversation-id",
            "retry-after",
            "ratelimit-limit",
            "ratelimit-remaining",
            "ratelimit-reset",
        }


async def test_a_star_lets_every_page_in():
    async with served(a_world(configured=("*",))) as client:
        for origin in ("https://anywhere.example", "null"):
            assert (await preflight(client, origin)).headers["access-control-allow-origin"] == origin


async def test_asked_headers_are_not_echoed_when_they_are_no_names():
    async with served(a_world("https://school.example")) as client:
        answer = await client.options(
            "/x", headers={"origin": "https://school.example", **ASKED, "access-control-request-headers": "a: b; c"}
        )
        assert answer.headers["access-control-allow-headers"] == ""


async def test_without_an_origin_nothing_is_added_or_asked():
    world = a_world("https://school.example")
    async with served(world) as client:
        answer = await client.get("/healthz")
        assert "vary" not in answer.headers
    assert world.origins.reads == 0


async def test_the_twins_list_is_remembered_and_survives_a_busy_database():
    busy = False
    reads = 0

    async def read() -> list[str]:
        nonlocal reads
        reads += 1
        if busy:
            raise Overloaded
        return ["https://school.example"]

    origins = AllowedOrigins((), read)
    assert await origins.allows("https://school.example")
    assert not await origins.allows("https://evil.example")
    assert reads == 1
    busy, origins._until = True, 0.0
    assert await origins.allows("https://school.example")
    assert reads == 2


def a_request(world: World, **headers: str) -> Request:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "headers": raw, "app": build(world.services())})


@pytest.mark.parametrize(
    ("public_url", "headers", "origin"),
    [
        ("", {}, None),
        ("", {"origin": "https://school.example", "host": "twin.example"}, "https://school.example"),
        ("", {"origin": "https://twin.example", "host": "twin.example"}, None),
        ("", {"origin": "http://localhost:8080", "host": "localhost:8080"}, None),
        ("", {"origin": "http://localhost:8081", "host": "localhost:8080"}, "http://localhost:8081"),
        ("", {"origin": "null", "host": "null"}, "null"),
        ("", {"origin": "twin.example", "host": "twin.example"}, "twin.example"),
        ("https://twin.example/", {"origin": "https://twin.example", "host": "10.0.0.1"}, None),
        # A name that an attacker points at us is the Host and the Origin of his page alike.
        ("https://twin.example", {"origin": "https://evil.example", "host": "evil.example"}, "https://evil.example"),
        ("https://twin.example", {"origin": "http://localhost:8080", "host": "localhost:8080"}, None),
    ],
)
def test_our_own_page_is_no_foreign_one(public_url: str, headers: dict[str, Any], origin: str | None):
    assert origin_of(a_request(World(edge=Edge(public_url=public_url)), **headers)) == origin
