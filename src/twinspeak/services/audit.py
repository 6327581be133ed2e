"""Noting what administrators and people do to rights and secrets, in the transaction that does it (decision 027)."""

from collections.abc import Mapping
from typing import Any

import msgspec

from twinspeak.domain.caller import Actor
from twinspeak.domain.clock import now_ms
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import audit_log
from twinspeak.persistence.repos.audit_log import Entry

_MAX_TEXT = 500


class Target(msgspec.Struct, frozen=True):
    """What was done something to; `institution_id` is the twin whose administrators may read of it."""

    kind: str
    id: str
    institution_id: str | None = None


def note(
    tx: Tx,
    by: Actor,
    action: str,
    target: Target,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Add an entry. Of `before` and `after` only what differs is kept; neither may hold a secret."""
    caller = by.caller
    old, new = dict(before or {}), dict(after or {})
    differing = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    details = {
        side: {name: _short(values[name]) for name in differing if name in values}
        for side, values in (("before", old), ("after", new))
        if values
    }
    entry = Entry(
        at=now_ms(),
        actor_id=caller.actor_id or caller.user_id or None,
        actor_email=caller.email,
        as_id=caller.user_id if caller.actor_id else None,
        action=action,
        target_kind=target.kind,
        target_id=target.id,
        institution_id=target.institution_id,
        details=details,
        ip=by.ip[:100],
        user_agent=by.user_agent[:_MAX_TEXT],
    )
    audit_log.add(tx, entry)


def _short(value: Any) -> Any:  # noqa: ANN401 -- whatever a field holds
    return value[:_MAX_TEXT] if isinstance(value, str) else value
