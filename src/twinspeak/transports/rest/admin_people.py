"""People, as administrators manage them (reference: admin 5)."""

from typing import Annotated, Literal

from fastapi import Body, Path, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from twinspeak.domain.caller import Caller
from twinspeak.domain.clock import iso
from twinspeak.services.people import NewPerson, PersonChanges, UsersFilter
from twinspeak.services.rate_limits import MAIL
from twinspeak.transports.http import rate
from twinspeak.transports.http.routes import Verb, administers, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.rest import render
from twinspeak.transports.rest.lists import (
    AccountType,
    Listing,
    ListOf,
    Message,
    SkippedShape,
    Targets,
    Text,
    page_of,
    skipped,
)
from twinspeak.transports.rest.member_shapes import PersonShape, person
from twinspeak.transports.rest.own_account import actor_of
from twinspeak.transports.rest.shapes import ID, Shape, SignedInShape
from twinspeak.transports.rest.signup import Email, Name

ROUTER = router("Administration: people", failures=(401, 403))

LONGEST_ACTING_MIN = 240
Id = Annotated[str, StringConstraints(max_length=100)]
UserId = Annotated[str, Path(alias="userId", description="24 hexadecimal digits.")]
Verbs = Annotated[list[Annotated[str, StringConstraints(max_length=64)]], Field(max_length=64)]
Lists = Annotated[Caller, administers(Verb.USERS_LIST)]
Adds = Annotated[Caller, administers(Verb.USERS_ADD)]
Edits = Annotated[Caller, administers(Verb.USERS_EDIT)]
Deletes = Annotated[Caller, administers(Verb.USERS_DELETE)]
ListsSessions = Annotated[Caller, administers(Verb.SESSIONS_LIST)]
DeletesSessions = Annotated[Caller, administers(Verb.SESSIONS_DELETE)]


class UsersWanted(Listing):
    """Which people."""

    account_type: AccountType | None = Field(default=None, alias="accountType")
    search: Text = Field(default="", alias="usersearch", description="In address and names.")
    active_only: bool = Field(default=False, alias="activeOnly")
    without_twin: bool = Field(
        default=False, alias="emptyInstitutions", description="Those in no twin; for super administrators."
    )


class Users(ListOf):
    """By address."""

    data: list[PersonShape]


class OneUser(BaseModel):
    """One person."""

    success: Literal[True] = True
    data: PersonShape


class NewUser(BaseModel):
    """Who, and into which twin; only super administrators add somebody to none."""

    model_config = ConfigDict(json_schema_extra={"example": {"email": "ada@example.org", "institution": ID}})

    email: Email
    fname: Name = ""
    lname: Name = ""
    account_type: AccountType | None = Field(
        default=None, validation_alias="accountType", description="Left out: an ordinary user."
    )
    institution: Id = ""
    entitlements: Verbs = []


