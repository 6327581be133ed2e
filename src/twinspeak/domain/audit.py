"""What the log of administrative and security actions holds."""

from typing import Any

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """What happened. `at` is epoch milliseconds; `as_id` whom the actor acted as; `details` holds no secret."""

    at: int
    actor_id: str | None
    actor_email: str
    action: str
    target_kind: str = ""
    target_id: str = ""
    as_id: str | None = None
    institution_id: str | None = None
    details: dict[str, Any] = {}
    ip: str = ""
    user_agent: str = ""


class KeptEntry(msgspec.Struct, frozen=True):
    """An entry with its place in the chain."""

    id: int
    entry: Entry
    previous: str
    hash: str
