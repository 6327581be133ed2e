"""A database of each kind, empty and migrated, for what is measured inside one process."""

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from twinspeak.persistence.migrations import migrate


@contextmanager
def fresh(kind: str) -> Generator[str]:
    """Yield the URL of a migrated database, `sqlite` or `postgresql`; it is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="twinspeak-bench-"))
    try:
        if kind == "sqlite":
            url = f"sqlite:///{folder / 'twinspeak.sqlite3'}"
            migrate(url)
            yield url
            return
        from tests.databases import server

        started = server(folder / "data")
        try:
            url = str(started.get_uri())
            migrate(url)
            yield url
        finally:
            started.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
