"""Getting into a twin, out of it, and between one's twins (reference: runtime 2.3, 2.4; admin 6.9).

`allowJoining`: public lets everybody in, account those whose verified address is of one of the account's domains,
disabled nobody but who has been invited or brings the join id. With `joiningAdminOnly`, or when somebody else is named
as referrer, a membership begins pending, and a mail asks for approval.
"""

from typing import Any

import msgspec

from twinspeak.domain.access import Verb
from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import CallerError, InvalidId, NotAMember, NotFound
from twinspeak.domain.ids import new_id, new_secret, parse_id
from twinspeak.domain.mail import Mail
from twinspeak.domain.origins import origin_of
from twinspeak.domain.people import Membership, MembershipRow, User
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import institutions, memberships, people, users, wallets
from twinspeak.persistence.repos.institutions import JoiningRules
from twinspeak.services import audit, mails, policy
from twinspeak.services.audit import Target
from twinspeak.services.codes import Codes, Wanted
from twinspeak.services.members import enrol
from twinspeak.services.passwords import check_email
from twinspeak.services.ports import MailSender
from twinspeak.services.revocations import Revocations

INVITATION_MS = 14 * 86_400_000
MAX_APPROVERS = 10


class JoiningRefused(CallerError):
    """The twin does not let this person in; also for a twin that is not there."""

    code = "joining_refused"
    status = 403
    type = "permission_error"
    default = "You cannot join this digital twin by yourself. Ask for an invitation."


class Joined(msgspec.Struct, frozen=True):
    """A membership, and the mails that go out once it is stored."""

    row: MembershipRow
    mails: tuple[Mail, ...] = ()


