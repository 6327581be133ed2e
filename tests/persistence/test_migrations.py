"""From nothing to the tables of `tables.py`, in one step or not at all."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, make_url
from sqlalchemy.engine import Inspector

from tests import databases
from twinspeak.domain.errors import OperatorError
from twinspeak.persistence import migrations
from twinspeak.persistence.engines import create_file, make_engine, parse_url
from twinspeak.persistence.migrations import HEAD, REVISIONS, migrate
from twinspeak.persistence.tables import metadata


def engine_of(url: str) -> Engine:
    return make_engine(parse_url(url), read_only=False)


@pytest.fixture
def url(tmp_path: Path, database: str) -> str:
    return databases.url_for(tmp_path, empty=True)


def schema(url: str) -> dict[str, Any]:
    """Return every table as the database itself tells it."""
    engine = engine_of(url)
    with engine.connect() as connection:
        seen = inspect(connection)
        tables = sorted(name for name in seen.get_table_names() if not name.startswith("alembic"))
        return {name: _described(seen, name) for name in tables}


def _described(seen: Inspector, name: str) -> list[Any]:
    columns = [
        (column["name"], str(column["type"]), column["nullable"], column["default"])
        for column in seen.get_columns(name)
    ]
    rest = [
        seen.get_pk_constraint(name),
        *seen.get_foreign_keys(name),
        *seen.get_unique_constraints(name),
        *seen.get_check_constraints(name),
        *seen.get_indexes(name),
    ]
    return [columns, sorted(_plain(part) for part in rest)]


def _plain(part: Any) -> str:
    if isinstance(part, dict):
        return str({key: _plain(part[key]) for key in sorted(part)})
    return str(part)


def _comparable(name: str | None, kind: str, _parents: object) -> bool:
    """Leave out SQLite's index of words, which is no table to SQLAlchemy; the comparison above has seen it."""
    return not (kind == "table" and (name or "").startswith("turn_search"))


def _differences(context: MigrationContext) -> list[Any]:
    """Leave out the index that PostgreSQL has alone, where the database is not PostgreSQL."""
    found = compare_metadata(context, metadata)
    alone = {"ix_turns_words"} if context.dialect.name == "sqlite" else set[str]()
    return [one for one in found if getattr(one[1], "name", None) not in alone]


def test_a_migrated_database_is_what_the_tables_say(url: str, tmp_path: Path) -> None:
    migrate(url)
    created = databases.url_for(tmp_path / "created", empty=True)
    create_file(parse_url(created))
    metadata.create_all(engine_of(created))

    assert schema(url) == schema(created)
    assert "postgresql_where" in str(schema(url)) or "sqlite_where" in str(schema(url))
    with engine_of(url).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": _comparable})
        assert _differences(context) == []


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
    create_file(parse_url(url))
    with engine_of(url).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE recipes (name TEXT)")

    with pytest.raises(OperatorError, match="other tables"):
        migrate(url)


def test_a_migration_that_fails_leaves_nothing_behind(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_off(_connection: object) -> None:
        raise OperatorError("power cut")

    monkeypatch.setattr(migrations, "_check_references", break_off)
    with pytest.raises(OperatorError, match="power cut"):
        migrate(url)
    monkeypatch.undo()

    assert schema(url) == {}
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


@pytest.mark.parametrize("way", ["nothing there", "something else there"])
def test_a_database_that_cannot_be_opened_is_told(tmp_path: Path, database: str, way: str) -> None:
    if database == databases.POSTGRES:
        url = make_url(databases.url_for(tmp_path, empty=True))
        other = url.set(database="nowhere") if way == "nothing there" else url.update_query_dict({"port": "1"})
        address = other.render_as_string(hide_password=False)
    else:
        (tmp_path / "letter.txt").write_text("Dear reader, " * 100)
        address = f"sqlite:///{tmp_path / 'letter.txt'}{'/db.sqlite3' if way == 'nothing there' else ''}"

    with pytest.raises(OperatorError, match="cannot be opened"):
        migrate(address)
    if way != "nothing there" or database == databases.POSTGRES:
        with pytest.raises(OperatorError, match="cannot be opened"):
            migrations.revision_of(address)


def test_looking_makes_nothing(url: str, tmp_path: Path) -> None:
    assert migrations.revision_of(url) is None
    assert list(tmp_path.iterdir()) == []

    migrate(url)
    assert migrations.revision_of(url) == HEAD
