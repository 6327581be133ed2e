"""Row 5: what the product adds to the time to the first token, with retrieval."""

import msgspec

from bench.answers import Answer
from bench.load.job import Job, Spread
from bench.product import Product
from bench.rows.line import Line, Scale
from bench.stage import Stage

AT_A_TIME = 20


def run(stage: Stage, scale: Scale, paced: Product) -> list[Line]:
    """Ask directly and through the product, 20 at a time, each client pausing a little between its questions."""
    turns = max(1, scale.first_token_turns // AT_A_TIME)
    answer = Answer(words=200, interval=5)
    job = Job(
        url=paced.url, face="sse", answer=answer, streams=AT_A_TIME, turns=turns, stagger_s=answer.duration_s,
        think_s=0.1, tokens=paced.tokens, question="How are answers streamed to a client?",
    )  # fmt: skip
    direct_job = msgspec.structs.replace(job, url=stage.upstream_url, face="direct", turns=min(turns, 5), args={})
    stage.warm_up(job)
    direct = Spread.of(stage.run(direct_job).first_s)
    ours = stage.measure(paced.pid, job)
    first = Spread.of(ours.seen.first_s)
    used = ours.cpu_s / ours.seen.elapsed_s
    note = f"{first.count:,} turns, {AT_A_TIME} at a time; server {used:.0%} of a core"
    return [
        Line(
            row="5", what="added time to first token, p50", figure=first.p50 - direct.p50, unit="ms", limit=8,
            note=f"{note}; direct {direct.p50:.1f} ms", faults=ours.seen.faults,
        ),
        Line(
            row="5", what="added time to first token, p99", figure=first.p99 - direct.p99, unit="ms", limit=25,
            note=f"most {first.most:.1f} ms; direct {direct.p99:.1f} ms", faults=ours.seen.faults,
        ),
    ]  # fmt: skip
