"""`twinspeak restore`: a backup in the place of a data directory, wholly or not at all (docs/decisions/022).

Everything is unpacked, checked and migrated beside what is there before anything of that is touched; what was there is
moved aside, not removed.
"""

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from twinspeak.app.archive import DATA, DATABASE, TABLES, Manifest, unpack
from twinspeak.app.lock import LOCK_NAME, only_server
from twinspeak.domain.clock import iso, now_ms
from twinspeak.domain.errors import OperatorError
from twinspeak.persistence import copying, migrations
from twinspeak.persistence.engines import parse_url
from twinspeak.settings import Settings

UNFINISHED = "restore.unfinished"
ASIDE = ".before-restore-"


class Restored(msgspec.Struct, frozen=True):
    """What was put in place. `aside` holds what was there before; `upgraded_from` is the backup's older revision."""

    manifest: Manifest
    aside: Path | None
    upgraded_from: str | None


def refuse_half_restored(settings: Settings) -> None:
    """Raise OperatorError when a restore was cut short, so that no server runs on half of two installations."""
    if (settings.data_dir / UNFINISHED).exists():
        raise OperatorError(
            f"A restore into {settings.data_dir} was cut short. Run `twinspeak restore FILE --force` again."
        )


def restore(settings: Settings, archive: Path, *, force: bool) -> Restored:
    """Put a backup in place. Raises OperatorError, and then nothing has changed, unless it says so.

    Refuses beside a running server, and over anything that is there unless `force`. Everybody has to sign in again,
    because the backup may hold sessions that were ended since.
    """
    folder = settings.data_dir.resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with only_server(settings):
        present = _present(folder) + _database_outside(settings, folder)
        if present and not force:
            raise OperatorError(
                f"The data directory {settings.data_dir} is not empty ({present[0].name}): restore into another one, or"
                " use --force, which moves what is there aside."
            )
        staging = Path(tempfile.mkdtemp(prefix=".restoring-", dir=folder))
        try:
            manifest = unpack(archive, staging)
            _check_kind(settings, manifest)
            _prepare(settings, manifest, staging, force=force)
            aside = _swap(settings, staging, present, folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    older = manifest.revision if manifest.revision != migrations.HEAD else None
    return Restored(manifest=manifest, aside=aside, upgraded_from=older)


def _check_kind(settings: Settings, manifest: Manifest) -> None:
    kind = parse_url(settings.database).get_backend_name()
    if manifest.database != kind:
        raise OperatorError(f"The backup is of a {manifest.database} database, and the settings name a {kind} one.")
    if manifest.revision not in migrations.REVISIONS:
        raise OperatorError(
            f"The backup was made by Twinspeak {manifest.twinspeak}, whose database (revision {manifest.revision}) this"
            " version does not know: restore it with that version or a newer one."
        )


def _prepare(settings: Settings, manifest: Manifest, staging: Path, *, force: bool) -> None:
    """Bring the database to this version; SQLite's in the staging folder, PostgreSQL's in one transaction."""
    if manifest.database == "sqlite":
        url = f"sqlite:///{staging / DATABASE}"
        copying.check_file(staging / DATABASE)
        migrations.migrate(url)
    else:
        url = settings.database
        copying.load_tables(url, staging / TABLES, manifest.revision, replace=force)
    copying.end_sessions(url, now_ms())


def _swap(settings: Settings, staging: Path, present: list[Path], folder: Path) -> Path | None:
    """Move what is there aside, and what was unpacked into its place; the next start notices a crash in between."""
    marker = folder / UNFINISHED
    marker.write_text(iso(now_ms()) + "\n", "utf-8")
    aside = None
    if present:
        stamp = datetime.fromtimestamp(now_ms() / 1000, tz=UTC).strftime("%Y%m%d-%H%M%S")
        aside = Path(tempfile.mkdtemp(prefix=f"{ASIDE}{stamp}-", dir=folder))
        for path in present:
            shutil.move(path, aside / path.name)
    data = staging / DATA
    for path in sorted(data.iterdir()) if data.is_dir() else []:
        path.rename(folder / path.name)
    url = parse_url(settings.database)
    if url.get_backend_name() == "sqlite" and url.database:
        target = Path(url.database).resolve()
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.move(staging / DATABASE, target)
    marker.unlink()
    return aside


def _present(folder: Path) -> list[Path]:
    """Return what a restore would replace; hidden files are leftovers of this and other programs."""
    ours = {LOCK_NAME, UNFINISHED}
    return [path for path in sorted(folder.iterdir()) if path.name not in ours and not path.name.startswith(".")]


def _database_outside(settings: Settings, folder: Path) -> list[Path]:
    url = parse_url(settings.database)
    if url.get_backend_name() != "sqlite" or not url.database:
        return []
    file = Path(url.database).resolve()
    if file.parent == folder:
        return []
    files = (file.with_name(file.name + suffix) for suffix in ("", "-wal", "-shm"))
    return [path for path in files if path.exists()]
