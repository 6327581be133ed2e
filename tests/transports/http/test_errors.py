"""Every failure has one shape, whoever found it, and tells nothing of the inside."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, Field

from tests.transports.http.harness import World, served
from twinspeak.domain.errors import (
    CallerError,
    CodedError,
    InsufficientCredits,
    NotFound,
    Overloaded,
    ProviderFailed,
    RateLimited,
)
from twinspeak.domain.events import TurnFailed
from twinspeak.transports.http import errors
from twinspeak.transports.http.routes import router

SECRET = "the database is at /var/lib/secret and the key is sk-123"


class Inner(BaseModel):
    number: int = Field(ge=1, le=9)
    words: list[str] = Field(default=[], max_length=2)


class Outer(BaseModel):
    name: str = Field(min_length=2, max_length=5)
    inner: Inner


def face() -> Any:
    routes = router("Test", public=True)

    @routes.post("/check")
    async def check(outer: Outer) -> dict[str, str]:
        return {"name": outer.name}

    @routes.get("/raise/{what}")
    async def fail(what: str) -> dict[str, str]:
        raise {
            "bug": RuntimeError(SECRET),
            "credits": InsufficientCredits(details={"needed": 3}),
            "busy": Overloaded(retry_after_s=7),
            "limit": RateLimited(retry_after_s=60),
            "provider": ProviderFailed(details={"provider": "openai", "status": 500}),
            "bare": CodedError(),
        }[what]

    @routes.get("/lies", response_model=Inner)
    async def lies() -> Any:
        return {"number": SECRET}

    return routes


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with served(World(), [face()]) as client:
        yield client


def check_shape(answer: httpx.Response) -> dict[str, Any]:
    body = answer.json()
    assert set(body) == {"success", "message", "error"}
    assert set(body["error"]) == {"code", "status", "message", "type", "param", "details", "requestId"}
    assert body["success"] is False
    assert body["error"]["status"] == answer.status_code
    assert body["error"]["message"] == body["message"]
    assert body["error"]["requestId"] == answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/json"
    return body["error"]


@pytest.mark.parametrize(
    ("what", "status", "code", "kind", "details"),
    [
        ("credits", 402, "insufficient_credits", "insufficient_quota", {"needed": 3}),
        ("busy", 503, "overloaded", "api_error", {}),
        ("limit", 429, "rate_limited", "rate_limit_error", {}),
        ("provider", 502, "provider_failed", "api_error", {"provider": "openai", "status": 500}),
        ("bare", 500, "internal_error", "api_error", {}),
    ],
)
async def test_a_coded_error_keeps_its_code(
    client: httpx.AsyncClient, what: str, status: int, code: str, kind: str, details: dict[str, Any]
):
    answer = await client.get(f"/raise/{what}")
    error = check_shape(answer)
    assert (error["status"], error["code"], error["type"], error["details"]) == (status, code, kind, details)


async def test_when_to_come_back_is_a_header(client: httpx.AsyncClient):
    assert (await client.get("/raise/busy")).headers["retry-after"] == "7"
    assert "retry-after" not in (await client.get("/raise/credits")).headers


async def test_a_bug_shows_nothing_of_itself(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture):
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    for path in ("/raise/bug", "/lies"):
        answer = await client.get(path, headers={"origin": "https://elsewhere.example"})
        assert check_shape(answer)["code"] == "internal_error"
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text
        assert answer.headers["vary"] == "Origin"
    assert (await client.get("/healthz")).status_code == 200


async def test_an_unknown_address_and_a_wrong_method_are_told_apart(client: httpx.AsyncClient):
    unknown = await client.get("/api/nothing/here")
    assert check_shape(unknown)["code"] == "route_not_found"
    wrong = await client.get("/check")
    assert (wrong.status_code, check_shape(wrong)["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"


async def test_a_slash_too_many_is_no_redirect_to_where_the_client_says(client: httpx.AsyncClient):
    answer = await client.get("/healthz/", headers={"host": "evil.example"})
    assert (answer.status_code, check_shape(answer)["code"]) == (404, "route_not_found")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"name": "is required", "inner": "is required"}),
        ({"name": "x", "inner": {"number": 3}}, {"name": "must have at least 2 characters"}),
        ({"name": "xxxxxx", "inner": {"number": 3}}, {"name": "must have at most 5 characters"}),
        ({"name": 3, "inner": {"number": 0}}, {"name": "must be text", "inner.number": "must be at least 1"}),
        ({"name": "xx", "inner": {"number": 10}}, {"inner.number": "must be at most 9"}),
        ({"name": "xx", "inner": {"number": "x"}}, {"inner.number": "must be a whole number"}),
        ({"name": "xx", "inner": []}, {"inner": "must be an object"}),
        ({"name": "xx", "inner": {"number": 1, "words": [1]}}, {"inner.words.0": "must be text"}),
        (
            {"name": "xx", "inner": {"number": 1, "words": ["a", "b", "c"]}},
            {"inner.words": "must have at most 2 entries"},
        ),
    ],
)
async def test_each_wrong_field_is_named(client: httpx.AsyncClient, body: Any, fields: dict[str, str]):
    answer = await client.post("/check", json=body)
    error = check_shape(answer)
    assert (answer.status_code, error["code"]) == (422, "validation_failed")
    assert {field["field"]: field["message"] for field in error["details"]["fields"]} == fields
    assert error["param"] == next(iter(fields))


async def test_what_was_sent_is_not_sent_back(client: httpx.AsyncClient):
    answer = await client.post("/check", json={"name": SECRET, "inner": SECRET})
    assert "sk-123" not in answer.text


def test_a_flood_of_wrong_fields_is_cut():
    problems = [{"loc": ("body", "words", place), "type": "string_type"} for place in range(10_000)]
    assert len(errors.invalid_fields(problems).details["fields"]) == 20


@pytest.mark.parametrize("error", [CallerError("no", param="x"), NotFound()])
def test_openai_clients_find_their_shape_in_ours(error: CodedError):
    inner = errors.openai_body(error, "r")["error"]
    assert {"message", "type", "code", "param"} <= set(inner)
    assert errors.body(error, "r")["error"] == inner
    assert inner["param"] == error.param


def test_a_failed_turn_is_rendered_alike():
    failed = TurnFailed(code="provider_failed", status=502, type="api_error", message="m", details={"provider": "x"})
    assert errors.body(failed, "r")["error"] == {
        "code": "provider_failed",
        "status": 502,
        "message": "m",
        "type": "api_error",
        "param": None,
        "details": {"provider": "x"},
        "requestId": "r",
    }
