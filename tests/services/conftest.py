"""A stage for every test: a migrated database in a file, and the services over it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.stage import Stage
from twinspeak.persistence.db import Database
from twinspeak.persistence.migrations import migrate


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'twinspeak.sqlite3'}"
    migrate(url)
    database = Database.open(url)
    yield database
    database.close()


@pytest.fixture
def stage(db: Database) -> Iterator[Stage]:
    made = Stage(db)
    yield made
    made.passwords.close()
