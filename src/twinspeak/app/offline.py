"""What runs without a server: preparing the ground it stands on, migrations, adding people. Blocks its thread."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from twinspeak.app.lock import only_server
from twinspeak.app.restoring import refuse_half_restored
from twinspeak.domain.errors import OperatorError
from twinspeak.identity.passwords import Passwords
from twinspeak.knowledge.ingest import ingest_sync
from twinspeak.knowledge.samples import samples
from twinspeak.persistence import migrations
from twinspeak.persistence.db import Database
from twinspeak.persistence.repos import ai_models
from twinspeak.persistence.secrets import SecretBox, load_or_create_secret, open_box
from twinspeak.services import launches, mcp_servers, second_factors, sso_providers, users
from twinspeak.services.first_run import Administrator, first_run
from twinspeak.settings import Settings


@dataclass(frozen=True, slots=True)
class Ground:
    """What a server stands on. `admin_password` is there only when this start made it."""

    db: Database
    passwords: Passwords
    secrets: SecretBox
    jwt_secret: str
    admin_email: str
    admin_password: str | None


class Migrated(msgspec.Struct, frozen=True):
    """The revision the database is at, and whether it was not before."""

    head: str
    changed: bool


class DatabaseState(msgspec.Struct, frozen=True):
    """The revision of a database as it is (None: it is not there yet), and the one this version needs.

    `known` False means that a newer version wrote it.
    """

    revision: str | None
    head: str
    known: bool


class Newcomer(msgspec.Struct, frozen=True):
    """Somebody to add. `password` None: one is made up. `twin` None: the only one there is."""

    email: str
    password: str | None = None
    admin: bool = False
    twin: str | None = None


class Added(msgspec.Struct, frozen=True):
    """Who was added, and to which twin; the password only if it was made up."""

    email: str
    twin_name: str | None
    generated_password: str | None


@contextmanager
def prepare(settings: Settings) -> Generator[Ground]:
    """Make data dir, secrets, tables and, the first time, administrator and sample twin. Raises OperatorError."""
    _make_data_dir(settings.data_dir)
    refuse_half_restored(settings)
    with only_server(settings), _opened(settings) as (db, passwords):
        given = settings.admin_password.get_secret_value() if settings.admin_password else None
        told = first_run(
            db,
            passwords,
            Administrator(email=settings.admin_email, password=given),
            samples=[(sample.name, sample.text) for sample in samples()],
            ingest=lambda scope, name, text: ingest_sync(db, scope, name, text),
        )
        secrets = _secrets(settings)
        for kind in (sso_providers, second_factors, launches, mcp_servers):
            db.write_sync(partial(kind.rotate_secrets, vault=secrets))
        db.write_sync(lambda tx: ai_models.seal_again(tx, secrets))
        yield Ground(
            db=db,
            passwords=passwords,
            secrets=secrets,
            jwt_secret=_jwt_secret(settings),
            admin_email=told.admin_email,
            admin_password=told.generated_password,
        )


def migrate(settings: Settings) -> Migrated:
    """Bring the database to this version. Raises OperatorError."""
    _make_data_dir(settings.data_dir)
    return Migrated(changed=migrations.migrate(settings.database), head=migrations.HEAD)


def look_at_database(settings: Settings) -> DatabaseState:
    """Tell how far the database is, without changing it. Raises OperatorError when it cannot be opened."""
    found = migrations.revision_of(settings.database)
    return DatabaseState(revision=found, head=migrations.HEAD, known=found is None or found in migrations.REVISIONS)


def add_user(settings: Settings, newcomer: Newcomer) -> Added:
    """Add a person. Raises ValidationFailed, Conflict, NotFound, OperatorError."""
    with _opened(settings) as (db, passwords):
        twin = users.twin_to_join(db, newcomer.twin)
        person = users.Person(
            email=newcomer.email,
            password=newcomer.password,
            account_type="super" if newcomer.admin else "user",
            twin=twin.public_id if twin else None,
        )
        added = users.add(db, passwords, person)
        return Added(
            email=added.email,
            twin_name=twin.name if twin else None,
            generated_password=added.generated_password,
        )


def let_in(settings: Settings, email: str, password: str | None) -> users.LetIn:
    """Let somebody in again. Raises NotFound, ValidationFailed, OperatorError."""
    with _opened(settings) as (db, passwords):
        return users.let_in(db, passwords, email, password)


@contextmanager
def _opened(settings: Settings) -> Generator[tuple[Database, Passwords]]:
    migrate(settings)
    db, passwords = Database.open(settings.database), Passwords()
    try:
        yield db, passwords
    finally:
        passwords.close()
        db.close()


def _secrets(settings: Settings) -> SecretBox:
    return open_box(settings.data_dir, settings.secrets_key.get_secret_value() if settings.secrets_key else None)


def _jwt_secret(settings: Settings) -> str:
    given = settings.jwt_secret.get_secret_value() if settings.jwt_secret else None
    return load_or_create_secret(settings.data_dir / "jwt.secret", given)


def _make_data_dir(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(
            f"The data directory {folder} cannot be made ({error.strerror}): choose another with --data-dir."
        ) from None
