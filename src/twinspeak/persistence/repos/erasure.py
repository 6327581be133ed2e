"""Erasing what deleted people wrote: asked for with the deletion, done soon after, a batch a transaction.

The rows of turns stay, empty, for the books refer to them.
"""

from sqlalchemy import delete, or_, select, update

from twinspeak.domain.clock import now_ms
from twinspeak.persistence import fulltext, jobs
from twinspeak.persistence.conversation_tables import feedbacks, memories, shares, summaries
from twinspeak.persistence.db import Tx
from twinspeak.persistence.repos import documents as vault
from twinspeak.persistence.repos import meta
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import (
    assistant_likes,
    assistants,
    sessions,
    turn_details,
    turn_keys,
    turns,
)
from twinspeak.persistence.vault_tables import collections

BATCH = 200
_ASKED = "erase."
"""In `meta`, before a user's id: what he wrote is to be erased; the value is how many dialogues have been."""


def ask(tx: Tx, user_id: str) -> None:
    """Have everything erased that a user wrote."""
    meta.put(tx, _ASKED + user_id, "0")


def asked(tx: Tx) -> list[str]:
    """Return the users whose words are to be erased."""
    return [key.removeprefix(_ASKED) for key in meta.keys(tx, _ASKED)]


def batch(tx: Tx, user_id: str) -> int:
    """Erase some dialogues that have ended; return how many. 0: there are none left, and the rest is erased too."""
    columns = [turns.c[name] for name in ("id", "number", "question", "output")]
    worded = or_(turns.c.question != "", turns.c.output != "", turns.c.course_name != "")
    mine = (turns.c.user_id == user_id, turns.c.state != "running", worded)
    rows = tx.all(scoped(SYSTEM, select(*columns).where(*mine).limit(BATCH)))
    for row in rows:
        fulltext.forget(tx, row.number, user_id, row.question, row.output)
    ids = [row.id for row in rows]
    if not ids:
        _rest(tx, user_id)
        return 0
    empty = {"question": "", "output": "", "course_name": "", "favorite_name": "", "words": None}
    tx.run(scoped(SYSTEM, update(turns).where(turns.c.id.in_(ids)).values(empty)))
    bare = {"thinking": "[]", "tools": "[]", "passages": "[]", "prompt": ""}
    tx.run(scoped(SYSTEM, update(turn_details).where(turn_details.c.turn_id.in_(ids)).values(bare)))
    done = int(meta.get(tx, _ASKED + user_id) or 0) + len(ids)
    meta.put(tx, _ASKED + user_id, str(done))
    return len(ids)


def _rest(tx: Tx, user_id: str) -> None:
    for table in (feedbacks, summaries, memories, shares):
        tx.run(scoped(SYSTEM, delete(table).where(table.c.user_id == user_id)))
    tx.run(delete(turn_keys).where(turn_keys.c.user_id == user_id))
    tx.run(delete(assistant_likes).where(assistant_likes.c.user_id == user_id))
    own = (assistants.c.owner_user_id == user_id, assistants.c.scope == "personal")
    nothing = {"name": "", "instructions": "", "description": "", "picture_url": "", "arguments": "[]"}
    tx.run(scoped(SYSTEM, update(assistants).where(*own).values(status="deleted", **nothing)))
    for document in vault.of_owner(tx, user_id):
        jobs.cancel(tx, "ingest", document.id, now=now_ms())
        vault.erase(tx, document)
    tx.run(scoped(SYSTEM, delete(collections).where(collections.c.user_id == user_id)))
    tx.run(update(sessions).where(sessions.c.user_id == user_id).values(ip="", user_agent=""))
    if not _running(tx, user_id):
        meta.drop(tx, _ASKED + user_id)


def _running(tx: Tx, user_id: str) -> bool:
    mine = (turns.c.user_id == user_id, turns.c.state == "running")
    return tx.first(scoped(SYSTEM, select(turns.c.id).where(*mine).limit(1))) is not None
