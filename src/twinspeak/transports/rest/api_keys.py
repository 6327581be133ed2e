"""Personal API keys (reference: runtime 1.4 and 2.5)."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Header, Path, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from twinspeak.domain.clock import iso, now_ms
from twinspeak.domain.errors import ValidationFailed
from twinspeak.domain.people import ApiKey
from twinspeak.services.api_keys import NewKey
from twinspeak.services.rate_limits import AUTH, address_key
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http import rate
from twinspeak.transports.http.routes import PUBLIC, SignedIn, client_ip, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest import render
from twinspeak.transports.rest.auth import device_of
from twinspeak.transports.rest.lists import Message
from twinspeak.transports.rest.own_account import actor_of
from twinspeak.transports.rest.shapes import ID, Shape, SignedInShape

ROUTER = router("API keys", failures=(401, 403))
EXCHANGE = router("Authentication", failures=(401, 403, 429))

KeyId = Annotated[str, Path(alias="id", description="24 hexadecimal digits.")]
Scope = Annotated[str, StringConstraints(pattern="^(ask|user|admin)$")]


class NewApiKey(BaseModel):
    """A key to be made. Without scopes it stands for you, which takes an administrator."""

    model_config = ConfigDict(json_schema_extra={"example": {"name": "Backup script", "scopes": ["ask"]}})

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    scopes: Annotated[list[Scope], Field(max_length=10)] = []
    expires: AwareDatetime | None = Field(default=None, description="Left out: never.")


class ApiKeyShape(Shape):
    """A key without its secret."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    name: str
    ending: str = Field(description="The last digits, to tell keys apart.")
    scopes: list[str]
    created: str
    expires: str | None
    last_used: str | None = Field(serialization_alias="lastUsed")


class MadeKey(Message):
    """The key, and the only time that its secret is shown."""

    key: str = Field(examples=["pria_0123456789abcdef0123456789abcdef01234567"])
    data: ApiKeyShape


class ApiKeyList(BaseModel):
    """The newest first."""

    success: Literal[True] = True
    data: list[ApiKeyShape]


class DeviceShape(Shape):
    """Something that exchanged a key."""

    id: str
    source_ip: str = Field(serialization_alias="sourceIp")
    subnet: str = Field(serialization_alias="ipSubnet24")
    ua: str
    ua_family: str = Field(serialization_alias="uaFamily")
    ua_os: str = Field(serialization_alias="uaOs")
    ua_version: str = Field(serialization_alias="uaVersion")
    first_seen: str = Field(serialization_alias="firstSeenAt")
    last_seen: str = Field(serialization_alias="lastSeenAt")
    usage_count: int = Field(serialization_alias="usageCount")


class Devices(BaseModel):
    """The one seen last first, fifty at most."""

    success: Literal[True] = True
    devices: list[DeviceShape]


@EXCHANGE.post("/api/auth/api-key-signin", summary="Sign in with an API key", dependencies=[PUBLIC])
async def api_key_sign_in(
    request: Request, key: Annotated[str, Header(alias=wire.API_KEY, max_length=4_096)] = ""
) -> SignedInShape:
    """Exchange an administrator's key without scopes for an access token. Needs no body and ignores one."""
    with rate.failures_only(request, address_key(client_ip(request)), AUTH):
        signed = await services_of(request).people.keys.exchange(key.strip(), device_of(request))
    return render.signed_in(signed)


@ROUTER.get("/api/user/api-keys", summary="List your API keys")
async def list_api_keys(request: Request, caller: SignedIn) -> ApiKeyList:
    """Return your keys, without their secrets."""
    return ApiKeyList(data=[_shown(key) for key in await services_of(request).people.keys.mine(caller)])


@ROUTER.post("/api/user/api-key", summary="Make an API key", responses=failures(409))
async def add_api_key(request: Request, caller: SignedIn, new: NewApiKey) -> MadeKey:
    """Make a key. Its secret is in this answer alone. A new password ends every key."""
    expires = None if new.expires is None else int(new.expires.astimezone(UTC).timestamp() * 1000)
    if expires is not None and not now_ms() < expires <= int(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000):
        raise ValidationFailed(
            param="expires", details={"fields": [{"field": "expires", "message": "must be in the future"}]}
        )
    wanted = NewKey(name=new.name, scopes=tuple(dict.fromkeys(new.scopes)), expires=expires)
    key, secret = await services_of(request).people.keys.add(actor_of(request, caller), wanted)
    return MadeKey(key=secret, data=_shown(key), message="Keep the key: it is not shown again.")


@ROUTER.post("/api/user/api-key/{id}/rotate", summary="Renew an API key", responses=failures(400, 404))
async def rotate_api_key(request: Request, caller: SignedIn, key_id: KeyId) -> MadeKey:
    """Give a key another secret; the old one stops working at once."""
    key, secret = await services_of(request).people.keys.rotate(actor_of(request, caller), key_id)
    return MadeKey(key=secret, data=_shown(key), message="Keep the key: it is not shown again.")


@ROUTER.delete("/api/user/api-key/{id}", summary="Delete an API key", responses=failures(400, 404))
async def revoke_api_key(request: Request, caller: SignedIn, key_id: KeyId) -> Message:
    """Delete a key; what runs under it ends at once."""
    await services_of(request).people.keys.revoke(actor_of(request, caller), key_id)
    return Message(message="The key is deleted.")


@ROUTER.get("/api/user/api-key-usage", summary="List what used your API keys")
async def api_key_usage(request: Request, caller: SignedIn) -> Devices:
    """Return the devices that exchanged one of your keys in the last 180 days."""
    found = await services_of(request).people.keys.devices(caller)
    shown = [
        DeviceShape(
            id=one.id,
            source_ip=one.device.get("sourceIp", ""),
            subnet=one.device.get("ipSubnet24", ""),
            ua=one.device.get("ua", ""),
            ua_family=one.device.get("uaFamily", ""),
            ua_os=one.device.get("uaOs", ""),
            ua_version=one.device.get("uaVersion", ""),
            first_seen=iso(one.first_seen),
            last_seen=iso(one.last_seen),
            usage_count=one.usage_count,
        )
        for one in found
    ]
    return Devices(devices=shown)


def _shown(key: ApiKey) -> ApiKeyShape:
    return ApiKeyShape(
        id=key.id,
        name=key.name,
        ending=key.ending,
        scopes=list(key.scopes),
        created=iso(key.created),
        expires=None if key.expires is None else iso(key.expires),
        last_used=None if key.last_used is None else iso(key.last_used),
    )
