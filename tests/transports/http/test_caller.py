"""Where a token is looked for, and in what order."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.transports.http.harness import World, served
from twinspeak.transports.http.routes import SignedIn, router
from twinspeak.transports.services import Edge


def face() -> Any:
    routes = router("Test")

    @routes.get("/who")
    @routes.post("/who")
    @routes.put("/who")
    async def who(caller: SignedIn) -> dict[str, str]:
        return {"email": caller.email}

    return routes


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with served(World(), [face()]) as client:
        yield client


@pytest.fixture
async def lenient() -> AsyncIterator[httpx.AsyncClient]:
    async with served(World(edge=Edge(allow_token_in_url=True)), [face()]) as client:
        yield client


def outcome(answer: httpx.Response) -> str:
    body = answer.json()
    if answer.status_code == 200:
        return body["email"].partition("@")[0]
    assert answer.headers["www-authenticate"] == "Bearer"
    return f"{answer.status_code} {body['error']['code']}"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "401 authentication_required"),
        ({"x-access-token": "ada-token"}, "ada"),
        ({"X-Access-Token": "ada-token"}, "ada"),
        ({"authorization": "Bearer bob-token"}, "bob"),
        ({"authorization": "bearer bob-token"}, "bob"),
        ({"x-access-token": "ada-token", "authorization": "Bearer bob-token"}, "ada"),
        ({"x-access-token": "ada-token", "authorization": "Bearer nonsense"}, "ada"),
        ({"x-access-token": "", "authorization": "Bearer bob-token"}, "bob"),
        ({"x-access-token": "nonsense", "authorization": "Bearer bob-token"}, "401 invalid_token"),
        ({"x-access-token": "x" * 5000}, "401 invalid_token"),
        ({"authorization": "Basic YWRhOnB3"}, "401 authentication_required"),
        ({"authorization": "Bearer"}, "401 authentication_required"),
        ({"authorization": "ada-token"}, "401 authentication_required"),
        ({"cookie": "token=ada-token"}, "401 authentication_required"),
    ],
)
async def test_headers(client: httpx.AsyncClient, headers: dict[str, str], expected: str):
    assert outcome(await client.get("/who", headers=headers)) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"token": "ada-token"}, "ada"),
        ({"token": ""}, "401 authentication_required"),
        ({"token": None}, "401 authentication_required"),
        ({"token": ["ada-token"]}, "401 authentication_required"),
        (["ada-token"], "401 authentication_required"),
        ("ada-token", "401 authentication_required"),
        (None, "401 authentication_required"),
    ],
)
async def test_the_body_of_a_post(client: httpx.AsyncClient, body: Any, expected: str):
    assert outcome(await client.post("/who", json=body)) == expected


async def test_a_header_comes_before_the_body(client: httpx.AsyncClient):
    answer = await client.post("/who", json={"token": "ada-token"}, headers={"authorization": "Bearer bob-token"})
    assert outcome(answer) == "bob"


async def test_only_a_post_may_carry_it_in_the_body(client: httpx.AsyncClient):
    assert outcome(await client.put("/who", json={"token": "ada-token"})) == "401 authentication_required"


async def test_an_address_is_no_place_for_a_token_unless_the_operator_says_so(
    client: httpx.AsyncClient, lenient: httpx.AsyncClient
):
    assert outcome(await client.get("/who?token=ada-token")) == "401 authentication_required"
    assert outcome(await lenient.get("/who?token=ada-token")) == "ada"
    assert outcome(await lenient.get("/who?token=ada-token", headers={"x-access-token": "bob-token"})) == "bob"
    assert outcome(await lenient.post("/who?token=ada-token", json={"token": "bob-token"})) == "ada"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1/healthz?", "x/../healthz", "healthz#", "[::1", "a b", "x@healthz", ""]
)
async def test_a_host_header_opens_nothing(client: httpx.AsyncClient, host: str):
    """CVE-2026-48710: an address rebuilt from the Host header must never decide who may enter."""
    answer = await client.get("/who", headers={"host": host})
    assert answer.status_code in (400, 401)
