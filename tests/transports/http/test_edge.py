"""What surrounds every answer: ids, safety headers, one log line, one metric, rate-limit headers."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import structlog
from fastapi import Request
from starlette.responses import StreamingResponse

from tests.transports.http.harness import ADA, World, raw, served
from twinspeak.domain.errors import InvalidCredentials, Overloaded
from twinspeak.services.rate_limits import RateLimits, Rule
from twinspeak.telemetry import logs
from twinspeak.transports.http import rate
from twinspeak.transports.http.routes import PUBLIC, SignedIn, client_ip, request_id, router
from twinspeak.transports.services import Edge

RULE = Rule("test", 2)


ROUTES = router("Test")


@ROUTES.get("/id", dependencies=[PUBLIC])
async def tell(request: Request) -> dict[str, str]:
    structlog.get_logger("twinspeak.test").info("inside")
    return {"id": request_id(request), "ip": client_ip(request)}


@ROUTES.get("/mine/{thing}")
async def mine(thing: str, _caller: SignedIn) -> dict[str, str]:
    structlog.get_logger("twinspeak.test").info("inside")
    return {"thing": thing}


@ROUTES.get("/stream", dependencies=[PUBLIC])
async def stream() -> StreamingResponse:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"piece "
            await asyncio.sleep(0)

    return StreamingResponse(pieces(), headers={"cache-control": "no-cache, no-transform"})


@ROUTES.get("/breaks-midway", dependencies=[PUBLIC])
async def midway() -> StreamingResponse:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"piece "
        raise RuntimeError("broke")

    return StreamingResponse(pieces())


@ROUTES.post("/guess", dependencies=[PUBLIC])
async def guess(request: Request) -> dict[str, bool]:
    body = await request.json()
    with rate.failures_only(request, "somebody", RULE):
        if body["answer"] == "busy":
            raise Overloaded
        if body["answer"] != "right":
            raise InvalidCredentials
    return {"success": True}


@ROUTES.get("/counted", dependencies=[PUBLIC])
async def counted(request: Request) -> dict[str, bool]:
    rate.take(request, "somebody", Rule("wide", 100))
    rate.take(request, "somebody", RULE)
    return {"success": True}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    written = io.StringIO()
    logs.configure("json", "debug", written)
    yield written
    root.handlers[:], level = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
async def world() -> World:
    return World()


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with served(world, [ROUTES]) as client:
        yield client


def records(log: io.StringIO, message: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, ours(log)) if line["message"] == message]


def ours(log: io.StringIO) -> list[str]:
    """Leave out what the test's own client says."""
    return [line for line in log.getvalue().splitlines() if '"logger":"twinspeak.' in line]


# -- request ids ------------------------------------------------------------------------------------------------------


async def test_a_request_has_one_id_everywhere(client: httpx.AsyncClient, log: io.StringIO):
    answer = await client.get("/id")
    assigned = answer.headers["x-request-id"]
    assert answer.json()["id"] == assigned
    assert [record["request_id"] for record in records(log, "inside")] == [assigned]
    assert [record["request_id"] for record in records(log, "request")] == [assigned]
    assert (await client.get("/id")).headers["x-request-id"] != assigned


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("trace-0123456789.ab_CD", True),
        ("short", False),
        ("x" * 65, False),
        ("has a blank in it", False),
        ("né" * 6, False),
        ('"};{"a":"bcdefgh', False),
    ],
)
async def test_only_a_harmless_id_is_taken_over(client: httpx.AsyncClient, given: str, kept: bool):  # noqa: FBT001
    answer = await client.get("/id", headers=[(b"x-request-id", given.encode())])
    assert (answer.headers["x-request-id"] == given) is kept


# -- the log ----------------------------------------------------------------------------------------------------------


async def test_a_request_is_one_line_without_its_query_or_token(client: httpx.AsyncClient, log: io.StringIO):
    await client.get("/mine/7?token=ada-token&q=private", headers={"x-access-token": "ada-token"})
    (line,) = records(log, "request")
    assert (line["method"], line["path"], line["status"], line["ip"]) == ("GET", "/mine/7", 200, "127.0.0.1")
    assert line["ms"] >= 0
    assert line["user_id"] == ADA.user_id
    assert line["institution_id"] == ADA.institution_id
    (inside,) = records(log, "inside")
    assert (inside["user_id"], inside["request_id"]) == (line["user_id"], line["request_id"])
    for private in ("ada-token", "private", "q="):
        assert private not in "".join(ours(log))


