"""Noting what administrators and people do to rights and secrets, in the transaction that does it (decision 027)."""

from collections.abc import Mapping
from typing import Any

import msgspec

from twinspeak.domain.access import Verb
from twinspeak.domain.audit import Entry, KeptEntry
from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.clock import now_ms
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import audit_log
from twinspeak.persistence.repos.audit_log import LogFilter
from twinspeak.services import policy

_MAX_TEXT = 500
_PAGE = 1_000


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


class Wanted(msgspec.Struct, frozen=True):
    """Which entries; what is empty does not matter. `institution` and `account` are ids parted by blanks."""

    institution: str = ""
    account: str = ""
    actor_id: str = ""
    target_id: str = ""
    action: str = ""
    search: str = ""
    after: int | None = None
    before: int | None = None


class Chain(msgspec.Struct, frozen=True):
    """What looking at the whole log found. `broken_at` is the first entry that is not what it was."""

    entries: int
    intact: bool
    broken_at: int | None = None


class AuditLog:
    """Reading the log. One for the whole server."""

    def __init__(self, db: Database) -> None:
        """Keep the database."""
        self._db = db

    async def search(
        self, caller: Caller, wanted: Wanted, *, limit: int, before_id: int | None = None
    ) -> list[KeptEntry]:
        """Return entries of the twins where the caller may read the log, the newest first.

        Super administrators see those of no twin too. Raises InvalidId.
        """

        def read(tx: Tx) -> list[KeptEntry]:
            found = policy.reach(tx, caller, Verb.AUDIT_LIST)
            within = policy.narrowed(tx, found, institution=wanted.institution, account=wanted.account)
            chosen = LogFilter(
                institutions=None if within.everything else within.institutions,
                actor_id=wanted.actor_id or None,
                target_id=wanted.target_id or None,
                action=wanted.action or None,
                after=wanted.after,
                before=wanted.before,
                search=wanted.search,
            )
            return audit_log.listing(tx, chosen, limit=limit, before_id=before_id)

        return await self._db.read(read)

    async def check(self) -> Chain:
        """Look whether every entry is what it was when it was added, and none is missing."""
        last, previous, count = 0, audit_log.GENESIS, 0
        while True:
            after = last

            def read(tx: Tx, after: int = after) -> tuple[list[KeptEntry], str]:
                return audit_log.chain(tx, after_id=after, limit=_PAGE), audit_log.head(tx)

            page, head = await self._db.read(read)
            for kept in page:
                if kept.previous != previous or audit_log.hash_of(previous, kept.entry) != kept.hash:
                    return Chain(entries=count, intact=False, broken_at=kept.id)
                last, previous, count = kept.id, kept.hash, count + 1
            if len(page) < _PAGE:
                return Chain(entries=count, intact=previous == head)


def _short(value: Any) -> Any:  # noqa: ANN401 -- whatever a field holds
    return value[:_MAX_TEXT] if isinstance(value, str) else value
