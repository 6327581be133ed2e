"""Everything that is kept of a person: counted, read to be handed over, erased; and the exports that were asked for."""

from typing import Any

import msgspec
from sqlalchemy import Table, delete, func, insert, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from twinspeak.domain.clock import now_ms
from twinspeak.domain.ids import new_id
from twinspeak.persistence import fulltext, jobs
from twinspeak.persistence.conversation_tables import feedbacks, memories, summaries
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.identity_tables import data_exports
from twinspeak.persistence.repos import documents as vault
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import assistants, memberships, sessions, turn_details, turns
from twinspeak.persistence.vault_tables import chunks, documents

PAGE = 200


class Kind(msgspec.Struct, frozen=True):
    """A kind of data: its table, the columns that are handed over, and whose a row is."""

    table: Table
    columns: tuple[str, ...]
    owner: str = "user_id"


KINDS: dict[str, Kind] = {
    "dialogues": Kind(
        turns,
        ("id", "created", "institution_id", "course_id", "course_name", "question", "output", "model", "state",
         "credits", "favorite", "favorite_name", "thumb"),
    ),
    "uploads": Kind(documents, ("id", "created", "name", "media_type", "status", "bytes")),
    "memory": Kind(
        memories,
        ("id", "created", "updated", "institution_id", "shared", "namespace", "name", "value", "description", "source"),
    ),
    "assistants": Kind(
        assistants,
        ("id", "created", "institution_id", "scope", "name", "description", "instructions", "status"),
        "owner_user_id",
    ),
    "feedback": Kind(feedbacks, ("id", "created", "institution_id", "turn_id", "comment", "thumb")),
    "memberships": Kind(memberships, ("id", "created", "institution_id", "account_type", "status", "preferences")),
    "sessions": Kind(sessions, ("id", "created", "last_seen", "expires", "ip", "user_agent", "reason")),
}  # fmt: skip
"""In the order of an export: a file each."""


class Counted(msgspec.Struct, frozen=True):
    """How many of a kind there are, and between which moments (epoch milliseconds) they were made; `bytes` of files."""

    count: int
    first: int | None
    last: int | None
    bytes: int = 0


class Export(msgspec.Struct, frozen=True):
    """An export: waiting, running, ready or failed; `done` of `total` rows. Times are epoch milliseconds."""

    id: str
    user_id: str
    state: str
    done: int
    total: int
    bytes: int
    created: int
    finished: int | None
    expires: int


_EXPORT = [data_exports.c[name] for name in Export.__struct_fields__]


def count(tx: Tx, user_id: str) -> dict[str, Counted]:
    """Return what there is of each kind; deleted assistants and empty dialogues are nothing."""
    return {name: _count(tx, name, user_id) for name in KINDS}


def page(tx: Tx, name: str, user_id: str, after: str) -> list[dict[str, Any]]:
    """Return some rows of a kind, in the order of their ids, after one."""
    kind = KINDS[name]
    found = select(*(kind.table.c[column] for column in kind.columns))
    found = found.where(*_mine(name, user_id), kind.table.c.id > after).order_by(kind.table.c.id).limit(PAGE)
    return [as_dict(row) for row in tx.all(scoped(SYSTEM, found))]


def text_of(tx: Tx, document_id: str, after: int) -> list[tuple[int, str]]:
    """Return (position, text) of some passages of a document, after a position."""
    columns = (chunks.c.position, chunks.c.text)
    found = select(*columns).where(chunks.c.document_id == document_id, chunks.c.position > after)
    rows = tx.all(scoped(SYSTEM, found.order_by(chunks.c.position).limit(PAGE)))
    return [(row.position, row.text) for row in rows]


def ask(tx: Tx, user_id: str, *, expires: int) -> str:
    """Note that somebody wants an export; return its id."""
    made = new_id()
    tx.run(insert(data_exports).values(id=made, user_id=user_id, created=now_ms(), expires=expires))
    return made


def latest(tx: Tx, user_id: str) -> Export | None:
    """Return somebody's latest export."""
    mine = select(*_EXPORT).where(data_exports.c.user_id == user_id)
    row = tx.first(mine.order_by(data_exports.c.created.desc(), data_exports.c.id.desc()))
    return None if row is None else Export(**as_dict(row))


def unfinished(tx: Tx) -> list[Export]:
    """Return the exports that are to be made, those first that wait longest; one that a crash cut is among them."""
    waiting = select(*_EXPORT).where(data_exports.c.state.in_(("waiting", "running")))
    return [Export(**as_dict(row)) for row in tx.all(waiting.order_by(data_exports.c.created).limit(PAGE))]


def progress(tx: Tx, export_id: str, **values: Any) -> bool:  # noqa: ANN401 -- whatever columns hold
    """Set columns of an export; False when it has gone."""
    return bool(tx.change(update(data_exports).where(data_exports.c.id == export_id).values(values)))


def by_link(tx: Tx, link_hash: str) -> Export | None:
    """Return the export that a link leads to, until it runs out."""
    there = (data_exports.c.link_hash == link_hash, data_exports.c.state == "ready", data_exports.c.expires > now_ms())
    row = tx.first(select(*_EXPORT).where(*there))
    return None if row is None else Export(**as_dict(row))


