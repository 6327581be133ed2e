"""Connections as this project needs them, to SQLite and to PostgreSQL, which must look alike from within a transaction.

Whatever differs between the two is said here, in `faults.py`, and nowhere else (docs/decisions/019).
"""

import contextlib
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.pool import NullPool

from twinspeak.domain.errors import OperatorError

BUSY_TIMEOUT_MS = 10_000
"""How long SQLite waits for another process's write lock, and PostgreSQL for a row's."""
_BUSY_WAIT_MS = 10
STATEMENT_TIMEOUT_MS = 30_000
"""How long PostgreSQL works on one statement."""
IDLE_TIMEOUT_MS = 60_000
"""How long PostgreSQL lets an open transaction do nothing: longer, and its process hangs and holds locks."""
OWN_LOCKS = "twinspeak_own_locks"
"""Key of `Connection.info`: the next transaction locks what it decides on (`Database.write`)."""

_POSTGRES_ARGS: dict[str, Any] = {
    "application_name": "twinspeak",
    "client_encoding": "utf8",
    "connect_timeout": 10,
    # A peer that vanished without a word is noticed in about a minute instead of two hours.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}


def parse_url(url: str) -> URL:
    """Return the parsed database URL. Raises OperatorError (without the URL, which may hold a password)."""
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgres":  # libpq's own spelling, which hosting companies print
            parsed = parsed.set(drivername="postgresql")
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError):
        raise OperatorError("TWINSPEAK_DATABASE_URL is not a database URL, such as sqlite:////path/file.db.") from None
    if backend not in ("sqlite", "postgresql"):
        raise OperatorError(f"TWINSPEAK_DATABASE_URL names {backend}: only sqlite and postgresql are supported.")
    if backend == "sqlite" and (not parsed.database or parsed.database == ":memory:"):
        raise OperatorError("TWINSPEAK_DATABASE_URL needs a file: an SQLite database in memory would lose everything.")
    return parsed if backend == "sqlite" else _with_driver(parsed)


def _with_driver(url: URL) -> URL:
    """Choose psycopg. Raises OperatorError when the URL names another driver, or when it is not installed."""
    if url.drivername not in ("postgresql", "postgresql+psycopg"):
        raise OperatorError("TWINSPEAK_DATABASE_URL names a driver: write postgresql://… and leave the choice to us.")
    named = url.set(drivername="postgresql+psycopg")
    try:
        named.get_dialect().import_dbapi()
    except ImportError:
        raise OperatorError(
            "TWINSPEAK_DATABASE_URL names PostgreSQL, whose driver is not installed: install 'twinspeak[postgres]'"
            " (that is, 'psycopg[binary]'), or unset it to use SQLite."
        ) from None
    return named


def make_engine(url: URL, *, read_only: bool, foreign_keys: bool = True) -> Engine:
    """Return an engine whose connections are set up as this project needs them; connects nothing."""
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, read_only=read_only, foreign_keys=foreign_keys)
    return _postgres(url, read_only=read_only)


def _sqlite(url: URL, *, read_only: bool, foreign_keys: bool) -> Engine:
    engine = create_engine(
        url, poolclass=NullPool, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000}
    )
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"

    def connected(connection: Any, _record: object) -> None:  # noqa: ANN401 -- the driver's
        # The driver must not open transactions by itself: `begun` below does, and says which kind.
        connection.isolation_level = None
        # SQLite's own knows 26 letters; PostgreSQL's, and people, know more.
        connection.create_function("lower", 1, _lower, deterministic=True)
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        _log_ahead(connection)
        for pragma in (
            "synchronous=NORMAL",
            f"foreign_keys={'ON' if foreign_keys else 'OFF'}",
            "temp_store=MEMORY",
            "mmap_size=268435456",
            f"query_only={'ON' if read_only else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    def begun(connection: Connection) -> None:
        driver: Any = connection.connection.dbapi_connection
        try:
            driver.execute(begin)
        except sqlite3.OperationalError as error:
            # Dressed as SQLAlchemy dresses every other error of the driver: past its reach, this one would come bare.
            raise OperationalError(begin, None, error) from error

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)
    return engine


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on, which the first connection to a new file does for all that follow.

    SQLite does not wait for others here, whatever the busy timeout says (https://sqlite.org/c3ref/busy_handler.html),
    and two starts at once on a new file are two firsts. Raises sqlite3.OperationalError after BUSY_TIMEOUT_MS.
    """
    for tries_left in reversed(range(BUSY_TIMEOUT_MS // _BUSY_WAIT_MS)):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or not tries_left:
                raise
            time.sleep(_BUSY_WAIT_MS / 1000)


def _lower(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


def _postgres(url: URL, *, read_only: bool) -> Engine:
    """Return an engine whose reads see one state, and whose writes behave as if they came one after another."""
    from psycopg import IsolationLevel

    args = {name: value for name, value in _POSTGRES_ARGS.items() if name not in url.query}
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=args)
    usual = IsolationLevel.REPEATABLE_READ if read_only else IsolationLevel.SERIALIZABLE
    settings = "; ".join(
        f"SET {name} = {value}"
        for name, value in (
            ("statement_timeout", STATEMENT_TIMEOUT_MS),
            ("lock_timeout", BUSY_TIMEOUT_MS),
            ("idle_in_transaction_session_timeout", IDLE_TIMEOUT_MS),
        )
    )

    def connected(connection: Any, _record: object) -> None:  # noqa: ANN401 -- the driver's
        connection.execute(settings)
        connection.commit()
        connection.read_only = read_only

    def begun(connection: Connection) -> None:
        # Costs nothing: the driver says it in the BEGIN that goes before the first statement.
        driver: Any = connection.connection.dbapi_connection
        level = IsolationLevel.READ_COMMITTED if connection.info.get(OWN_LOCKS) else usual
        if driver.isolation_level != level:
            driver.isolation_level = level

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)
    event.listen(engine, "handle_error", _keep_to_itself)
    return engine


def _keep_to_itself(context: ExceptionContext) -> None:
    """Cut an error's DETAIL: it quotes rows, questions and e-mail addresses among them, and errors are logged."""
    original: Any = context.original_exception
    diagnosis = getattr(original, "diag", None)
    message = getattr(diagnosis, "message_primary", None)
    if not message:
        return
    original.args = (message,)
    if context.sqlalchemy_exception is not None:
        context.sqlalchemy_exception.args = (f"({type(original).__name__}) {message}",)


def create_file(url: URL) -> None:
    """Make the SQLite file, and its directory, readable by the owner only; it holds password hashes."""
    if url.get_backend_name() != "sqlite" or not url.database:
        return
    path = Path(url.database)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
