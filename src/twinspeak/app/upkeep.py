"""`twinspeak check`: whether the books and the tables are right, and what of it can be put right."""

import msgspec
from sqlalchemy.exc import DatabaseError

from twinspeak.app.lock import is_served, only_server
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import OperatorError
from twinspeak.domain.ids import new_id
from twinspeak.persistence import migrations
from twinspeak.persistence.db import Database
from twinspeak.persistence.repos import audit
from twinspeak.services.turn_store import TurnStore
from twinspeak.settings import Settings


class Report(msgspec.Struct, frozen=True):
    """What was found, in words; `repaired` of it is well now."""

    problems: tuple[str, ...]
    repaired: tuple[str, ...] = ()
    settled: int = 0

    @property
    def clean(self) -> bool:
        """Whether nothing is left to do."""
        return not self.problems


def check(settings: Settings) -> Report:
    """Look at everything and change nothing; a server may run. Raises OperatorError."""
    served = is_served(settings)
    db = _open(settings)
    try:
        found = _look(db, served=served)
    finally:
        db.close()
    return Report(problems=tuple(finding.problem for finding in found))


def repair(settings: Settings) -> Report:
    """Settle turns that nobody runs, and repair what cannot get worse by it. Raises OperatorError beside a server."""
    with only_server(settings):
        db = _open(settings)
        try:
            store = TurnStore(db, lease_s=settings.turn_lease_s, owner=new_id())
            settled = store.reap_sync(now_ms())
            found = _look(db, served=False)
            for finding in found:
                if finding.repair is not None:
                    db.write_sync(finding.repair)
            left = _look(db, served=False)
        finally:
            db.close()
    problems = tuple(finding.problem for finding in left)
    repaired = tuple(finding.problem for finding in found if finding.problem not in problems)
    return Report(problems=problems, repaired=repaired, settled=len(settled))


def _look(db: Database, *, served: bool) -> list[audit.Finding]:
    try:
        return db.read_sync(lambda tx: audit.look(tx, now=now_ms(), served=served))
    except DatabaseError as error:
        return [audit.Finding(f"the database cannot be read: {error.orig}")]


def _open(settings: Settings) -> Database:
    revision = migrations.revision_of(settings.database)
    if revision is None:
        raise OperatorError(f"There is no database in the data directory {settings.data_dir} yet.")
    if revision != migrations.HEAD:
        raise OperatorError(
            f"The database is at revision {revision}, this version needs {migrations.HEAD}: run `twinspeak migrate`."
        )
    return Database.open(settings.database)
