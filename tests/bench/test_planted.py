"""What the benchmark exists to find is found: a slow path, a lost event, a doubled one, a leak."""

import pytest

from bench.answers import Answer
from bench.load.job import Job
from bench.rows.memory import per_stream_kb
from bench.stage import Measured, Stage
from tests.bench.planted import LEAK_BYTES, SLOW_S

STREAMS, TURNS, WORDS = 5, 2, 40


def measured(stage: Stage, fault: str) -> Measured:
    planted = stage.server("tests.bench.planted", stage.upstream_url, fault)
    job = Job(
        url=f"http://127.0.0.1:{planted.port()}",
        face="direct",
        answer=Answer(words=WORDS, interval=5),
        streams=STREAMS,
        turns=TURNS,
    )
    try:
        return stage.measure(planted.pid, job)
    finally:
        planted.stop(patience_s=0.5)


def test_a_clean_path_shows_nothing(stage: Stage):
    seen = measured(stage, "none").seen
    assert (seen.turns, seen.words, seen.asked) == (STREAMS * TURNS, *[STREAMS * TURNS * WORDS] * 2)
    assert (seen.lost, seen.doubled, seen.garbled, seen.failed, seen.errors) == (0, 0, 0, 0, [])


def test_a_slow_path_shows(stage: Stage):
    clean, slow = measured(stage, "none"), measured(stage, "slow")
    # Pieces that arrived together are slow only once, and this machine may be busy: so not all of it.
    assert slow.us_per_chunk - clean.us_per_chunk > SLOW_S * 1e6 / 3
    assert slow.seen.faults == 0


@pytest.mark.parametrize("fault", ["lose", "double"])
def test_a_lost_and_a_doubled_event_show(stage: Stage, fault: str):
    seen = measured(stage, fault).seen
    counted = {"lose": seen.lost, "double": seen.doubled}
    assert counted.pop(fault) >= STREAMS * TURNS
    assert list(counted.values()) == [0]
    assert seen.faults == seen.lost + seen.doubled


def test_a_leak_shows(stage: Stage):
    grown: dict[str, float] = {}
    for fault in ("none", "leak"):
        planted = stage.server("tests.bench.planted", stage.upstream_url, fault)
        url = f"http://127.0.0.1:{planted.port()}"
        job = Job(
            url=url, face="direct", answer=Answer(words=20, interval=2, stall=10), streams=20, hold="open", at_frame=4
        )
        try:
            stage.warm_up(Job(url=url, face="direct", answer=Answer(), streams=3))
            grown[fault], seen = per_stream_kb(stage, planted.pid, job)
        finally:
            planted.stop(patience_s=0.5)
        assert (seen.turns, seen.failed) == (20, 0)
    assert grown["leak"] - grown["none"] > LEAK_BYTES / 1000 / 2
