"""The chat page's session: a token that script cannot read, in a cookie, and what keeps other sites from using it.

The cookie counts only for requests that a page of this server sent, and whatever changes something must also carry the
session's CSRF token (decision 033). Clients with a token of their own never meet any of this.
"""

import hmac

from starlette.requests import HTTPConnection
from starlette.responses import Response

from twinspeak.domain.caller import Caller
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import CsrfFailed
from twinspeak.services.auth import SignedIn
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http.origin import from_own_page
from twinspeak.transports.services import services_of

_READS = frozenset({"GET", "HEAD"})
_USED = "page_session"
_MAX_DEVICE_CHARS = 200


def token_in(connection: HTTPConnection) -> str | None:
    """Return the token of the cookie; None without one, or when another site's page sent it."""
    return _token(connection, proven=connection.scope["method"] not in _READS)


def token_for_socket(connection: HTTPConnection) -> str | None:
    """Return the token of the cookie of a socket's first request; the page that opens it must be named as ours."""
    return _token(connection, proven=True)


def _token(connection: HTTPConnection, *, proven: bool) -> str | None:
    cookies = connection.cookies
    token = cookies.get(wire.SECURE_SESSION_COOKIE) or cookies.get(wire.SESSION_COOKIE)
    return token if token and from_own_page(connection, proven=proven) else None


def check(connection: HTTPConnection, caller: Caller) -> None:
    """Note that the cookie speaks for `caller`, and have changes prove that a page of this session asks for them.

    Raises CsrfFailed.
    """
    connection.scope.setdefault("state", {})[_USED] = True
    if connection.scope["method"] in _READS:
        return
    given = connection.headers.get(wire.CSRF_HEADER, "")
    if not hmac.compare_digest(given.encode(), services_of(connection).auth.page_key(caller.session_id).encode()):
        raise CsrfFailed


def used(connection: HTTPConnection) -> bool:
    """Tell whether the caller of this request is known by the cookie."""
    return bool(connection.scope.get("state", {}).get(_USED))


def keep(request: HTTPConnection, response: Response, signed: SignedIn) -> None:
    """Give the browser the cookie of a session, in place of any other."""
    secure = _secure(request)
    response.set_cookie(
        wire.SECURE_SESSION_COOKIE if secure else wire.SESSION_COOKIE,
        signed.token,
        max_age=max(0, signed.expires - now_ms() + 999) // 1000,
        path="/",
        secure=secure,
        httponly=True,
        samesite="strict",
    )


def drop(request: HTTPConnection, response: Response) -> None:
    """Take the cookie away, whichever it is."""
    for name in (wire.SECURE_SESSION_COOKIE, wire.SESSION_COOKIE):
        if name in request.cookies:
            secure = name == wire.SECURE_SESSION_COOKIE
            response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="strict")


def trusted_device(request: HTTPConnection) -> str:
    """Return what a browser keeps that showed a code before; "" for nothing."""
    cookies = request.cookies
    return (cookies.get(wire.SECURE_DEVICE_COOKIE) or cookies.get(wire.DEVICE_COOKIE) or "")[:_MAX_DEVICE_CHARS]


def keep_device(request: HTTPConnection, response: Response, token: str, *, seconds: int) -> None:
    """Have a browser keep that it showed a code."""
    secure = _secure(request)
    response.set_cookie(
        wire.SECURE_DEVICE_COOKIE if secure else wire.DEVICE_COOKIE,
        token,
        max_age=seconds,
        path="/",
        secure=secure,
        httponly=True,
        samesite="strict",
    )


def _secure(request: HTTPConnection) -> bool:
    """Whether the browser came over TLS. The page that asks says so: in front of us there may be a proxy."""
    given = request.headers.get("origin", "") or services_of(request).edge.public_url or str(request.url)
    return given.startswith("https:")
