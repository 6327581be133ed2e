"""The index of a vault that changes: always what an index made anew would be."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinspeak.knowledge.index.fuse import fuse
from twinspeak.knowledge.index.vault import Asked, IndexedChunk, VaultIndex, search

WORDS = ["lion", "tiger", "zebra", "parrot", "otter", "heron"]
SAID = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)
VAULT = st.dictionaries(st.sampled_from("abcdefgh"), st.lists(SAID, min_size=1, max_size=3), max_size=8)

Vault = dict[str, list[str]]


def chunks_of(vault: Vault, wanted: Sequence[str]) -> list[IndexedChunk]:
    return [
        IndexedChunk(f"{document}{place}", document, text)
        for document in wanted
        for place, text in enumerate(vault[document])
    ]


def followed(index: VaultIndex, vault: Vault) -> VaultIndex:
    step = index.step({key: repr(texts) for key, texts in vault.items()})
    return step.finished(chunks_of(vault, step.wanted))


@given(st.lists(VAULT, min_size=1, max_size=12), SAID, st.sets(st.sampled_from("abcdefgh")) | st.none())
def test_following_is_the_same_as_beginning_anew(vaults: list[Vault], question: str, only: set[str] | None) -> None:
    index = VaultIndex()
    for vault in vaults:
        index = followed(index, vault)
    now = {key: texts for key, texts in vaults[-1].items() if only is None or key in only}
    narrowed = None if only is None else frozenset(only)
    found = search([index], Asked(question, limit=100, only=narrowed))
    fresh = search([followed(VaultIndex(), now)], Asked(question, limit=100))
    assert {one.chunk_id for one in found.fused} == {one.chunk_id for one in fresh.fused}
    assert found.scores == pytest.approx(fresh.scores)


def test_only_what_is_new_is_read() -> None:
    index = VaultIndex()
    read: list[tuple[str, ...]] = []
    for revisions in ({"a": "1", "b": "1"}, {"a": "1", "b": "2", "c": "1"}, {"a": "1", "b": "2", "c": "1"}, {"a": "1"}):
        step = index.step(revisions)
        read.append(step.wanted)
        index = step.finished([IndexedChunk(key, key, "lion") for key in step.wanted])
    assert read == [("a", "b"), ("b", "c"), (), ()]
    assert [one.chunk_id for one in search([index], Asked("lion")).fused] == ["a"]


def test_many_small_changes_leave_few_parts() -> None:
    vault: Vault = {}
    index = VaultIndex()
    for number in range(100):
        vault[str(number)] = [f"lion number {number}"]
        index = followed(index, vault)
    assert len(index.parts) <= 7
    assert len(index) == 100


def unit(*numbers: float) -> bytes:
    import numpy as np

    return np.array(numbers, dtype="<f4").tobytes()


def test_legs_are_fused_by_their_places() -> None:
    chunks = [
        IndexedChunk("words", "a", "lion lion", vector=unit(0.0, 1.0)),
        IndexedChunk("both", "b", "a lion among herons", vector=unit(0.8, 0.6)),
        IndexedChunk("sense", "c", "big cat", vector=unit(1.0, 0.0)),
        IndexedChunk("old", "d", "another model's", vector=b"\0" * 12),
    ]
    index = VaultIndex().step(dict.fromkeys("abcd", "")).finished(chunks)
    asked = Asked("lion", unit(1.0, 0.0))
    found = search([index], asked)
    assert [one.chunk_id for one in found.fused] == ["both", "words", "sense"]
    assert found.fused[0].places == {"lexical": 2, "dense": 2}
    assert found.fused[0].score == pytest.approx(2 / 62)
    assert found.scores["sense"] == pytest.approx(1.0)
    only = msgspec.structs.replace(asked, only=frozenset("c"))
    assert [one.chunk_id for one in search([index], only).fused] == ["sense"]
    strict = msgspec.structs.replace(asked, lexical_floor=0.9, least_cosine=0.9)
    assert [one.chunk_id for one in search([index], strict).fused] == ["words", "sense"]
    assert [one.chunk_id for one in search([index], Asked("lion")).fused] == ["words", "both"]
    longer = msgspec.structs.replace(asked, vector=unit(1.0, 0.0, 0.0))
    assert [one.chunk_id for one in search([index], longer).fused] == ["words", "both"]


def test_fusing_nothing() -> None:
    assert fuse({}, limit=5) == []
    assert fuse({"lexical": [], "dense": []}, limit=5) == []
    assert [one.chunk_id for one in fuse({"x": ["a", "b"], "y": ["b", "a"]}, limit=1)] == ["a"]
