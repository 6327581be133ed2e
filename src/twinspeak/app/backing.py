"""`twinspeak backup`: database and data directory as they are at one moment, while the server runs."""

import os
import shutil
import tempfile
from pathlib import Path

import msgspec

from twinspeak import __version__
from twinspeak.app.archive import DATA, DATABASE, FORMAT, TABLES, Manifest, entries_of, pack
from twinspeak.app.lock import LOCK_NAME
from twinspeak.app.restoring import refuse_half_restored
from twinspeak.domain.clock import iso, now_ms
from twinspeak.domain.errors import OperatorError
from twinspeak.persistence import copying, migrations
from twinspeak.persistence.engines import parse_url
from twinspeak.settings import Settings

_KEYS = {"jwt.secret": "jwt_secret", "secrets.key": "secrets_key"}


class Backup(msgspec.Struct, frozen=True):
    """What was written. `elsewhere` are settings whose secrets the backup cannot hold: the environment has them."""

    file: Path
    bytes: int
    manifest: Manifest
    elsewhere: tuple[str, ...]


def back_up(settings: Settings, target: Path) -> Backup:
    """Write a backup to `target`, which must not exist. Raises OperatorError."""
    refuse_half_restored(settings)
    target = target.absolute()
    if os.path.lexists(target):
        raise OperatorError(f"{target} exists already, and a backup overwrites nothing: choose another name.")
    revision = migrations.revision_of(settings.database)
    if revision is None:
        raise OperatorError(f"There is no database in the data directory {settings.data_dir} to back up.")
    try:
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise OperatorError(f"{target.parent} cannot be written to ({error.strerror}).") from None
    try:
        kind = _gather(settings, staging, target)
        manifest = Manifest(
            format=FORMAT,
            twinspeak=__version__,
            created=iso(now_ms()),
            database=kind,
            revision=revision,
            files=entries_of(staging),
        )
        draft = staging / "archive"
        pack(staging, manifest, draft)
        _publish(draft, target)
    except OSError as error:
        raise OperatorError(f"The backup could not be written ({error.strerror or type(error).__name__}).") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    elsewhere = tuple(f"TWINSPEAK_{name}".upper() for name in _KEYS.values() if getattr(settings, name) is not None)
    return Backup(file=target, bytes=target.stat().st_size, manifest=manifest, elsewhere=elsewhere)


def _gather(settings: Settings, staging: Path, target: Path) -> str:
    """Copy everything into `staging`; return the kind of the database."""
    url = parse_url(settings.database)
    database = None
    if url.get_backend_name() == "sqlite":
        database = Path(url.database or "").resolve()
        copying.copy_file(database, staging / DATABASE)
    else:
        copying.dump_tables(settings.database, staging / TABLES)
    folder = settings.data_dir.resolve()
    if folder.is_dir():
        _copy_data(folder, staging / DATA, leave_out={target, database})
    return url.get_backend_name()


def _copy_data(folder: Path, copy: Path, *, leave_out: set[Path | None]) -> None:
    """Copy the regular files of the data directory, but the database's own, locks and what is hidden."""
    copy.mkdir(mode=0o700)
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts) or path.is_symlink() or not path.is_file():
            continue
        if path in leave_out or path.name == LOCK_NAME or _belongs_to(path, leave_out):
            continue
        (copy / inside).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(path, copy / inside)


def _belongs_to(path: Path, databases: set[Path | None]) -> bool:
    suffixes = ("-wal", "-shm", "-journal")
    return any(path.name == f"{file.name}{suffix}" for file in databases if file for suffix in suffixes)


def _publish(draft: Path, target: Path) -> None:
    """Give the finished archive its name, unless something took it meanwhile: a link never replaces."""
    try:
        os.link(draft, target)
    except FileExistsError:
        raise OperatorError(f"{target} exists already, and a backup overwrites nothing: choose another name.") from None
    except OSError:
        # A file system without hard links: somebody else taking the name at this very moment is not noticed.
        draft.rename(target)
