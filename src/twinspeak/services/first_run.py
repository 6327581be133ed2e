"""What a new installation starts with: an administrator, a twin with documents in its vault, assistants.

Every start calls `first_run`; only the first does anything. Its steps are two transactions with a mark each, so a start
that was cut off is finished by the next, and what an administrator deleted later does not come back.
"""

from collections.abc import Callable, Sequence

import msgspec

from twinspeak.domain.assistant import Assistant
from twinspeak.domain.caller import Scope
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import OperatorError, ValidationFailed
from twinspeak.domain.ids import new_id, new_secret, new_uuid
from twinspeak.domain.institution import Institution
from twinspeak.domain.people import STARTING_CREDITS, User
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import assistants, institutions, memberships, meta, users
from twinspeak.persistence.scope import SYSTEM
from twinspeak.services.passwords import check_email, check_new
from twinspeak.services.ports import PasswordHasher
from twinspeak.services.users import GENERATED_BYTES

ACCOUNT = "Default"
MADE_KEY = "first_run.made"
"""In `meta`: which administrator and which twin were made."""
SAMPLES_KEY = "first_run.samples"
"""In `meta`: when the sample documents were all in the vault."""

TWIN_NAME = "Sample"
TWIN_AI_NAME = "Sage"
TWIN_ABOUT = "A digital twin to try things with. It knows a few sample documents; rename it or make your own."
TWIN_PROMPT = (
    "Answer from the knowledge vault where it has an answer, briefly and in the language of the question. "
    "If it has none, say so before you answer from elsewhere."
)

ASSISTANTS = (
    Assistant(
        id="",
        name="Explainer",
        instructions=(
            "Explain step by step, from what the user already seems to know to what is new. "
            "Use one concrete example, and end with a one-sentence summary."
        ),
    ),
    Assistant(
        id="",
        name="Tutor",
        instructions=(
            "Help the user find the answer instead of giving it at once: ask one short question at a time, say what is "
            "right about each reply, and give the full answer when the user asks for it or has tried twice."
        ),
    ),
)
"""Everybody's assistants."""

Ingest = Callable[[Scope, str, str], object]
"""Puts a document (scope of the vault, name, text) into a vault; the same one twice changes nothing."""


class Administrator(msgspec.Struct, frozen=True):
    """Who administers a new installation; `password` None or "" (a variable that is set to nothing): one is made up."""

    email: str
    password: str | None = None


class FirstRun(msgspec.Struct, frozen=True):
    """What to tell the operator. `generated_password` is kept nowhere: print it, now."""

    created: bool
    admin_email: str
    generated_password: str | None
    twin_public_id: str | None


def first_run(
    db: Database,
    passwords: PasswordHasher,
    admin: Administrator,
    *,
    samples: Sequence[tuple[str, str]] = (),
    ingest: Ingest,
) -> FirstRun:
    """Make sure that the installation can be used; blocks the calling thread.

    `samples` are (name, text) of the documents for the sample twin. Raises OperatorError for an administrator's e-mail
    address or password that cannot be.
    """
    made = db.read_sync(_made)
    created = made is None
    generated = None
    if made is None:
        secret = admin.password or new_secret(GENERATED_BYTES)
        email, hashed = _checked(passwords, admin.email, secret)
        made, is_new_user = db.write_sync(lambda tx: _make(tx, email, hashed))
        generated = secret if is_new_user and not admin.password else None
    vault = Scope(user_id=made.owner_id, institution_id=made.twin_id)
    if db.read_sync(lambda tx: meta.get(tx, SAMPLES_KEY)) is None:
        for name, text in samples:
            ingest(vault, name, text)
        db.write_sync(lambda tx: meta.put(tx, SAMPLES_KEY, str(now_ms())))
    return db.read_sync(lambda tx: _told(tx, made, created=created, generated=generated))


class _Made(msgspec.Struct, frozen=True):
    """Who owns the installation, and the twin to begin with."""

    owner_id: str
    twin_id: str


def _made(tx: Tx) -> _Made | None:
    text = meta.get(tx, MADE_KEY)
    return None if text is None else msgspec.json.decode(text, type=_Made)


def _checked(passwords: PasswordHasher, email: str, password: str) -> tuple[str, str]:
    try:
        address = check_email(email)
    except ValidationFailed:
        raise OperatorError("TWINSPEAK_ADMIN_EMAIL is no e-mail address.") from None
    try:
        check_new(password)
        return address, passwords.hash_now(password)
    except ValidationFailed as error:
        message = error.details["fields"][0]["message"]
        raise OperatorError(f"TWINSPEAK_ADMIN_PASSWORD {message}.") from None


def _make(tx: Tx, email: str, hashed: str) -> tuple[_Made, bool]:
    """Make people, twin and assistants; return also whether the administrator is new.

    Somebody who is there already keeps the password and becomes administrator. Of two starts at once, the later one
    finds everything made.
    """
    if (made := _made(tx)) is not None:
        return made, False
    user = users.by_email(tx, email)
    is_new = user is None
    user = user or _administrator(tx, email, hashed)
    twin = Institution(
        id=new_id(),
        public_id=new_uuid(),
        name=TWIN_NAME,
        ai_name=TWIN_AI_NAME,
        prompt=TWIN_PROMPT,
        chat_completion_enabled=True,
    )
    account = institutions.ensure_account(tx, ACCOUNT, manager_email=email)
    institutions.create(tx, twin, account_id=account, about=TWIN_ABOUT, credits=STARTING_CREDITS)
    memberships.create(tx, user.id, twin.id, account_type="admin")
    users.edit(tx, user.id, {"account_type": "super", "status": "active", "active_institution_id": twin.id})
    for assistant in ASSISTANTS:
        assistants.create(tx, SYSTEM, "system", assistant)
    made = _Made(owner_id=user.id, twin_id=twin.id)
    meta.put(tx, MADE_KEY, msgspec.json.encode(made).decode())
    return made, is_new


def _administrator(tx: Tx, email: str, hashed: str) -> User:
    new = users.NewUser(email=email, password_hash=hashed, account_type="super", email_verified=True)
    return users.create(tx, new, credits=STARTING_CREDITS)


def _told(tx: Tx, made: _Made, *, created: bool, generated: str | None) -> FirstRun:
    owner = users.by_id(tx, made.owner_id)
    twin = institutions.by_id(tx, made.twin_id)
    return FirstRun(
        created=created,
        admin_email=owner.email if owner else "",
        generated_password=generated,
        twin_public_id=twin.public_id if twin else None,
    )
