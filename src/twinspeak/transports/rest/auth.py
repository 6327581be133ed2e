"""POST /api/auth/signin and /api/auth/signout (reference 1.1, contract section 3)."""

from typing import Annotated, Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from twinspeak.services.auth import Device
from twinspeak.services.rate_limits import AUTH, SIGN_IN, address_key
from twinspeak.transports.http import rate
from twinspeak.transports.http.routes import PUBLIC, SignedIn, client_ip, router, services_of
from twinspeak.transports.rest import render
from twinspeak.transports.rest.shapes import SignedInShape

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


@ROUTER.post("/api/auth/signin", summary="Sign in", dependencies=[PUBLIC])
async def sign_in(request: Request, credentials: Credentials) -> SignedInShape:
    """Exchange e-mail address and password for an access token.

    The answer to a wrong password and to an unknown address is the same, and takes the same time. Ten failures a minute
    from one address are the limit; successes do not count.
    """
    with rate.failures_only(request, address_key(client_ip(request)), SIGN_IN):
        signed = await services_of(request).auth.sign_in(credentials.email, credentials.password, device_of(request))
    return render.signed_in(signed)


@ROUTER.post("/api/auth/signout", summary="Sign out")
async def sign_out(request: Request, caller: SignedIn) -> Confirmation:
    """End this session: its token stops working and its running turns end, on every device that uses it."""
    with rate.failures_only(request, address_key(client_ip(request)), AUTH):
        await services_of(request).auth.sign_out(caller)
    return Confirmation(message="You are signed out.")


def device_of(request: Request) -> Device:
    """Return where a request comes from, for the session row."""
    return Device(ip=client_ip(request), user_agent=request.headers.get("user-agent", "")[:_MAX_USER_AGENT])
