"""Users, what ties them to twins, and their sign-ins, as services pass them on. Times are epoch milliseconds."""

from typing import Any

import msgspec

from twinspeak.domain.caller import Caller

STARTING_CREDITS = 50
"""What new users and new twins are awarded (contract section 5)."""


class User(msgspec.Struct, frozen=True):
    """A person. `account_type` is super, admin or user; `status` active, pending, suspended or deleted.

    `email_verified` is when the address was known to be the person's own: None gives nothing that an address gives.
    `rag_ignore` and `rag_only` None say nothing. `preferences` holds the profile fields that nothing decides on.
    """

    id: str
    email: str
    created: int
    fname: str = ""
    lname: str = ""
    picture: str = ""
    account_type: str = "user"
    status: str = "active"
    plan: str = "free"
    active_institution_id: str | None = None
    remember_history_count: int = 3
    rag_ignore: bool | None = None
    rag_only: bool | None = None
    referral_id: str = ""
    reset_code_id: str = ""
    must_change_password: bool = False
    credits_used: int = 0
    preferences: dict[str, Any] = {}
    email_verified: int | None = None
    last_login: int | None = None

    @property
    def name(self) -> str:
        """First and last name, as far as they are known."""
        return f"{self.fname} {self.lname}".strip()


class Membership(msgspec.Struct, frozen=True):
    """A user in an institution. `account_type` holds there only; `entitlements` are `module.action` verbs.

    `status` is active, pending, inactive or suspended; `preferences` is what clients keep there; `referrer_id` who
    invited.
    """

    id: str
    user_id: str
    institution_id: str
    created: int
    account_type: str = "user"
    status: str = "active"
    entitlements: tuple[str, ...] = ()
    favorite: bool = False
    last_login: int | None = None
    credit_awarded: int = 0
    credit_awarded_date: int | None = None
    joined: int | None = None
    accepted_privacy: int | None = None
    preferences: dict[str, Any] = {}
    referrer_id: str | None = None


class LiveSession(msgspec.Struct, frozen=True):
    """A session row that is neither revoked nor expired, with its user.

    `caller.institution_id` is None when the membership or the twin is not active.
    """

    caller: Caller
    user_status: str
    created: int
    expires: int
    last_seen: int


class InstitutionCard(msgspec.Struct, frozen=True):
    """What profiles show of a twin beyond `domain.institution.Institution`."""

    id: str
    account_id: str | None
    status: str
    about: str
    picture: str
    contact_email: str
    created: int


class MemberTwin(msgspec.Struct, frozen=True):
    """Where a membership is, as lists show it; the account may be none."""

    id: str
    name: str
    ai_name: str
    status: str
    account_id: str | None
    account_name: str | None


class PersonRow(msgspec.Struct, frozen=True):
    """A person with his credits; `twin` is (id, name, ai_name) of the active twin, where that may be told."""

    user: User
    credits: int
    twin: tuple[str, str, str] | None = None


class MembershipRow(msgspec.Struct, frozen=True):
    """A membership with who and where."""

    membership: Membership
    user: User
    twin: MemberTwin


class ApiKey(msgspec.Struct, frozen=True):
    """A personal API key without its secret, of which `ending` is the end. No scopes: it stands for its owner."""

    id: str
    user_id: str
    session_id: str
    name: str
    ending: str
    created: int
    scopes: tuple[str, ...] = ()
    expires: int | None = None
    last_used: int | None = None


class KeyDevice(msgspec.Struct, frozen=True):
    """Something that used a key. `fingerprint` tells devices apart, `device` says what is known of one."""

    id: str
    fingerprint: str
    device: dict[str, str]
    first_seen: int
    last_seen: int
    usage_count: int = 1
