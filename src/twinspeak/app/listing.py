"""The models that can be reached, without a server: by the server's own settings, and by records of twins.

Blocks its thread.
"""

import asyncio
import contextlib

import msgspec

from twinspeak.app.models import keys_of
from twinspeak.app.offline import look_at_database
from twinspeak.domain.models import ModelSpec
from twinspeak.egress.client import TrustedClient
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import ai_models, institutions
from twinspeak.persistence.scope import SYSTEM
from twinspeak.providers.directory import Directory
from twinspeak.providers.own import describe
from twinspeak.providers.vendors import configured
from twinspeak.settings import Settings


class TwinsModel(msgspec.Struct, frozen=True):
    """A model that a twin brings itself, and whether its record is switched on."""

    twin: str
    spec: ModelSpec
    active: bool


def reachable_models(settings: Settings) -> tuple[str, list[ModelSpec]]:
    """Return the default's id and all models, the default first. No vendor is asked. Raises OperatorError."""

    async def look() -> tuple[str, list[ModelSpec]]:
        client = TrustedClient.open()
        try:
            directory = Directory(configured(client, keys_of(settings)), default_model=settings.default_model)
            return directory.default_id, directory.available()
        finally:
            await client.close()

    return asyncio.run(look())


def twins_models(settings: Settings) -> list[TwinsModel] | None:
    """Return the models of twins' own by twin and name; None when the database is not there or of another version.

    Changes nothing. Raises OperatorError when the database cannot be opened.
    """
    state = look_at_database(settings)
    if state.revision != state.head:
        return None

    def read(tx: Tx) -> list[TwinsModel]:
        found: list[TwinsModel] = []
        for record in ai_models.answering(tx, SYSTEM):
            twin = institutions.by_id(tx, record.institution_id)
            found.append(TwinsModel(twin=twin.name if twin else "", spec=describe(record), active=record.active))
        return sorted(found, key=lambda one: (one.twin.casefold(), one.spec.label))

    with contextlib.closing(Database.open(settings.database)) as database:
        return asyncio.run(database.read(read))
