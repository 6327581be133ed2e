"""What each vendor's errors come to. Bodies as the vendors document them, or as their users report them."""

import json
from typing import Any

import pytest

from twinspeak.providers.refusals import Cause, failure_of, refusal_from, refusal_in

SECRET = "sk-test-1234567890"


def google(code: int, status: str, message: str, *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def openai(message: str, *, kind: str = "invalid_request_error", code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def mistral(message: str, kind: str, code: str) -> dict[str, Any]:
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code}


BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}

CASES = [
    pytest.param(400, google(400, "INVALID_ARGUMENT", "API key not valid.", BAD_KEY), Cause.KEY, id="gemini key"),
    pytest.param(403, google(403, "PERMISSION_DENIED", "no"), Cause.KEY, id="gemini permission"),
    pytest.param(404, google(404, "NOT_FOUND", "models/x is not found"), Cause.MODEL, id="gemini model"),
    pytest.param(429, google(429, "RESOURCE_EXHAUSTED", "Quota exceeded", RETRY), Cause.BUSY, id="gemini rate"),
    pytest.param(503, google(503, "UNAVAILABLE", "The model is overloaded."), Cause.BUSY, id="gemini overloaded"),
    pytest.param(500, google(500, "INTERNAL", "x"), Cause.OTHER, id="gemini internal"),
    pytest.param(
        400,
        google(400, "INVALID_ARGUMENT", "The input token count (1200000) exceeds the maximum number of tokens allowed"),
        Cause.TOO_LONG,
        id="gemini long",
    ),
    pytest.param(400, google(400, "INVALID_ARGUMENT", "Unknown name"), Cause.REQUEST, id="gemini request"),
    pytest.param(401, openai("Incorrect API key provided", code="invalid_api_key"), Cause.KEY, id="openai key"),
    pytest.param(
        429, openai("x", kind="insufficient_quota", code="insufficient_quota"), Cause.QUOTA, id="openai quota"
    ),
    pytest.param(429, openai("x", kind="tokens", code="rate_limit_exceeded"), Cause.BUSY, id="openai rate"),
    pytest.param(400, openai("x", code="context_length_exceeded"), Cause.TOO_LONG, id="openai long"),
    pytest.param(400, openai("The requested model 'x' does not exist."), Cause.MODEL, id="openai model"),
    pytest.param(400, openai("x", code="invalid_prompt"), Cause.UNSAFE, id="openai policy"),
    pytest.param(400, openai("x"), Cause.REQUEST, id="openai request"),
    pytest.param(401, {"detail": "Unauthorized"}, Cause.KEY, id="mistral key"),
    pytest.param(400, mistral("Invalid model: x", "invalid_model", "1500"), Cause.MODEL, id="mistral model"),
    pytest.param(
        400,
        mistral(
            "Prompt contains 40000 tokens, too large for model with 32768 maximum", "invalid_request_error", "3051"
        ),
        Cause.TOO_LONG,
        id="mistral long",
    ),
    pytest.param(422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "x"]}]}, Cause.REQUEST, id="mistral"),
    pytest.param(
        400, {"code": "Bad argument", "error": f"Incorrect API key provided: {SECRET}."}, Cause.KEY, id="xai key"
    ),
    pytest.param(
        429, {"code": "x", "error": "Your team has used all available credits."}, Cause.QUOTA, id="xai credits"
    ),
    pytest.param(404, {"code": "x", "error": "The model grok-x does not exist"}, Cause.MODEL, id="xai model"),
    pytest.param(
        400,
        {"code": "x", "error": "This model's maximum prompt length is 131072 but the request contains 200000 tokens."},
        Cause.TOO_LONG,
        id="xai long",
    ),
    pytest.param(402, {}, Cause.QUOTA, id="payment"),
    pytest.param(413, [], Cause.TOO_LONG, id="large"),
    pytest.param(529, {}, Cause.BUSY, id="overloaded"),
    pytest.param(307, None, Cause.REQUEST, id="redirect"),
]


@pytest.mark.parametrize(("status", "body", "cause"), CASES)
def test_a_vendors_error_is_known_for_what_it_is(status: int, body: Any, cause: Cause):
    refusal = refusal_from(status, {}, json.dumps(body).encode())
    assert refusal.cause is cause
    failure = failure_of("acme", refusal)
    assert failure.details == {"provider": "acme", "status": status}
    assert SECRET not in repr((refusal, failure.message, failure.details))


def test_google_says_in_its_body_how_long_to_wait():
    body = json.dumps(google(429, "RESOURCE_EXHAUSTED", "Quota exceeded", RETRY)).encode()
    assert refusal_from(429, {}, body).retry_after_s == 34.07
    assert refusal_from(429, {"Retry-After": "2"}, body).retry_after_s == 2
    assert failure_of("gemini", refusal_from(429, {}, body)).retry_after_s == 35


def test_an_empty_account_is_not_asked_again():
    body = json.dumps({"error": "Your team has used all available credits."}).encode()
    assert not refusal_from(429, {}, body).transient
    assert refusal_from(429, {}, b"{}").transient


@pytest.mark.parametrize(
    ("error", "status", "cause"),
    [
        ({"code": 503, "status": "UNAVAILABLE"}, 503, Cause.BUSY),
        ({"status": "RESOURCE_EXHAUSTED"}, 429, Cause.BUSY),
        ({"code": "server_error", "message": "x"}, 500, Cause.OTHER),
        ({"code": "rate_limit_exceeded"}, 429, Cause.BUSY),
        ({"code": "context_length_exceeded"}, 400, Cause.TOO_LONG),
        ({"message": "maximum context length is 10"}, 0, Cause.TOO_LONG),
        ({"message": "boom"}, 0, Cause.OTHER),
        ({"code": 7}, 0, Cause.OTHER),
    ],
)
def test_an_error_inside_a_stream_names_its_status(error: dict[str, Any], status: int, cause: Cause):
    refusal = refusal_in({"error": error})
    assert (refusal.status, refusal.cause) == (status, cause)
    assert ("status" in failure_of("acme", refusal).details) == bool(status)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"\xff\xfe", b'{"error":' + b"[" * 100_000, b'{"error": 7}'])
def test_any_body_will_do(body: bytes):
    assert refusal_from(400, {}, body).cause is Cause.REQUEST
