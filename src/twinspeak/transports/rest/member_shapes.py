"""How people and memberships look on the wire, to themselves and to administrators (reference: admin 5 and 6)."""

from typing import Any

from pydantic import Field

from twinspeak.domain.clock import iso
from twinspeak.domain.people import MembershipRow, MemberTwin, PersonRow, User
from twinspeak.transports.rest.shapes import ID, Shape

STATUSES = {"suspended": "inactive"}
"""What the rows and the wire call differently of a person."""


class TwinName(Shape):
    """A twin, in short."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    name: str
    ainame: str
    status: str = "active"


class AccountName(Shape):
    """An account, in short."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    name: str


class PersonName(Shape):
    """A person, in short."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    email: str
    fname: str
    lname: str
    account_type: str = Field(serialization_alias="accountType")


class PersonShape(PersonName):
    """A person, as administrators see one."""

    status: str = Field(description="active, inactive or pending.")
    picture: str
    credits: int = Field(description="The person's own.")
    credits_used: int = Field(serialization_alias="creditsUsed")
    plan: str
    institution: TwinName | None = Field(description="The active twin, where you administer it.")
    remember_history_count: int
    must_change_password: bool = Field(serialization_alias="mustChangePassword")
    email_verified: bool = Field(serialization_alias="emailVerified")
    referral_id: str = Field(serialization_alias="referralId")
    created: str
    last_login: str | None = Field(serialization_alias="lastLogin")


class MembershipShape(Shape):
    """A person in a twin."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    user: Any = Field(description="The person: an id, or in administration's lists `_id`, `email`, names.")
    institution: Any = Field(description="The twin: an id, or in administration's lists `_id` and names.")
    account_type: str = Field(serialization_alias="accountType")
    entitlements: list[str]
    status: str = Field(description="active, pending, inactive or suspended.")
    created: str
    joined_at: str | None = Field(serialization_alias="joinedAt")
    last_login: str | None = Field(serialization_alias="lastLogin")
    favorite: bool
    credit_awarded: int = Field(serialization_alias="creditAwarded")
    credit_awarded_date: str | None = Field(serialization_alias="creditAwardedDate")
    accepted_privacy: str | None = Field(serialization_alias="acceptedAccountPrivacyPolicyDate")
    referrer: str | None
    favorite_assistants: list[str] = Field(serialization_alias="favoriteAssistants")
    last_conversation: dict[str, Any] | None = Field(serialization_alias="lastConversation")


class OwnMembership(MembershipShape):
    """One's own membership, with the twin's and the account's names."""

    institution_data: TwinName
    account_data: AccountName | None


def person(row: PersonRow) -> PersonShape:
    """Render a person for administrators."""
    user = row.user
    return PersonShape(
        **person_name(user).model_dump(),
        status=STATUSES.get(user.status, user.status),
        picture=user.picture,
        credits=row.credits,
        credits_used=user.credits_used,
        plan=user.plan,
        institution=TwinName(id=row.twin[0], name=row.twin[1], ainame=row.twin[2]) if row.twin else None,
        remember_history_count=user.remember_history_count,
        must_change_password=user.must_change_password,
        email_verified=user.email_verified is not None,
        referral_id=user.referral_id,
        created=iso(user.created),
        last_login=_iso(user.last_login),
    )


def person_name(user: User) -> PersonName:
    """Render a person in short."""
    return PersonName(id=user.id, email=user.email, fname=user.fname, lname=user.lname, account_type=user.account_type)


def membership(row: MembershipRow) -> MembershipShape:
    """Render a membership for administrators."""
    place = twin_name(row.twin).model_dump(by_alias=True)
    return MembershipShape(**_common(row), user=person_name(row.user).model_dump(by_alias=True), institution=place)


def own_membership(row: MembershipRow) -> OwnMembership:
    """Render a membership for its owner."""
    twin = row.twin
    account = AccountName(id=twin.account_id, name=twin.account_name or "") if twin.account_id else None
    return OwnMembership(
        **_common(row),
        user=row.user.id,
        institution=twin.id,
        institution_data=twin_name(twin),
        account_data=account,
    )


def twin_name(twin: MemberTwin) -> TwinName:
    """Render a twin in short."""
    return TwinName(id=twin.id, name=twin.name, ainame=twin.ai_name, status=twin.status)


def _common(row: MembershipRow) -> dict[str, Any]:
    one = row.membership
    return {
        "id": one.id,
        "account_type": one.account_type,
        "entitlements": list(one.entitlements),
        "status": one.status,
        "created": iso(one.created),
        "joined_at": _iso(one.joined),
        "last_login": _iso(one.last_login),
        "favorite": one.favorite,
        "credit_awarded": one.credit_awarded,
        "credit_awarded_date": _iso(one.credit_awarded_date),
        "accepted_privacy": _iso(one.accepted_privacy),
        "referrer": one.referrer_id,
        "favorite_assistants": one.preferences.get("favoriteAssistants", []),
        "last_conversation": one.preferences.get("lastConversation"),
    }


def _iso(moment: int | None) -> str | None:
    return None if moment is None else iso(moment)
