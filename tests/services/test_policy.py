"""Who reaches which twin: the two gates, verbs, account managers, super administrators (reference: admin 2)."""

import pytest
from sqlalchemy import insert, update

from tests.services.stage import Stage
from twinspeak.domain.access import ALL_VERBS, Access, Gate, Reach, Verb
from twinspeak.domain.caller import Caller, Scope, scope_of_reach
from twinspeak.domain.errors import (
    AccountManagerRequired,
    AdminRequired,
    CodedError,
    EntitlementMissing,
    InvalidId,
    NotFound,
    SuperRequired,
)
from twinspeak.domain.ids import new_id
from twinspeak.domain.institution import Institution
from twinspeak.domain.people import User
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import institutions
from twinspeak.persistence.tables import account_managers, accounts
from twinspeak.persistence.tables import institutions as institution_table
from twinspeak.services import policy
from twinspeak.services.policy import Policy

LIST, EDIT = str(Verb.USERS_LIST), str(Verb.USERS_EDIT)


def caller_of(user: User, account_type: str | None = None) -> Caller:
    return Caller(
        user_id=user.id,
        email=user.email,
        kind="user",
        session_id=new_id(),
        account_type=account_type or user.account_type,
    )


def administrator(stage: Stage, twin: Institution, *verbs: str, email: str = "ada@example.org") -> Caller:
    user = stage.person(email, account_type="admin")
    stage.join(user, twin, account_type="admin", verbs=verbs)
    return caller_of(user, "admin")


def reach(stage: Stage, caller: Caller, verb: Verb | None = Verb.USERS_LIST) -> Reach:
    return stage.db.read_sync(lambda tx: policy.reach(tx, caller, verb))


def manage(stage: Stage, twin: Institution, email: str, *, account: str = "Managed") -> str:
    """Put a twin into an account of its own, managed by an address."""

    def store(tx: Tx) -> str:
        account_id = institutions.ensure_account(tx, account)
        tx.run(insert(account_managers).values(account_id=account_id, email=email))
        moved = update(institution_table).where(institution_table.c.id == twin.id).values(account_id=account_id)
        tx.run(moved)
        return account_id

    return stage.db.write_sync(store)


def test_a_verb_reaches_the_twin_that_grants_it(stage: Stage):
    oak, elm = stage.twin("Oak"), stage.twin("Elm")
    ada = administrator(stage, oak, LIST)
    assert reach(stage, ada) == Reach(institutions=frozenset({oak.id}))
    assert not reach(stage, ada, Verb.USERS_EDIT)
    assert reach(stage, ada, None).institutions == {oak.id}
    assert not reach(stage, ada).covers(elm.id)
    assert not reach(stage, ada).covers(None)


def test_both_gates_must_be_passed(stage: Stage):
    """A membership alone is not enough, and neither is being an administrator somewhere else (2.1)."""
    oak = stage.twin("Oak")
    member = stage.person("bob@example.org")
    stage.join(member, oak, account_type="admin", verbs=ALL_VERBS)
    with pytest.raises(AdminRequired):
        reach(stage, caller_of(member))
    admin = stage.person("eve@example.org", account_type="admin")
    stage.join(admin, oak, account_type="user", verbs=ALL_VERBS)
    assert not reach(stage, caller_of(admin, "admin"))


@pytest.mark.parametrize("status", ["pending", "suspended", "deleted"])
def test_a_membership_that_is_not_active_gives_nothing(stage: Stage, status: str):
    oak = stage.twin("Oak")
    user = stage.person(account_type="admin")
    membership = stage.join(user, oak, account_type="admin", verbs=(LIST,))
    stage.set_membership(membership, status)
    assert not reach(stage, caller_of(user, "admin"))


def test_a_deleted_twin_is_out_of_reach_even_for_super(stage: Stage):
    oak = stage.twin("Oak")
    ada = administrator(stage, oak, LIST)
    manage(stage, oak, ada.email)
    stage.set_twin(oak, status="deleted")
    assert not reach(stage, ada)
    root = caller_of(stage.person("root@example.org", account_type="super"), "super")
    with pytest.raises(NotFound):
        stage.db.read_sync(lambda tx: policy.require(tx, root, Verb.USERS_LIST, oak.id))


def test_an_inactive_twin_can_still_be_administered(stage: Stage):
    oak = stage.twin("Oak")
    ada = administrator(stage, oak, LIST)
    stage.set_twin(oak, status="inactive")
    assert reach(stage, ada).covers(oak.id)


def test_a_manager_has_every_verb_in_every_twin_of_the_account(stage: Stage):
    oak, elm = stage.twin("Oak"), stage.twin("Elm")
    user = stage.person("ada@example.org", account_type="admin")
    account_id = manage(stage, oak, "ada@example.org")
    ada = caller_of(user, "admin")
    for verb in Verb:
        assert reach(stage, ada, verb).institutions == {oak.id}
    assert stage.db.read_sync(lambda tx: policy.verbs(tx, ada, oak.id)) == ALL_VERBS
    assert stage.db.read_sync(lambda tx: policy.verbs(tx, ada, elm.id)) == ()
    assert stage.db.read_sync(lambda tx: policy.require_account(tx, ada, account_id)) == account_id


@pytest.mark.parametrize("lost", ["verified", "administrator", "account"])
def test_what_a_manager_must_have(stage: Stage, lost: str):
    oak = stage.twin("Oak")
    user = stage.person("ada@example.org", account_type="admin")
    account_id = manage(stage, oak, "ada@example.org")
    ada = caller_of(user, "user" if lost == "administrator" else "admin")
    if lost == "verified":  # or anybody who may add users could make one with the manager's address
        stage.edit(user, email_verified=None)
    if lost == "account":
        closed = update(accounts).where(accounts.c.id == account_id).values(status="deleted")
        stage.db.write_sync(lambda tx: tx.run(closed))
    if lost == "administrator":
        with pytest.raises(AdminRequired):
            reach(stage, ada)
    else:
        assert not reach(stage, ada)


