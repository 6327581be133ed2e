"""Who is asking: finds the access token in a request and has it checked (contract section 3)."""

from typing import Annotated, Any, cast

from fastapi import Depends, Request

from twinspeak.domain.caller import Caller
from twinspeak.domain.errors import AuthenticationRequired, InvalidToken
from twinspeak.telemetry import logs
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http import page_session
from twinspeak.transports.services import services_of

_MAX_TOKEN_CHARS = 4_096


async def token_of(request: Request, *, in_url: bool = False) -> str | None:
    """Return the token, None when there is none; an empty one counts as none.

    The first wins of: `x-access-token`, `Authorization: Bearer`, the query where that is allowed, a POST's body.
    """
    found = request.headers.get(wire.ACCESS_TOKEN, "").strip() or _bearer(request.headers.get(wire.AUTHORIZATION, ""))
    if not found and (in_url or services_of(request).edge.allow_token_in_url):
        found = request.query_params.get(wire.TOKEN_FIELD, "").strip()
    if not found and request.method == "POST":
        found = _in_body(await request.json())
    return found or None


def _bearer(value: str) -> str:
    scheme, _, token = value.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _in_body(body: Any) -> str:
    if not isinstance(body, dict):
        return ""
    token = cast("dict[str, Any]", body).get(wire.TOKEN_FIELD)
    return token.strip() if isinstance(token, str) else ""


async def caller(request: Request) -> Caller:
    """Return the signed-in person; every later log record of this request names the person and the twin.

    Without a token, the cookie of the chat page counts. Raises AuthenticationRequired, InvalidToken, TokenExpired,
    AccountSuspended, CsrfFailed.
    """
    return await _known(request, await token_of(request))


async def token_holder(request: Request) -> Caller:
    """Do as `caller` does, but leave the cookie out: for routes that hand out tokens, which no script may have."""
    return await _known(request, await token_of(request), by_cookie=False)


async def caller_by_url(request: Request) -> Caller:
    """Do as `caller` does, and take the token from the query too: for clients that cannot set headers."""
    return await _known(request, await token_of(request, in_url=True))


async def _known(request: Request, token: str | None, *, by_cookie: bool = True) -> Caller:
    kept = page_session.token_in(request) if token is None and by_cookie else None
    found = await _authenticated(request, token or kept)
    if kept is not None:
        page_session.check(request, found)
    logs.bind(user_id=found.user_id, institution_id=found.institution_id)
    return found


async def _authenticated(request: Request, token: str | None) -> Caller:
    if token is None:
        raise AuthenticationRequired
    if len(token) > _MAX_TOKEN_CHARS:
        raise InvalidToken
    services = services_of(request)
    if token.startswith(wire.KEY_PREFIX):
        return await services.people.keys.bearer(token, request.scope["path"])
    return await services.auth.authenticate(token)


SignedIn = Annotated[Caller, Depends(caller)]
"""A parameter of this type makes a route one for signed-in people only."""
TokenHolder = Annotated[Caller, Depends(token_holder)]
"""As `SignedIn`, for those with a token of their own."""
SignedInByUrl = Annotated[Caller, Depends(caller_by_url)]
"""As `SignedIn`, on event streams by GET (contract section 3)."""
