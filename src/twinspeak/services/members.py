"""Memberships, as administrators manage them (reference: admin 6)."""

from collections.abc import Sequence
from typing import Any

import msgspec

from twinspeak.domain.access import Reach, Verb
from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import CodedError, EntitlementMissing, InvalidId, NotFound, ValidationFailed
from twinspeak.domain.ids import new_id, parse_id
from twinspeak.domain.people import Membership, MembershipRow, User
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import institutions, memberships, people
from twinspeak.persistence.repos.people import PeopleFilter
from twinspeak.services import audit, policy
from twinspeak.services.administered import NotYourself, Page, Skipped
from twinspeak.services.audit import Target
from twinspeak.services.passwords import field
from twinspeak.services.revocations import Revocations

ELIGIBLE_MAX = 100
LIST_VERBS = tuple(str(verb) for verb in Verb if verb.endswith(".list"))
"""What a new administrator gets in a twin with `entitleNewAdmins`: looking, not changing."""


class MembersFilter(msgspec.Struct, frozen=True):
    """Which memberships; ids parted by blanks."""

    institution: str = ""
    account: str = ""
    account_type: str = ""
    search: str = ""
    page: Page = Page()


class MemberChanges(msgspec.Struct, frozen=True):
    """What to change; None leaves it."""

    account_type: str | None = None
    entitlements: tuple[str, ...] | None = None
    status: str | None = None


class Enrolled(msgspec.Struct, frozen=True):
    """How many memberships were made, and how many ids were left alone."""

    created: int
    skipped: int


class Members:
    """Managing memberships. One for the whole server."""

    def __init__(self, db: Database, revocations: Revocations) -> None:
        """Keep the parts."""
        self._db = db
        self._revocations = revocations

    async def search(self, caller: Caller, wanted: MembersFilter) -> tuple[list[MembershipRow], int]:
        """Return a page of the memberships in the twins where the caller may list users."""

        def read(tx: Tx) -> tuple[list[MembershipRow], int]:
            found = policy.reach(tx, caller, Verb.USERS_LIST)
            reach = policy.narrowed(tx, found, institution=wanted.institution, account=wanted.account)
            return people.search_memberships(tx, _filter(reach, wanted))

        return await self._db.read(read)

    async def of_user(self, caller: Caller, user_id: str) -> list[MembershipRow]:
        """Return a person's memberships within the caller's reach. Raises InvalidId, NotFound (none within)."""
        wanted = parse_id(user_id)
        if wanted is None:
            raise InvalidId(param="userId")

        def read(tx: Tx) -> list[MembershipRow]:
            reach = policy.reach(tx, caller, Verb.USERS_LIST)
            institutions_within = None if reach.everything else reach.institutions
            found = PeopleFilter(institutions=institutions_within, user_id=wanted, most=1_000)
            rows, _ = people.search_memberships(tx, found)
            if not rows:
                raise NotFound(param="userId")
            return rows

        return await self._db.read(read)

    async def change(self, by: Actor, target_id: str, changes: MemberChanges) -> MembershipRow:
        """Change a membership, named by its id or, within the caller's active twin, by its user's (admin 6.4).

        Raises InvalidId, NotFound, EntitlementMissing (also for verbs that the caller does not hold there),
        NotYourself, ValidationFailed.
        """

        def store(tx: Tx) -> tuple[MembershipRow, bool]:
            one = _within(tx, by.caller, target_id)
            if one.user_id == by.caller.user_id and not policy.is_super(by.caller):
                raise NotYourself
            values = _checked(tx, by.caller, one, changes)
            target = Target("membership", one.id, one.institution_id)
            before = {name: getattr(one, name) for name in values}
            if values:
                people.change(tx, one.id, values)
                audit.note(tx, by, "membership.changed", target, before=before, after=values)
            return people.rows_of(tx, [one.id])[0], _less(one, values)

        row, less = await self._db.write(store)
        if less:
            self._revocations.left([row.user.id], row.membership.institution_id)
        return row

    async def remove(self, by: Actor, membership_id: str) -> None:
        """Delete a membership for good. Raises as `change` does."""

        def store(tx: Tx) -> Membership:
            one = _within(tx, by.caller, membership_id)
            _remove(tx, by, one)
            return one

        one = await self._db.write(store)
        self._revocations.left([one.user_id], one.institution_id)

    async def remove_many(self, by: Actor, membership_ids: Sequence[str]) -> tuple[int, list[Skipped]]:
        """Delete memberships, each by itself; return how many, and what was left alone."""

        def store(tx: Tx) -> tuple[list[Membership], list[Skipped]]:
            gone: list[Membership] = []
            skipped: list[Skipped] = []
            for membership_id in dict.fromkeys(membership_ids):
                try:
                    one = _within(tx, by.caller, membership_id, by_user=False)
                    _remove(tx, by, one)
                    gone.append(one)
                except CodedError as error:
                    skipped.append(Skipped(membership_id, error.code))
            return gone, skipped

        gone, skipped = await self._db.write(store)
        for one in gone:
            self._revocations.left([one.user_id], one.institution_id)
        return len(gone), skipped

    async def eligible(self, caller: Caller, institution_id: str, search: str) -> tuple[list[User], int]:
        """Return whom the caller might enrol: people of twins within reach, or whoever's whole address is given.

        The rest of the server's people are nobody's business. Raises as `policy.require` does.
        """

        def read(tx: Tx) -> tuple[list[User], int]:
            twin = policy.require(tx, caller, Verb.USERS_ADD, institution_id, param="institution")
            reach = policy.reach(tx, caller, Verb.USERS_ADD)
            wanted = PeopleFilter(
                institutions=None if reach.everything else reach.institutions, search=search, most=ELIGIBLE_MAX
            )
            return people.eligible(tx, twin, wanted, exact=search.strip().lower())

        return await self._db.read(read)

    async def enrol(
        self, by: Actor, institution_id: str, user_ids: Sequence[str], account_type: str, verbs: tuple[str, ...]
    ) -> Enrolled:
        """Make people members. Who is one already, unknown, or no id is left alone. Raises as `change` does."""

        def store(tx: Tx) -> Enrolled:
            twin = policy.require(tx, by.caller, Verb.USERS_ADD, institution_id, param="institution")
            before = len(people.members_of(tx, twin))
            self.enrol_in(tx, by, twin, user_ids, kind=account_type, verbs=verbs)
            created = len(people.members_of(tx, twin)) - before
            return Enrolled(created=created, skipped=len(user_ids) - created)

        return await self._db.write(store)

    def enrol_in(
        self, tx: Tx, by: Actor, institution_id: str, user_ids: Sequence[str], *, kind: str, verbs: tuple[str, ...]
    ) -> str:
        """Do as `enrol` does, inside a transaction; return the twin's id."""
        twin = policy.require(tx, by.caller, Verb.USERS_ADD, institution_id, param="institution")
        granted = _granted(tx, by.caller, twin, kind, verbs)
        wanted = dict.fromkeys(parsed for one in user_ids if (parsed := parse_id(one)) is not None)
        there, members = people.existing(tx, wanted), set(people.members_of(tx, twin))
        for user_id in wanted:
            if user_id in there and user_id not in members:
                enrol(tx, by, _new(user_id, twin, kind, granted))
        return twin


