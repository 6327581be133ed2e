"""Coded errors as JSON: one shape on every face (contract section 3, decision 010).

OpenAI's clients read the same shape, for its `error` member is theirs with more in it.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from twinspeak.domain.errors import (
    CallerError,
    CodedError,
    MethodNotAllowed,
    RouteNotFound,
    ServiceError,
    ValidationFailed,
)
from twinspeak.domain.events import TurnFailed
from twinspeak.domain.turn import Failure
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http import rate
from twinspeak.transports.http.request_id import request_id

_MAX_FIELDS = 20
"""A body can be wrong in a million places; the first ones are enough to mend it."""

_UNNAMED = "~"

_CLOSING = frozenset({408, 413})
"""The rest of such a request is not read, so the connection cannot carry another one."""

_CLIENT_GONE = 499
"""Nobody reads this status; it keeps the access log from calling a hang-up a failure of ours."""

_SAYINGS = {
    "missing": "is required",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "extra_forbidden": "is not a field that can be set here",
}
_BOUNDED_SAYINGS = {
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "literal_error": "must be one of {expected}",
}


def body(error: CodedError | TurnFailed | Failure, request_id: str) -> dict[str, Any]:
    """Return the whole body of a failed request."""
    return {"success": False, "message": error.message, **openai_body(error, request_id)}


def openai_body(error: CodedError | TurnFailed | Failure, request_id: str) -> dict[str, Any]:
    """Return `{"error": {…}}` alone: what a chat-completions stream carries in a `data:` line when it fails midway."""
    return {
        wire.ERROR: {
            "code": error.code,
            "status": error.status,
            "message": error.message,
            "type": error.type,
            "param": error.param if isinstance(error, CodedError) else None,
            "details": error.details,
            "requestId": request_id,
        }
    }


def retry_after(error: CodedError | Failure) -> dict[str, str]:
    """Return the header that says when to come again, where that is known."""
    return {} if error.retry_after_s is None else {wire.RETRY_AFTER: str(error.retry_after_s)}


def response(error: CodedError, request_id: str) -> Response:
    """Return the failed request's answer, with the headers that its status asks for."""
    answer = Response(
        orjson.dumps(body(error, request_id), default=str), status_code=error.status, media_type="application/json"
    )
    answer.headers.update(retry_after(error))
    if error.status == 401:
        answer.headers["www-authenticate"] = "Bearer"
    if error.status in _CLOSING:
        answer.headers["connection"] = "close"
    return answer


def unnamed(mode: str) -> str:
    """Return a pydantic tag for one of several body models that does not show in the names of its fields."""
    return _UNNAMED + mode


def invalid_fields(problems: Sequence[Any]) -> ValidationFailed:
    """Turn what pydantic found into our error: one entry a field, in our words, never the value itself."""
    fields: dict[str, str] = {}
    for problem in problems:
        place = [str(step) for step in problem["loc"] if not str(step).startswith(_UNNAMED)]
        name = ".".join(place[1:] or place)
        fields.setdefault(name, _saying(problem["type"], problem.get("ctx") or {}))
        if len(fields) >= _MAX_FIELDS:
            break
    listed = [{"field": name, "message": message} for name, message in fields.items()]
    return ValidationFailed(param=next(iter(fields), None), details={"fields": listed})


def _saying(kind: str, context: dict[str, Any]) -> str:
    if kind == "value_error":
        return str(context.get(wire.ERROR, "is not valid"))
    if kind in _BOUNDED_SAYINGS:
        return _BOUNDED_SAYINGS[kind].format(**context)
    return _SAYINGS.get(kind, "is not valid")


def install(app: FastAPI) -> None:
    """Make `app` answer every failure in the one shape."""
    handlers: dict[type[Exception], Callable[[Request, Any], Awaitable[Response]]] = {
        CodedError: _coded,
        RequestValidationError: _unfit,
        HTTPException: _framework,
        ClientDisconnect: _gone,
        Exception: _broken,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _coded(request: Request, error: CodedError) -> Response:
    answer = response(error, request_id(request))
    rate.mark(request, answer)
    return answer


async def _unfit(request: Request, error: RequestValidationError) -> Response:
    return await _coded(request, invalid_fields(error.errors()))


async def _framework(request: Request, error: HTTPException) -> Response:
    """Speak for the framework, which knows only a status."""
    if error.status_code == 404:
        return await _coded(request, RouteNotFound())
    if error.status_code == 405:
        answer = await _coded(request, MethodNotAllowed())
        answer.headers.update(error.headers or {})
        return answer
    return await _coded(request, CallerError() if error.status_code < 500 else ServiceError())


async def _gone(_request: Request, _error: ClientDisconnect) -> Response:
    return Response(status_code=_CLIENT_GONE)


async def _broken(request: Request, _error: Exception) -> Response:
    """Answer for what broke outside `boundary.Boundary`; the framework raises it again, so the server logs it."""
    return response(CodedError(), request_id(request))
