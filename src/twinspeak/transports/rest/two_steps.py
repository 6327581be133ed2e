"""The second step at sign-in: its challenges, its settings, and its administration (reference 1.5)."""

from typing import Annotated, Literal

from fastapi import Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from twinspeak.domain.caller import Caller
from twinspeak.domain.clock import iso
from twinspeak.services.rate_limits import AUTH, CODES, PASSWORD_CHANGE, address_key
from twinspeak.services.second_factors import DEVICE_MS
from twinspeak.services.two_steps import Passed
from twinspeak.transports.http import page_session, rate
from twinspeak.transports.http.routes import PUBLIC, SignedIn, Verb, administers, client_ip, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest import render
from twinspeak.transports.rest.auth import ChallengeShape, Confirmation, challenge_shape, device_of
from twinspeak.transports.rest.own_account import Deletion, actor_of
from twinspeak.transports.rest.shapes import ID, Shape, SignedInShape
from twinspeak.transports.rest.signup import CodeText

ROUTER = router("Authentication", failures=(403, 429))
OWN_ROUTER = router("Profile", failures=(401, 403, 429))
ADMIN_ROUTER = router("Administration: people", failures=(401, 403))

ChallengeId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
UserId = Annotated[str, Path(alias="userId", description="24 hexadecimal digits.")]


class ChallengeBody(BaseModel):
    """Which challenge."""

    challenge: ChallengeId = Field(validation_alias="challengeId", examples=[ID])


class AnswerBody(ChallengeBody):
    """What answers it: the code that was sent, the app's, or a recovery code."""

    model_config = ConfigDict(json_schema_extra={"example": {"challengeId": ID, "code": "123456"}})

    code: CodeText
    trust: bool = Field(
        default=True, validation_alias="trustDevice", description="Whether this browser needs no code for seven days."
    )


class AppCode(BaseModel):
    """A code of the app."""

    code: CodeText = Field(examples=["123456"])


class NewAppShape(Shape):
    """What to tell the authenticator app; shown once."""

    success: Literal[True] = True
    secret: str = Field(examples=["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"])
    address: str = Field(examples=["otpauth://totp/Twinspeak:ada@example.org?secret=JBSWY3DP&issuer=Twinspeak"])


class RecoveryCodes(Shape):
    """Each is good once, in place of any other code; shown once."""

    success: Literal[True] = True
    recovery_codes: list[str] = Field(serialization_alias="recoveryCodes", examples=[["K7M2Q-X9A4B"]])


class DeviceShape(Shape):
    """A browser that needs no code."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    created: str
    expires: str
    ip: str
    user_agent: str = Field(serialization_alias="userAgent")


class StandingShape(Shape):
    """How you sign in. `confirmed` is when a code first came back."""

    success: Literal[True] = True
    mfa_enabled: bool = Field(serialization_alias="mfaEnabled")
    required: bool = Field(description="One of your twins wants it; a code is mailed where you chose nothing else.")
    method: str | None = Field(description="email or totp.")
    confirmed: str | None
    recovery_codes: int = Field(serialization_alias="recoveryCodes", description="How many are left.")
    devices: list[DeviceShape]


class MfaEvent(Shape):
    """What happened around somebody's second step."""

    at: str
    action: str = Field(examples=["mfa.code.verified"])
    actor_type: str = Field(serialization_alias="actorType", description="self or admin.")
    actor: str | None = Field(examples=[ID])
    actor_email: str = Field(serialization_alias="actorEmail")
    ip: str
    user_agent: str = Field(serialization_alias="userAgent")


class MfaEvents(BaseModel):
    """The newest first, a hundred of them."""

    success: Literal[True] = True
    data: list[MfaEvent]


@ROUTER.post("/api/auth/mfa-verify", summary="Answer a challenge", responses=failures(400), dependencies=[PUBLIC])
async def verify_code(request: Request, response: Response, body: AnswerBody) -> SignedInShape:
    """Finish the sign-in that asked for a code, or confirm the second step that was switched on.

    The browser is trusted for seven days, by a cookie that no script can read, unless `trustDevice` is false.
    """
    return render.signed_in((await answered(request, response, body)).signed)


