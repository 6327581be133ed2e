"""Memberships, as administrators manage them (reference: admin 6)."""

from typing import Annotated, Literal

from fastapi import Body, Path, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from twinspeak.domain.caller import Caller
from twinspeak.services.members import MemberChanges, MembersFilter
from twinspeak.transports.http.routes import Verb, administers, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest.admin_people import Adds, Id, Lists, UserId, Verbs
from twinspeak.transports.rest.lists import (
    Listing,
    ListOf,
    Message,
    Role,
    SkippedShape,
    Targets,
    Text,
    page_of,
    skipped,
)
from twinspeak.transports.rest.member_shapes import MembershipShape, PersonName, membership, person_name
from twinspeak.transports.rest.own_account import actor_of
from twinspeak.transports.rest.shapes import ID

ROUTER = router("Administration: memberships", failures=(401, 403))

Edits = Annotated[Caller, administers(Verb.INSTITUTIONS_EDIT)]
MembershipId = Annotated[str, Path(alias="id", description="24 hexadecimal digits.")]


class MembersWanted(Listing):
    """Which memberships."""

    account_type: Role | None = Field(default=None, alias="accountType")
    search: Text = Field(default="", alias="usersearch", description="In address and names.")


class Members(ListOf):
    """By address, then by the twin's name."""

    data: list[MembershipShape]


class MembersOfOne(BaseModel):
    """One person's."""

    success: Literal[True] = True
    message: str = ""
    data: list[MembershipShape]


class MemberEdit(BaseModel):
    """Any of these; null leaves a field as it is."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"accountType": "admin", "entitlements": ["users.list"]}}, extra="forbid"
    )

    account_type: Role | None = Field(default=None, validation_alias="accountType")
    entitlements: Verbs | None = None
    status: Literal["active", "inactive", "suspended"] | None = None


class EligibleWanted(BaseModel):
    """For which twin; without a search of two letters at least, the first hundred."""

    model_config = ConfigDict(json_schema_extra={"example": {"institution": ID, "search": "ada"}})

    institution: Id
    search: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^(|.{2,})$")] = ""


class EligibleOne(BaseModel):
    """Somebody who could be enrolled."""

    user: PersonName


class Eligible(BaseModel):
    """At most a hundred; `total` is how many there are."""

    success: Literal[True] = True
    data: list[EligibleOne]
    total: int


class Enroll(BaseModel):
    """Whom, into which twin, as what."""

    model_config = ConfigDict(json_schema_extra={"example": {"institution": ID, "users": [ID], "accountType": "admin"}})

    institution: Id
    users: Targets
    account_type: Role = Field(validation_alias="accountType")
    entitlements: Verbs = []


class Enrolled(Message):
    """How many were made members, and how many left alone."""

    created: int
    skipped: int


class Removal(BaseModel):
    """Memberships."""

    ids: Targets = Field(examples=[[ID]])


class Removed(BaseModel):
    """How many, and what was left alone."""

    success: Literal[True] = True
    deleted: int
    skipped: list[SkippedShape]


@ROUTER.post("/api/admin/userInstitutions", summary="List memberships", responses=failures(400))
async def list_memberships(
    request: Request, caller: Lists, wanted: Annotated[MembersWanted | None, Body()] = None
) -> Members:
    """Return a page of the memberships in the twins where you may list users."""
    wanted = wanted or MembersWanted()
    chosen = MembersFilter(
        institution=wanted.institution,
        account=wanted.account,
        account_type=wanted.account_type or "",
        search=wanted.search,
        page=wanted.wanted,
    )
    rows, total = await services_of(request).people.members.search(caller, chosen)
    return page_of(Members, [membership(row) for row in rows], total, wanted)


@ROUTER.get(
    "/api/admin/userInstitutionsByUserId/{userId}", summary="List a person's memberships", responses=failures(400, 404)
)
async def list_memberships_of_user(request: Request, caller: Lists, user_id: UserId) -> MembersOfOne:
    """Return somebody's memberships in the twins where you may list users."""
    rows = await services_of(request).people.members.of_user(caller, user_id)
    return MembersOfOne(data=[membership(row) for row in rows])


@ROUTER.put("/api/admin/userInstitution/{userId}", summary="Change a membership", responses=failures(404, 409))
async def edit_membership(request: Request, caller: Edits, user_id: UserId, edit: MemberEdit) -> Message:
    """Change role, entitlements or status; the path names the membership, or the person in your active twin.

    What somebody may no longer do ends at once, running answers and open sockets too. Nobody gives verbs that he does
    not hold there himself.
    """
    given = edit.entitlements
    changes = MemberChanges(
        account_type=edit.account_type, entitlements=None if given is None else tuple(given), status=edit.status
    )
    await services_of(request).people.members.change(actor_of(request, caller), user_id, changes)
    return Message(message="User Institution updated!")


@ROUTER.delete("/api/admin/userInstitution/{id}", summary="Delete a membership", responses=failures(400, 404, 409))
async def delete_membership(request: Request, caller: Edits, membership_id: MembershipId) -> Message:
    """Delete a membership for good."""
    await services_of(request).people.members.remove(actor_of(request, caller), membership_id)
    return Message(message="User institution deleted successfully")


@ROUTER.post("/api/admin/userInstitutions/eligible", summary="Find people to enroll", responses=failures(404))
async def list_eligible(request: Request, caller: Adds, wanted: EligibleWanted) -> Eligible:
    """Return people of your twins who are no members of this one, or whoever's whole address is given."""
    found, total = await services_of(request).people.members.eligible(caller, wanted.institution, wanted.search)
    return Eligible(data=[EligibleOne(user=person_name(user)) for user in found], total=total)


@ROUTER.post("/api/admin/userInstitutions/enroll", summary="Enroll people", responses=failures(404))
async def enroll_users(request: Request, caller: Adds, body: Enroll) -> Enrolled:
    """Make people members. Who is one already, or is not there, is left alone."""
    done = await services_of(request).people.members.enrol(
        actor_of(request, caller), body.institution, body.users, body.account_type, tuple(body.entitlements)
    )
    text = f"Enrolled {done.created} user(s). Skipped {done.skipped} (already enrolled or invalid)."
    return Enrolled(message=text, created=done.created, skipped=done.skipped)


@ROUTER.post("/api/admin/userInstitutions/bulk-delete", summary="Delete memberships")
async def delete_memberships(request: Request, caller: Edits, body: Removal) -> Removed:
    """Delete up to 500 memberships for good, each judged by itself."""
    done, left = await services_of(request).people.members.remove_many(actor_of(request, caller), body.ids)
    return Removed(deleted=done, skipped=skipped(left))