class UserEdit(BaseModel):
    """Any of these, and nothing else; null leaves a field as it is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"fname": "Ada", "status": "inactive"}})

    fname: Name | None = None
    lname: Name | None = None
    picture: Annotated[str, StringConstraints(max_length=2_048, pattern=r"^(https?://|/|data:image/|$)")] | None = None
    account_type: AccountType | None = Field(default=None, validation_alias="accountType")
    status: Literal["active", "inactive"] | None = None


class BulkStatus(BaseModel):
    """Whom, and which."""

    model_config = ConfigDict(json_schema_extra={"example": {"ids": [ID], "status": "inactive"}})

    ids: Targets
    status: Literal["active", "inactive"]


class Changed(BaseModel):
    """How many, and who was left alone."""

    success: Literal[True] = True
    status: str
    updated: int
    skipped: list[SkippedShape]


class Acting(BaseModel):
    """Why, and for how long. Both are kept, and the person sees them."""

    model_config = ConfigDict(json_schema_extra={"example": {"reason": "Ticket 17: answers are cut", "minutes": 30}})

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500)]
    minutes: int = Field(default=60, ge=1, le=LONGEST_ACTING_MIN)


class AdminSession(Shape):
    """A device that is signed in."""

    id: str = Field(serialization_alias="_id", examples=[ID])
    user: str
    created: str
    expires: str
    last_active: str = Field(serialization_alias="lastActive")
    ip: str
    user_agent: str = Field(serialization_alias="userAgent")
    actor: str | None = Field(description="The administrator who acts as the person in it.")
    reason: str


class AdminSessions(BaseModel):
    """The one used last first."""

    success: Literal[True] = True
    data: list[AdminSession]


@ROUTER.post("/api/admin/users", summary="Search people", responses=failures(400))
async def search_users(request: Request, caller: Lists, wanted: Annotated[UsersWanted | None, Body()] = None) -> Users:
    """Return a page of the people in the twins where you may list users."""
    wanted = wanted or UsersWanted()
    chosen = UsersFilter(
        institution=wanted.institution,
        account=wanted.account,
        account_type=wanted.account_type or "",
        search=wanted.search,
        active_only=wanted.active_only,
        without_twin=wanted.without_twin,
        page=wanted.wanted,
    )
    rows, total = await services_of(request).people.admin.search(caller, chosen)
    return page_of(Users, [person(row) for row in rows], total, wanted)


@ROUTER.post("/api/admin/user", summary="Add a person", responses=failures(400, 404, 409, 429))
async def add_user(request: Request, caller: Adds, new: NewUser) -> OneUser:
    """Add somebody to a twin, and mail a code to set a password by."""
    rate.take(request, new.email.lower(), MAIL)
    rank = {} if new.account_type is None else {"account_type": new.account_type}
    wanted = NewPerson(
        email=new.email,
        fname=new.fname,
        lname=new.lname,
        **rank,
        institution_id=new.institution,
        verbs=tuple(new.entitlements),
    )
    return OneUser(data=person(await services_of(request).people.admin.add(actor_of(request, caller), wanted)))


@ROUTER.get("/api/admin/user/{userId}", summary="Read a person", responses=failures(400, 404))
async def read_user(request: Request, caller: Lists, user_id: UserId) -> OneUser:
    """Return somebody in a twin where you may list users."""
    return OneUser(data=person(await services_of(request).people.admin.get(caller, user_id)))


@ROUTER.put("/api/admin/users/bulk-status", summary="Activate or suspend people")
async def set_users_status(request: Request, caller: Edits, body: BulkStatus) -> Changed:
    """Set the status of up to 500 people, each judged by itself; suspended ones are signed out at once."""
    done, left = await services_of(request).people.admin.set_status(actor_of(request, caller), body.ids, body.status)
    return Changed(status=body.status, updated=done, skipped=skipped(left))


@ROUTER.put("/api/admin/user/{userId}", summary="Change a person", responses=failures(404, 409))
async def edit_user(request: Request, caller: Edits, user_id: UserId, edit: UserEdit) -> OneUser:
    """Change somebody. As it is felt everywhere, it takes `users.edit` in every twin of the person.

    Who is suspended, or loses a role, is signed out at once.
    """
    changes = PersonChanges(**edit.model_dump(exclude_unset=True))
    row = await services_of(request).people.admin.edit(actor_of(request, caller), user_id, changes)
    return OneUser(data=person(row))


@ROUTER.delete("/api/admin/user/{userId}", summary="Delete a person", responses=failures(400, 404, 409))
async def delete_user(request: Request, caller: Deletes, user_id: UserId) -> Message:
    """Delete an account: every session ends, and what the person wrote for himself is erased."""
    await services_of(request).people.admin.delete(actor_of(request, caller), user_id)
    return Message(message="The account is deleted.")


@ROUTER.post("/api/admin/user/{userId}/reset", summary="Send a reset code", responses=failures(400, 404, 429))
async def send_user_reset(request: Request, caller: Edits, user_id: UserId) -> Message:
    """Mail somebody a code to set a new password by."""
    rate.take(request, user_id.lower(), MAIL)
    await services_of(request).people.admin.send_reset(actor_of(request, caller), user_id)
    return Message(message="We have sent a code to the person's e-mail address.")


@ROUTER.post("/api/admin/user/{userId}/actAs", summary="Act as a person", responses=failures(400, 404, 409))
async def act_as_user(request: Request, caller: Edits, user_id: UserId, acting: Acting) -> SignedInShape:
    """Return a token of somebody else's, which never gives more rights than you have, for a reason and a while."""
    signed = await services_of(request).people.admin.act_as(
        actor_of(request, caller), user_id, reason=acting.reason, minutes=acting.minutes
    )
    return render.signed_in(signed)


@ROUTER.get("/api/admin/user/{userId}/sessions", summary="List a person's sessions", responses=failures(400, 404))
async def list_user_sessions(request: Request, caller: ListsSessions, user_id: UserId) -> AdminSessions:
    """Return where somebody is signed in."""
    found = await services_of(request).people.admin.sessions(caller, user_id)
    shown = [
        AdminSession(
            id=one.id,
            user=one.user_id,
            created=iso(one.created),
            expires=iso(one.expires),
            last_active=iso(one.last_seen),
            ip=one.ip,
            user_agent=one.user_agent,
            actor=one.actor_id,
            reason=one.reason,
        )
        for one in found
    ]
    return AdminSessions(data=shown)


@ROUTER.delete("/api/admin/session/{sessionId}", summary="End a person's session", responses=failures(400, 404))
async def end_user_session(
    request: Request, caller: DeletesSessions, session_id: Annotated[str, Path(alias="sessionId")]
) -> Message:
    """Sign a device out, at once."""
    await services_of(request).people.admin.end_session(actor_of(request, caller), session_id)
    return Message(message="The session has ended.")