def outdated(tx: Tx) -> list[str]:
    """Return the exports that have run out."""
    return [row.id for row in tx.all(select(data_exports.c.id).where(data_exports.c.expires <= now_ms()))]


def forget(tx: Tx, export_id: str) -> None:
    """Forget an export; its file is the caller's to take away first."""
    tx.run(delete(data_exports).where(data_exports.c.id == export_id))


def forget_user(tx: Tx, user_id: str) -> None:
    """Have somebody's exports run out now."""
    tx.run(update(data_exports).where(data_exports.c.user_id == user_id).values(expires=0, link_hash=None))


def erase_dialogues(tx: Tx, user_id: str) -> int:
    """Empty some dialogues of somebody's personal space that have ended; return how many, 0 when none is left."""
    worded = or_(turns.c.question != "", turns.c.output != "", turns.c.course_name != "")
    mine = (turns.c.user_id == user_id, turns.c.institution_id.is_(None), turns.c.state != "running", worded)
    columns = [turns.c[name] for name in ("id", "number", "question", "output")]
    rows = tx.all(scoped(SYSTEM, select(*columns).where(*mine).limit(PAGE)))
    for row in rows:
        fulltext.forget(tx, row.number, user_id, row.question, row.output)
    ids = [row.id for row in rows]
    if ids:
        empty = {"question": "", "output": "", "course_name": "", "favorite_name": "", "words": None, "forgotten": True}
        tx.run(scoped(SYSTEM, update(turns).where(turns.c.id.in_(ids)).values(empty)))
        bare = {"thinking": "[]", "tools": "[]", "passages": "[]", "prompt": ""}
        tx.run(scoped(SYSTEM, update(turn_details).where(turn_details.c.turn_id.in_(ids)).values(bare)))
    return len(ids)


def erase_summaries(tx: Tx, user_id: str) -> int:
    """Erase what models made of somebody's personal conversations."""
    return _gone(tx, summaries, summaries.c.user_id == user_id, summaries.c.institution_id.is_(None))


def erase_memory(tx: Tx, user_id: str) -> int:
    """Erase what is remembered of somebody outside of twins."""
    return _gone(tx, memories, memories.c.user_id == user_id, memories.c.institution_id.is_(None))


def erase_feedback(tx: Tx, user_id: str) -> int:
    """Erase feedback that somebody gave outside of twins."""
    return _gone(tx, feedbacks, feedbacks.c.user_id == user_id, feedbacks.c.institution_id.is_(None))


def erase_assistants(tx: Tx, user_id: str) -> int:
    """Empty and delete somebody's personal assistants."""
    own = (assistants.c.owner_user_id == user_id, assistants.c.scope == "personal", assistants.c.status != "deleted")
    nothing = {"name": "", "instructions": "", "description": "", "picture_url": "", "arguments": "[]"}
    statement = update(assistants).where(*own).values(status="deleted", **nothing)
    return tx.run(scoped(SYSTEM, statement)).rowcount


def erase_documents(tx: Tx, user_id: str) -> tuple[int, int]:
    """Erase somebody's own vault; return how many documents, and their bytes. Files without a row are swept away."""
    mine = [one for one in vault.of_owner(tx, user_id) if one.institution_id is None]
    for document in mine:
        jobs.cancel(tx, "ingest", document.id, now=now_ms())
        vault.erase(tx, document)
    return len(mine), sum(document.bytes for document in mine)


def erase_sessions(tx: Tx, user_id: str) -> int:
    """Forget where somebody was signed in; what is signed in now stays so, without its traces."""
    ended = (sessions.c.user_id == user_id, or_(sessions.c.ip != "", sessions.c.user_agent != ""))
    return tx.change(update(sessions).where(*ended).values(ip="", user_agent=""))


def _gone(tx: Tx, table: Table, *conditions: ColumnElement[bool]) -> int:
    return tx.run(scoped(SYSTEM, delete(table).where(*conditions))).rowcount


def _count(tx: Tx, name: str, user_id: str) -> Counted:
    table = KINDS[name].table
    columns: list[Any] = [func.count(), func.min(table.c.created), func.max(table.c.created)]
    if name == "uploads":
        columns.append(func.coalesce(func.sum(table.c.bytes), 0))
    found = scoped(SYSTEM, select(*columns).select_from(table).where(*_mine(name, user_id)))
    row: Any = tx.all(found)[0]
    first, last = (None if at is None else int(at) for at in row[1:3])
    return Counted(count=row[0], first=first, last=last, bytes=int(row[3]) if name == "uploads" else 0)


def _mine(name: str, user_id: str) -> list[ColumnElement[bool]]:
    kind = KINDS[name]
    found: list[ColumnElement[bool]] = [kind.table.c[kind.owner] == user_id]
    if name == "assistants":
        found.append(assistants.c.status != "deleted")
    if name == "dialogues":
        found.append(or_(turns.c.question != "", turns.c.output != ""))
    return found
