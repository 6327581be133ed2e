"""A migrated database in a file, and people to put into it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.persistence.world import World, settle_in
from twinspeak.persistence.db import Database
from twinspeak.persistence.migrations import migrate


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'twinspeak.sqlite3'}"


@pytest.fixture
def migrated(url: str) -> None:
    migrate(url)


@pytest.fixture
def db(url: str, migrated: None) -> Iterator[Database]:
    database = Database.open(url)
    yield database
    database.close()


@pytest.fixture
def world(db: Database) -> World:
    return settle_in(db)
