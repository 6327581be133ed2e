"""A stage for every test: a migrated database, and the services over it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import databases
from tests.services.stage import Stage
from twinspeak.persistence.db import Database


@pytest.fixture
def db(tmp_path: Path, database: str) -> Iterator[Database]:
    opened = Database.open(databases.url_for(tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def stage(db: Database) -> Iterator[Stage]:
    made = Stage(db)
    yield made
    made.passwords.close()
