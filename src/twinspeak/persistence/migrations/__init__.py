"""Bringing a database to this version's tables.

`migrate` is called at every start. A database that is up to date costs one query: Alembic, which takes most of a
second to import, is only loaded when there is something to do.
"""

from pathlib import Path

from sqlalchemy import Connection, column, inspect, select, table
from sqlalchemy.exc import DBAPIError

from twinspeak.domain.errors import OperatorError
from twinspeak.persistence.engines import OWN_LOCKS, create_file, make_engine, parse_url

REVISIONS = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    "0010",
    "0011",
    "0012",
    "0013",
    "0014",
    "0015",
    "0016",
    "0017",
    "0018",
    "0019",
    "0020",
    "0021",
    "0022",
    "0023",
    "0024",
    "0025",
    "0026",
    "0027",
)
"""Every revision there is, oldest first; a test compares with the scripts in `versions/`."""
HEAD = REVISIONS[-1]

_LOCK = 0x7477696E  # "twin": any number that other programs are not likely to choose
_VERSION = table("alembic_version", column("version_num"))


def migrate(database_url: str) -> bool:
    """Create or upgrade the database at `database_url`; return whether anything was done.

    All of it is one transaction. Raises OperatorError for a database of a newer version, for one that was not made by
    Twinspeak, and for one that cannot be opened.
    """
    url = parse_url(database_url)
    try:
        create_file(url)
        engine = make_engine(url, read_only=False, foreign_keys=False)
        try:
            with engine.connect() as connection:
                return _migrate(connection)
        finally:
            engine.dispose()
    except (DBAPIError, OSError) as error:
        raise _unopened(error) from error


def _migrate(connection: Connection) -> bool:
    connection.info[OWN_LOCKS] = True
    with connection.begin():
        _wait_for_others(connection)
        found = current(connection)
        if found == HEAD:
            return False
        _refuse_unknown(connection, found)
        upgrade(connection, HEAD)
        _check_references(connection)
    return True


def _wait_for_others(connection: Connection) -> None:
    """Let one start migrate at a time, as long as it takes. On SQLite, beginning to write has seen to that already."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def revision_of(database_url: str) -> str | None:
    """Return the revision of the database at `database_url`, None when it is not there yet; makes nothing.

    Raises OperatorError for a database that cannot be opened.
    """
    url = parse_url(database_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return None
    engine = make_engine(url, read_only=True)
    try:
        with engine.connect() as connection:
            return current(connection)
    except (DBAPIError, OSError) as error:
        raise _unopened(error) from error
    finally:
        engine.dispose()


def current(connection: Connection) -> str | None:
    """Return the revision of a database, None for one without."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(select(_VERSION.c.version_num)).scalar()


def _unopened(error: Exception) -> OperatorError:
    return OperatorError(
        "The database cannot be opened. Check TWINSPEAK_DATABASE_URL or that the data directory is writable"
        f" ({type(getattr(error, 'orig', None) or error).__name__})."
    )


def _refuse_unknown(connection: Connection, found: str | None) -> None:
    if found is None and inspect(connection).get_table_names():
        raise OperatorError("This database holds other tables. Point TWINSPEAK_DATABASE_URL at an empty one.")
    if found is not None and found not in REVISIONS:
        raise OperatorError(
            f"This database belongs to a newer version of Twinspeak (revision {found}, this one knows {HEAD})."
            " Start that version, or restore a backup."
        )


def upgrade(connection: Connection, revision: str) -> None:
    """Run the scripts up to `revision`, inside the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _check_references(connection: Connection) -> None:
    """Foreign keys are off while SQLite rebuilds tables; make sure that none was broken before committing."""
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise OperatorError("The migration would have broken references between tables; nothing was changed.")
