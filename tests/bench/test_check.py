"""Counting what came, from every way that text can go wrong."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.answers import text_of
from bench.load.check import Check
from bench.load.job import Spread


def checked(*deltas: str, words: int = 6, cumulative: bool = False, whole: str | None = None) -> Check:
    check = Check(array("d"), started=0.0)
    told = ""
    for number, delta in enumerate(deltas):
        told += delta
        check.take(delta, told if cumulative else None, float(number))
    check.finish(words, whole)
    return check


def faults(check: Check) -> tuple[int, int, int]:
    return check.lost, check.doubled, check.garbled


@given(st.lists(st.integers(1, 4), min_size=1, max_size=20))
def test_text_in_frames_of_any_size_is_whole(sizes: list[int]):
    words = text_of(sum(sizes)).split(" ")[:-1]
    frames: list[str] = []
    for size in sizes:
        frames.append("".join(f"{word} " for word in words[:size]))
        words = words[size:]
    check = checked(*frames, words=sum(sizes), cumulative=True, whole=text_of(sum(sizes)))
    assert faults(check) == (0, 0, 0)
    assert (check.words, check.frames) == (sum(sizes), len(sizes))


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        (("w0000 ", "w0002 ", "w0003 w0004 w0005 "), (1, 0, 0)),
        (("w0000 w0003 ", "w0004 w0005 "), (2, 0, 0)),
        (("w0000 w0001 ", "w0001 ", "w0002 w0003 w0004 w0005 "), (0, 1, 0)),
        (("w0001 ", "w0000 ", "w0002 w0003 w0004 w0005 "), (1, 1, 0)),
        (("w0000 w0001 w0002 w0003 ",), (2, 0, 0)),
        (("w0000 w00x1 ", "w0002 w0003 w0004 w0005 "), (1, 0, 1)),
        ((), (6, 0, 0)),
    ],
)
def test_what_is_missing_doubled_or_broken_is_counted(deltas: tuple[str, ...], expected: tuple[int, int, int]):
    assert faults(checked(*deltas)) == expected


def test_a_cumulative_text_that_is_not_the_sum_is_garbled():
    check = Check(array("d"), started=0.0)
    check.take("w0000 ", "w0000 ", 0.0)
    check.take("w0001 ", "w0001 ", 1.0)
    check.take("w0002 ", "w0000 w0001 w0002 ", 2.0)
    check.finish(3, "w0000 w0001 w0002 ")
    assert faults(check) == (0, 0, 1)
    assert checked("w0000 ", words=1, whole="w0000").garbled == 1


def test_gaps_are_between_frames_and_the_first_is_none():
    gaps = array("d")
    check = Check(gaps, started=1.0)
    for now in (3.0, 4.0, 6.5):
        check.take(f"w{check.words:04} ", None, now)
    check.take("", None, 9.0)
    assert (check.first, list(gaps)) == (3.0, [1.0, 2.5])


def test_a_spread_is_in_milliseconds():
    assert Spread.of([]) == Spread()
    spread = Spread.of([value / 1000 for value in range(1, 101)])
    assert (spread.count, spread.p50, spread.p99, spread.most) == (100, 51.0, 100.0, 100.0)