class Joining:
    """Joining and leaving. One for the whole server."""

    def __init__(
        self, db: Database, codes: Codes, mail: MailSender, revocations: Revocations, *, public_url: str
    ) -> None:
        """`public_url` is where links in mails lead."""
        self._db = db
        self._codes = codes
        self._mail = mail
        self._revocations = revocations
        self._public_url = public_url.rstrip("/")

    async def mine(self, caller: Caller) -> tuple[list[MembershipRow], list[tuple[str, str]]]:
        """Return the caller's memberships, favourites first, then by name; and the accounts the caller manages."""

        def read(tx: Tx) -> tuple[list[MembershipRow], list[tuple[str, str]]]:
            wanted = people.PeopleFilter(user_id=caller.user_id, most=1_000)
            rows, _ = people.search_memberships(tx, wanted)
            rows.sort(key=lambda row: (not row.membership.favorite, row.twin.ai_name, row.twin.name, row.membership.id))
            administers = caller.account_type in ("admin", "super")
            return rows, institutions.account_names(tx, policy.managed_accounts(tx, caller) if administers else ())

        return await self._db.read(read)

    async def available(self, caller: Caller, search: str) -> tuple[list[JoiningRules], int]:
        """Return the twins that the caller could join now, and how many there are without the search."""

        def read(tx: Tx) -> tuple[list[JoiningRules], int]:
            user, mine = _user(tx, caller), people.twins_of(tx, caller.user_id)
            found = [institutions.joining_rules(tx, one) for one in institutions.joinable(tx) if one not in mine]
            rules = [one for one in found if one is not None and _lets_in(one, user)]
            text = search.strip().lower()
            named = [one for one in rules if text in f"{one.name}\n{one.ai_name}\n{one.account_name}".lower()]
            return named, len(rules)

        return await self._db.read(read)

    async def join(self, by: Actor, institution_id: str, referrer_id: str, *, key: str = "") -> MembershipRow:
        """Make the caller a member; an existing membership is returned as it is.

        `key` is a twin's join id, or the code of an invitation. Raises InvalidId, JoiningRefused (also for a twin or a
        referrer that is not there, so that nobody learns which twins there are).
        """
        twin, referrer = parse_id(institution_id), parse_id(referrer_id) if referrer_id else by.caller.user_id
        if twin is None or referrer is None:
            raise InvalidId(param="institution" if twin is None else "referrer")
        joined = await self._db.write(lambda tx: self._join(tx, by, twin, referrer, key))
        if joined is None:  # a wrong key has been counted, so the transaction had to commit
            raise JoiningRefused
        for mail in joined.mails:
            self._mail.send(mail)
        return joined.row

    async def approve(self, by: Actor, membership_id: str) -> MembershipRow:
        """Make a pending membership active: by who referred it, or who may edit the twin's users. Raises as usual."""
        wanted = parse_id(membership_id)
        if wanted is None:
            raise InvalidId(param="uI")

        def store(tx: Tx) -> Joined:
            one = next(iter(memberships.by_ids(tx, [wanted])), None)
            if one is None or not _may_approve(tx, by.caller, one):
                raise NotFound(param="uI")
            return _activate(tx, by, one)

        joined = await self._db.write(store)
        for mail in joined.mails:
            self._mail.send(mail)
        return joined.row

    async def leave(self, by: Actor, membership_id: str) -> None:
        """End one of the caller's own memberships. Raises InvalidId, NotFound."""
        one = await self._db.write(lambda tx: _leave(tx, by, membership_id))
        self._revocations.left([one.user_id], one.institution_id)

    async def switch(self, caller: Caller, membership_id: str) -> None:
        """Make the twin of one of the caller's active memberships the active one. Raises InvalidId, NotFound."""

        def store(tx: Tx) -> None:
            one = _own(tx, caller, membership_id)
            if memberships.twin(tx, caller.user_id, one.institution_id) is None:
                raise NotFound(param="id")
            users.edit(tx, caller.user_id, {"active_institution_id": one.institution_id})
            memberships.touch(tx, caller.user_id, one.institution_id, now_ms())

        await self._db.write(store)

    async def prefer(self, caller: Caller, membership_id: str, changes: dict[str, Any]) -> None:
        """Keep preferences in one of the caller's memberships; `favorite` and `accepted_privacy` are columns."""

        def store(tx: Tx) -> None:
            one = _own(tx, caller, membership_id)
            columns = {name: value for name, value in changes.items() if name in ("favorite", "accepted_privacy")}
            rest = {name: value for name, value in changes.items() if name not in columns}
            values = {**columns, "preferences": msgspec.json.encode({**one.preferences, **rest}).decode()}
            people.change(tx, one.id, values)

        await self._db.write(store)

    async def invite(self, by: Actor, institution_id: str, email: str) -> None:
        """Mail somebody a way in, good for that address alone. Raises as `policy.require` does, ValidationFailed."""
        policy.as_oneself(by.caller)
        address = check_email(email)

        def store(tx: Tx) -> tuple[str, str, str]:
            twin = policy.require(tx, by.caller, Verb.INSTITUTIONS_EDIT, institution_id, param="institutionId")
            rules = institutions.joining_rules(tx, twin)
            if rules is None:
                raise NotFound(param="institutionId")
            wanted = Wanted(purpose="invitation", email=f"{twin}:{address}", ttl_ms=INVITATION_MS)
            _, code = self._codes.issue(tx, wanted)
            audit.note(tx, by, "invitation.sent", Target("institution", twin, twin), after={"email": address})
            return twin, rules.ai_name or rules.name, code

        twin, name, code = await self._db.write(store)
        self._mail.send(mails.invitation(address, name, f"{self._public_url}/join?institution={twin}&key={code}"))

    async def join_link(self, by: Actor, institution_id: str) -> str:
        """Return the twin's reusable join id, the same at every call. Raises as `policy.require` does."""
        policy.as_oneself(by.caller)

        def store(tx: Tx) -> str:
            twin = policy.require(tx, by.caller, Verb.INSTITUTIONS_EDIT, institution_id, param="institutionId")
            return institutions.join_id(tx, twin, new=new_secret(18))

        return await self._db.write(store)

    def _join(self, tx: Tx, by: Actor, twin: str, referrer: str, key: str) -> Joined | None:
        user = _user(tx, by.caller)
        known = memberships.get(tx, user.id, twin)
        if known is not None:
            return Joined(people.rows_of(tx, [known.id])[0])
        rules = institutions.joining_rules(tx, twin)
        named = referrer != user.id
        if rules is None or (named and memberships.twin(tx, referrer, twin) is None):
            return None
        if not (_lets_in(rules, user) or self._has_key(tx, rules, user, key)):
            return None
        now = now_ms()
        pending = named or rules.joining_admin_only
        new = Membership(
            id=new_id(),
            user_id=user.id,
            institution_id=twin,
            created=now,
            joined=None if pending else now,
            status="pending" if pending else "active",
            referrer_id=referrer if named else None,
        )
        made = enrol(tx, by, new)
        if not pending:
            award(tx, made, rules)
        return Joined(people.rows_of(tx, [made.id])[0], self._requests(tx, made, rules, user) if pending else ())

    def _requests(self, tx: Tx, made: Membership, rules: JoiningRules, user: User) -> tuple[Mail, ...]:
        link = f"{self._public_url}/approve?membership={made.id}"
        asked = self._approvers(tx, rules, made.referrer_id)
        return tuple(mails.membership_request(to, user.email, rules.ai_name or rules.name, link) for to in asked)

    def _has_key(self, tx: Tx, rules: JoiningRules, user: User, key: str) -> bool:
        if not key:
            return False
        if institutions.by_join_id(tx, key) == rules.id:
            return True
        if user.email_verified is None:
            return False
        return self._codes.redeem(tx, "invitation", f"{rules.id}:{user.email}", key) is not None

    def _approvers(self, tx: Tx, rules: JoiningRules, referrer: str | None) -> list[str]:
        if referrer is not None:
            found = users.by_id(tx, referrer)
            return [found.email] if found else []
        return [one.strip() for one in rules.contact_email.split(",") if "@" in one][:MAX_APPROVERS]


