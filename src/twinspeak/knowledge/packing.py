"""From hits to the passages that a model is given: the same text once, neighbours joined, numbered.

Pure functions. How many of them fit a prompt is `engine.window`'s to say.
"""

from collections.abc import Sequence

from twinspeak.domain.passage import Passage
from twinspeak.persistence.repos.shelves import Chunk

MOST_CHARS = 4_000
"""Neighbours are joined up to this length: about a thousand tokens, so that no passage takes a small prompt alone."""


def packed(hits: Sequence[tuple[Chunk, float]], limit: int) -> list[Passage]:
    """Return at most `limit` passages, best first, numbered from 1.

    Passages of one parent section that follow one another become one, in reading order, as good as the best of them;
    its id and its place are the best one's. Of the same text in two documents the better placed one stays.
    """
    groups: list[list[tuple[Chunk, float]]] = []
    seen: set[str] = set()
    for chunk, score in hits:
        same = " ".join(chunk.text.split()).casefold()
        if same in seen:
            continue
        seen.add(same)
        home = next((group for group in groups if _belongs(chunk, group)), None)
        if home is not None:
            home.append((chunk, score))
        elif len(groups) < limit:
            groups.append([(chunk, score)])
    return [_passage(number, group) for number, group in enumerate(groups, start=1)]


def _belongs(chunk: Chunk, group: Sequence[tuple[Chunk, float]]) -> bool:
    first = group[0][0]
    if chunk.document_id != first.document_id or (chunk.section, chunk.parent) != (first.section, first.parent):
        return False
    if sum(len(one.text) for one, _ in group) + len(chunk.text) > MOST_CHARS:
        return False
    return any(abs(chunk.position - one.position) == 1 for one, _ in group)


def _passage(number: int, group: Sequence[tuple[Chunk, float]]) -> Passage:
    best, score = group[0]
    in_order = sorted((one for one, _ in group), key=lambda one: one.position)
    return Passage(
        number=number,
        chunk_id=best.id,
        document_id=best.document_id,
        document_name=best.document_name,
        text="\n\n".join(one.text for one in in_order),
        section=best.section,
        score=round(score, 4),
        locator=best.locator,
        confidential=best.confidential,
        position=best.position,
    )
