"""Nearest vectors, searched exactly: one product of a matrix with the question's vector."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from twinspeak.knowledge.index.lexical import Hit, hits_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twinspeak.knowledge.index.lexical import Counted


class DenseIndex:
    """Unit vectors of some chunks, little-endian float32 as they are stored. Immutable once built."""

    def __init__(self, chunk_ids: Sequence[str], vectors: Mapping[str, bytes], dimensions: int) -> None:
        """Keep a vector for each chunk; one without (or with another model's) is near to nothing."""
        import numpy as np

        self.chunk_ids = chunk_ids
        nothing = bytes(dimensions * 4)
        rows = (vectors.get(chunk_id, nothing) for chunk_id in chunk_ids)
        joined = b"".join(row if len(row) == len(nothing) else nothing for row in rows)
        self.matrix: NDArray[Any] = np.frombuffer(joined, dtype="<f4").reshape(len(chunk_ids), dimensions)

    def __len__(self) -> int:
        """Return the number of chunks."""
        return len(self.chunk_ids)


def nearest(
    indices: Sequence[DenseIndex],
    vector: bytes,
    *,
    limit: int,
    least: float = 0.0,
    counted: Sequence["Counted"] | None = None,
) -> list[Hit]:
    """Return the `limit` chunks nearest to a unit vector, by cosine over `least` (>= 0), best first.

    `counted` as in `lexical.rank`.
    """
    import numpy as np

    if not any(len(index) for index in indices) or limit < 1:
        return []
    wanted = np.frombuffer(vector, dtype="<f4")
    scores = [index.matrix @ wanted for index in indices]
    for some, mask in zip(scores, counted or [], strict=False):
        if mask is not None:
            some[~mask] = 0.0
    return hits_of(scores, [index.chunk_ids for index in indices], limit, above=least)