async def test_nobodys_ids_are_on_the_next_request_of_the_connection(client: httpx.AsyncClient, log: io.StringIO):
    await client.get("/mine/7", headers={"x-access-token": "ada-token"})
    await client.get("/id")
    assert "user_id" not in records(log, "request")[-1]


async def test_probes_do_not_fill_the_log(client: httpx.AsyncClient, log: io.StringIO):
    for path in ("/healthz", "/readyz", "/metrics", "/api/test/health"):
        await client.get(path)
    assert {record["level"] for record in records(log, "request")} == {"debug"}


async def test_metrics_know_routes_not_paths(client: httpx.AsyncClient, world: World):
    for path in ("/mine/1", "/mine/2", "/nothing/1", "/nothing/2"):
        await client.get(path, headers={"x-access-token": "ada-token"})
    await raw(client, b"BREW /mine/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    text = world.metrics.render().decode()
    assert 'twinspeak_http_requests_total{method="GET",route="/mine/{thing}",status="200"} 2.0' in text
    assert 'twinspeak_http_requests_total{method="GET",route="none",status="404"} 2.0' in text
    assert "/mine/1" not in text
    assert "BREW" not in text


async def test_a_broken_request_is_logged_with_its_reason_and_counted(client: httpx.AsyncClient, log: io.StringIO):
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get("/breaks-midway")
    (line,) = records(log, "request")
    assert line["status"] == 200
    assert (await client.get("/id")).status_code == 200


# -- headers ----------------------------------------------------------------------------------------------------------


async def test_every_answer_carries_safety_headers(client: httpx.AsyncClient):
    for path in ("/id", "/nothing", "/mine/1"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'")


async def test_a_route_that_says_how_to_cache_is_left_alone(client: httpx.AsyncClient):
    answer = await client.get("/stream")
    assert (answer.text, answer.headers["cache-control"]) == ("piece piece piece ", "no-cache, no-transform")


# -- rate limits ------------------------------------------------------------------------------------------------------


def standing(answer: httpx.Response) -> tuple[str, str]:
    assert 0 <= int(answer.headers["ratelimit-reset"]) <= 66
    return answer.headers["ratelimit-limit"], answer.headers["ratelimit-remaining"]


async def test_only_failures_count(client: httpx.AsyncClient):
    async def guess(answer: str) -> httpx.Response:
        return await client.post("/guess", json={"answer": answer})

    for _ in range(5):
        assert standing(await guess("right")) == ("2", "2")
    assert standing(await guess("wrong")) == ("2", "1")
    assert standing(await guess("busy")) == ("2", "1")
    assert standing(await guess("right")) == ("2", "1")
    assert standing(await guess("wrong")) == ("2", "0")
    for answer in ("right", "wrong"):
        refused = await guess(answer)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
        assert standing(refused) == ("2", "0")
        assert 1 <= int(refused.headers["retry-after"]) <= 66


async def test_of_several_limits_the_nearest_is_told(client: httpx.AsyncClient):
    assert [standing(await client.get("/counted")) for _ in range(3)] == [("2", "1"), ("2", "0"), ("2", "0")]


async def test_a_route_without_a_limit_tells_none(client: httpx.AsyncClient):
    assert "ratelimit-limit" not in (await client.get("/id")).headers


async def test_guesses_in_parallel_cannot_slip_past_together(client: httpx.AsyncClient):
    answers = await asyncio.gather(*(client.post("/guess", json={"answer": "wrong"}) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [401] * 2 + [429] * 18


async def test_a_limit_follows_the_client_through_a_trusted_proxy():
    world = World(edge=Edge(trusted_proxies=("127.0.0.1",)), limits=RateLimits())
    async with served(world, [ROUTES]) as client:
        answer = await client.get("/id", headers={"x-forwarded-for": "203.0.113.9"})
    assert answer.json()["ip"] == "203.0.113.9"
