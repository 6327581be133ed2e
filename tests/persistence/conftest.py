"""A migrated database, and people to put into it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import databases
from tests.persistence.world import World, settle_in
from twinspeak.persistence.db import Database


@pytest.fixture
def url(tmp_path: Path, database: str) -> str:
    return databases.url_for(tmp_path)


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    opened = Database.open(url)
    yield opened
    opened.close()


@pytest.fixture
def world(db: Database) -> World:
    return settle_in(db)
