"""The profile that signing in and refreshing return, and its edits (reference 1.1, 2.1, 2.2).

Values only: how fields are spelt on the wire is for `transports.rest.render`.
"""

from typing import Any, cast

import msgspec

from twinspeak.domain.caller import Caller
from twinspeak.domain.errors import InvalidToken, ValidationFailed
from twinspeak.domain.institution import Institution
from twinspeak.domain.people import InstitutionCard, User
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import institutions, second_factors, users, wallets
from twinspeak.services import policy
from twinspeak.services.passwords import field

PLAN_IN_TWIN = "sdk"
"""What a profile calls the plan of somebody whose active profile is a twin's (reference 2.4)."""

PREFERENCES: dict[str, Any] = {
    "browser_voice": "",
    "browser_voices": [],
    "rt_voice": "",
    "gemini_rt_voice": "",
    "xai_rt_voice": "",
    "use_location": False,
    "use_memory": True,
    "use_stt": False,
    "pin_ui": False,
    "showSideBar": True,
    "galleryAsGrid": False,
    "showPriaOptions": True,
    "dark_mode": False,
    "ragKagMode": False,
    "updatePasswordOnSSO": False,
    "lxp_user_id": "",
    "lxp_user_type": 0,
    "lxp_partner_id": "",
    "lxp_partner_name": "",
    "lxp_role_id": 0,
    "lxp_role_name": "",
}
"""What the profile only remembers, with what a new user has; `use_location` and `use_memory` are for prompts too.

`lxp_…` is what the last launch from another site said; no profile edit takes it.
"""

MAX_NAME = 100
MAX_PICTURE = 2_048
MAX_VOICES = 100


class TwinProfile(msgspec.Struct, frozen=True):
    """The active twin as its members see it: its settings, its card, its credits."""

    institution: Institution
    card: InstitutionCard
    credits: int


class Profile(msgspec.Struct, frozen=True):
    """A person as clients see themselves.

    `credits` are the person's own; `account_type` as in the active twin, `permissions` the verbs held there; `twin` is
    None for a personal profile. `preferences` has every key of `PREFERENCES`.
    """

    user: User
    account_type: str
    plan: str
    credits: int
    permissions: tuple[str, ...]
    preferences: dict[str, Any]
    twin: TwinProfile | None = None
    mfa_enabled: bool = False


class ProfileChanges(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person may change; UNSET leaves a field as it is. `rag_ignore`/`rag_only` None say nothing again.

    `preferences` are merged into what is there; a key that is not in `PREFERENCES`, or of another type, is refused.
    """

    fname: str | msgspec.UnsetType = msgspec.UNSET
    lname: str | msgspec.UnsetType = msgspec.UNSET
    picture: str | msgspec.UnsetType = msgspec.UNSET
    remember_history_count: int | msgspec.UnsetType = msgspec.UNSET
    rag_ignore: bool | msgspec.UnsetType | None = msgspec.UNSET
    rag_only: bool | msgspec.UnsetType | None = msgspec.UNSET
    preferences: dict[str, Any] = {}


class Profiles:
    """Reading and editing one's own profile."""

    def __init__(self, db: Database) -> None:
        """Keep the database."""
        self._db = db

    async def get(self, caller: Caller) -> Profile:
        """Return the caller's profile as it is now."""
        return await self._db.read(lambda tx: read(tx, caller))

    async def edit(self, caller: Caller, changes: ProfileChanges) -> Profile:
        """Change the caller's own profile.

        Raises ValidationFailed, naming each field at fault. The e-mail address has a way of its own, for it must be
        shown to be the caller's (`own_account`).
        """

        def change(tx: Tx) -> Profile:
            user = _user(tx, caller)
            columns = _columns(user, changes)
            if columns:
                users.edit(tx, user.id, columns)
            return read(tx, caller)

        return await self._db.write(change)


def read(tx: Tx, caller: Caller) -> Profile:
    """Return a profile; `caller.institution_id` is trusted to be an active twin of an active member."""
    user = _user(tx, caller)
    twin = _twin(tx, caller.institution_id) if caller.institution_id else None
    return Profile(
        user=user,
        account_type=caller.kind,
        plan=PLAN_IN_TWIN if twin else user.plan,
        credits=wallets.balance(tx, "user", user.id),
        permissions=policy.verbs(tx, caller, caller.institution_id),
        preferences={**PREFERENCES, **user.preferences},
        twin=twin,
        mfa_enabled=second_factors.enabled(tx, user.id) is not None,
    )


def _user(tx: Tx, caller: Caller) -> User:
    user = users.by_id(tx, caller.user_id)
    if user is None:
        raise InvalidToken
    return user


def _twin(tx: Tx, institution_id: str) -> TwinProfile | None:
    institution, card = institutions.by_id(tx, institution_id), institutions.card(tx, institution_id)
    if institution is None or card is None:
        return None
    return TwinProfile(institution=institution, card=card, credits=wallets.balance(tx, "institution", institution_id))


def _columns(user: User, changes: ProfileChanges) -> dict[str, Any]:
    """Return the columns to set. Raises ValidationFailed for everything that is wrong, all at once."""
    faults: list[dict[str, str]] = []

    def check(name: str, message: str, *, right: bool) -> None:
        if not right:
            faults.extend(field(name, message)["fields"])

    given: dict[str, Any] = {
        name: value
        for name in ("fname", "lname", "picture", "remember_history_count", "rag_ignore", "rag_only")
        if (value := getattr(changes, name)) is not msgspec.UNSET
    }
    for name in ("fname", "lname"):
        check(name, f"must have at most {MAX_NAME} characters", right=len(given.get(name, "")) <= MAX_NAME)
    check("picture", f"must have at most {MAX_PICTURE} characters", right=len(given.get("picture", "")) <= MAX_PICTURE)
    remembered = given.get("remember_history_count", 0)
    check("remember_history_count", "must be between 0 and 15", right=0 <= remembered <= 15)
    for name, value in changes.preferences.items():
        check(name, "is no preference, or of another type", right=_is_preference(name, value))
    if faults:
        raise ValidationFailed(details={"fields": faults})
    if changes.preferences:
        given["preferences"] = {**user.preferences, **changes.preferences}
    return given


def _is_preference(name: str, value: object) -> bool:
    if name not in PREFERENCES or type(value) is not type(PREFERENCES[name]):
        return False
    if isinstance(value, str):
        return len(value) <= MAX_NAME
    if isinstance(value, list):
        voices = cast("list[object]", value)
        return len(voices) <= MAX_VOICES and all(isinstance(one, str) and len(one) <= MAX_NAME for one in voices)
    return True
