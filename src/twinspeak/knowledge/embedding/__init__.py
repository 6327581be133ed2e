"""Texts to vectors: the models that may be there. None needs to be."""

import asyncio
from collections.abc import Sequence
from typing import Protocol


class Embedder(Protocol):
    """An embedding model. Vectors of different models are never compared: they are stored with its name."""

    @property
    def name(self) -> str:
        """Return what the vectors are stored under."""
        ...

    @property
    def provider(self) -> str:
        """Return who makes them: `local`, or how a server is spoken to."""
        ...

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return a unit vector for each text, as little-endian float32, all of one length. Raises ServiceError."""
        ...


class Embedders(Protocol):
    """Which model serves whom."""

    async def of(self, institution_id: str | None) -> Embedder | None:
        """Return the model of a twin, or of people's own vaults; None: words alone. Raises ServiceError."""
        ...


class Computed(Protocol):
    """A model that computes here."""

    @property
    def name(self) -> str:
        """Return what the vectors are stored under."""
        ...

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return a unit vector for each text. Computes: not for an event loop's thread."""
        ...


class Local:
    """A model that computes here, as an event loop asks it."""

    provider = "local"

    def __init__(self, model: Computed) -> None:
        """Keep the model."""
        self._model = model

    @property
    def name(self) -> str:
        """Return what the vectors are stored under."""
        return self._model.name

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return a unit vector for each text."""
        return await asyncio.to_thread(self._model.embed, texts)


class Always:
    """`Embedders` that knows one model."""

    def __init__(self, embedder: Embedder | None) -> None:
        """Keep it."""
        self._embedder = embedder

    async def of(self, institution_id: str | None) -> Embedder | None:
        """Return it."""
        del institution_id
        return self._embedder
