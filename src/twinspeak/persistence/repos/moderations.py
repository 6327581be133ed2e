"""What moderation found, as rows."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import func, insert, select

from twinspeak.domain.caller import Scope
from twinspeak.domain.clock import now_ms
from twinspeak.domain.ids import new_id
from twinspeak.domain.moderation import Finding
from twinspeak.persistence.conversation_tables import moderations
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.scope import scoped

_findings = msgspec.json.Decoder(tuple[Finding, ...])


class Kept(msgspec.Struct, frozen=True):
    """What was found in one text, and what was done. `created` is epoch milliseconds; `side` input or output."""

    id: str
    institution_id: str | None
    user_id: str
    turn_id: str
    side: str
    action: str
    created: int
    findings: tuple[Finding, ...]


def add(tx: Tx, scope: Scope, turn_id: str, *, side: str, action: str, findings: Sequence[Finding]) -> None:
    """Add what was found in a turn of the scope's user."""
    row = {
        "id": new_id(),
        "turn_id": turn_id,
        "side": str(side),
        "action": str(action),
        "findings": msgspec.json.encode(findings).decode(),
        "created": now_ms(),
    }
    tx.run(scoped(scope, insert(moderations)).values(**row))


def listing(tx: Tx, scope: Scope, *, limit: int, offset: int = 0) -> list[Kept]:
    """Return what was found within a scope, newest first."""
    newest = select(moderations).order_by(moderations.c.created.desc(), moderations.c.id.desc())
    return [_kept(as_dict(row)) for row in tx.all(scoped(scope, newest.limit(limit).offset(offset)))]


def _kept(row: dict[str, Any]) -> Kept:
    findings = _findings.decode(row.pop("findings"))
    return Kept(**row, findings=findings)


def count(tx: Tx, scope: Scope) -> int:
    """Return how many there are."""
    return tx.value(scoped(scope, select(func.count()).select_from(moderations)))
