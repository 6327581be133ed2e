"""One's own sessions, e-mail address and account (reference 2.2; product 6.3)."""

from typing import Annotated, Literal

from fastapi import Path, Request
from pydantic import BaseModel, Field

from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.clock import iso
from twinspeak.services.rate_limits import CODES, PASSWORD_CHANGE
from twinspeak.transports.http import rate
from twinspeak.transports.http.routes import SignedIn, client_ip, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest.auth import Confirmation
from twinspeak.transports.rest.shapes import ID
from twinspeak.transports.rest.signup import CodeText, Password

ROUTER = router("Profile", failures=(401, 403))

_MAX_USER_AGENT = 500


class SessionShape(BaseModel):
    """A device that is signed in."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    current: bool = Field(description="Whether it is the one that asks.")
    created: str
    expires: str
    last_active: str = Field(serialization_alias="lastActive", description="When its token was last renewed.")
    ip: str
    user_agent: str = Field(serialization_alias="userAgent")
    acted: bool = Field(description="Whether an administrator acts as you in it; `reason` says why.")
    reason: str


class Sessions(BaseModel):
    """The one used last first."""

    success: Literal[True] = True
    data: list[SessionShape]


class EndedSessions(BaseModel):
    """How many sessions have ended."""

    success: Literal[True] = True
    ended: int


class NewEmail(BaseModel):
    """The code that was sent to the new address."""

    code: CodeText = Field(examples=["K7M2QX9A"])


class Deletion(BaseModel):
    """The password, for what cannot be undone."""

    password: Password


@ROUTER.get("/api/user/sessions", summary="List your sessions")
async def list_sessions(request: Request, caller: SignedIn) -> Sessions:
    """Return where you are signed in."""
    found = await services_of(request).people.own.sessions(caller)
    shown = [
        SessionShape(
            id=one.id,
            current=one.id == caller.session_id,
            created=iso(one.created),
            expires=iso(one.expires),
            last_active=iso(one.last_seen),
            ip=one.ip,
            user_agent=one.user_agent,
            acted=one.actor_id is not None,
            reason=one.reason,
        )
        for one in found
    ]
    return Sessions(data=shown)


@ROUTER.delete("/api/user/sessions/{sessionId}", summary="End a session", responses=failures(400, 404))
async def end_session(
    request: Request, caller: SignedIn, session_id: Annotated[str, Path(alias="sessionId")]
) -> Confirmation:
    """Sign a device out, at once."""
    await services_of(request).people.own.end_session(actor_of(request, caller), session_id)
    return Confirmation(message="The session has ended.")


@ROUTER.delete("/api/user/sessions", summary="End your other sessions")
async def end_other_sessions(request: Request, caller: SignedIn) -> EndedSessions:
    """Sign every other device out, at once."""
    return EndedSessions(ended=await services_of(request).people.own.end_other_sessions(actor_of(request, caller)))


@ROUTER.post("/api/user/me/email", summary="Confirm your new e-mail address", responses=failures(409, 429))
async def confirm_email(request: Request, caller: SignedIn, body: NewEmail) -> Confirmation:
    """Take the address that `PUT /api/user/me` asked for, by the code that was sent to it."""
    with rate.failures_only(request, caller.user_id, CODES):
        await services_of(request).people.own.confirm_new_email(actor_of(request, caller), body.code)
    return Confirmation(message="Your e-mail address is changed.")


@ROUTER.delete("/api/user/me", summary="Delete your account", responses=failures(400, 409, 413, 415, 422, 429))
async def delete_me(request: Request, caller: SignedIn, body: Deletion) -> Confirmation:
    """Delete the account: every session ends at once, and what you wrote is erased."""
    with rate.failures_only(request, caller.user_id, PASSWORD_CHANGE):
        await services_of(request).people.own.delete(actor_of(request, caller), body.password)
    return Confirmation(message="Your account is deleted.")


def actor_of(request: Request, caller: Caller) -> Actor:
    """Return who asks and where from, for the audit log."""
    agent = request.headers.get("user-agent", "")[:_MAX_USER_AGENT]
    return Actor(caller=caller, ip=client_ip(request), user_agent=agent)
