"""Twins and accounts as those see them who administer them (reference: admin 3.8 and 4.1)."""

from typing import Any

import msgspec


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


class TwinRow(msgspec.Struct, frozen=True):
    """A twin. `fields` are its columns by name, lists decoded; `used` is what turns have cost it."""

    id: str
    fields: dict[str, Any]
    credits: int = 0
    used: int = 0
    last_activity: int | None = None
    account: AccountRow | None = None