def test_a_manager_of_another_account_reaches_nothing_here(stage: Stage):
    oak, elm = stage.twin("Oak"), stage.twin("Elm")
    stage.person("ada@example.org")
    eve = caller_of(stage.person("eve@example.org", account_type="admin"), "admin")
    mine = manage(stage, oak, "ada@example.org")
    theirs = manage(stage, elm, "eve@example.org", account="Theirs")
    assert reach(stage, eve).institutions == {elm.id}
    for account_id in (mine, new_id()):
        with pytest.raises(NotFound):
            stage.db.read_sync(lambda tx, one=account_id: policy.require_account(tx, eve, one))
    assert stage.db.read_sync(lambda tx: policy.require_account(tx, eve, theirs)) == theirs


def test_a_super_administrator_needs_no_membership(stage: Stage):
    oak = stage.twin("Oak")
    root = caller_of(stage.person("root@example.org", account_type="super"), "super")
    assert reach(stage, root).everything
    assert stage.db.read_sync(lambda tx: policy.require(tx, root, Verb.AIMODELS_EDIT, oak.id.upper())) == oak.id
    assert stage.db.read_sync(lambda tx: policy.verbs(tx, root, None)) == ALL_VERBS


@pytest.mark.parametrize(
    ("which", "error"),
    [("oak", EntitlementMissing), ("elm", NotFound), ("unknown", NotFound), ("no id", InvalidId)],
)
def test_what_a_refusal_tells(stage: Stage, which: str, error: type[CodedError]):
    """Which verb is missing is told to who administers the twin; a foreign twin is as unknown as none."""
    oak, elm = stage.twin("Oak"), stage.twin("Elm")
    ada = administrator(stage, oak, LIST)
    named = {"oak": oak.id, "elm": elm.id, "unknown": new_id(), "no id": "oak"}[which]
    with pytest.raises(error):
        stage.db.read_sync(lambda tx: policy.require(tx, ada, Verb.USERS_EDIT, named))


def test_filters_are_cut_to_the_reach(stage: Stage):
    oak, elm, ash = stage.twin("Oak"), stage.twin("Elm"), stage.twin("Ash")
    account_id = manage(stage, elm, "nobody@example.org")
    ada = administrator(stage, oak, LIST)
    root = caller_of(stage.person("root@example.org", account_type="super"), "super")

    def narrowed(caller: Caller, **given: str) -> frozenset[str]:
        return stage.db.read_sync(
            lambda tx: policy.narrowed(tx, policy.reach(tx, caller, Verb.USERS_LIST), **given)
        ).institutions

    assert narrowed(ada, institution=f"{oak.id} {elm.id}") == {oak.id}
    assert narrowed(ada, institution=elm.id) == narrowed(ada, institution=new_id()) == frozenset()
    assert narrowed(ada, account=account_id) == frozenset()
    assert narrowed(ada, account="  ") == {oak.id}
    assert narrowed(root, institution=f"{oak.id} {ash.id} {new_id()}") == {oak.id, ash.id}
    assert narrowed(root, account=account_id) == {elm.id}
    assert narrowed(root, account=account_id, institution=oak.id) == frozenset()
    for wrong in ("oak", f"{oak.id},{elm.id}", f"{oak.id} " * 501):
        with pytest.raises(InvalidId):
            narrowed(root, institution=wrong)


def test_a_verb_is_not_found_in_a_longer_word(stage: Stage):
    oak = stage.twin("Oak")
    ada = administrator(stage, oak, "xusers.list", "users.listing", "users_list")
    assert not reach(stage, ada)


def test_the_scope_of_a_reach():
    assert scope_of_reach(Reach(everything=True)) == Scope(user_id=None, institution_id=None, system=True)
    found = scope_of_reach(Reach(institutions=frozenset({"a" * 24})))
    assert (found.system, found.managed) == (False, frozenset({"a" * 24}))
    assert scope_of_reach(Reach()).managed == frozenset()


ACCESSES = {
    "public": Access(Gate.PUBLIC),
    "signed in": Access(Gate.SIGNED_IN),
    "admin": Access(Gate.ADMIN),
    "verb": Access(Gate.ADMIN, Verb.USERS_LIST),
    "manager": Access(Gate.MANAGER),
    "super": Access(Gate.SUPER),
}
ADMITTED: dict[str, dict[str, type[CodedError]]] = {
    "user": {"admin": AdminRequired, "verb": AdminRequired, "manager": AdminRequired, "super": SuperRequired},
    "admin": {"verb": EntitlementMissing, "manager": AccountManagerRequired, "super": SuperRequired},
    "entitled": {"manager": AccountManagerRequired, "super": SuperRequired},
    "manager": {"super": SuperRequired},
    "super": {},
}


@pytest.mark.parametrize("who", ADMITTED)
@pytest.mark.parametrize("what", ACCESSES)
async def test_who_is_let_in(stage: Stage, who: str, what: str):
    oak = stage.twin("Oak")
    kind = {"user": "user", "super": "super"}.get(who, "admin")
    user = stage.person(account_type=kind)
    if who in ("admin", "entitled"):
        stage.join(user, oak, account_type="admin", verbs=(LIST,) if who == "entitled" else (EDIT,))
    if who == "manager":
        manage(stage, oak, user.email)
    door = Policy(stage.db)
    if error := ADMITTED[who].get(what):
        with pytest.raises(error):
            await door.admit(caller_of(user, kind), ACCESSES[what])
    else:
        await door.admit(caller_of(user, kind), ACCESSES[what])
