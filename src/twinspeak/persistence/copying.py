"""Copies of a whole database, and back: SQLite's file by its online backup, PostgreSQL's rows as lines of JSON.

PostgreSQL's own dump program need not be installed, nor be of the server's version. All rows are of one moment.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, MetaData, Table, func, insert, select, text
from sqlalchemy.exc import DBAPIError

from twinspeak.domain.errors import OperatorError
from twinspeak.persistence import migrations
from twinspeak.persistence.engines import OWN_LOCKS, make_engine, parse_url
from twinspeak.persistence.tables import metadata

_BATCH = 1_000
_PAGES = 2_000
"""Pages copied at a time: a writer waits no longer than that takes."""
_VERSION_TABLE = "alembic_version"


def copy_file(source: Path, target: Path) -> None:
    """Copy an SQLite database that may be in use, as it is when the copy ends. Raises OperatorError."""
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with (
            closing(sqlite3.connect(f"file:{_quoted(source)}?mode=ro", uri=True, timeout=30)) as original,
            closing(sqlite3.connect(target)) as copy,
        ):
            original.backup(copy, pages=_PAGES, sleep=0.005)
            copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise OperatorError(f"The database cannot be copied ({error}).") from None


def check_file(path: Path) -> None:
    """Raise OperatorError when an SQLite file is damaged."""
    try:
        with closing(sqlite3.connect(path)) as opened:
            told = opened.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.Error as error:
        told = str(error)
    if told != "ok":
        raise OperatorError(f"The database in the backup is damaged ({told}).")


def dump_tables(database_url: str, folder: Path) -> None:
    """Write every table's rows to `folder`/<table>.jsonl, all of one moment. Raises OperatorError."""
    folder.mkdir(mode=0o700)
    engine = make_engine(parse_url(database_url), read_only=True)
    try:
        with engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            for table in _tables(connection):
                _dump(connection, table, folder / f"{table.name}.jsonl")
    except DBAPIError as error:
        raise OperatorError(f"The database cannot be copied ({type(error.orig).__name__}).") from None
    finally:
        engine.dispose()


def load_tables(database_url: str, folder: Path, revision: str, *, replace: bool) -> None:
    """Make the tables of `revision`, fill them from `folder`, and bring them to this version: one transaction.

    Raises OperatorError when tables are there already, unless `replace`: then they are dropped first.
    """
    engine = make_engine(parse_url(database_url), read_only=False)
    try:
        with engine.connect() as connection:
            connection.info[OWN_LOCKS] = True
            with connection.begin():
                _load_all(connection, folder, revision, replace=replace)
    except DBAPIError as error:
        raise OperatorError(f"The database cannot be restored ({type(error.orig).__name__}).") from None
    finally:
        engine.dispose()


def _load_all(connection: Connection, folder: Path, revision: str, *, replace: bool) -> None:
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    _make_room(connection, replace=replace)
    migrations.upgrade(connection, revision)
    for table in _tables(connection):
        _load(connection, table, folder / f"{table.name}.jsonl")
    migrations.upgrade(connection, migrations.HEAD)


def end_sessions(database_url: str, now: int) -> None:
    """Sign everybody out: a restored database may hold sessions that were ended after it was copied."""
    engine = make_engine(parse_url(database_url), read_only=False)
    try:
        with engine.begin() as connection:
            connection.execute(text("UPDATE sessions SET revoked = :now WHERE revoked IS NULL"), {"now": now})
    finally:
        engine.dispose()


def _tables(connection: Connection) -> list[Table]:
    """Return the tables as they are, parents first: a backup may be of an older version than `tables.py`."""
    found = MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name != _VERSION_TABLE]


def _dump(connection: Connection, table: Table, path: Path) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    rows = connection.execution_options(yield_per=_BATCH).execute(select(table)).mappings()
    encode = msgspec.json.encode
    with os.fdopen(descriptor, "wb") as file:
        for row in rows:
            file.write(encode(dict(row)) + b"\n")


def _load(connection: Connection, table: Table, path: Path) -> None:
    if not path.exists():
        return
    for batch in _batches(path):
        connection.execute(insert(table), batch)
    counter = (
        connection.execute(
            text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": table.name, "column": "id"}
        ).scalar()
        if "id" in table.c
        else None
    )
    if counter is not None:
        highest = connection.execute(select(func.max(table.c.id))).scalar()
        if highest is not None:
            connection.execute(text("SELECT setval(:counter, :value)"), {"counter": counter, "value": highest})


def _batches(path: Path) -> Iterator[list[dict[str, Any]]]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    with path.open("rb") as file:
        batch: list[dict[str, Any]] = []
        for line in _lines(file):
            batch.append(decoder.decode(line))
            if len(batch) == _BATCH:
                yield batch
                batch = []
        if batch:
            yield batch


def _lines(file: Iterable[bytes]) -> Iterator[bytes]:
    return (line for line in file if line.strip())


def _make_room(connection: Connection, *, replace: bool) -> None:
    there = MetaData()
    there.reflect(connection)
    if there.tables and not replace:
        raise OperatorError("The database is not empty: restore into another one, or use --force, which replaces it.")
    foreign = sorted(set(there.tables) - set(metadata.tables) - {_VERSION_TABLE})
    if foreign:
        raise OperatorError("The database holds tables of something else, which a restore must not drop.")
    there.drop_all(connection)


def _quoted(path: Path) -> str:
    """Return a path as part of SQLite's URI."""
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
