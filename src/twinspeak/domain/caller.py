"""Who is asking, and over what data that person has a say."""

import msgspec

from twinspeak.domain.access import Reach


class Caller(msgspec.Struct, frozen=True):
    """A signed-in person, checked against a live session row.

    `institution_id` is the active twin, None for a personal user; `kind` is super, admin or user there: admin takes an
    administrator's membership and an administrator. `account_type` is what the person is everywhere (reference 2.1).
    """

    user_id: str
    email: str
    kind: str
    session_id: str
    institution_id: str | None = None
    account_type: str = "user"
    actor_id: str | None = None


class Actor(msgspec.Struct, frozen=True):
    """Who does something that goes into the audit log, and where from."""

    caller: Caller
    ip: str = ""
    user_agent: str = ""


class TokenClaims(msgspec.Struct, frozen=True):
    """What a sign-in token says (contract section 3). Times are epoch seconds; the session row has the last word."""

    user_id: str
    email: str
    kind: str
    session_id: str
    issued_s: int
    expires_s: int
    customer_id: str | None = None


class SystemCaller(msgspec.Struct, frozen=True):
    """The server's own work: start-up, the reaper, command line. `reason` goes to the log."""

    reason: str


class Scope(msgspec.Struct, frozen=True):
    """What rows a statement may touch; `persistence.scope` renders it as SQL.

    `institution_id` None means the personal space of `user_id`. `managed` means every row of these twins, whoever's:
    for administrators, as `services.policy` reaches; it adds no rows. With `system` set it sees everything.
    """

    user_id: str | None
    institution_id: str | None
    system: bool = False
    managed: frozenset[str] | None = None


def scope_of_reach(reach: Reach) -> Scope:
    """Return the scope of all rows of the twins within `reach`."""
    if reach.everything:
        return Scope(user_id=None, institution_id=None, system=True)
    return Scope(user_id=None, institution_id=None, managed=reach.institutions)


def scope_of(caller: Caller | SystemCaller, institution_id: str | None = None) -> Scope:
    """Return the scope of `caller` in `institution_id` (whose membership the caller of this has checked)."""
    if isinstance(caller, SystemCaller):
        return Scope(user_id=None, institution_id=None, system=True)
    return Scope(user_id=caller.user_id, institution_id=institution_id)
