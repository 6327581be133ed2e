"""Search in history by an index: FTS5 of SQLite, GIN of PostgreSQL, both over words that we cut (`domain.searching`).

Every word is stored with a short key of its owner in front, so that a look-up reads the postings of one person alone,
however many others use the word. The key saves work and guards nothing: the statement keeps its scope.
"""

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, TextClause, cast, column, func, literal, table, text
from sqlalchemy.dialects.postgresql import TSQUERY

from twinspeak.domain.searching import asked_for, words_of
from twinspeak.persistence.db import Tx
from twinspeak.persistence.tables import turns

_search = table("turn_search", column("rowid"), column("turn_search"))
"""All of it is a hidden column of its own name."""
_INSERT: TextClause = text("INSERT INTO turn_search (rowid, words) VALUES (:number, :words)")

_DELETE: TextClause = text("INSERT INTO turn_search (turn_search, rowid, words) VALUES ('delete', :number, :words)")


def number_of(created: int, turn_id: str) -> int:
    """Return a turn's number in the index: in order of time, and of turns of one millisecond in that of their ids."""
    return (created << 20) | int(turn_id[-5:], 16)


def column_of(tx: Tx, user_id: str, *texts: str) -> str | None:
    """Return what `turns.words` holds of an ended turn: None where `index` is the way."""
    return None if tx.connection.dialect.name == "sqlite" else in_column(user_id, *texts)


def in_column(user_id: str, *texts: str) -> str:
    """Return a turn's words as PostgreSQL's column takes them."""
    return " ".join(f"'{word}'" for word in _keyed(user_id, texts))


def index(tx: Tx, number: int, user_id: str, *texts: str) -> None:
    """Add an ended turn to SQLite's index; where the words are a column of the turn, there is nothing to add."""
    if tx.connection.dialect.name == "sqlite":
        tx.run(_INSERT, {"number": number, "words": " ".join(_keyed(user_id, texts))})


def forget(tx: Tx, number: int, user_id: str, *texts: str) -> None:
    """Take a turn out of SQLite's index, by the very words it was added with; a column goes with the turn's own."""
    if tx.connection.dialect.name == "sqlite":
        tx.run(_DELETE, {"number": number, "words": " ".join(_keyed(user_id, texts))})


def found(tx: Tx, statement: Select[*tuple[Any, ...]], user_id: str, wanted: str) -> Select[*tuple[Any, ...]] | None:
    """Limit a statement on a person's turns to those with all words of `wanted`, newest first; None without words."""
    words = asked_for(wanted)
    if not words:
        return None
    key = _key(user_id)
    if tx.connection.dialect.name == "sqlite":
        query = " AND ".join(f'"{key}{word}"{" *" if open_ended else ""}' for word, open_ended in words)
        narrowed = statement.where(turns.c.number == _search.c.rowid, _search.c.turn_search.op("MATCH")(literal(query)))
        # The index's own order: it is read from its end, and no further than the limit.
        return narrowed.order_by(_search.c.rowid.desc())
    matching = turns.c.words.op("@@")(cast(literal(_tsquery(key, words)), TSQUERY))
    return statement.where(matching).order_by(turns.c.number.desc())


def in_order(tx: Tx) -> bool:
    """Tell whether the index is read newest first; PostgreSQL's has all that a frequent word is in read before."""
    return tx.connection.dialect.name == "sqlite"


def among(statement: Select[*tuple[Any, ...]], user_id: str, wanted: str) -> Select[*tuple[Any, ...]] | None:
    """As `found`, for PostgreSQL and a statement of few rows, all of which are read; None without words."""
    words = asked_for(wanted)
    if not words:
        return None
    # As a function it is the operator without its index.
    matching = func.ts_match_vq(turns.c.words, cast(literal(_tsquery(_key(user_id), words)), TSQUERY))
    return statement.where(matching).order_by(turns.c.number.desc())


def found_of_many(
    tx: Tx, statement: Select[*tuple[Any, ...]], user_ids: Sequence[str], wanted: str
) -> Select[*tuple[Any, ...]] | None:
    """Limit a statement on turns to those of any of these people with all words of `wanted`, newest first.

    None without words, or without people.
    """
    words = asked_for(wanted)
    if not words or not user_ids:
        return None
    keys = [_key(user_id) for user_id in user_ids]
    if tx.connection.dialect.name == "sqlite":
        ways = (" AND ".join(f'"{key}{word}"{" *" if more else ""}' for word, more in words) for key in keys)
        query = " OR ".join(f"({way})" for way in ways)
        narrowed = statement.where(turns.c.number == _search.c.rowid, _search.c.turn_search.op("MATCH")(literal(query)))
        return narrowed.order_by(_search.c.rowid.desc())
    ways = (_tsquery(key, words) for key in keys)
    matching = turns.c.words.op("@@")(cast(literal(" | ".join(f"({way})" for way in ways)), TSQUERY))
    return statement.where(matching).order_by(turns.c.number.desc())


def _tsquery(key: str, words: Sequence[tuple[str, bool]]) -> str:
    return " & ".join(f"'{key}{word}'{':*' if open_ended else ''}" for word, open_ended in words)


def _keyed(user_id: str, texts: tuple[str, ...]) -> list[str]:
    key = _key(user_id)
    return [key + word for word in words_of(texts)]


def _key(user_id: str) -> str:
    digest = hashlib.blake2b(user_id.encode(), digest_size=5).digest()
    return base64.b32encode(digest).decode().lower()
