"""One's memberships: joining, leaving, switching, approving, inviting (reference: runtime 2.3 and 2.4)."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Body, Path, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from twinspeak.domain.errors import NotFound, ValidationFailed
from twinspeak.services.rate_limits import AUTH, CODES, MAIL
from twinspeak.transports.http import rate
from twinspeak.transports.http.routes import SignedIn, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest.lists import Message
from twinspeak.transports.rest.member_shapes import AccountName, OwnMembership, TwinName, own_membership
from twinspeak.transports.rest.own_account import actor_of
from twinspeak.transports.rest.shapes import ID, Shape
from twinspeak.transports.rest.signup import Email

ROUTER = router("Membership", failures=(401, 403))

MAX_KEPT = 4_096
Id = Annotated[str, StringConstraints(min_length=1, max_length=100)]
MembershipId = Annotated[str, Path(alias="id", description="A membership of yours: 24 hexadecimal digits.")]


def _small(value: dict[str, Any]) -> dict[str, Any]:
    if len(msgspec.json.encode(value)) > MAX_KEPT:
        raise ValueError(f"must have at most {MAX_KEPT} bytes")
    return value


class Memberships(BaseModel):
    """Favourites first, then by the twin's names; and the accounts that you manage."""

    success: Literal[True] = True
    entitlements: list[OwnMembership]
    account_manager_accounts: list[AccountName] = Field(serialization_alias="accountManagerAccounts")


class Search(BaseModel):
    """In the twins' names."""

    search: Annotated[str, StringConstraints(max_length=200)] = ""


class JoinableTwin(Shape):
    """A twin that you could join."""

    institution_data: TwinName
    account_data: AccountName | None
    allow_joining: str = Field(serialization_alias="allowJoining")
    joining_admin_only: bool = Field(serialization_alias="joiningAdminOnly", description="Joining needs an approval.")


class Joinable(BaseModel):
    """The twins found, and how many there are without the search."""

    success: Literal[True] = True
    entitlements: list[JoinableTwin]
    total_available: int = Field(serialization_alias="totalAvailable")


class Join(BaseModel):
    """Which twin, and who refers you: you yourself, or a member, who must then approve."""

    model_config = ConfigDict(json_schema_extra={"example": {"institution": ID, "referrer": ID}})

    institution: Id
    referrer: Id
    key: Annotated[str, StringConstraints(max_length=200)] = Field(
        default="", description="The twin's join id, or the code of an invitation."
    )


class Joined(Message):
    """The membership, which may be pending."""

    ui: OwnMembership


class Approve(BaseModel):
    """`ref` is you, `uI` the membership."""

    model_config = ConfigDict(json_schema_extra={"example": {"ref": ID, "uI": ID}})

    ref: Id
    membership: Id = Field(validation_alias="uI")


class Approved(Message):
    """The membership, active."""

    membership: OwnMembership = Field(serialization_alias="uI")


class Invite(BaseModel):
    """Whom, into which twin."""

    model_config = ConfigDict(json_schema_extra={"example": {"institutionId": ID, "email": "ada@example.org"}})

    institution: Id = Field(validation_alias="institutionId")
    email: Email


class OfTwin(BaseModel):
    """Which twin."""

    institution: Id = Field(validation_alias="institutionId", examples=[ID])


class JoinIdData(Shape):
    """The id that a link carries."""

    join_id: str = Field(serialization_alias="joinId")


class JoinId(BaseModel):
    """The same at every call; whoever has it can join."""

    success: Literal[True] = True
    data: JoinIdData


