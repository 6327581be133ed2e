"""The chat page's session: sign-in, who is signed in, renewal and sign-out, by a cookie that no script can read.

Clients of the documented system use /api/auth/signin and hold a token; a page must not (contract section 3).
"""

from typing import Literal

from fastapi import Request, Response
from pydantic import Field

from twinspeak.domain.errors import CodedError, InvalidToken, OriginNotAllowed
from twinspeak.services.auth import SignedIn as Opened
from twinspeak.services.rate_limits import AUTH, address_key
from twinspeak.services.second_factors import Challenge
from twinspeak.transports.http import page_session, rate
from twinspeak.transports.http.origin import from_own_page
from twinspeak.transports.http.routes import PUBLIC, SignedIn, client_ip, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest import render
from twinspeak.transports.rest.auth import ChallengeShape, Confirmation, Credentials, challenge_shape, checked
from twinspeak.transports.rest.shapes import ProfileShape, Shape
from twinspeak.transports.rest.signup import CodeBody, confirmed
from twinspeak.transports.rest.sso import Callback, came_back
from twinspeak.transports.rest.two_steps import AnswerBody, answered

ROUTER = router("The chat page")


class Session(Shape):
    """Who is signed in on this browser. Nobody is: `profile` is null, and so is the rest."""

    success: Literal[True] = True
    profile: ProfileShape | None = None
    csrf_token: str | None = Field(
        default=None, serialization_alias="csrfToken", description="To be sent as `x-csrf-token` with every change."
    )
    expires: int | None = Field(default=None, description="Epoch milliseconds.")
    max_file_bytes: int | None = Field(
        default=None, serialization_alias="maxFileBytes", description="The largest file that can be brought."
    )
    challenge: ChallengeShape | None = Field(
        default=None, description="What signing in still takes; `/api/session/verify` takes the code."
    )
    sign_up: bool = Field(
        default=False, serialization_alias="signUp", description="Nobody is signed in, and anybody may make an account."
    )


@ROUTER.post("/api/session", summary="Sign in on the page", responses=failures(401, 403, 429), dependencies=[PUBLIC])
async def open_session(request: Request, response: Response, credentials: Credentials) -> Session:
    """Exchange e-mail address and password for a cookie. Only a page of this server may ask."""
    if not from_own_page(request, proven=True):
        raise OriginNotAllowed
    found = await checked(request, credentials)
    if isinstance(found, Challenge):
        return Session(challenge=challenge_shape(found))
    return await _kept(request, response, found)


@ROUTER.post(
    "/api/session/verify",
    summary="Answer a challenge on the page",
    responses=failures(400, 401, 403, 429),
    dependencies=[PUBLIC],
)
async def verify_session(request: Request, response: Response, body: AnswerBody) -> Session:
    """Finish signing in by the code that was asked for. Only a page of this server may ask."""
    if not from_own_page(request, proven=True):
        raise OriginNotAllowed
    return await _kept(request, response, (await answered(request, response, body)).signed)


@ROUTER.post(
    "/api/session/signup",
    summary="Confirm your sign-up on the page",
    responses=failures(400, 403, 429),
    dependencies=[PUBLIC],
)
async def confirm_on_page(request: Request, response: Response, body: CodeBody) -> Session:
    """Make the account that `/api/auth/signup` asked for, and sign in. Only a page of this server may ask."""
    if not from_own_page(request, proven=True):
        raise OriginNotAllowed
    return await _kept(request, response, await confirmed(request, body))


@ROUTER.post(
    "/api/session/sso",
    summary="Come back to the page from an organisation",
    responses=failures(401, 403, 429),
    dependencies=[PUBLIC],
)
async def sso_session(request: Request, response: Response, back: Callback) -> Session:
    """Finish signing in through an organisation, in the browser that began. Only a page of this server may ask."""
    if not from_own_page(request, proven=True):
        raise OriginNotAllowed
    return await _kept(request, response, await came_back(request, back))


@ROUTER.get("/api/session", summary="Who is signed in on the page", dependencies=[PUBLIC])
async def read_session(request: Request) -> Session:
    """Return the person that this browser's cookie speaks for, and the CSRF token of the session."""
    services, token = services_of(request), page_session.token_in(request)
    nobody = Session(sign_up=services.people.sign_up.is_open)
    if token is None:
        return nobody
    try:
        held = await services.auth.hold(token)
    except CodedError as error:
        if error.status >= 500:
            raise
        return nobody
    profile = render.profile(await services.profiles.get(held.caller))
    csrf_token = services.auth.page_key(held.caller.session_id)
    most = services.edge.upload_file_max_bytes
    return Session(profile=profile, csrf_token=csrf_token, expires=held.expires, max_file_bytes=most)


@ROUTER.post("/api/session/refresh", summary="Stay signed in on the page", responses=failures(401, 403, 429))
async def renew_session(request: Request, response: Response, caller: SignedIn) -> Session:
    """Give the session, and its cookie, another full lifetime."""
    _by_cookie(request)
    with rate.failures_only(request, address_key(client_ip(request)), AUTH):
        signed = await services_of(request).auth.refresh(caller)
    return await _kept(request, response, signed)


@ROUTER.delete("/api/session", summary="Sign out on the page", responses=failures(401, 403, 429))
async def close_session(request: Request, response: Response, caller: SignedIn) -> Confirmation:
    """End the session and everything that runs under it, and take the cookie away."""
    _by_cookie(request)
    with rate.failures_only(request, address_key(client_ip(request)), AUTH):
        await services_of(request).auth.sign_out(caller)
    page_session.drop(request, response)
    return Confirmation(message="You are signed out.")


def _by_cookie(request: Request) -> None:
    """Raise InvalidToken for a caller with a token of his own: it has routes of its own."""
    if not page_session.used(request):
        raise InvalidToken("This route is for the chat page.")


async def _kept(request: Request, response: Response, signed: Opened) -> Session:
    auth = services_of(request).auth
    held = await auth.hold(signed.token)
    page_session.keep(request, response, signed)
    return Session(
        profile=render.profile(signed.profile),
        csrf_token=auth.page_key(held.caller.session_id),
        expires=signed.expires,
        max_file_bytes=services_of(request).edge.upload_file_max_bytes,
    )
