"""Enterprise sign-in and its providers (reference: runtime 1.6; admin 10.1)."""

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import Body, Path, Query, Request
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from twinspeak.domain.caller import Caller
from twinspeak.domain.clock import iso
from twinspeak.domain.sso import Provider
from twinspeak.services.administered import MASK
from twinspeak.services.auth import SignedIn as Opened
from twinspeak.services.rate_limits import AUTH, CODES, address_key
from twinspeak.services.sso_providers import ProviderChanges
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http import rate
from twinspeak.transports.http.routes import PUBLIC, Verb, administers, client_ip, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest import render
from twinspeak.transports.rest.auth import device_of
from twinspeak.transports.rest.lists import Ids, MadeOne, Message
from twinspeak.transports.rest.own_account import actor_of
from twinspeak.transports.rest.shapes import ID, Shape, SignedInShape

ROUTER = router("Authentication", failures=(401, 403, 429))
PAGES = router("Authentication", failures=(404, 429))
ADMIN_ROUTER = router("Administration: sign-in providers", failures=(401, 403))

Text = Annotated[str, StringConstraints(max_length=2_048)]
Url = Annotated[str, StringConstraints(max_length=2_048, pattern=r"^(https?://[^\s]+|)$")]
Where = Annotated[str, StringConstraints(max_length=500, pattern=r"^/[^\s]*$")]
ClaimNames = Annotated[dict[Literal["email", "firstName", "lastName"], Text], Field(max_length=3)]
Groups = Annotated[dict[Text, Annotated[list[Text], Field(max_length=64)]], Field(max_length=100)]
ProviderId = Annotated[str, Path(alias="id", description="24 hexadecimal digits.")]
_REDIRECT: dict[int | str, dict[str, Any]] = {
    302: {"description": "On to the next page", "content": {"text/html": {"example": ""}}}
}


class Callback(BaseModel):
    """What the provider sent the browser back with."""

    model_config = ConfigDict(json_schema_extra={"example": {"code": "4/0AeaYS", "state": "r4nd0m"}})

    code: Annotated[str, StringConstraints(min_length=1, max_length=4_096)]
    state: Annotated[str, StringConstraints(min_length=1, max_length=512)]


class ProviderFields(BaseModel):
    """What a provider's record says; null leaves a field as it is."""

    model_config = ConfigDict(extra="forbid")

    slug: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        default=None, description="People sign in at `/sso/{slug}`."
    )
    client_id: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = Field(
        default=None, alias=wire.CLIENT_ID
    )
    client_secret: Text | None = Field(
        default=None, alias="clientSecret", description="Kept encrypted, shown masked; sent back masked it stays."
    )
    issuer: Url | None = Field(default=None, description="With it the rest is discovered, and id tokens are checked.")
    token_host: Url | None = Field(default=None, alias="tokenHost")
    token_path: Where | None = Field(default=None, alias="tokenPath")
    authorize_path: Where | None = Field(default=None, alias="authorizePath")
    userinfo_url: Url | None = Field(default=None, alias="userinfoUrl")
    scope: Annotated[str, StringConstraints(max_length=500)] | None = None
    field_mapping: ClaimNames | None = Field(default=None, alias="fieldMapping")
    group_claim: Annotated[str, StringConstraints(max_length=200)] | None = Field(default=None, alias="groupClaim")
    role_mapping: Groups | None = Field(
        default=None, alias="roleMapping", description="By group: the verbs of an administrator of the twin."
    )
    label: Annotated[str, StringConstraints(max_length=200)] | None = None
    enabled: bool | None = None

    def changes(self) -> ProviderChanges:
        """Return what the service takes."""
        given = self.model_dump(exclude_none=True, exclude={"institution"})
        kept = {name: given.pop(name, None) for name in ("slug", "client_secret", "enabled")}
        return ProviderChanges(settings=given, **kept)


