"""Row 4: 200 streams of 50 chunks a second on one core: how late text is, and whether all of it is there."""

import msgspec

from bench.answers import Answer
from bench.load.job import Job, Seen
from bench.product import Product
from bench.rows.line import Line, Scale
from bench.stage import Measured, Stage

INTERVAL_MS = 20.0


def run(stage: Stage, scale: Scale, every: Product) -> list[Line]:
    """Measure the pass-through, the product alone, and the product while it does other work."""
    streams = 200 if scale.name != "tiny" else 10
    answer = Answer(words=200, interval=INTERVAL_MS)
    job = Job(
        url=every.url, face="sse", answer=answer, streams=streams, turns=2, stagger_s=answer.duration_s,
        tokens=every.tokens,
    )  # fmt: skip
    floor = stage.measure_passthrough(msgspec.structs.replace(job, turns=1))
    stage.warm_up(job)
    alone = stage.measure(every.pid, job)
    others = [_searching(every), _listing(every), _uploading(every)]
    for client, other in zip(stage.side_loads, others, strict=True):
        client.say(msgspec.json.encode(other))
    busy = stage.measure(every.pid, job)
    done = [msgspec.json.decode(client.line(120), type=Seen) for client in stage.side_loads]
    work = ", ".join(f"{seen.turns / seen.elapsed_s:.0f} {name}/s" for seen, name in zip(done, _NAMES, strict=True))
    return [
        _gap("p99 gap, pass-through", floor, None, ""),
        _gap(f"p99 gap, {streams} streams x 50/s, one core", alone, 2 * INTERVAL_MS, ""),
        _gap("p99 gap, the same under other work", busy, 3 * INTERVAL_MS, work),
        Line(
            row="4",
            what="chunks lost or doubled in both",
            figure=alone.seen.faults + busy.seen.faults,
            unit="",
            limit=0,
            note=f"of {alone.seen.asked + busy.seen.asked:,}{_errors(alone.seen, busy.seen, *done)}",
            faults=sum(seen.failed for seen in done),
        ),
    ]


_NAMES = ("searches", "history pages", "documents of 18 kB")


def _searching(product: Product) -> Job:
    """Return a load of questions that are answered with passages, no model."""
    return Job(
        url=product.url, face="rest", answer=Answer(words=0), streams=2, turns=80, think_s=0.09, stagger_s=0.1,
        tokens=product.tokens[-2:], args={"ragOnly": True}, question="How are answers streamed to a client?",
    )  # fmt: skip


def _listing(product: Product) -> Job:
    """Return a load of history pages, 100 records each."""
    return Job(
        url=product.url, face="histories", answer=Answer(words=0), streams=2, turns=80, think_s=0.09, stagger_s=0.1,
        tokens=product.tokens, seed=2,
    )  # fmt: skip


def _uploading(product: Product) -> Job:
    """Return a load of documents that are read, cut and indexed."""
    return Job(
        url=product.url, face="upload", answer=Answer(words=0), streams=2, turns=16, think_s=0.45, stagger_s=0.5,
        tokens=product.tokens[:2], seed=3,
    )  # fmt: skip


def _gap(what: str, measured: Measured, limit: float | None, note: str) -> Line:
    gaps = measured.seen.gaps
    used = measured.cpu_s / measured.seen.elapsed_s
    facts = f"p50 {gaps.p50:.0f}, most {gaps.most:.0f} ms; server {used:.0%} of a core"
    late = measured.bunched / max(1, measured.seen.asked)
    facts += f"; upstream late {late:.0%}" if late > 0.02 else ""
    return Line(
        row="4", what=what, figure=gaps.p99, unit="ms", limit=limit, note="; ".join(filter(None, (facts, note)))
    )


def _errors(*seen: Seen) -> str:
    errors = [error for one in seen for error in one.errors]
    return f"; {errors[0][:120]}" if errors else ""