async def answered(request: Request, response: Response, body: AnswerBody) -> Passed:
    """Answer a challenge, within the limits, and have the browser keep what it may. Raises InvalidCode."""
    with rate.failures_only(request, address_key(client_ip(request)), CODES):
        steps = services_of(request).people.two_steps
        passed = await steps.verify(body.challenge, body.code, device_of(request), trust=body.trust)
    if passed.device_token:
        page_session.keep_device(request, response, passed.device_token, seconds=DEVICE_MS // 1000)
    return passed


@ROUTER.post("/api/auth/mfa-resend", summary="Ask for another code", responses=failures(400), dependencies=[PUBLIC])
async def resend_code(request: Request, body: ChallengeBody) -> ChallengeShape:
    """Put a new challenge in place of one that is at least half a minute old."""
    with rate.failures_only(request, address_key(client_ip(request)), AUTH):
        return challenge_shape(await services_of(request).people.two_steps.resend(body.challenge))


@ROUTER.post("/api/auth/mfa-cancel", summary="Give a challenge up", dependencies=[PUBLIC])
async def cancel_challenge(request: Request, body: ChallengeBody) -> Confirmation:
    """Have a challenge count no more; nothing tells whether there was one."""
    rate.take(request, address_key(client_ip(request)), AUTH)
    await services_of(request).people.two_steps.cancel(body.challenge)
    return Confirmation(message="The challenge is given up.")


@OWN_ROUTER.post("/api/user/me/mfa-enroll", summary="Confirm your second step by mail", responses=failures(409))
async def enroll(request: Request, caller: SignedIn) -> ChallengeShape:
    """Send the code that confirms the second step; `/api/auth/mfa-verify` takes it."""
    rate.take(request, caller.user_id, CODES)
    return challenge_shape(await services_of(request).people.two_steps.enroll(actor_of(request, caller)))


@OWN_ROUTER.get("/api/user/me/mfa", summary="How you sign in")
async def read_standing(request: Request, caller: SignedIn) -> StandingShape:
    """Return your second step, and the browsers that need none for a while."""
    found = await services_of(request).people.two_steps.standing(caller)
    devices = [
        DeviceShape(id=one.id, created=iso(one.created), expires=iso(one.expires), ip=one.ip, user_agent=one.user_agent)
        for one in found.devices
    ]
    return StandingShape(
        mfa_enabled=bool(found.method),
        required=found.required,
        method=found.method or None,
        confirmed=iso(found.confirmed) if found.confirmed is not None else None,
        recovery_codes=found.recovery_codes,
        devices=devices,
    )


@OWN_ROUTER.post("/api/user/me/totp", summary="Begin with an authenticator app")
async def begin_app(request: Request, caller: SignedIn, body: Deletion) -> NewAppShape:
    """Return a secret for your app, for your password; it counts once a code of it comes back."""
    with rate.failures_only(request, caller.user_id, PASSWORD_CHANGE):
        made = await services_of(request).people.two_steps.begin_app(actor_of(request, caller), body.password)
    return NewAppShape(secret=made.secret, address=made.address)


@OWN_ROUTER.post("/api/user/me/totp/confirm", summary="Confirm your authenticator app", responses=failures(400))
async def confirm_app(request: Request, caller: SignedIn, body: AppCode) -> RecoveryCodes:
    """Make the app your second step, and return recovery codes."""
    with rate.failures_only(request, caller.user_id, CODES):
        made = await services_of(request).people.two_steps.confirm_app(actor_of(request, caller), body.code)
    return RecoveryCodes(recovery_codes=made)


@OWN_ROUTER.delete(
    "/api/user/me/totp", summary="Drop your authenticator app", responses=failures(400, 409, 413, 415, 422)
)
async def drop_app(request: Request, caller: SignedIn, body: Deletion) -> Confirmation:
    """Go back to codes by mail, for your password."""
    with rate.failures_only(request, caller.user_id, PASSWORD_CHANGE):
        await services_of(request).people.two_steps.drop_app(actor_of(request, caller), body.password)
    return Confirmation(message="Codes come by mail again.")


@OWN_ROUTER.post("/api/user/me/recovery-codes", summary="Make new recovery codes", responses=failures(409))
async def renew_recovery(request: Request, caller: SignedIn, body: Deletion) -> RecoveryCodes:
    """Return fresh recovery codes, for your password; the older ones are no longer good."""
    with rate.failures_only(request, caller.user_id, PASSWORD_CHANGE):
        made = await services_of(request).people.two_steps.renew_recovery(actor_of(request, caller), body.password)
    return RecoveryCodes(recovery_codes=made)


@OWN_ROUTER.delete("/api/user/me/devices/{id}", summary="Trust a browser no longer", responses=failures(400, 404))
async def distrust_device(
    request: Request,
    caller: SignedIn,
    device_id: Annotated[str, Path(alias="id", description="24 hexadecimal digits.")],
) -> Confirmation:
    """Have one of your browsers show a code again at its next sign-in."""
    await services_of(request).people.two_steps.distrust(actor_of(request, caller), device_id)
    return Confirmation(message="This browser is trusted no longer.")


@OWN_ROUTER.delete("/api/user/me/devices", summary="Trust no browser any longer")
async def distrust_devices(request: Request, caller: SignedIn) -> Confirmation:
    """Have all of your browsers show a code again at their next sign-in."""
    gone = await services_of(request).people.two_steps.distrust(actor_of(request, caller))
    return Confirmation(message=f"{gone} trusted browsers were forgotten.")


@ADMIN_ROUTER.delete(
    "/api/admin/user/{userId}/mfa", summary="Take away a person's second step", responses=failures(400, 404, 409)
)
async def reset_user(
    request: Request, caller: Annotated[Caller, administers(Verb.USERS_EDIT)], user_id: UserId
) -> Confirmation:
    """Switch off somebody's second step with app, recovery codes and trusted browsers; the person is told by mail."""
    await services_of(request).people.two_steps.reset(actor_of(request, caller), user_id)
    return Confirmation(message="The second step is switched off.")


@ADMIN_ROUTER.get(
    "/api/admin/users/{userId}/mfa-audit", summary="Read about a person's second step", responses=failures(400, 404)
)
async def read_events(
    request: Request, caller: Annotated[Caller, administers(Verb.AUDIT_LIST)], user_id: UserId
) -> MfaEvents:
    """Return what happened around somebody's second step."""
    found = await services_of(request).people.two_steps.history(caller, user_id)
    shown = [
        MfaEvent(
            at=iso(kept.entry.at),
            action=kept.entry.action,
            actor_type="self" if kept.entry.actor_id == kept.entry.target_id else "admin",
            actor=kept.entry.actor_id,
            actor_email=kept.entry.actor_email,
            ip=kept.entry.ip,
            user_agent=kept.entry.user_agent,
        )
        for kept in found
    ]
    return MfaEvents(data=shown)
