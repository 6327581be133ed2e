"""POST /api/auth/signin and /api/auth/signout (reference 1.1, contract section 3)."""

from typing import Annotated, Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from twinspeak.services.auth import Device
from twinspeak.services.auth import SignedIn as Opened
from twinspeak.services.rate_limits import AUTH, SIGN_IN, address_key
from twinspeak.services.second_factors import Challenge
from twinspeak.transports.http import page_session, rate
from twinspeak.transports.http.routes import PUBLIC, SignedIn, client_ip, router, services_of
from twinspeak.transports.rest import render
from twinspeak.transports.rest.shapes import ID, Shape, SignedInShape

ROUTER = router("Authentication", failures=(401, 403, 429))

_MAX_USER_AGENT = 500


class Credentials(BaseModel):
    """Who signs in. Unknown fields are tolerated."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"email": "ada@example.org", "password": "correct horse battery staple"}}
    )

    email: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=320)]
    password: Annotated[str, StringConstraints(min_length=1, max_length=4_096)]


class Confirmation(BaseModel):
    """It is done."""

    success: Literal[True] = True
    message: str = Field(examples=["You are signed out."])


class ChallengeShape(Shape):
    """A code is wanted: by mail (`email`) or from an authenticator app (`totp`)."""

    success: Literal[True] = True
    mfa_required: Literal[True] = Field(default=True, serialization_alias="mfaRequired")
    challenge: str = Field(serialization_alias="challengeId", examples=[ID])
    masked_email: str = Field(serialization_alias="maskedEmail", examples=["ad***@example.org"])
    method: str = Field(examples=["email"])


@ROUTER.post("/api/auth/signin", summary="Sign in", dependencies=[PUBLIC])
async def sign_in(request: Request, credentials: Credentials) -> SignedInShape | ChallengeShape:
    """Exchange e-mail address and password for an access token.

    Whoever takes a second step gets a challenge instead, which `/api/auth/mfa-verify` exchanges, unless the browser is
    trusted.

    The answer to a wrong password and to an unknown address is the same, and takes the same time. Ten failures a minute
    from one address are the limit; successes do not count.
    """
    found = await checked(request, credentials)
    return challenge_shape(found) if isinstance(found, Challenge) else render.signed_in(found)


async def checked(request: Request, credentials: Credentials) -> Opened | Challenge:
    """Sign in within the limits. Raises as `services.auth.Auth.sign_in` does, RateLimited."""
    trusted = page_session.trusted_device(request)
    with rate.failures_only(request, address_key(client_ip(request)), SIGN_IN):
        auth = services_of(request).auth
        return await auth.sign_in(credentials.email, credentials.password, device_of(request), trusted=trusted)


def challenge_shape(challenge: Challenge) -> ChallengeShape:
    """Render what is wanted."""
    return ChallengeShape(challenge=challenge.id, masked_email=challenge.masked_email, method=challenge.method)


@ROUTER.post("/api/auth/signout", summary="Sign out")
async def sign_out(request: Request, caller: SignedIn) -> Confirmation:
    """End this session: its token stops working and its running turns end, on every device that uses it."""
    with rate.failures_only(request, address_key(client_ip(request)), AUTH):
        await services_of(request).auth.sign_out(caller)
    return Confirmation(message="You are signed out.")


def device_of(request: Request) -> Device:
    """Return where a request comes from, for the session row."""
    return Device(ip=client_ip(request), user_agent=request.headers.get("user-agent", "")[:_MAX_USER_AGENT])
