"""How the API documents show a failure; `errors` makes the real ones."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from twinspeak.domain import errors as coded
from twinspeak.transports import wire_names as wire

_EXAMPLES: dict[int, type[coded.CodedError]] = {
    400: coded.InvalidJson,
    401: coded.AuthenticationRequired,
    402: coded.InsufficientCredits,
    403: coded.NotAMember,
    404: coded.NotFound,
    408: coded.RequestTimeout,
    409: coded.Conflict,
    413: coded.PayloadTooLarge,
    415: coded.UnsupportedMediaType,
    422: coded.ValidationFailed,
    429: coded.RateLimited,
    502: coded.ProviderFailed,
    503: coded.Overloaded,
    504: coded.ProviderTimeout,
}
MEANINGS = {
    400: "The request cannot be understood",
    401: "No token, or not a good one",
    402: "Not enough credits",
    403: "Not allowed",
    404: "No such thing, or not yours",
    408: "The body came too slowly",
    409: "Not in the present state",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "Some fields are wrong; `details.fields` names each",
    429: "Too many requests; `Retry-After` says when to come back",
    502: "The model provider failed",
    503: "Too busy, or not ready",
    504: "The model provider was too slow",
}
BODY = (400, 408, 413, 415, 422)
"""What any route with a body can answer."""


class ErrorDetail(BaseModel):
    """What went wrong, for programs. OpenAI's clients read `message`, `type`, `code` and `param`."""

    model_config = ConfigDict(title="ErrorDetail")

    code: str = Field(description="Stable; every code is listed in the documentation.")
    status: int = Field(description="The HTTP status.")
    message: str
    type: str = Field(description="OpenAI's name for the kind of error.")
    param: str | None = Field(description="The field of the request that is at fault.")
    details: dict[str, Any] = Field(description="More, depending on the code.")
    request_id: str = Field(serialization_alias="requestId", description="Quote it when you report a problem.")


class ErrorBody(BaseModel):
    """Every failure of every route, whatever its status."""

    success: bool
    message: str = Field(description="For a person.")
    error: ErrorDetail


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI `responses` entries for `statuses`; `rest.examples` adds an example to each."""
    return {status: {"model": ErrorBody, "description": MEANINGS[status]} for status in statuses}


def example(status: int) -> dict[str, Any]:
    """Return an error body as a route answers it with `status`."""
    kind = _EXAMPLES[status]
    details: dict[str, Any] = {}
    param = None
    if kind is coded.ValidationFailed:
        param = "inputs"
        details = {"fields": [{"field": "inputs", "message": "is required"}]}
    return {
        "success": False,
        "message": kind.default,
        wire.ERROR: {
            "code": kind.code,
            "status": kind.status,
            "message": kind.default,
            "type": kind.type,
            "param": param,
            "details": details,
            "requestId": "6920a1b2c3d4e5f60718293a",
        },
    }
