"""Launches from other sites, and the twins of places there (reference: runtime 1.8; admin 3.6, 3.10)."""

from typing import Annotated, Any, Literal

from fastapi import Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from twinspeak.domain.caller import Caller
from twinspeak.services.contexts import About
from twinspeak.services.launches import Shown, Wanted
from twinspeak.services.rate_limits import AUTH, CODES, address_key
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http import rate
from twinspeak.transports.http.routes import (
    PUBLIC,
    SignedIn,
    Verb,
    administers,
    client_ip,
    router,
    services_of,
    token_of,
)
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest import render
from twinspeak.transports.rest.auth import device_of
from twinspeak.transports.rest.lists import Message
from twinspeak.transports.rest.own_account import actor_of
from twinspeak.transports.rest.shapes import Shape, SignedInShape
from twinspeak.transports.rest.twin_shapes import NewTwin, TwinShape, changes_of, twin

ROUTER = router("Authentication", failures=(403, 429))
OWN_ROUTER = router("Your digital twin", failures=(401, 403))
ADMIN_ROUTER = router("Administration: digital twins", failures=(401, 403))

Text = Annotated[str, StringConstraints(max_length=500)]
Params = Annotated[dict[Text, Any], Field(max_length=50)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Nonce = Annotated[str, StringConstraints(min_length=16, max_length=64)]
Time = Annotated[int, Field(ge=0, le=2**53)]
PublicId = Annotated[str, StringConstraints(max_length=100)]
TwinId = Annotated[str, Path(alias="id", description="24 hexadecimal digits.")]
_UUID = "f831501f-b645-481a-9cbb-331509aaf8c1"
_YEAR_S = 365 * 86_400


class Signing(BaseModel):
    """What to sign, and for which twin."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"params": {"email": "ada@example.org", "institutionid": _UUID}, "institutionId": _UUID}
        }
    )

    params: Params = Field(description="Names beginning `launch_` are not signed.")
    public_id: PublicId = Field(validation_alias="institutionId", description="The digital twin's `publicId`.")


class SignedLaunch(Shape):
    """A launch for the next ten minutes."""

    success: Literal[True] = True
    launch_token: str = Field(description="An HMAC-SHA256 in hexadecimal.")
    nonce: str
    timestamp: int = Field(description="Epoch seconds.")


class LaunchBody(BaseModel):
    """A launch as it was signed."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "params": {"email": "ada@example.org"},
                "launch_token": "0" * 64,
                "nonce": "0" * 32,
                "timestamp": 1_750_665_682,
            }
        }
    )

    params: Params
    launch_token: Token
    nonce: Nonce
    timestamp: Time


class Verified(BaseModel):
    """It is signed."""

    success: Literal[True] = True


class AutoSignUp(BaseModel):
    """Who comes by a verified launch; unknown fields are tolerated. What is trusted is what was signed."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"email": "ada@example.org", "fname": "Ada", "institution_id": _UUID}}
    )

    email: Text = ""
    fname: Text = ""
    lname: Text = ""
    lxp_user_id: Text = ""
    lxp_user_type: int = Field(default=0, ge=-(2**31), le=2**31)
    lxp_partner_id: Text = ""
    lxp_partner_name: Text = ""
    lxp_role_id: int = Field(default=0, ge=-(2**31), le=2**31)
    lxp_role_name: Text = ""
    public_id: PublicId = Field(default="", validation_alias="institution_id", description="The twin's `publicId`.")
    context: Annotated[str, StringConstraints(max_length=2_048)] = Field(default="", validation_alias="lticontextid")
    nonce: Annotated[str, StringConstraints(max_length=64)] = Field(
        default="", description="Of the launch; without it, the newest one verified for this person from this address."
    )


class PlaceAsked(BaseModel):
    """A place, or a twin; and whose membership, which takes being that person, an administrator, or a launch."""

    model_config = ConfigDict(json_schema_extra={"example": {"institutionid": _UUID}})

    url: Annotated[str, StringConstraints(max_length=2_048)] = ""
    public_id: PublicId = Field(default="", validation_alias="institutionid", description="The twin's `publicId`.")
    email: Text = ""
    external_id: Text = Field(default="", validation_alias="userid", description="What the other site calls somebody.")
    nonce: Annotated[str, StringConstraints(max_length=64)] = Field(
        default="", description="Of a verified launch that the site's own server signed."
    )


class PlaceShape(Shape):
    """The twin of a place. `status`: the twin's, or the membership's; `invalid` for none."""

    lti_assigned: bool = Field(serialization_alias="ltiassigned", description="Found by the place.")
    status: str = Field(examples=["active"])
    name: str
    ainame: str
    picture: str
    public_id: str = Field(serialization_alias="publicId", examples=[_UUID])


class NewPlace(NewTwin):
    """A twin for a place, as `POST /api/admin/institution` takes it; `domain` finds the account."""

    model_config = ConfigDict(
        extra="allow", json_schema_extra={"example": {"name": "biology.example.edu", "domain": "example.edu"}}
    )

    domain: Text | None = None


class LaunchSecret(Shape):
    """What the site's server signs with; shown once."""

    success: Literal[True] = True
    secret: str = Field(examples=["2b7e1516…"])


