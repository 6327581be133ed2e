"""Searching vaults: whose passages come, how they are numbered, and that an index is never stale."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from twinspeak.domain.caller import Scope
from twinspeak.domain.turn import TurnPlan
from twinspeak.knowledge.index.vault import Step
from twinspeak.knowledge.ingest import ingest
from twinspeak.knowledge.retrieve import RELATIVE_FLOOR, VaultRetriever
from twinspeak.persistence.db import Database
from twinspeak.persistence.repos import documents

ScopeOf = Callable[..., Scope]
MakePlan = Callable[..., TurnPlan]


@pytest.fixture
def retriever(db: Database) -> VaultRetriever:
    return VaultRetriever(db)


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the chunks that are indexed each time."""
    sizes: list[int] = []
    original = Step.finished

    def counted(step: Step, chunks: Any) -> Any:
        sizes.append(len(chunks))
        return original(step, chunks)

    monkeypatch.setattr(Step, "finished", counted)
    return sizes


async def names(retriever: VaultRetriever, plan: TurnPlan, query: str, limit: int = 6) -> list[str]:
    return [passage.document_name for passage in await retriever.search(plan, query, limit=limit)]


async def test_passages_are_numbered_best_first(
    db: Database, retriever: VaultRetriever, plan: MakePlan, scope_of: ScopeOf
) -> None:
    await ingest(db, scope_of("ann", "college"), "pets.md", "# Pets\n\n## Cats\n\nCats purr.\n\n## Dogs\n\nDogs bark.")
    await ingest(db, scope_of("ann", "college"), "zoo.md", "A zoo has many animals, big cats among them.")
    found = await retriever.search(plan(), "cats", limit=6)
    assert [(passage.number, passage.document_name) for passage in found] == [(1, "pets.md"), (2, "zoo.md")]
    assert (found[0].section, found[0].text) == ("Pets > Cats", "Cats purr.")
    assert found[0].score > found[1].score > RELATIVE_FLOOR * found[0].score
    assert len(found[0].chunk_id) == len(found[0].document_id) == 24
    assert await names(retriever, plan(), "cats", limit=1) == ["pets.md"]


async def test_nobody_finds_anothers_documents(
    db: Database, retriever: VaultRetriever, plan: MakePlan, scope_of: ScopeOf
) -> None:
    await ingest(db, scope_of("ann", "college"), "college.md", "The lion of the college.")
    await ingest(db, scope_of("ann", "museum"), "museum.md", "The lion of the museum.")
    await ingest(db, scope_of("ann"), "ann.md", "The lion of Ann.")
    for _ in range(2):
        assert sorted(await names(retriever, plan("ann", "college"), "lion")) == ["ann.md", "college.md"]
        assert await names(retriever, plan("bob", "college"), "lion") == ["college.md"]
        assert await names(retriever, plan("bob", "museum"), "lion") == ["museum.md"]
        assert await names(retriever, plan("ann", None), "lion") == ["ann.md"]
        assert await names(retriever, plan("bob", None), "lion") == []


async def test_a_new_document_is_found_at_once(
    db: Database, retriever: VaultRetriever, plan: MakePlan, scope_of: ScopeOf, builds: list[int]
) -> None:
    for number in range(1, 4):
        assert await names(retriever, plan(), "lion") == [f"{n}.md" for n in range(1, number)]
        await ingest(db, scope_of("bob", "college"), f"{number}.md", f"A lion, number {number}.")
    assert await names(retriever, plan(), "lion") == ["1.md", "2.md", "3.md"]
    assert builds == [1, 1, 1]
    await ingest(db, scope_of("bob", "museum"), "other.md", "Another vault's lion.")
    assert len(await names(retriever, plan(), "lion")) == 3
    assert builds == [1, 1, 1]


