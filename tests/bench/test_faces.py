"""The load client against the product itself: faces read whole, every way to cancel, clients that stop reading."""

from collections.abc import Iterator
from typing import get_args

import pytest

from bench.answers import Answer
from bench.load.job import Face, Job
from bench.product import Product
from bench.rows import cancel, memory
from bench.rows.line import TINY
from bench.stage import Stage

pytestmark = pytest.mark.slow

STREAMED: tuple[Face, ...] = ("openai", "sse", "delta", "socketio", "socketio-delta")


@pytest.fixture(scope="module")
def product(stage: Stage) -> Iterator[Product]:
    with stage.product(stream_coalesce_ms="0") as running:
        yield running


def test_every_face_is_measured():
    assert {*STREAMED, "direct", "rest", "polling", "get", "histories", "upload"} == set(get_args(Face))


@pytest.mark.parametrize("face", STREAMED)
def test_a_streaming_face_is_read_whole(stage: Stage, product: Product, face: Face):
    job = Job(
        url=product.url,
        face=face,
        answer=Answer(
            words=30, interval=3, thinking=2, tool=0 if face == "openai" else 1
        ),  # there, tools are spoken of
        streams=3,
        turns=2,
        tokens=product.tokens,
    )
    measured = stage.measure(product.pid, job)
    assert measured.seen.errors == []
    assert (measured.seen.faults, measured.seen.turns, measured.seen.words) == (0, 6, 180)
    assert measured.seen.frames > 60
    assert measured.bytes_per_answer_byte > 5
    assert measured.us_per_chunk > 0


@pytest.mark.parametrize(("face", "path"), [("rest", ""), ("histories", ""), ("upload", ""), ("get", "/api/ai/models")])
def test_a_face_without_a_stream_is_read(stage: Stage, product: Product, face: Face, path: str):
    words = 5 if face == "rest" else 0
    job = Job(
        url=product.url, face=face, path=path, answer=Answer(words=words, interval=1), turns=3, tokens=product.tokens
    )
    seen = stage.run(job)
    assert (seen.errors, seen.faults, seen.turns) == ([], 0, 3)


def test_a_failed_answer_is_a_fault(stage: Stage, product: Product):
    job = Job(url=product.url, face="sse", answer=Answer(words=9, interval=1, fail=3), tokens=product.tokens)
    seen = stage.run(job)
    assert seen.failed == 1
    assert "provider_failed" in seen.errors[0]


def test_every_cancel_reaches_the_upstream(stage: Stage, product: Product):
    lines = cancel.run(stage, TINY, product)
    assert len(lines) == 5
    assert [line for line in lines if line.faults or not line.figure > 0] == []


@pytest.mark.parametrize("face", ["sse", "socketio", "polling"])
def test_a_client_that_stops_reading_holds_nobody_up(
    stage: Stage, product: Product, face: Face, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(memory, "FRAMES", 300)
    line = memory.deaf(stage, product, face, face, stopped=False)
    assert (line.faults, line.met) == (0, True), line.note