class NewProvider(ProviderFields):
    """A provider for a twin that has none."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "institution": ID,
                "slug": "example-school",
                wire.CLIENT_ID: "twinspeak",
                "clientSecret": "a secret",
                "issuer": "https://login.example.org",
            }
        },
    )

    institution: Annotated[str, StringConstraints(max_length=100)]
    slug: Annotated[str, StringConstraints(max_length=100)] = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    client_id: Annotated[str, StringConstraints(min_length=1, max_length=500)] = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        alias=wire.CLIENT_ID
    )


class ProviderEdit(ProviderFields):
    """Any of these."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"enabled": False}})


class ProviderShape(Shape):
    """A provider, its secret masked."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    institution: str
    slug: str
    client_id: str = Field(serialization_alias=wire.CLIENT_ID)
    client_secret: str = Field(serialization_alias="clientSecret", examples=[MASK])
    issuer: str
    token_host: str = Field(serialization_alias="tokenHost")
    token_path: str = Field(serialization_alias="tokenPath")
    authorize_path: str = Field(serialization_alias="authorizePath")
    userinfo_url: str = Field(serialization_alias="userinfoUrl")
    scope: str
    field_mapping: dict[str, str] = Field(serialization_alias="fieldMapping")
    group_claim: str = Field(serialization_alias="groupClaim")
    role_mapping: dict[str, list[str]] = Field(serialization_alias="roleMapping")
    label: str
    enabled: bool
    created: str = Field(serialization_alias="createdAt")
    updated: str = Field(serialization_alias="updatedAt")


class ProvidersWanted(BaseModel):
    """Of which twins."""

    institution: Ids = Field(default="", description="Twins' ids, parted by blanks.")


class Providers(BaseModel):
    """By slug."""

    success: Literal[True] = True
    data: list[ProviderShape]


class OneProvider(BaseModel):
    """One provider."""

    success: Literal[True] = True
    data: ProviderShape


class Tested(BaseModel):
    """Whether the token endpoint answers as one."""

    success: Literal[True] = True
    reachable: bool
    message: str


@PAGES.get(
    "/sso/callback", summary="Come back from a provider", dependencies=[PUBLIC], status_code=302,
    response_class=RedirectResponse, responses=_REDIRECT,
)  # fmt: skip
async def sso_return(
    request: Request,
    code: Annotated[str, Query(max_length=4_096)] = "",
    state: Annotated[str, Query(max_length=512)] = "",
) -> RedirectResponse:
    """Send the browser on to the page, which signs in with what the provider said."""
    rate.take(request, address_key(client_ip(request)), AUTH)
    return RedirectResponse("/#sso?" + urlencode({"code": code, "state": state}), 302)


@PAGES.get(
    "/sso/{slug}", summary="Sign in through an organisation", dependencies=[PUBLIC], status_code=302,
    response_class=RedirectResponse, responses={**_REDIRECT, **failures(401)},
)  # fmt: skip
async def sso_begin(request: Request, slug: Annotated[str, Path(max_length=100)]) -> RedirectResponse:
    """Send the browser to the organisation's sign-in."""
    rate.take(request, address_key(client_ip(request)), AUTH)
    begun = await services_of(request).sso.begin(slug)
    answer = RedirectResponse(begun.url, 302)
    secure = services_of(request).edge.public_url.startswith("https://")
    answer.set_cookie(wire.SSO_COOKIE, begun.browser, max_age=600, httponly=True, samesite="lax", secure=secure)
    return answer


@ROUTER.post("/api/auth/sso_callback", summary="Finish signing in through an organisation", dependencies=[PUBLIC])
async def sso_callback(request: Request, back: Callback) -> SignedInShape:
    """Exchange what the provider said for an access token, in the browser that began; once."""
    return render.signed_in(await came_back(request, back))


async def came_back(request: Request, back: Callback) -> Opened:
    """Return the session of somebody whom a provider sent back here. Raises as `Sso.finish` does."""
    browser = request.cookies.get(wire.SSO_COOKIE, "")
    with rate.failures_only(request, address_key(client_ip(request)), CODES):
        return await services_of(request).sso.finish(back.code, back.state, browser, device_of(request))


