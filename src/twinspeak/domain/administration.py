"""Twins and accounts as those see them who administer them (reference: admin 3.8 and 4.1)."""

from typing import Any

import msgspec

NEVER, BY_ADMINS, AUTOMATIC = 0, 1, 2
"""How credits get from an account to its twins: by its managers alone, by the twins' administrators too, by itself too.

The wire's numbers; the reference shows the 1 alone (admin 4.1, 4.6).
"""


class Transfer(msgspec.Struct, frozen=True):
    """What was booked (admin 4.6): signed as its twin sees it, or the account where there is no twin.

    `user_id` None: it was done by itself.
    """

    id: str
    institution_id: str | None
    account_id: str | None
    user_id: str | None
    credits: int
    transfer_mode: int
    note: str
    created: int


class AccountRow(msgspec.Struct, frozen=True):
    """An account. `status` is active, suspended or deleted; `managers` are addresses, the first one the main one."""

    id: str
    name: str
    status: str
    created: int
    domain_urls: tuple[str, ...] = ()
    qualification: str = ""
    managers: tuple[str, ...] = ()
    credits: int = 0
    twins: int = 0
    transfer_mode: int = 0
    used: int = 0
    cap_h24: int = -1
    cap_institution: int = -1
    cap_account: int = -1


class TwinRow(msgspec.Struct, frozen=True):
    """A twin. `fields` are its columns by name, lists decoded; `used` is what turns have cost it."""

    id: str
    fields: dict[str, Any]
    credits: int = 0
    used: int = 0
    last_activity: int | None = None
    account: AccountRow | None = None
