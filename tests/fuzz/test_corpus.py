"""Every input that was worth keeping, and every one that ever broke something, once more; and the fuzzer itself."""

import pytest

from tests.fuzz import corpus, loop
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_kept_inputs_break_nothing(target: str):
    inputs = corpus.load(corpus.HOME, target)
    assert inputs
    for data in inputs:
        TARGETS[target](data)


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_is_kept_small_and_each_input_once(target: str):
    inputs = corpus.load(corpus.HOME, target)
    assert len(inputs) == len(set(inputs)) <= 400
    assert max(map(len, inputs)) <= loop.LONGEST


def test_inputs_survive_being_written(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("corpus")
    inputs = {bytes(range(first, first + 16)) for first in range(0, 256, 5) if first <= 240} | {
        b"\\n",
        b"\n",
        b"\\",
        b"\x1e",
        b"\r\x85\xa0",
    }
    corpus.save(folder, "some", inputs)
    assert set(corpus.load(folder, "some")) == inputs
    corpus.add(folder, "some", b"one more")
    assert set(corpus.load(folder, "some")) == inputs | {b"one more"}


def test_our_own_fuzzer_finds_what_is_broken():
    def broken(data: bytes) -> None:
        TARGETS["parser"](data)
        assert not data.startswith(b"4{")

    with pytest.raises(loop.Crash) as crash:
        loop.fuzz(broken, [b"4"], 30, seed=1)
    assert crash.value.data.startswith(b"4{")
    assert isinstance(crash.value.__cause__, AssertionError)


def test_our_own_fuzzer_keeps_what_reaches_more():
    kept, runs = loop.fuzz(TARGETS["parser"], [b"2", b'2["a"]'], 0.5, seed=1)
    assert runs > 2
    watch = loop.Watch(TARGETS["parser"])
    grown = corpus.grown([b"2", b"2x"], kept, watch)
    assert grown[:2] == [b"2", b"2x"]
    assert {pair for data in grown for pair in watch(data)} >= watch(b'2["a"]')
    assert len(corpus.grown(grown, kept, watch)) == len(grown)
