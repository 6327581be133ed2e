"""Signing up, and a new password by a mailed code (reference 1.2, 1.3)."""

from typing import Annotated

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from twinspeak.services.auth import SignedIn
from twinspeak.services.rate_limits import AUTH, CODES, MAIL, address_key
from twinspeak.services.signup import NewPerson
from twinspeak.transports.http import rate
from twinspeak.transports.http.routes import PUBLIC, client_ip, router, services_of
from twinspeak.transports.rest import render
from twinspeak.transports.rest.auth import Confirmation, device_of
from twinspeak.transports.rest.shapes import SignedInShape

ROUTER = router("Authentication", failures=(403, 429))

Email = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=320)]
Password = Annotated[str, StringConstraints(min_length=1, max_length=4_096)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)]
CodeText = Annotated[str, StringConstraints(min_length=1, max_length=64)]
_CODE = "K7M2QX9A"


class SignUpBody(BaseModel):
    """Who signs up. Unknown fields are tolerated."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"email": "ada@example.org", "password": "correct horse battery staple"}}
    )

    email: Email
    password: Password = Field(description="At least 8 characters.")
    fname: Name = ""
    lname: Name = ""


class CodeBody(BaseModel):
    """The code that was sent to the address."""

    email: Email
    code: CodeText = Field(examples=[_CODE])


class AddressBody(BaseModel):
    """An address."""

    email: Email = Field(examples=["ada@example.org"])


class ResetBody(BaseModel):
    """A new password, and the code that was sent to the address."""

    email: Email
    reset_code: CodeText = Field(validation_alias="resetCode", examples=[_CODE])
    password: Password = Field(description="The new one; at least 8 characters.")


@ROUTER.post("/api/auth/signup", summary="Sign up", dependencies=[PUBLIC])
async def sign_up(request: Request, person: SignUpBody) -> Confirmation:
    """Send a code to the address. The account is made once the code comes back.

    The answer is the same for an address that has an account already.
    """
    _limit_mail(request, person.email)
    new = NewPerson(email=person.email, password=person.password, fname=person.fname, lname=person.lname)
    await services_of(request).people.sign_up.ask(new)
    return Confirmation(message="We have sent a code to your e-mail address.")


@ROUTER.post("/api/auth/signup/confirm", summary="Confirm your sign-up", dependencies=[PUBLIC])
async def confirm_sign_up(request: Request, body: CodeBody) -> SignedInShape:
    """Make the account, and sign in."""
    return render.signed_in(await confirmed(request, body))


async def confirmed(request: Request, body: CodeBody) -> SignedIn:
    """Make the account of who shows the code, within the limits. Raises InvalidCode, RateLimited."""
    with rate.failures_only(request, address_key(client_ip(request)), CODES):
        return await services_of(request).people.sign_up.confirm(body.email, body.code, device_of(request))


@ROUTER.post("/api/auth/resetCode", summary="Ask for a code to set a new password", dependencies=[PUBLIC])
async def ask_reset_code(request: Request, body: AddressBody) -> Confirmation:
    """Send a code to the address, if it has an account. The answer is the same if not."""
    _limit_mail(request, body.email)
    await services_of(request).people.sign_up.ask_reset(body.email)
    return Confirmation(message="If there is an account with this address, we have sent a code to it.")


@ROUTER.post("/api/auth/changePassword", summary="Set a new password by a code", dependencies=[PUBLIC])
async def change_password(request: Request, body: ResetBody) -> Confirmation:
    """Set the password and end every session of the account."""
    with rate.failures_only(request, address_key(client_ip(request)), CODES):
        sign_up = services_of(request).people.sign_up
        await sign_up.reset(body.email, body.reset_code, body.password, device_of(request))
    return Confirmation(message="Password changed successfully")


def _limit_mail(request: Request, email: str) -> None:
    """Count a mail against who asks for it, and against the mailbox; whether the address is known does not matter."""
    rate.take(request, address_key(client_ip(request)), AUTH)
    rate.take(request, email.lower(), MAIL)
