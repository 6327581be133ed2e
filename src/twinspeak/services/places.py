"""Which of the caller's places a request is about: the active twin, the personal space, a twin by its id."""

from typing import Literal

from twinspeak.domain.caller import Caller, Scope, scope_of
from twinspeak.domain.errors import InvalidId, NotAMember
from twinspeak.domain.ids import parse_id
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import memberships

CURRENT: Literal["current"] = "current"
"""The active twin, or the personal space when there is none."""

Place = str | None
"""`CURRENT`, None for the personal space, or a twin's id as it was sent (reference 4.3: `institution`)."""


def scope_in(tx: Tx, caller: Caller, place: Place) -> Scope:
    """Return the scope of a place. Raises InvalidId, and NotAMember for unknown, foreign and inactive twins alike."""
    if place is None:
        return scope_of(caller, None)
    if place == CURRENT:
        return scope_of(caller, caller.institution_id)
    parsed = parse_id(place)
    if parsed is None:
        raise InvalidId(param="institution")
    if memberships.twin(tx, caller.user_id, parsed) is None:
        raise NotAMember
    return scope_of(caller, parsed)
