"""People, as the operator adds them and lets them in again at the command line."""

import msgspec

from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import NotFound
from twinspeak.domain.ids import new_secret, parse_uuid
from twinspeak.domain.institution import Institution
from twinspeak.domain.people import STARTING_CREDITS
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import institutions, memberships, second_factors, sessions, users
from twinspeak.services import audit
from twinspeak.services.audit import Target
from twinspeak.services.passwords import check_email, check_new
from twinspeak.services.ports import PasswordHasher

GENERATED_BYTES = 15
_OPERATOR = Actor(Caller(user_id="", email="(command line)", kind="super", session_id=""))


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody to be added. `password` None: one is made up. `account_type` is super, admin or user.

    `twin` is the public id of the twin to join, as `account_type` (super administrators as its admin).
    """

    email: str
    password: str | None = None
    fname: str = ""
    lname: str = ""
    account_type: str = "user"
    twin: str | None = None


class Added(msgspec.Struct, frozen=True):
    """Who was added; `generated_password` is there only if it was made up, and is kept nowhere."""

    user_id: str
    email: str
    generated_password: str | None


def add(db: Database, passwords: PasswordHasher, person: Person) -> Added:
    """Add a user with starting credits; blocks the calling thread.

    Raises ValidationFailed (e-mail, password), Conflict (the address is taken) and NotFound (no such twin).
    """
    email = check_email(person.email)
    generated = None if person.password is not None else new_secret(GENERATED_BYTES)
    secret = generated or person.password or ""
    check_new(secret)
    new = users.NewUser(
        email=email,
        password_hash=passwords.hash_now(secret),
        fname=person.fname,
        lname=person.lname,
        account_type=person.account_type,
        email_verified=True,
    )

    def store(tx: Tx) -> str:
        user = users.create(tx, new, credits=STARTING_CREDITS)
        if person.twin is not None:
            _join(tx, user.id, person.twin, account_type=person.account_type)
        return user.id

    return Added(user_id=db.write_sync(store), email=email, generated_password=generated)


class LetIn(msgspec.Struct, frozen=True):
    """Who can sign in again, and what stood in the way; `generated_password` as in `Added`."""

    email: str
    had_second_step: bool
    ended_sessions: int
    generated_password: str | None


def let_in(db: Database, passwords: PasswordHasher, email: str, password: str | None) -> LetIn:
    """Give somebody a new password, take the second step away and end every session; blocks the calling thread.

    For who lost the way in and has no administrator left to ask. Raises NotFound and ValidationFailed (the password).
    """
    generated = None if password is not None else new_secret(GENERATED_BYTES)
    secret = generated or password or ""
    check_new(secret)
    hashed = passwords.hash_now(secret)

    def store(tx: Tx) -> LetIn:
        user = users.by_email(tx, email)
        if user is None or user.status == "deleted":
            raise NotFound("There is nobody by that address.")
        users.set_password(tx, user.id, hashed)
        had = second_factors.enabled(tx, user.id) is not None
        second_factors.remove(tx, user.id)
        ended = sessions.revoke_all(tx, user.id, now_ms())
        audit.note(tx, _OPERATOR, "user.let_in", Target("user", user.id), after={"second_step_removed": had})
        return LetIn(user.email, had_second_step=had, ended_sessions=len(ended), generated_password=generated)

    return db.write_sync(store)


def twin_to_join(db: Database, public_id: str | None) -> Institution | None:
    """Return the twin named, or the only one there is; None when there are none or several. Raises NotFound."""
    return db.read_sync(lambda tx: institutions.only(tx) if public_id is None else _named(tx, public_id))


def _join(tx: Tx, user_id: str, public_id: str, *, account_type: str) -> None:
    """Make a user a member of an active twin, and that twin the user's active one."""
    institution = _named(tx, public_id)
    inside = "admin" if account_type == "super" else account_type
    memberships.create(tx, user_id, institution.id, account_type=inside)
    users.edit(tx, user_id, {"active_institution_id": institution.id})


def _named(tx: Tx, public_id: str) -> Institution:
    parsed = parse_uuid(public_id)
    institution = institutions.by_public_id(tx, parsed) if parsed else None
    if institution is None:
        raise NotFound("There is no digital twin by that public id.")
    return institution
