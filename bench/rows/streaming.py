"""Rows 1 to 3: CPU of the server for each chunk of the upstream, and bytes on the wire."""

from functools import partial
from statistics import median

from bench.answers import Answer
from bench.load.job import Face, Job
from bench.product import Product
from bench.rows.line import Line, Scale
from bench.stage import Measured, Stage, ratio, ratios, rounds

SHORT_WORDS, LONG_WORDS = 200, 2_000
FLOOR = "pass-through"


class Contest:
    """Faces of one or two servers against the pass-through, all at one length of answer."""

    def __init__(self, stage: Stage, *, words: int, streams: int) -> None:
        """`streams` answers of `words` words, one word every 10 ms, begun within half a second."""
        answer = Answer(words=words, interval=10)
        self._stage = stage
        self._floor = Job(url="", face="direct", answer=answer, streams=streams, stagger_s=0.5)
        self._jobs: dict[str, tuple[Product | None, Job]] = {FLOOR: (None, self._floor)}
        self.found: dict[str, list[Measured]] = {}

    def enter(self, name: str, product: Product, face: Face) -> None:
        """Add a face."""
        job = Job(
            url=product.url,
            face=face,
            answer=self._floor.answer,
            streams=self._floor.streams,
            stagger_s=self._floor.stagger_s,
            tokens=product.tokens,
        )
        self._jobs[name] = (product, job)

    def run(self, count: int) -> None:
        """Warm everybody up, then measure in turn."""
        for product, job in self._jobs.values():
            self._stage.warm_up(job if product else self._stage.through_floor(job))
        self.found = rounds(count, {name: partial(self._measure, name) for name in self._jobs})

    def _measure(self, name: str) -> Measured:
        product, job = self._jobs[name]
        return self._stage.measure(product.pid, job) if product else self._stage.measure_passthrough(job)

    def cpu(self, row: str, name: str, limit: float | None) -> Line:
        """Return the line of a face's CPU."""
        ours, floor = self.found[name], self.found[FLOOR]
        mine, theirs = median(m.us_per_chunk for m in ours), median(m.us_per_chunk for m in floor)
        return Line(
            row=row,
            what=f"CPU per chunk, {name}",
            figure=ratio(ours, floor),
            unit="x",
            limit=limit,
            spread=tuple(ratios(ours, floor)),
            note=f"{mine:.0f} us against {theirs:.0f} us{_late(ours)}",
            faults=sum(m.seen.faults for m in ours),
        )

    def sent(self, row: str, name: str, limit: float | None) -> Line:
        """Return the line of a face's bytes."""
        ours = self.found[name]
        figures = tuple(m.bytes_per_answer_byte for m in ours)
        frames = median(m.seen.frames / max(1, m.seen.turns) for m in ours)
        return Line(
            row=row,
            what=f"bytes sent, {name}",
            figure=median(figures),
            unit="x the answer",
            limit=limit,
            spread=figures,
            note=f"{frames:.0f} text frames an answer",
            faults=sum(m.seen.faults for m in ours),
        )


def _late(ours: list[Measured]) -> str:
    """Say when the upstream itself could not keep its pace, because that makes chunks cheaper."""
    part = sum(m.bunched for m in ours) / max(1, sum(m.seen.asked for m in ours))
    return f"; the upstream was late with {part:.0%}" if part > 0.02 else ""


def run(stage: Stage, scale: Scale, every: Product, paced: Product) -> list[Line]:
    """Measure. `every` sends each chunk, `paced` coalesces by default."""
    lines = _short_answers(stage, scale, every, paced)
    return lines + (_long_answers(stage, scale, every, paced) if scale.long_rounds else [])


def _short_answers(stage: Stage, scale: Scale, every: Product, paced: Product) -> list[Line]:
    contest = Contest(stage, words=SHORT_WORDS, streams=scale.streams)
    contest.enter("SSE, cumulative, 200 words", every, "sse")
    contest.enter("SSE, delta, 200 words", every, "delta")
    contest.enter("OpenAI, 200 words", every, "openai")
    contest.enter("Socket.IO, cumulative, 200 words", every, "socketio")
    contest.enter("SSE, cumulative, 200 words, coalesced", paced, "sse")
    if scale.name == "full":
        contest.enter("Socket.IO, delta, 200 words", every, "socketio-delta")
        contest.enter("SSE, delta, 200 words, coalesced", paced, "delta")
    contest.run(scale.rounds)
    lines = [
        contest.cpu("1", "SSE, cumulative, 200 words", 1.5),
        contest.cpu("1", "SSE, delta, 200 words", 1.5),
        contest.cpu("2", "OpenAI, 200 words", 1.5),
        contest.cpu("2", "Socket.IO, cumulative, 200 words", 2.5),
        contest.cpu("3", "SSE, cumulative, 200 words, coalesced", 1.0),
        contest.sent("3", "SSE, cumulative, 200 words, coalesced", 20),
    ]
    if scale.name == "full":
        lines += [
            contest.cpu("2", "Socket.IO, delta, 200 words", 2.5),
            contest.cpu("3", "SSE, delta, 200 words, coalesced", 1.0),
            contest.sent("3", "SSE, delta, 200 words, coalesced", 20),
        ]
    return lines


def _long_answers(stage: Stage, scale: Scale, every: Product, paced: Product) -> list[Line]:
    contest = Contest(stage, words=LONG_WORDS, streams=scale.long_streams)
    contest.enter("SSE, delta, 2,000 words", every, "delta")
    contest.enter("SSE, cumulative, 2,000 words, coalesced", paced, "sse")
    contest.enter("SSE, cumulative, 2,000 words", every, "sse")
    contest.enter("OpenAI, 2,000 words, coalesced", paced, "openai")
    contest.enter("Socket.IO, cumulative, 2,000 words, coalesced", paced, "socketio")
    contest.enter("SSE, delta, 2,000 words, coalesced", paced, "delta")
    contest.run(scale.long_rounds)
    return [
        contest.cpu("1", "SSE, delta, 2,000 words", 1.5),
        contest.cpu("1", "SSE, cumulative, 2,000 words", None),
        contest.cpu("2", "OpenAI, 2,000 words, coalesced", 1.5),
        contest.cpu("2", "Socket.IO, cumulative, 2,000 words, coalesced", 2.5),
        contest.cpu("3", "SSE, cumulative, 2,000 words, coalesced", 1.0),
        contest.cpu("3", "SSE, delta, 2,000 words, coalesced", 1.0),
        contest.sent("3", "SSE, cumulative, 2,000 words, coalesced", 20),
        contest.sent("3", "SSE, delta, 2,000 words, coalesced", 20),
    ]
