"""Row 14: CPU for each chunk, and cancelling, over every wire that the product speaks to a model."""

from functools import partial
from statistics import median

from bench.answers import Answer
from bench.load.job import Job
from bench.product import Product
from bench.rows import cancel
from bench.rows.line import Line, Scale
from bench.stage import Measured, Stage, rounds
from bench.vendors import VENDORS

_CHAT = "chat completions"


def run(stage: Stage, scale: Scale) -> list[Line]:
    """Measure one wire after the other, each with a server that knows only this one."""
    lines: list[Line] = []
    with stage.product(stream_coalesce_ms="0") as product:
        chat = _measured(stage, scale, product, _CHAT)
        lines += [_line(_CHAT, chat, chat), _cancelled(stage, scale, product, _CHAT)]
    for vendor in VENDORS:
        with stage.product(vendor.environment(stage.upstream_url), stream_coalesce_ms="0") as product:
            found = _measured(stage, scale, product, vendor.name)
            lines += [_line(vendor.name, found, chat), _cancelled(stage, scale, product, vendor.name)]
    return lines


def _measured(stage: Stage, scale: Scale, product: Product, name: str) -> list[Measured]:
    answer = Answer(words=200, interval=10)
    job = Job(url=product.url, face="delta", answer=answer, streams=scale.streams, stagger_s=1.0, tokens=product.tokens)
    stage.warm_up(job)
    return rounds(max(1, scale.long_rounds), {name: partial(stage.measure, product.pid, job)})[name]


def _line(name: str, found: list[Measured], chat: list[Measured]) -> Line:
    figures = tuple(measured.us_per_chunk for measured in found)
    beside = median(figures) / median(measured.us_per_chunk for measured in chat)
    return Line(
        row="14",
        what=f"CPU per chunk over {name}",
        figure=median(figures),
        unit="us",
        spread=figures,
        note=f"{beside:.2f} of {_CHAT}; SSE, delta, 200 words",
        faults=sum(measured.seen.faults for measured in found),
    )


def _cancelled(stage: Stage, scale: Scale, product: Product, name: str) -> Line:
    few = max(5, scale.cancels // 4)
    return cancel.line(stage, product, few, (f"SSE, hang up, over {name}", "sse", "hangup"), row="14")
