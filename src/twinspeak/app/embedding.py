"""Which embedding model serves whom: a twin's own, else the one that is installed, else none."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from twinspeak.app.models import model_guard
from twinspeak.egress.client import GuardedClient
from twinspeak.knowledge.embedding import Embedder, Local
from twinspeak.knowledge.embedding.minilm import MiniLm, model_folder
from twinspeak.persistence.db import Database
from twinspeak.persistence.secrets import SecretBox
from twinspeak.providers.embeddings import OwnEmbedders
from twinspeak.settings import Settings


class Embedders:
    """`knowledge.embedding.Embedders` and `services.vault_reading.EmbeddingModels`."""

    def __init__(self, own: OwnEmbedders, installed: Embedder | None) -> None:
        """Keep both."""
        self._own = own
        self._installed = installed

    async def of(self, institution_id: str | None) -> Embedder | None:
        """Return who makes the vectors of a twin's documents and questions; None is the own vault of a person.

        Raises ProviderFailed when a twin's own model cannot be asked: another one's vectors would not fit.
        """
        own = await self._own.of(institution_id) if institution_id else None
        return own or self._installed


@asynccontextmanager
async def open_embedders(settings: Settings, db: Database, box: SecretBox) -> AsyncGenerator[Embedders]:
    """Open the way out to twins' models, inside the running loop."""
    client = GuardedClient.guarded(model_guard(settings))
    folder = model_folder()
    try:
        yield Embedders(OwnEmbedders(db, box, client), Local(MiniLm(folder)) if folder else None)
    finally:
        await client.close()
