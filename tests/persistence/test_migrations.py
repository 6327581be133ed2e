"""From nothing to the tables of `tables.py`, in one step or not at all."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from twinspeak.domain.errors import OperatorError
from twinspeak.persistence import migrations
from twinspeak.persistence.engines import make_engine, parse_url
from twinspeak.persistence.migrations import HEAD, REVISIONS, migrate
from twinspeak.persistence.tables import metadata


def engine_of(url: str) -> Engine:
    return make_engine(parse_url(url), read_only=False)


def schema(path: Path) -> dict[str, list[object]]:
    """Return columns, foreign keys and indices of every table, as SQLite itself tells them."""
    connection = sqlite3.connect(path)
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY 1")]
    found: dict[str, list[object]] = {}
    for name in names:
        if name.startswith(("alembic", "sqlite")):
            continue
        written = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", [name]).fetchone()[0]
        checks = sorted(line.strip(" ,") for line in written.splitlines() if "CHECK" in line)
        foreign = sorted(row[2:6] for row in connection.execute(f"PRAGMA foreign_key_list({name})"))
        indices = sorted(
            row[0]
            for row in connection.execute("SELECT sql FROM sqlite_master WHERE type='index' AND tbl_name=?", [name])
            if row[0]
        )
        unique = sorted(
            tuple(column[2] for column in connection.execute(f"PRAGMA index_info({index[1]})"))
            for index in connection.execute(f"PRAGMA index_list({name})")
            if index[2]
        )
        columns = list(connection.execute(f"PRAGMA table_info({name})"))
        found[name] = [columns, checks, foreign, indices, unique]
    connection.close()
    return found


def test_a_migrated_database_is_what_the_tables_say(url: str, tmp_path: Path) -> None:
    migrate(url)
    created = tmp_path / "created.sqlite3"
    engine = engine_of(f"sqlite:///{created}")
    metadata.create_all(engine)

    assert schema(tmp_path / "twinspeak.sqlite3") == schema(created)
    with engine_of(url).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_listed_revisions_are_the_scripts(url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    scripts = ScriptDirectory.from_config(config)

    assert tuple(reversed([script.revision for script in scripts.walk_revisions()])) == REVISIONS
    assert scripts.get_heads() == [HEAD]


def test_only_the_first_call_does_anything(url: str) -> None:
    assert migrate(url) is True
    assert migrate(url) is False


def test_a_database_that_is_up_to_date_does_not_cost_alembic(url: str) -> None:
    migrate(url)
    code = (
        "import sys; from twinspeak.persistence.migrations import migrate;"
        "assert migrate(sys.argv[1]) is False; assert 'alembic' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code, url], check=True, timeout=30)


def test_a_newer_database_is_refused_and_left_alone(url: str) -> None:
    migrate(url)
    with engine_of(url).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(OperatorError, match="newer version"):
        migrate(url)
    with engine_of(url).connect() as connection:
        assert migrations.current(connection) == "9999"


def test_somebody_elses_database_is_refused(url: str) -> None:
    with engine_of(url).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE recipes (name TEXT)")

    with pytest.raises(OperatorError, match="other tables"):
        migrate(url)


def test_a_migration_that_fails_leaves_nothing_behind(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(_connection: object) -> None:
        raise OperatorError("power cut")

    monkeypatch.setattr(migrations, "_check_references", break_off)
    with pytest.raises(OperatorError, match="power cut"):
        migrate(url)
    monkeypatch.undo()

    assert schema(tmp_path / "twinspeak.sqlite3") == {}
    assert migrate(url) is True


def test_two_starts_at_once_migrate_once(url: str) -> None:
    outcomes: list[bool | Exception] = []

    def start() -> None:
        try:
            outcomes.append(migrate(url))
        except OperatorError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(map(str, outcomes)) == ["False", "False", "False", "True"]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(OperatorError, match="cannot be opened"):
        migrate(f"sqlite:///{tmp_path / 'file' / 'db.sqlite3'}")


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, " * 100)

    with pytest.raises(OperatorError, match="cannot be opened"):
        migrate(f"sqlite:///{path}")


def test_looking_makes_nothing(url: str, tmp_path: Path) -> None:
    assert migrations.revision_of(url) is None
    assert list(tmp_path.iterdir()) == []

    migrate(url)
    assert migrations.revision_of(url) == HEAD
