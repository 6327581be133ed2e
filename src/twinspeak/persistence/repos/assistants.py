"""Assistants: personas that conversations run under. A tenant table: `scope.py` decides who sees which."""

from typing import Any

import msgspec
from sqlalchemy import Row, bindparam, insert, select

from twinspeak.domain.assistant import Assistant
from twinspeak.domain.caller import Scope
from twinspeak.domain.clock import now_ms
from twinspeak.domain.ids import new_id
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.scope import ScopedStatement, scoped
from twinspeak.persistence.tables import assistants

COLUMNS = [assistants.c[name] for name in Assistant.__struct_fields__]

_ACTIVE = select(*COLUMNS).where(assistants.c.status == "active")
_BY_ID = ScopedStatement(_ACTIVE.where(assistants.c.id == bindparam("assistant")))
_ALL = ScopedStatement(_ACTIVE.order_by(assistants.c.created, assistants.c.id))


def visible(tx: Tx, scope: Scope, assistant_id: str) -> Assistant | None:
    """Return an active assistant that `scope` may use, else None: unknown and foreign look the same."""
    return from_row(tx.scoped(scope, _BY_ID, {"assistant": assistant_id}).first())


def listing(tx: Tx, scope: Scope) -> list[Assistant]:
    """Return all active assistants that `scope` may use, oldest first."""
    return [found for row in tx.scoped(scope, _ALL) if (found := from_row(row)) is not None]


def create(tx: Tx, scope: Scope, kind: str, assistant: Assistant) -> Assistant:
    """Add an assistant of `kind` personal or institution; with the system's scope also of kind system.

    An empty `assistant.id` gets a new one. Entitlement is the caller's to check.
    """
    made = assistant if assistant.id else msgspec.structs.replace(assistant, id=new_id())
    tx.run(scoped(scope, insert(assistants)).values(**msgspec.structs.asdict(made), scope=kind, created=now_ms()))
    return made


def from_row(row: Row[Any] | None) -> Assistant | None:
    """Make an assistant of a row of `COLUMNS`."""
    return None if row is None else Assistant(**as_dict(row))
