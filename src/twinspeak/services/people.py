"""People, as administrators manage them (reference: admin 5).

What is done to a person is felt in every twin, so it takes the verb in every twin of the person
(`administered.person_within`).
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from twinspeak.domain.access import Verb
from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import CodedError, Conflict, EntitlementMissing, InvalidId, NotFound, SuperRequired
from twinspeak.domain.ids import parse_id
from twinspeak.domain.people import STARTING_CREDITS, PersonRow, User
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import people, sessions, users
from twinspeak.persistence.repos.people import PeopleFilter
from twinspeak.persistence.repos.sessions import KeptSession, NewSession
from twinspeak.services import audit, mails, policy
from twinspeak.services.administered import NotYourself, Page, Skipped, person_within
from twinspeak.services.audit import Target
from twinspeak.services.auth import Auth, SignedIn
from twinspeak.services.codes import Codes, Wanted
from twinspeak.services.members import Members
from twinspeak.services.own_account import close, keep_a_super
from twinspeak.services.passwords import check_email
from twinspeak.services.ports import MailSender
from twinspeak.services.signup import RESET_MS

FIRST_CODE_MS = 7 * 86_400_000
INACTIVE = "suspended"
"""How the rows call what the wire calls inactive."""


class UsersFilter(msgspec.Struct, frozen=True):
    """Which people; ids parted by blanks. `without_twin`: only those in none, for super administrators."""

    institution: str = ""
    account: str = ""
    account_type: str = ""
    search: str = ""
    active_only: bool = False
    without_twin: bool = False
    page: Page = Page()


class NewPerson(msgspec.Struct, frozen=True):
    """Somebody to add, to a twin as a member with what `verbs` entitle to."""

    email: str
    fname: str = ""
    lname: str = ""
    account_type: str = "user"
    institution_id: str = ""
    verbs: tuple[str, ...] = ()


class PersonChanges(msgspec.Struct, frozen=True):
    """What to change; None leaves it. `status` is active or inactive."""

    fname: str | None = None
    lname: str | None = None
    picture: str | None = None
    account_type: str | None = None
    status: str | None = None


class People:
    """Managing people. One for the whole server."""

    def __init__(self, db: Database, auth: Auth, members: Members, codes: Codes, mail: MailSender) -> None:
        """Keep the parts."""
        self._db = db
        self._auth = auth
        self._members = members
        self._codes = codes
        self._mail = mail

    async def search(self, caller: Caller, wanted: UsersFilter) -> tuple[list[PersonRow], int]:
        """Return a page of the people in the twins where the caller may list users. Raises InvalidId, SuperRequired."""

        def read(tx: Tx) -> tuple[list[PersonRow], int]:
            found = policy.reach(tx, caller, Verb.USERS_LIST)
            if wanted.without_twin and not found.everything:
                raise SuperRequired
            reach = policy.narrowed(tx, found, institution=wanted.institution, account=wanted.account)
            within = None if reach.everything else reach.institutions
            chosen = PeopleFilter(
                institutions=within,
                account_type=wanted.account_type,
                search=wanted.search,
                active_only=wanted.active_only,
                without_twin=wanted.without_twin,
                skip=wanted.page.skip,
                most=wanted.page.size,
            )
            page, total = people.search(tx, chosen)
            return people.rows_for(tx, page, None if found.everything else found.institutions), total

        return await self._db.read(read)

    async def get(self, caller: Caller, user_id: str) -> PersonRow:
        """Return a person. Raises as `person_within` does."""

        def read(tx: Tx) -> PersonRow:
            return _row(tx, caller, person_within(tx, caller, Verb.USERS_LIST, user_id, all_twins=False))

        return await self._db.read(read)

    async def add(self, by: Actor, new: NewPerson) -> PersonRow:
        """Add somebody, and mail a code to set a password by.

        Raises ValidationFailed, Conflict (the address is taken), SuperRequired (to add a super administrator, or
        somebody to no twin), and as `Members.enrol` does.
        """
        email = check_email(new.email)
        caller = by.caller
        if not policy.is_super(caller) and (new.account_type == "super" or not new.institution_id):
            raise SuperRequired

        def store(tx: Tx) -> tuple[PersonRow, str]:
            user = users.create(
                tx,
                users.NewUser(email=email, fname=new.fname, lname=new.lname, account_type=new.account_type),
                credits=STARTING_CREDITS,
            )
            if new.institution_id:
                kind = "user" if new.account_type == "user" else "admin"
                twin = self._members.enrol_in(tx, by, new.institution_id, [user.id], kind=kind, verbs=new.verbs)
                users.edit(tx, user.id, {"active_institution_id": twin})
            audit.note(tx, by, "user.added", Target("user", user.id), after={"account_type": new.account_type})
            wanted = Wanted(purpose="reset", email=email, ttl_ms=FIRST_CODE_MS, user_id=user.id)
            row = _row(tx, caller, users.by_id(tx, user.id) or user)
            return row, self._codes.issue(tx, wanted)[1]

        row, code = await self._db.write(store)
        self._mail.send(mails.account_made(email, code, FIRST_CODE_MS))
        return row

    async def edit(self, by: Actor, user_id: str, changes: PersonChanges) -> PersonRow:
        """Change a person. Raises as `person_within` does, NotYourself, Conflict (the last super administrator)."""

        def store(tx: Tx) -> tuple[PersonRow, bool]:
            user = person_within(tx, by.caller, Verb.USERS_EDIT, user_id)
            values = _checked(tx, by.caller, user, changes)
            before = {name: getattr(user, name) for name in values}
            if values:
                users.edit(tx, user.id, values)
                audit.note(tx, by, "user.changed", Target("user", user.id), before=before, after=values)
            out = _out(tx, user, values)
            return _row(tx, by.caller, users.by_id(tx, user.id) or user), out

        row, out = await self._db.write(store)
        if out:
            self._auth.revocations.ended(row.user.id, None)
        return row

    async def set_status(self, by: Actor, user_ids: Sequence[str], status: str) -> tuple[int, list[Skipped]]:
        """Activate or suspend people, each by itself (admin 5.3); return how many, and who was left alone."""

        def store(tx: Tx) -> tuple[list[str], list[Skipped]]:
            done: list[str] = []
            skipped: list[Skipped] = []
            for user_id in dict.fromkeys(user_ids):
                try:
                    user = person_within(tx, by.caller, Verb.USERS_EDIT, user_id)
                    values = _checked(tx, by.caller, user, PersonChanges(status=status), always=True)
                except CodedError as error:
                    skipped.append(Skipped(user_id, error.code))
                    continue
                before = {"status": user.status}
                users.edit(tx, user.id, values)
                audit.note(tx, by, "user.changed", Target("user", user.id), before=before, after=values)
                _out(tx, user, values)
                done.append(user.id)
            return done, skipped

        done, skipped = await self._db.write(store)
        for user_id in done if status != "active" else ():
            self._auth.revocations.ended(user_id, None)
        return len(done), skipped

    async def delete(self, by: Actor, user_id: str) -> None:
        """Delete a person; what was written is erased soon after. Raises as `edit` does."""

        def store(tx: Tx) -> str:
            user = person_within(tx, by.caller, Verb.USERS_DELETE, user_id)
            if user.id == by.caller.user_id:
                raise NotYourself
            close(tx, by, user.id)
            return user.id

        self._auth.revocations.ended(await self._db.write(store), None)

    async def send_reset(self, by: Actor, user_id: str) -> None:
        """Mail a person a code to set a new password by. Raises as `person_within` does."""

        def store(tx: Tx) -> tuple[str, str]:
            user = person_within(tx, by.caller, Verb.USERS_EDIT, user_id, all_twins=False)
            wanted = Wanted(purpose="reset", email=user.email, ttl_ms=RESET_MS, user_id=user.id)
            audit.note(tx, by, "user.reset_sent", Target("user", user.id))
            return user.email, self._codes.issue(tx, wanted)[1]

        email, code = await self._db.write(store)
        self._mail.send(mails.reset(email, code, RESET_MS))

    async def act_as(self, by: Actor, user_id: str, *, reason: str, minutes: int) -> SignedIn:
        """Open a session as somebody else, for a while and a reason; both and the administrator stay on record.

        Only people without administration of their own, so that it never gives more rights; a super administrator may
        act as everybody but another. Raises as `person_within` does, NotYourself, Conflict (not active).
        """

        def store(tx: Tx) -> SignedIn:
            user = person_within(tx, by.caller, Verb.USERS_EDIT, user_id)
            if user.id == by.caller.user_id:
                raise NotYourself
            if user.account_type == "super" or (user.account_type == "admin" and not policy.is_super(by.caller)):
                raise EntitlementMissing("You cannot act as an administrator.", details={"verb": str(Verb.USERS_EDIT)})
            if user.status != "active":
                raise Conflict("This person is not active.")
            audit.note(tx, by, "user.acted_as", Target("user", user.id), after={"reason": reason, "minutes": minutes})
            session = NewSession(
                user_id=user.id,
                expires=now_ms() + minutes * 60_000,
                ip=by.ip,
                user_agent=by.user_agent,
                actor_id=by.caller.user_id,
                reason=reason,
            )
            return self._auth.act_as(tx, session)

        return await self._db.write(store)

    async def sessions(self, caller: Caller, user_id: str) -> list[KeptSession]:
        """Return a person's live sessions. Raises as `person_within` does."""

        def read(tx: Tx) -> list[KeptSession]:
            user = person_within(tx, caller, Verb.SESSIONS_LIST, user_id, all_twins=False)
            return sessions.listing(tx, user.id, now_ms())

        return await self._db.read(read)

    async def end_session(self, by: Actor, session_id: str) -> None:
        """End a session of somebody within reach. Raises InvalidId, NotFound, and as `person_within` does."""
        wanted = parse_id(session_id)
        if wanted is None:
            raise InvalidId(param="sessionId")

        def store(tx: Tx) -> str:
            owner = sessions.owner(tx, wanted, now_ms())
            if owner is None:
                raise NotFound(param="sessionId")
            try:
                person_within(tx, by.caller, Verb.SESSIONS_DELETE, owner, all_twins=False)
            except NotFound:  # as for a session that there is not
                raise NotFound(param="sessionId") from None
            sessions.revoke(tx, wanted, now_ms())
            audit.note(tx, by, "session.ended", Target("session", wanted))
            return owner

        self._auth.revocations.ended(await self._db.write(store), frozenset({wanted}))