def enrol(tx: Tx, by: Actor, new: Membership) -> Membership:
    """Make a membership, with the twin's gift if it has one (`joining.award`), and note it."""
    made = memberships.add(tx, new)
    after = {"user_id": made.user_id, "account_type": made.account_type, "entitlements": made.entitlements}
    audit.note(tx, by, "membership.made", Target("membership", made.id, made.institution_id), after=after)
    return made


def _new(user_id: str, institution_id: str, account_type: str, verbs: tuple[str, ...]) -> Membership:
    now = now_ms()
    return Membership(
        id=new_id(),
        user_id=user_id,
        institution_id=institution_id,
        created=now,
        joined=now,
        account_type=account_type,
        entitlements=verbs,
    )


def _filter(reach: Reach, wanted: MembersFilter) -> PeopleFilter:
    return PeopleFilter(
        institutions=None if reach.everything else reach.institutions,
        account_type=wanted.account_type,
        search=wanted.search,
        skip=wanted.page.skip,
        most=wanted.page.size,
    )


def _within(tx: Tx, caller: Caller, target_id: str, *, by_user: bool = True) -> Membership:
    """Return a membership that a caller may manage. Raises InvalidId, NotFound, EntitlementMissing."""
    wanted = parse_id(target_id)
    if wanted is None:
        raise InvalidId(param="id")
    one = next(iter(memberships.by_ids(tx, [wanted])), None)
    if one is None and by_user and caller.institution_id is not None:
        one = memberships.get(tx, wanted, caller.institution_id)
    if one is None:
        raise NotFound(param="id")
    try:
        policy.require(tx, caller, Verb.INSTITUTIONS_EDIT, one.institution_id)
    except NotFound:
        raise NotFound(param="id") from None
    return one


def _remove(tx: Tx, by: Actor, one: Membership) -> None:
    if one.user_id == by.caller.user_id and not policy.is_super(by.caller):
        raise NotYourself
    before = {"user_id": one.user_id, "account_type": one.account_type, "entitlements": one.entitlements}
    audit.note(tx, by, "membership.removed", Target("membership", one.id, one.institution_id), before=before)
    people.remove(tx, one.id)


def _checked(tx: Tx, caller: Caller, one: Membership, changes: MemberChanges) -> dict[str, Any]:
    """Return the columns to set. Raises ValidationFailed, EntitlementMissing."""
    values: dict[str, Any] = {}
    kind = changes.account_type or one.account_type
    if changes.account_type is not None:
        values["account_type"] = kind
    if changes.status is not None:
        values["status"] = changes.status
    verbs = changes.entitlements
    if verbs is None and kind == "user":
        verbs = ()
    if verbs is not None or (kind == "admin" and one.account_type != "admin"):
        values["entitlements"] = _granted(tx, caller, one.institution_id, kind, verbs or (), had=one.entitlements)
    return values


def _granted(
    tx: Tx, caller: Caller, institution_id: str, kind: str, verbs: tuple[str, ...], *, had: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Return the verbs to give. Nobody gives what he does not hold there himself, but may leave what was there."""
    if unknown := policy.unknown_verbs(verbs):
        raise ValidationFailed(param="entitlements", details=field("entitlements", f"no verb: {', '.join(unknown)}"))
    if kind == "user":
        if verbs:
            raise ValidationFailed(param="entitlements", details=field("entitlements", "are for administrators"))
        return ()
    if not verbs and institutions.entitles_new_admins(tx, institution_id):
        return LIST_VERBS
    missing = sorted(set(verbs) - set(had) - set(policy.verbs(tx, caller, institution_id)))
    if missing:
        raise EntitlementMissing("You cannot give what you do not hold yourself.", details={"verb": missing[0]})
    return tuple(dict.fromkeys(verbs))


def _less(one: Membership, values: dict[str, Any]) -> bool:
    """Tell whether a change takes something away."""
    return (
        values.get("status", "active") != "active"
        or (one.account_type != "user" and values.get("account_type") == "user")
        or not set(one.entitlements) <= set(values.get("entitlements", one.entitlements))
    )
