"""One id a request: in its logs, in its answer's `x-request-id` header and in its error bodies."""

import re

from starlette.requests import HTTPConnection
from starlette.types import Scope

from twinspeak.domain.ids import new_id
from twinspeak.transports import wire_names as wire

_STATE_KEY = "request_id"
_FIT = re.compile(r"[A-Za-z0-9._-]{8,64}")


def assign(scope: Scope) -> str:
    """Give a request its id: the one it brings if that is harmless to log, so that a trace goes on, else a new one."""
    name = wire.REQUEST_ID_HEADER.encode()
    given = next((value for header, value in scope["headers"] if header == name), b"").decode("latin-1")
    chosen = given if _FIT.fullmatch(given) else new_id()
    scope.setdefault("state", {})[_STATE_KEY] = chosen
    return chosen


def request_id(request: HTTPConnection) -> str:
    """Return the id that `assign` gave, "" outside the application (a bare route under test)."""
    return str(request.scope.get("state", {}).get(_STATE_KEY, ""))
