"""Rows 7 and 8: memory of open streams, of an idle server, and of clients that stop reading."""

import signal
import time

from bench import sample
from bench.answers import Answer
from bench.load.job import Face, Job, Seen
from bench.product import Product
from bench.rows.line import Line, Scale
from bench.stage import Stage

FRAMES = 6_000
_SMALL_BUFFER = 4_096


def run_open(stage: Stage, scale: Scale) -> list[Line]:
    """Measure row 7: a fresh server, then many streams open on it."""
    lines: list[Line] = []
    faces: tuple[tuple[str, Face], ...] = (("SSE", "sse"), ("Socket.IO", "socketio"))
    for name, face in faces:
        with stage.product(stream_coalesce_ms="0") as product:
            if not lines:
                lines.append(_idle(product))
            lines.append(_open(stage, product, scale.open_streams, name, face))
    return lines


def _idle(product: Product) -> Line:
    used = sample.memory(product.pid)
    return Line(
        row="7", what="idle server, resident", figure=used.rss / 1000, unit="MB", limit=130,
        note=f"{used.pss / 1000:.0f} MB proportional",
    )  # fmt: skip


def _open(stage: Stage, product: Product, count: int, name: str, face: Face) -> Line:
    # Slow enough that nobody falls behind: pieces that were merged are frames that a client waits for in vain.
    answer = Answer(words=200, interval=40, stall=50)
    job = Job(
        url=product.url, face=face, answer=answer, streams=count, stagger_s=2, tokens=product.tokens, hold="open",
        at_frame=25,
    )  # fmt: skip
    stage.warm_up(Job(url=product.url, face=face, answer=Answer(), streams=2, tokens=product.tokens))
    each, seen = per_stream_kb(stage, product.pid, job)
    return Line(
        row="7", what=f"an open stream, {name}", figure=each, unit="kB", limit=100,
        note=f"{seen.turns} streams open", faults=seen.failed,
    )  # fmt: skip


def per_stream_kb(stage: Stage, pid: int, job: Job) -> tuple[float, Seen]:
    """Return by how much the server grows for each stream that a job holds open."""
    before = sample.memory(pid).rss
    seen = stage.run(job)
    time.sleep(1.5)
    grown = sample.memory(pid).rss - before
    stage.release()
    return grown / max(1, seen.turns), seen


def run_deaf(stage: Stage, scale: Scale) -> list[Line]:
    """Measure row 8: one client at a time that reads no more while 6,000 frames are made."""
    del scale
    with stage.product(stream_coalesce_ms="0") as product:
        read = Job(
            url=product.url, face="sse", answer=Answer(words=FRAMES, interval=1), tokens=product.tokens
        )  # as long, read to its end: what any such answer takes is not the deaf client's doing
        stage.run(read)
        ways: tuple[tuple[str, Face, bool], ...] = (
            ("SSE", "sse", False),
            ("WebSocket", "socketio", False),
            ("polling", "polling", False),
            ("half-open (client stopped)", "socketio", True),
        )
        return [deaf(stage, product, name, face, stopped=stopped) for name, face, stopped in ways]


def deaf(stage: Stage, product: Product, name: str, face: Face, *, stopped: bool) -> Line:
    """Measure one: it reads three frames and then nothing; `stopped`: its whole process stands still."""
    answer = Answer(words=FRAMES, interval=1, tag="deaf")
    job = Job(
        url=product.url, face=face, answer=answer, tokens=product.tokens, hold="open" if stopped else "frozen",
        at_frame=3, receive_buffer=_SMALL_BUFFER,
    )  # fmt: skip
    stage.exchanges()
    before = sample.memory(product.pid).rss
    aside = stage.side_loads[0]
    with sample.Peak(lambda: sample.memory(product.pid).rss) as peak:
        seen = stage.run(job, load=aside)
        if stopped:
            aside.process.send_signal(signal.SIGSTOP)
        time.sleep(answer.duration_s + 1)
    if stopped:
        aside.process.send_signal(signal.SIGCONT)
    stage.release(load=aside)
    made = [exchange for exchange in stage.exchanges()["exchanges"] if exchange["tag"] == "deaf"]
    whole = [exchange for exchange in made if exchange["complete"]]
    slowed = max((exchange["ended"] - exchange["began"] - answer.duration_s for exchange in whole), default=0.0)
    paused = sum(exchange["paused_s"] for exchange in made)
    return Line(
        row="8", what=f"growth by a deaf client, {name}", figure=(peak.most - before) / 1000, unit="MB", limit=2,
        note=f"{FRAMES:,} chunks; the upstream waited {paused * 1000:.0f} ms and ended {slowed * 1000:.0f} ms late",
        faults=seen.failed + (not whole) + (paused > 0),
    )  # fmt: skip
