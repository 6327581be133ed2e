"""Several rankings to one, by reciprocal rank: scores of different kinds are never compared (reference 4.3, k = 60)."""

from collections.abc import Mapping, Sequence

import msgspec

K = 60


class Fused(msgspec.Struct, frozen=True, gc=False):
    """A chunk and where each way of searching placed it, from 1; `score` is the sum of 1 / (K + place)."""

    chunk_id: str
    score: float
    places: dict[str, int]


def fuse(legs: Mapping[str, Sequence[str]], *, limit: int) -> list[Fused]:
    """Return the best `limit` chunks of several rankings (each best first); ties go to the earlier leg's order."""
    places: dict[str, dict[str, int]] = {}
    for leg, ranking in legs.items():
        for place, chunk_id in enumerate(ranking, start=1):
            places.setdefault(chunk_id, {}).setdefault(leg, place)
    fused = [Fused(key, sum(1 / (K + place) for place in found.values()), found) for key, found in places.items()]
    return sorted(fused, key=lambda item: -item.score)[:limit]
