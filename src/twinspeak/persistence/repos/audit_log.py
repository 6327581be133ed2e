"""The log of administrative and security actions: rows are added, never changed, each bound to the one before it."""

import hashlib
from typing import Any

import msgspec
from sqlalchemy import insert, or_, select

from twinspeak.domain.audit import Entry, KeptEntry
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.identity_tables import audit_log
from twinspeak.persistence.repos import meta

GENESIS = "0" * 64
"""What the first entry is bound to."""
_HEAD = "audit.head"
"""In `meta`: the last entry's hash. Two writers meet at this row, and one of them is run again."""


class LogFilter(msgspec.Struct, frozen=True):
    """Which entries; what is None does not matter. `institutions` limits to entries of these twins."""

    institutions: frozenset[str] | None = None
    actor_id: str | None = None
    target_id: str | None = None
    action: str | None = None
    action_prefix: str = ""
    after: int | None = None
    before: int | None = None
    search: str = ""


def add(tx: Tx, entry: Entry) -> None:
    """Add an entry at the end of the chain."""
    previous = meta.get(tx, _HEAD) or GENESIS
    made = hash_of(previous, entry)
    row = msgspec.structs.asdict(entry)
    row["details"] = _text(entry.details)
    tx.run(insert(audit_log).values(**row, previous=previous, hash=made))
    meta.put(tx, _HEAD, made)


def hash_of(previous: str, entry: Entry) -> str:
    """Return what binds an entry to the one before it."""
    return hashlib.sha256(previous.encode() + msgspec.json.encode(entry, order="deterministic")).hexdigest()


def listing(tx: Tx, wanted: LogFilter, *, limit: int, before_id: int | None = None) -> list[KeptEntry]:
    """Return the newest entries that match, newest first; `before_id` goes on from an earlier list."""
    statement = select(audit_log).where(*_conditions(wanted)).order_by(audit_log.c.id.desc()).limit(limit)
    if before_id is not None:
        statement = statement.where(audit_log.c.id < before_id)
    return [_kept(as_dict(row)) for row in tx.all(statement)]


def chain(tx: Tx, *, after_id: int, limit: int) -> list[KeptEntry]:
    """Return entries in the order of the chain."""
    statement = select(audit_log).where(audit_log.c.id > after_id).order_by(audit_log.c.id).limit(limit)
    return [_kept(as_dict(row)) for row in tx.all(statement)]


def head(tx: Tx) -> str:
    """Return the hash of the last entry as it was noted apart."""
    return meta.get(tx, _HEAD) or GENESIS


def _conditions(wanted: LogFilter) -> list[Any]:
    twins = wanted.institutions
    found: list[Any] = [] if twins is None else [audit_log.c.institution_id.in_(sorted(twins))]
    exact = {name: getattr(wanted, name) for name in ("actor_id", "target_id", "action")}
    found += [audit_log.c[name] == value for name, value in exact.items() if value is not None]
    if wanted.action_prefix:
        found.append(audit_log.c.action.startswith(wanted.action_prefix, autoescape=True))
    if wanted.after is not None:
        found.append(audit_log.c.at >= wanted.after)
    if wanted.before is not None:
        found.append(audit_log.c.at < wanted.before)
    if wanted.search:
        text = wanted.search.lower()
        columns = (audit_log.c.actor_email, audit_log.c.action, audit_log.c.details)
        found.append(or_(*(column.icontains(text, autoescape=True) for column in columns)))
    return found


def _kept(row: dict[str, Any]) -> KeptEntry:
    fields = {name: row[name] for name in Entry.__struct_fields__}
    fields["details"] = msgspec.json.decode(fields["details"], type=dict[str, Any])
    return KeptEntry(id=row["id"], entry=Entry(**fields), previous=row["previous"], hash=row["hash"])


def _text(details: dict[str, Any]) -> str:
    return msgspec.json.encode(details, order="deterministic").decode()
