"""Rows 9 and 10: how soon a server is ready, and what a small read costs."""

from functools import partial
from statistics import median

from bench.answers import Answer
from bench.load.job import Job
from bench.product import Product
from bench.rows.line import Line, Scale
from bench.stage import Measured, Stage, rounds

_READS = (("GET /api/ai/turns", "/api/ai/turns"), ("GET /api/ai/models", "/api/ai/models"))


def run_start(stage: Stage, scale: Scale) -> list[Line]:
    """Measure row 9: start on a database that is there."""
    took: list[float] = []
    for _ in range(scale.starts):
        product = stage.start()
        try:
            took.append(product.until_ready())
        finally:
            product.child.stop()
    return [
        Line(
            row="9", what="`serve` to the first 200 on /readyz", figure=median(took), unit="s", limit=2,
            spread=tuple(took), note=f"{len(took)} starts, database there",
        )
    ]  # fmt: skip


def run_reads(stage: Stage, scale: Scale, product: Product) -> list[Line]:
    """Measure row 10: four clients, each asking again as soon as it has its answer."""
    jobs = {
        name: Job(
            url=product.url, face="get", answer=Answer(words=0), path=path, streams=4, turns=scale.reads // 4,
            tokens=product.tokens,
        )
        for name, path in _READS
    }  # fmt: skip
    for job in jobs.values():
        stage.run(job)
    found = rounds(scale.rounds, {name: partial(stage.measure, product.pid, job) for name, job in jobs.items()})
    return [_read(name, measured) for name, measured in found.items()]


def _read(name: str, measured: list[Measured]) -> Line:
    figures = tuple(m.cpu_s / max(1, m.seen.turns) * 1e6 for m in measured)
    rate = median(m.seen.turns / m.seen.elapsed_s for m in measured)
    return Line(
        row="10", what=f"CPU of {name}", figure=median(figures), unit="us", limit=400, spread=figures,
        note=f"{rate:.0f} a second", faults=sum(m.seen.failed for m in measured),
    )  # fmt: skip
