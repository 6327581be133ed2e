"""What people say of answers, or of the twin at large (reference 8.2)."""

from typing import Any

import msgspec
from sqlalchemy import insert

from twinspeak.domain.caller import Scope
from twinspeak.domain.clock import now_ms
from twinspeak.domain.ids import new_id
from twinspeak.persistence.conversation_tables import feedbacks
from twinspeak.persistence.db import Tx
from twinspeak.persistence.scope import scoped


def add(tx: Tx, scope: Scope, *, comment: str, thumb: str, turn_id: str | None, context: dict[str, Any]) -> str:
    """Keep what somebody said; return its id. That the turn is his, in this scope, is the caller's to check."""
    feedback_id = new_id()
    row = {
        "id": feedback_id,
        "comment": comment,
        "thumb": thumb,
        "turn_id": turn_id,
        "context": msgspec.json.encode(context).decode(),
        "created": now_ms(),
    }
    tx.run(scoped(scope, insert(feedbacks)).values(**row))
    return feedback_id