@ADMIN_ROUTER.post("/api/admin/ssoProviders", summary="List sign-in providers", responses=failures(400))
async def list_sso_providers(
    request: Request,
    caller: Annotated[Caller, administers(Verb.SSO_LIST)],
    wanted: Annotated[ProvidersWanted | None, Body()] = None,
) -> Providers:
    """Return the providers of the twins where you may list them."""
    found = await services_of(request).sso_providers.search(caller, (wanted or ProvidersWanted()).institution)
    return Providers(data=[_shown(one) for one in found])


@ADMIN_ROUTER.post("/api/admin/ssoProvider", summary="Add a sign-in provider", responses=failures(404, 409))
async def add_sso_provider(
    request: Request, caller: Annotated[Caller, administers(Verb.SSO_ADD)], new: NewProvider
) -> MadeOne:
    """Let people of a twin sign in through their organisation."""
    service = services_of(request).sso_providers
    made = await service.add(actor_of(request, caller), new.institution, new.changes())
    return MadeOne(id=made.id, message="SSO provider created!")


@ADMIN_ROUTER.get("/api/admin/ssoProvider/{id}", summary="Read a sign-in provider", responses=failures(400, 404))
async def read_sso_provider(
    request: Request, caller: Annotated[Caller, administers(Verb.SSO_LIST)], provider_id: ProviderId
) -> OneProvider:
    """Return a provider, its secret masked."""
    return OneProvider(data=_shown(await services_of(request).sso_providers.get(caller, provider_id)))


@ADMIN_ROUTER.put("/api/admin/ssoProvider/{id}", summary="Change a sign-in provider", responses=failures(404, 409))
async def edit_sso_provider(
    request: Request, caller: Annotated[Caller, administers(Verb.SSO_EDIT)], provider_id: ProviderId, edit: ProviderEdit
) -> Message:
    """Change what is sent."""
    await services_of(request).sso_providers.change(actor_of(request, caller), provider_id, edit.changes())
    return Message(message="SSO provider updated!")


@ADMIN_ROUTER.delete("/api/admin/ssoProvider/{id}", summary="Delete a sign-in provider", responses=failures(400, 404))
async def delete_sso_provider(
    request: Request, caller: Annotated[Caller, administers(Verb.SSO_DELETE)], provider_id: ProviderId
) -> Message:
    """Delete a provider; the people who came through it stay."""
    await services_of(request).sso_providers.delete(actor_of(request, caller), provider_id)
    return Message(message="SSO provider deleted!")


@ADMIN_ROUTER.post(
    "/api/admin/ssoProvider/{id}/test", summary="Try a sign-in provider", responses=failures(404, 422, 502, 504)
)
async def test_sso_provider(
    request: Request, caller: Annotated[Caller, administers(Verb.SSO_EDIT)], provider_id: ProviderId
) -> Tested:
    """Ask the token endpoint with a code that cannot be good, and say whether it answers as one."""
    wrong = await services_of(request).sso_providers.test(caller, provider_id)
    return Tested(reachable=not wrong, message=wrong or "The token endpoint answers.")


def _shown(provider: Provider) -> ProviderShape:
    said = provider.settings
    return ProviderShape(
        id=provider.id,
        institution=provider.institution_id,
        slug=provider.slug,
        client_id=said.client_id,
        client_secret=MASK,
        issuer=said.issuer,
        token_host=said.token_host,
        token_path=said.token_path,
        authorize_path=said.authorize_path,
        userinfo_url=said.userinfo_url,
        scope=said.scope,
        field_mapping=said.field_mapping,
        group_claim=said.group_claim,
        role_mapping={group: list(verbs) for group, verbs in said.role_mapping.items()},
        label=said.label,
        enabled=provider.enabled,
        created=iso(provider.created),
        updated=iso(provider.updated),
    )
