"""The models that the server's own settings reach, without a server. Blocks its thread."""

import asyncio

from twinspeak.app.models import keys_of
from twinspeak.domain.models import ModelSpec
from twinspeak.egress.client import TrustedClient
from twinspeak.providers.directory import Directory
from twinspeak.providers.vendors import configured
from twinspeak.settings import Settings


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
