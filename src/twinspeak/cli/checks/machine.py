"""Checks of this machine and of the data directory."""

import os
import platform
import shutil
import sqlite3
import stat
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from twinspeak.cli.checks import Finding, Verdict

PYTHON = (3, 11)
SQLITE = (3, 35, 0)
"""The first with RETURNING, which units of work rely on."""
DISK_PROBLEM_BYTES = 100 * 1024 * 1024
DISK_WARNING_BYTES = 1024 * 1024 * 1024

_SECRET_WORDS = ("secret", "key", "token")
_DATABASE_SUFFIXES = (".sqlite3", ".sqlite3-wal", ".sqlite3-shm")


def look() -> Iterable[Finding]:
    """Check Python and SQLite."""
    yield python(sys.version_info[:2])
    yield sqlite(sqlite3.sqlite_version_info, threadsafe=sqlite3.threadsafety > 0)


def python(version: tuple[int, ...]) -> Finding:
    """Check the interpreter's version."""
    if version >= PYTHON:
        return Finding("python", Verdict.GOOD, platform.python_version())
    wanted = ".".join(map(str, PYTHON))
    return Finding("python", Verdict.PROBLEM, platform.python_version(), f"Install Python {wanted} or newer.")


def sqlite(version: tuple[int, ...], *, threadsafe: bool) -> Finding:
    """Check the SQLite library that Python was built with."""
    shown = ".".join(map(str, version))
    if version < SQLITE:
        wanted = ".".join(map(str, SQLITE))
        return Finding("sqlite", Verdict.PROBLEM, shown, f"Use a Python built with SQLite {wanted} or newer.")
    if not threadsafe:
        return Finding("sqlite", Verdict.PROBLEM, f"{shown}, without threads", "Use a Python whose SQLite has threads.")
    return Finding("sqlite", Verdict.GOOD, shown)


def look_at_data(data_dir: Path) -> Iterable[Finding]:
    """Check the data directory: writable, fit for SQLite, private, with room."""
    place = data_dir.resolve()
    there = next(parent for parent in (place, *place.parents) if parent.exists())
    yield _writable(place, there)
    if place.is_dir():
        yield _journal(place)
        yield _private(place)
    yield disk(shutil.disk_usage(there).free)


def _writable(place: Path, there: Path) -> Finding:
    if not there.is_dir():
        return Finding("data dir", Verdict.PROBLEM, f"{there} is not a directory", "Choose another --data-dir.")
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding(
            "data dir", Verdict.PROBLEM, f"{there} is not writable", "Let the server's user write there (chown)."
        )
    if there != place:
        return Finding("data dir", Verdict.GOOD, f"{place} will be made")
    return Finding("data dir", Verdict.GOOD, str(place))


def _journal(place: Path) -> Finding:
    """SQLite's write-ahead log needs shared memory, which network file systems have not."""
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=place) as folder:
            connection = sqlite3.connect(Path(folder) / "probe.sqlite3")
            try:
                mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
                connection.execute("CREATE TABLE probe (n)")
            finally:
                connection.close()
    except (OSError, sqlite3.Error) as problem:
        return Finding("file system", Verdict.PROBLEM, f"SQLite cannot write there ({problem})", "Use a local disk.")
    if mode != "wal":
        return Finding("file system", Verdict.PROBLEM, "has no write-ahead log", "Use a local disk, not a network one.")
    return Finding("file system", Verdict.GOOD, "fit for SQLite")


def _private(place: Path) -> Finding:
    """Secrets and password hashes are for the server's user alone."""
    if os.name != "posix":
        return Finding("secrets", Verdict.WARNING, "file modes cannot be checked on this system")
    open_files = [path for path in sorted(place.iterdir()) if path.is_file() and _is_open(path)]
    secret = [path.name for path in open_files if any(word in path.name.lower() for word in _SECRET_WORDS)]
    if secret:
        names = ", ".join(secret)
        return Finding("secrets", Verdict.PROBLEM, f"others can read {names}", f"chmod 600 {names} (in {place})")
    stores = [path.name for path in open_files if path.name.endswith(_DATABASE_SUFFIXES)]
    if stores and _is_open(place, stat.S_IXGRP | stat.S_IXOTH):
        return Finding("secrets", Verdict.WARNING, f"others can read {', '.join(stores)}", f"chmod 700 {place}")
    return Finding("secrets", Verdict.GOOD, "only this user can read them")


def _is_open(path: Path, bits: int = stat.S_IRWXG | stat.S_IRWXO) -> bool:
    return bool(path.stat().st_mode & bits)


def disk(free_bytes: int) -> Finding:
    """Check the free space where the data is."""
    shown = f"{free_bytes / 1024**3:.1f} GB free"
    if free_bytes < DISK_PROBLEM_BYTES:
        return Finding("disk", Verdict.PROBLEM, shown, "Make room: a full disk stops every answer from being saved.")
    if free_bytes < DISK_WARNING_BYTES:
        return Finding("disk", Verdict.WARNING, shown, "Make room soon.")
    return Finding("disk", Verdict.GOOD, shown)