@ROUTER.post("/api/auth/sdk-sign", summary="Sign a launch for a page", dependencies=[PUBLIC])
async def sign_launch(request: Request, body: Signing) -> SignedLaunch:
    """Sign what a page says, if its host is exactly one that the twin lists. It proves nothing about anybody."""
    rate.take(request, address_key(client_ip(request)), AUTH)
    page = request.headers.get("origin") or request.headers.get("referer") or ""
    launches = services_of(request).people.launches
    signed = await launches.sign(body.public_id, body.params, page=page, ip=client_ip(request))
    return SignedLaunch(launch_token=signed.launch_token, nonce=signed.nonce, timestamp=signed.timestamp)


@ROUTER.post("/api/auth/sdk-verify", summary="Verify a launch", responses=failures(401), dependencies=[PUBLIC])
async def verify_launch(request: Request, body: LaunchBody) -> Verified:
    """Note that a launch was signed, by this server or with the twin's launch secret, in the last ten minutes."""
    with rate.failures_only(request, address_key(client_ip(request)), CODES):
        shown = Shown(body.params, body.launch_token, body.nonce, body.timestamp)
        await services_of(request).people.launches.verify(shown, ip=client_ip(request))
    return Verified()


@ROUTER.post(
    "/api/auth/autosignup", summary="Sign in by a verified launch", responses=failures(401), dependencies=[PUBLIC]
)
async def auto_sign_up(request: Request, response: Response, body: AutoSignUp) -> SignedInShape:
    """Open a session by a launch, once, for who was signed in it; whoever is new gets an account.

    A launch that a page had signed opens twins that everybody may join, as a user of its own, known again by this
    browser alone. One that the site's server signed is who it says, and with `usertype` 4 an administrator.
    """
    said = body.model_dump(include={name for name in AutoSignUp.model_fields if name.startswith("lxp_")})
    wanted = Wanted(
        public_id=body.public_id,
        context=body.context,
        email=body.email,
        external_id=body.lxp_user_id,
        nonce=body.nonce,
        profile={**said, "fname": body.fname, "lname": body.lname},
    )
    kept = request.cookies.get(wire.LAUNCH_COOKIE, "")[:200]
    with rate.failures_only(request, address_key(client_ip(request)), CODES):
        launched = await services_of(request).people.launches.sign_in(wanted, device_of(request), browser=kept)
    if launched.browser:
        secure = services_of(request).edge.public_url.startswith("https://")
        # In a frame of another site, or there would be no launch; browsers take such a cookie over TLS alone.
        response.set_cookie(
            wire.LAUNCH_COOKIE,
            launched.browser,
            max_age=_YEAR_S,
            path="/api/auth",
            httponly=True,
            secure=secure,
            samesite="none" if secure else "lax",
        )
        if secure:  # kept for each site apart, which is all that most browsers let a frame keep
            name, value = response.raw_headers[-1]
            response.raw_headers[-1] = (name, value + b"; Partitioned")
    return render.signed_in(launched.signed)


@ROUTER.post("/api/test/url", summary="Find the twin of a place", responses=failures(401), dependencies=[PUBLIC])
async def find_place(request: Request, body: PlaceAsked) -> PlaceShape:
    """Return the twin that a place on another site stands for, else the one with the public id."""
    rate.take(request, address_key(client_ip(request)), AUTH)
    services, about = services_of(request), About(body.email, body.external_id)
    caller, launch = None, None
    if not about.nobody:
        launch = await services.people.launches.subject_of(body.nonce) if body.nonce else None
        token = await token_of(request)
        caller = await services.auth.authenticate(token) if token and launch is None else None
    found = await services.people.contexts.resolve(body.url, body.public_id, about, caller=caller, launch=launch)
    return PlaceShape(
        lti_assigned=found.assigned,
        status=found.status,
        name=found.name,
        ainame=found.ai_name,
        picture=found.picture,
        public_id=found.public_id,
    )


@OWN_ROUTER.post(
    "/api/auth/createInstitutionForContextid",
    summary="Add a digital twin for a place",
    responses=failures(400, 404, 409),
)
async def add_place(request: Request, caller: SignedIn, new: NewPlace) -> TwinShape:
    """Add a twin for places on other sites, to an account where you hold `institutions.add`; returns it bare."""
    contexts = services_of(request).people.contexts
    row = await contexts.add(actor_of(request, caller), changes_of(new), new.account, new.domain or "")
    return twin(row)


@ADMIN_ROUTER.post("/api/admin/institution/{id}/launchSecret", summary="Make a launch secret", responses=failures(404))
async def make_secret(
    request: Request, caller: Annotated[Caller, administers(Verb.INSTITUTIONS_EDIT)], institution_id: TwinId
) -> LaunchSecret:
    """Return a secret for the server of the twin's site, in place of any other; what it signs is believed."""
    made = await services_of(request).people.launches.new_secret(actor_of(request, caller), institution_id)
    return LaunchSecret(secret=made)


@ADMIN_ROUTER.delete(
    "/api/admin/institution/{id}/launchSecret", summary="Drop a launch secret", responses=failures(400, 404)
)
async def drop_secret(
    request: Request, caller: Annotated[Caller, administers(Verb.INSTITUTIONS_EDIT)], institution_id: TwinId
) -> Message:
    """Have launches signed with the secret be worth nothing."""
    await services_of(request).people.launches.drop_secret(actor_of(request, caller), institution_id)
    return Message(message="The launch secret is gone.")
