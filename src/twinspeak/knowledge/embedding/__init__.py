"""Texts to vectors: the models that may be there. None needs to be."""

from collections.abc import Sequence
from typing import Protocol


class Embedder(Protocol):
    """An embedding model. Vectors of different models are never compared: they are stored with its name."""

    @property
    def name(self) -> str:
        """Return what the vectors are stored under."""
        ...

    @property
    def dimensions(self) -> int:
        """Return how many numbers a vector has."""
        ...

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return a unit vector for each text, as little-endian float32. Computes: not for an event loop's thread."""
        ...