async def test_a_removed_document_is_gone_at_once(
    db: Database, retriever: VaultRetriever, plan: MakePlan, scope_of: ScopeOf
) -> None:
    college = scope_of("ann", "college")
    old = await ingest(db, college, "old.md", "An old lion.")
    await ingest(db, college, "new.md", "A new lion.")
    assert await names(retriever, plan(), "lion") == ["old.md", "new.md"]
    there = await db.read(lambda tx: documents.by_id(tx, old.document_id))
    assert there
    await db.write(lambda tx: documents.erase(tx, there))
    assert await names(retriever, plan(), "lion") == ["new.md"]


async def test_many_turns_make_an_index_once(
    db: Database, retriever: VaultRetriever, plan: MakePlan, scope_of: ScopeOf, builds: list[int]
) -> None:
    await ingest(db, scope_of("ann", "college"), "zoo.md", "A lion.")
    found = await asyncio.gather(*(names(retriever, plan(), "lion") for _ in range(40)))
    assert found == [["zoo.md"]] * 40
    assert builds == [1]


async def test_a_turn_that_is_cancelled_in_the_wait_stops_nobody(
    db: Database, retriever: VaultRetriever, plan: MakePlan, scope_of: ScopeOf
) -> None:
    await ingest(db, scope_of("ann", "college"), "zoo.md", "A lion.")
    async with asyncio.TaskGroup() as group:
        gone = [group.create_task(retriever.search(plan(), "lion", limit=6)) for _ in range(4)]
        stays = group.create_task(names(retriever, plan(), "lion"))
        await asyncio.sleep(0)
        for task in gone:
            task.cancel()
    assert stays.result() == ["zoo.md"]
    assert await names(retriever, plan(), "lion") == ["zoo.md"]


async def test_memory_is_bounded_by_forgetting_what_was_used_longest_ago(
    db: Database, plan: MakePlan, scope_of: ScopeOf, builds: list[int]
) -> None:
    small = VaultRetriever(db, most_chunks=2)
    for twin in ("college", "museum"):
        await ingest(db, scope_of("ann", twin), "zoo.md", f"The lion of the {twin}.")
    await ingest(db, scope_of("bob"), "zoo.md", "The lion of Bob.")
    vaults = [plan("ann", "college"), plan("ann", "museum"), plan("bob", None)]
    await names(small, vaults[0], "lion")
    await names(small, vaults[1], "lion")
    await names(small, vaults[0], "lion")
    assert builds == [1, 1]
    await names(small, vaults[2], "lion")  # the museum's goes
    await names(small, vaults[0], "lion")
    assert builds == [1, 1, 1]
    await names(small, vaults[1], "lion")
    assert builds == [1, 1, 1, 1]


async def test_weak_passages_are_left_out(
    db: Database, retriever: VaultRetriever, plan: MakePlan, scope_of: ScopeOf
) -> None:
    college = scope_of("ann", "college")
    await ingest(db, college, "good.md", "# Feeding lions\n\nLions at the zoo are fed at noon.")
    for number in range(5):
        await ingest(db, college, f"weak{number}.md", f"Opening hours of the zoo, part {number}.")
    assert await names(retriever, plan(), "When are the lions at the zoo fed?") == ["good.md"]


@pytest.mark.parametrize("query", ["", "   ", "what is the", "unicorns", "?!", "\x00", "\ud800"])
async def test_nothing_found(
    db: Database, retriever: VaultRetriever, plan: MakePlan, scope_of: ScopeOf, query: str
) -> None:
    await ingest(db, scope_of("ann", "college"), "zoo.md", "A lion.")
    assert await names(retriever, plan(), query) == []


async def test_of_an_endless_question_both_ends_count(
    db: Database, retriever: VaultRetriever, plan: MakePlan, scope_of: ScopeOf
) -> None:
    await ingest(db, scope_of("ann", "college"), "zoo.md", "A lion.")
    filler = "and then " * 100_000
    assert await names(retriever, plan(), f"lion {filler}") == ["zoo.md"]
    assert await names(retriever, plan(), f"{filler} lion") == ["zoo.md"]
