"""What administration services share: paging, whom an administrator may touch, and single refusals in bulk work."""

import msgspec

from twinspeak.domain.access import Verb
from twinspeak.domain.caller import Caller
from twinspeak.domain.errors import (
    CallerError,
    EntitlementMissing,
    InvalidId,
    NotFound,
    SuperRequired,
    ValidationFailed,
)
from twinspeak.domain.ids import parse_id
from twinspeak.domain.people import User
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import people, users
from twinspeak.services import policy
from twinspeak.services.passwords import field

MAX_BULK = 500
MASK = "********"
"""Stands for a secret that is there; sent back, it leaves the secret as it is."""


class Page(msgspec.Struct, frozen=True):
    """Which part of a list (admin 1): 1-based."""

    page: int = 1
    size: int = 100

    @property
    def skip(self) -> int:
        """How many rows come before."""
        return (self.page - 1) * self.size


class Skipped(msgspec.Struct, frozen=True):
    """A target of bulk work that was left alone, and why."""

    id: str
    reason: str


class NotYourself(CallerError):
    """What administrators may not do to themselves."""

    code = "not_yourself"
    status = 409
    default = "You cannot do this to yourself."


def twin_within(tx: Tx, caller: Caller, verb: Verb, institution_id: str | None) -> str:
    """Return the twin named, else the caller's active one, where he holds a verb.

    Raises ValidationFailed (neither is there), and what `policy.require` does.
    """
    twin = institution_id or caller.institution_id
    if not twin:
        raise ValidationFailed(param="institution", details=field("institution", "is missing"))
    return policy.require(tx, caller, verb, twin, param="institution")


def person_within(tx: Tx, caller: Caller, verb: Verb, user_id: str, *, all_twins: bool = True) -> User:
    """Return a person whom a caller may administer by a verb.

    Super administrators may everybody. Others need the verb in a twin of the person, and with `all_twins` in every one:
    what one does to a person as such is felt in all of them. Nobody but they touches a super administrator. Raises
    InvalidId, NotFound (unknown and foreign alike), EntitlementMissing, SuperRequired.
    """
    wanted = parse_id(user_id)
    if wanted is None:
        raise InvalidId(param="userId")
    user = users.by_id(tx, wanted)
    if user is None or user.status == "deleted":
        raise NotFound(param="userId")
    if policy.is_super(caller):
        return user
    twins, within = people.twins_of(tx, wanted), policy.reach(tx, caller, verb).institutions
    if not twins & within:
        raise NotFound(param="userId")
    if user.account_type == "super":
        raise SuperRequired
    if all_twins and not twins <= within:
        raise EntitlementMissing(
            "This person belongs to other digital twins too: change the membership in yours.",
            details={"verb": str(verb)},
        )
    return user