class Preference(BaseModel):
    """At least one of these, and nothing else."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"favorite": True}})

    favorite: bool | None = None
    favorite_assistants: (
        Annotated[list[Annotated[str, StringConstraints(max_length=24)]], Field(max_length=100)] | None
    ) = Field(default=None, validation_alias="favoriteAssistants")
    last_conversation: Annotated[dict[str, Any], AfterValidator(_small)] | None = Field(
        default=None, validation_alias="lastConversation"
    )
    accepted_privacy: datetime | None = Field(default=None, validation_alias="acceptedAccountPrivacyPolicyDate")


@ROUTER.post("/api/user/refresh/entitlements", summary="List your memberships")
async def refresh_entitlements(request: Request, caller: SignedIn) -> Memberships:
    """Return every membership of yours, whatever its status, and the accounts that you manage."""
    rows, managed = await services_of(request).people.joining.mine(caller)
    accounts = [AccountName(id=account_id, name=name) for account_id, name in managed]
    return Memberships(entitlements=[own_membership(row) for row in rows], account_manager_accounts=accounts)


@ROUTER.post("/api/user/availableInstitutions", summary="List twins that you could join")
async def available_institutions(
    request: Request, caller: SignedIn, wanted: Annotated[Search | None, Body()] = None
) -> Joinable:
    """Return the twins that let you join by yourself."""
    search = (wanted or Search()).search
    found, total = await services_of(request).people.joining.available(caller, search)
    shown = [
        JoinableTwin(
            institution_data=TwinName(id=one.id, name=one.name, ainame=one.ai_name),
            account_data=AccountName(id=one.account_id, name=one.account_name) if one.account_id else None,
            allow_joining=one.allow_joining,
            joining_admin_only=one.joining_admin_only,
        )
        for one in found
    ]
    return Joinable(entitlements=shown, total_available=total)


@ROUTER.put("/api/user/institutionJoin", summary="Join a twin", responses=failures(429))
async def join_institution(request: Request, caller: SignedIn, body: Join) -> Joined:
    """Become a member. Whoever is one already gets the membership as it is.

    The answer for a twin that does not let you in and for one that is not there is the same.
    """
    with rate.failures_only(request, caller.user_id, CODES):
        row = await services_of(request).people.joining.join(
            actor_of(request, caller), body.institution, body.referrer, key=body.key
        )
    return Joined(ui=own_membership(row), message="Joined successfully")


@ROUTER.post("/api/user/approveUid", summary="Approve a membership", responses=failures(404))
async def approve_membership(request: Request, caller: SignedIn, body: Approve) -> Approved:
    """Make a pending membership active: as the member who referred it, or as who may edit the twin's people."""
    if body.ref.lower() != caller.user_id:
        raise NotFound(param="ref")
    row = await services_of(request).people.joining.approve(actor_of(request, caller), body.membership)
    return Approved(membership=own_membership(row), message="Membership approved")


@ROUTER.post("/api/user/institutionSendInvite", summary="Invite somebody", responses=failures(404, 429))
async def send_invite(request: Request, caller: SignedIn, body: Invite) -> Message:
    """Mail somebody a way into a twin, good for that address alone. Takes `institutions.edit` there."""
    rate.take(request, caller.user_id, AUTH)
    rate.take(request, body.email.lower(), MAIL)
    await services_of(request).people.joining.invite(actor_of(request, caller), body.institution, body.email)
    return Message(message="Invitation sent")


@ROUTER.post("/api/user/institutionCreateJoinId", summary="Get a twin's join id", responses=failures(404))
async def create_join_id(request: Request, caller: SignedIn, body: OfTwin) -> JoinId:
    """Return the id of a link by which anybody may join; it never expires. Takes `institutions.edit` there."""
    found = await services_of(request).people.joining.join_link(actor_of(request, caller), body.institution)
    return JoinId(data=JoinIdData(join_id=found))


@ROUTER.post("/api/user/userInstitutionSwitch/{id}", summary="Switch to a twin", responses=failures(400, 404))
async def switch_institution(request: Request, caller: SignedIn, membership_id: MembershipId) -> Message:
    """Make the twin of an active membership of yours the active one."""
    await services_of(request).people.joining.switch(caller, membership_id)
    return Message(message="Profile switched!")


@ROUTER.put("/api/user/userInstitution/{id}", summary="Keep preferences", responses=failures(404))
async def keep_preferences(
    request: Request, caller: SignedIn, membership_id: MembershipId, body: Preference
) -> Message:
    """Keep what clients remember of a twin, in your membership there."""
    changes = body.model_dump(exclude_unset=True)
    kept: dict[str, Any] = {name: changes[name] for name in ("favorite",) if changes.get(name) is not None}
    if body.accepted_privacy is not None:
        kept["accepted_privacy"] = int(body.accepted_privacy.timestamp() * 1000)
    for name, wire_name in (("favorite_assistants", "favoriteAssistants"), ("last_conversation", "lastConversation")):
        if name in changes:
            kept[wire_name] = changes[name]
    if not kept:
        raise ValidationFailed("Nothing to keep was sent.", details={"fields": []})
    await services_of(request).people.joining.prefer(caller, membership_id, kept)
    return Message(message="userInstitution preference saved sucessfully")


@ROUTER.delete("/api/user/userInstitution/{id}", summary="Leave a twin", responses=failures(400, 404))
async def leave_institution(request: Request, caller: SignedIn, membership_id: MembershipId) -> Message:
    """End a membership of yours, for good; what you wrote there stays, and what runs there ends."""
    await services_of(request).people.joining.leave(actor_of(request, caller), membership_id)
    return Message(message="You left successfully!")
