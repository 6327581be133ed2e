"""Idempotency keys: which turn a user's key stands for (contract section 3, docs/decisions/020).

A key is written in the transaction that writes its turn's row, so that there is never one without the other.
"""

import msgspec
from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.exc import IntegrityError

from twinspeak.domain.errors import Conflict
from twinspeak.domain.turn import OnceKey, TurnState
from twinspeak.persistence.db import Tx
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import institutions, turn_keys, turns

KEEP_MS = 24 * 60 * 60 * 1000
"""How long a key stands for its turn."""


class KeptTurn(msgspec.Struct, frozen=True):
    """The turn of a key. `openai_compat` is its twin's present switch: how chat completions are answered."""

    turn_id: str
    fingerprint: str
    state: TurnState
    openai_compat: bool


_OF_KEY = (turn_keys.c.user_id == bindparam("of_user"), turn_keys.c.key == bindparam("of_key"))
_FIND = scoped(
    SYSTEM,
    select(turn_keys.c.turn_id, turn_keys.c.fingerprint, turns.c.state, institutions.c.chat_completion_openai_compat)
    .select_from(
        turn_keys.join(turns, turns.c.id == turn_keys.c.turn_id).outerjoin(
            institutions, institutions.c.id == turns.c.institution_id
        )
    )
    .where(*_OF_KEY, turn_keys.c.created > bindparam("since")),
)
_DROP_OLD = delete(turn_keys).where(*_OF_KEY, turn_keys.c.created <= bindparam("since"))
_PURGE = delete(turn_keys).where(turn_keys.c.created <= bindparam("since"))
_INSERT = insert(turn_keys)


def keep(tx: Tx, user_id: str, once: OnceKey, turn_id: str, *, now: int) -> None:
    """Let the key stand for the turn. Raises Conflict when it stands for another one already."""
    tx.run(_DROP_OLD, {"of_user": user_id, "of_key": once.key, "since": now - KEEP_MS})
    row = {"user_id": user_id, "key": once.key, "fingerprint": once.fingerprint, "turn_id": turn_id, "created": now}
    try:
        tx.run(_INSERT, row)
    except IntegrityError as error:
        raise Conflict("This key is being used by another request. Please try again.", retry_after_s=1) from error


def find(tx: Tx, user_id: str, key: str, *, now: int) -> KeptTurn | None:
    """Return the turn that the user's key stands for, None for an unknown or forgotten key."""
    row = tx.first(_FIND, {"of_user": user_id, "of_key": key, "since": now - KEEP_MS})
    if row is None:
        return None
    return KeptTurn(
        turn_id=row.turn_id,
        fingerprint=row.fingerprint,
        state=TurnState(row.state),
        openai_compat=bool(row.chat_completion_openai_compat),
    )


def purge(tx: Tx, *, now: int) -> int:
    """Forget keys that are older than a day; return how many."""
    return tx.change(_PURGE, {"since": now - KEEP_MS})