def _user(tx: Tx, caller: Caller) -> User:
    user = users.by_id(tx, caller.user_id)
    if user is None:
        raise NotAMember
    return user


def _own(tx: Tx, caller: Caller, membership_id: str) -> Membership:
    wanted = parse_id(membership_id)
    if wanted is None:
        raise InvalidId(param="id")
    one = next(iter(memberships.by_ids(tx, [wanted])), None)
    if one is None or one.user_id != caller.user_id:
        raise NotFound(param="id")
    return one


def _leave(tx: Tx, by: Actor, membership_id: str) -> Membership:
    one = _own(tx, by.caller, membership_id)
    audit.note(tx, by, "membership.left", Target("membership", one.id, one.institution_id))
    people.remove(tx, one.id)
    return one


def _lets_in(rules: JoiningRules, user: User) -> bool:
    """Tell whether the twin lets somebody in who brings nothing but his address."""
    if rules.allow_joining == "public":
        return True
    if rules.allow_joining != "account" or user.email_verified is None:
        return False
    return address_within(user.email, rules.domains)


def address_within(email: str, domains: tuple[str, ...]) -> bool:
    """Tell whether an address is of one of an account's domains, or of one below."""
    domain = email.rpartition("@")[2]
    return any(domain == host or domain.endswith(f".{host}") for host in map(_host, domains) if host)


def _host(listed: str) -> str:
    """Return the host of what an account lists: an address, or the host alone."""
    return (origin_of(listed) or "").rpartition("//")[2].partition(":")[0]


def _may_approve(tx: Tx, caller: Caller, one: Membership) -> bool:
    if one.user_id == caller.user_id or one.status not in ("pending", "active"):
        return False
    if one.referrer_id == caller.user_id:
        return memberships.twin(tx, caller.user_id, one.institution_id) is not None
    return caller.account_type in ("admin", "super") and policy.reach(tx, caller, Verb.USERS_EDIT).covers(
        one.institution_id
    )


def _activate(tx: Tx, by: Actor, one: Membership) -> Joined:
    """Activate once; of two who approve at once, the later one changes nothing."""
    if one.status == "active":
        return Joined(people.rows_of(tx, [one.id])[0])
    people.change(tx, one.id, {"status": "active", "joined": now_ms()})
    audit.note(tx, by, "membership.approved", Target("membership", one.id, one.institution_id))
    rules = institutions.joining_rules(tx, one.institution_id)
    row = people.rows_of(tx, [one.id])[0]
    if rules is None:
        return Joined(row)
    award(tx, one, rules)
    return Joined(row, (mails.joining_approved(row.user.email, rules.ai_name or rules.name),))


def award(tx: Tx, one: Membership, rules: JoiningRules) -> None:
    """Give a new member the twin's gift, once, where members pay for themselves (admin 3.8)."""
    if rules.pool_credits or rules.credit_award <= 0 or one.credit_awarded:
        return
    note = f"joined {one.institution_id}"
    if wallets.was_given(tx, "user", one.user_id, note=note):
        return  # leaving and coming back is no way to earn
    if wallets.available(tx, "institution", rules.id) < rules.credit_award:
        return  # a gift is the twin's own: nobody makes credits by setting it
    twin, member = wallets.ensure(tx, "institution", rules.id), wallets.ensure(tx, "user", one.user_id)
    wallets.move(tx, twin, member, rules.credit_award, note=note, kind="award")
    people.change(tx, one.id, {"credit_awarded": rules.credit_award, "credit_awarded_date": now_ms()})
    institutions.awarded(tx, one.institution_id, rules.credit_award)