def _row(tx: Tx, caller: Caller, user: User) -> PersonRow:
    found = policy.reach(tx, caller, Verb.USERS_LIST)
    return people.rows_for(tx, [user], None if found.everything else found.institutions)[0]


def _checked(tx: Tx, caller: Caller, user: User, changes: PersonChanges, *, always: bool = False) -> dict[str, Any]:
    """Return the columns to set; with `always` also a status that is set already."""
    given: dict[str, Any] = {
        name: value for name, value in msgspec.structs.asdict(changes).items() if value is not None
    }
    if "status" in given:
        given["status"] = "active" if given["status"] == "active" else INACTIVE
    values = {name: value for name, value in given.items() if always or getattr(user, name) != value}
    rights = {"account_type", "status"} & values.keys()
    if rights and user.id == caller.user_id:
        raise NotYourself
    if "super" in (values.get("account_type"), user.account_type) and rights and not policy.is_super(caller):
        raise SuperRequired
    if user.account_type == "super" and (values.get("account_type", "super"), values.get("status", "active")) != (
        "super",
        "active",
    ):
        keep_a_super(tx, user.id)
    return values


def _out(tx: Tx, user: User, values: dict[str, Any]) -> bool:
    """End a person's sessions when the status or the role goes; return whether it did."""
    ranks = ("user", "admin", "super")
    demoted = ranks.index(values.get("account_type", user.account_type)) < ranks.index(user.account_type)
    if not demoted and values.get("status", "active") == "active":
        return False
    sessions.revoke_all(tx, user.id, now_ms())
    return True
