"""Who may do what, in which twin. The one module that decides (reference: admin 1 and 2; decision 024).

Account > institution > membership > user. Two gates lead into administration: the person must be an administrator, and
so must the membership, which then entitles to single verbs. Who manages an account (an administrator whose verified
address is in its list) has every verb in every twin of it. A super administrator has everything.

Routes and events declare an `Access`; `admit` lets a caller in by it. What a request names is then checked by `reach`,
inside the transaction that does the work, so that a right that is taken away is gone with the next statement:

    policy.require(tx, caller, Verb.USERS_EDIT, institution_id)              one twin
    policy.reach(tx, caller, Verb.USERS_LIST).covers(institution_id)         many, each by itself
    scope_of_reach(policy.narrowed(tx, reach, institution=…, account=…))     rows of tenant tables
"""

from collections.abc import Iterable

from twinspeak.domain.access import ALL_VERBS, Access, Gate, Reach, Verb
from twinspeak.domain.caller import Caller
from twinspeak.domain.errors import (
    AccountManagerRequired,
    ActingAsSomebody,
    AdminRequired,
    EntitlementMissing,
    InvalidId,
    NotFound,
    SuperRequired,
)
from twinspeak.domain.ids import parse_id
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import memberships
from twinspeak.persistence.repos import reach as rows

EVERYTHING = Reach(everything=True)

_MAX_IDS = 500
"""How many ids a filter may hold."""


class Policy:
    """Lets callers in. One for the whole server."""

    def __init__(self, db: Database) -> None:
        """Keep the database."""
        self._db = db

    async def admit(self, caller: Caller, access: Access) -> None:
        """Let a signed-in caller in by what the route declares.

        Raises AdminRequired, EntitlementMissing, AccountManagerRequired, SuperRequired.
        """
        if access.gate not in (Gate.ADMIN, Gate.MANAGER, Gate.SUPER):
            return
        as_oneself(caller)
        if access.gate is Gate.SUPER and not is_super(caller):
            raise SuperRequired
        _pass_gate(caller)
        if not is_super(caller) and (access.gate is Gate.MANAGER or access.verb is not None):
            await self._db.read(lambda tx: _admit(tx, caller, access))


def is_super(caller: Caller) -> bool:
    """Tell whether somebody bypasses every check."""
    return caller.account_type == "super"


def reach(tx: Tx, caller: Caller, verb: Verb | None) -> Reach:
    """Return where a caller may use a verb; with None, where the caller administers at all.

    Raises AdminRequired for who is no administrator. An empty reach is no error here.
    """
    _pass_gate(caller)
    if is_super(caller):
        return EVERYTHING
    managed = rows.of_accounts(tx, rows.managed_accounts(tx, caller.user_id))
    return Reach(institutions=managed | rows.entitled(tx, caller.user_id, verb))


def require(tx: Tx, caller: Caller, verb: Verb, institution_id: str, *, param: str | None = None) -> str:
    """Make sure that a caller may use a verb in a twin; return its id as it is stored.

    Raises InvalidId (no id at all), NotFound (unknown, deleted or foreign: the same) and EntitlementMissing (only to
    who administers that twin without this verb). `param` names the field or path part that held the id.
    """
    wanted = parse_id(institution_id)
    if wanted is None:
        raise InvalidId(param=param)
    found = reach(tx, caller, verb)
    if found.everything and rows.existing(tx, [wanted]):
        return wanted
    if found.everything or wanted not in found.institutions:
        raise _refusal(tx, caller, verb, wanted, param)
    return wanted


def narrowed(tx: Tx, found: Reach, *, institution: str = "", account: str = "") -> Reach:
    """Return a reach within what a list filters by: ids parted by blanks, accounts standing for all their twins.

    Unknown and foreign ids add nothing (admin 2.3). Raises InvalidId.
    """
    result = found
    if institution.strip():
        wanted = ids_in(institution, param="institution")
        result = Reach(institutions=rows.existing(tx, wanted) if found.everything else wanted & found.institutions)
    if account.strip():
        within = rows.of_accounts(tx, ids_in(account, param="account"))
        result = Reach(institutions=within if result.everything else within & result.institutions)
    return result


def managed_accounts(tx: Tx, caller: Caller) -> frozenset[str]:
    """Return the accounts that a caller manages; a super administrator needs to manage none. Raises AdminRequired."""
    _pass_gate(caller)
    return rows.managed_accounts(tx, caller.user_id)


def require_account(tx: Tx, caller: Caller, account_id: str, *, param: str | None = None) -> str:
    """Make sure that a caller is super or manages an account; return its id. Raises InvalidId, NotFound."""
    wanted = parse_id(account_id)
    if wanted is None:
        raise InvalidId(param=param)
    within = rows.account_exists(tx, wanted) if is_super(caller) else wanted in managed_accounts(tx, caller)
    if not within:
        raise NotFound(param=param)
    return wanted


def verbs(tx: Tx, caller: Caller, institution_id: str | None) -> tuple[str, ...]:
    """Return what a caller may do in a twin: what profiles show as permissions."""
    if is_super(caller):
        return ALL_VERBS
    if caller.account_type != "admin" or institution_id is None:
        return ()
    if institution_id in rows.of_accounts(tx, rows.managed_accounts(tx, caller.user_id)):
        return ALL_VERBS
    if institution_id not in rows.entitled(tx, caller.user_id, None):
        return ()
    membership = memberships.get(tx, caller.user_id, institution_id)
    return membership.entitlements if membership else ()


def as_oneself(caller: Caller) -> None:
    """Raise ActingAsSomebody for what an administrator who acts as a person may not do in the person's name."""
    if caller.actor_id is not None:
        raise ActingAsSomebody


def ids_in(text: str, *, param: str) -> frozenset[str]:
    """Return the ids in a filter, parted by blanks (admin 1). Raises InvalidId, also for too many."""
    words = text.split()
    parsed = [parse_id(word) for word in words[: _MAX_IDS + 1]]
    found = frozenset(one for one in parsed if one is not None)
    if None in parsed or len(words) > _MAX_IDS:
        raise InvalidId(param=param)
    return found


def unknown_verbs(given: Iterable[str]) -> list[str]:
    """Return what in a list of entitlements is no verb."""
    return sorted(set(given) - set(ALL_VERBS))


def _pass_gate(caller: Caller) -> None:
    if caller.account_type not in ("admin", "super"):
        raise AdminRequired


def _admit(tx: Tx, caller: Caller, access: Access) -> None:
    if access.gate is Gate.MANAGER:
        if not rows.managed_accounts(tx, caller.user_id):
            raise AccountManagerRequired
    elif access.verb is not None and not reach(tx, caller, access.verb):
        raise EntitlementMissing(details={"verb": str(access.verb)})


def _refusal(
    tx: Tx, caller: Caller, verb: Verb, institution_id: str, param: str | None
) -> NotFound | EntitlementMissing:
    """Return why not: who administers the twin knows it already, so may be told which verb is missing."""
    if not is_super(caller) and institution_id in rows.entitled(tx, caller.user_id, None):
        return EntitlementMissing(details={"verb": str(verb)})
    return NotFound(param=param)
