"""Row 6: from a cancel to the upstream's closed socket, by every way to cancel."""

import time

from bench.answers import Answer
from bench.load.job import Cancel, Face, Job, Spread
from bench.product import Product
from bench.rows.line import Line, Scale
from bench.stage import Stage

_WAYS: tuple[tuple[str, Face, Cancel], ...] = (
    ("SSE, hang up", "sse", "hangup"),
    ("OpenAI, hang up", "openai", "hangup"),
    ("REST, hang up", "rest", "hangup"),
    ("SSE, cancel by REST", "sse", "rest"),
    ("Socket.IO, cancel_request", "socketio", "socket"),
)
_CLIENTS = 10
_SETTLE_S = 0.5
"""The upstream has noticed every closed socket by then, or counts as still connected."""


def run(stage: Stage, scale: Scale, every: Product) -> list[Line]:
    """Cancel in the middle of answers, ten clients at a time."""
    return [line(stage, every, scale.cancels, way) for way in _WAYS]


def line(stage: Stage, product: Product, cancels: int, way: tuple[str, Face, Cancel], *, row: str = "6") -> Line:
    """Cancel one way, as a line of `row`."""
    name, face, cancel = way
    clients = min(_CLIENTS, cancels)
    job = Job(
        url=product.url, face=face, answer=Answer(words=1_000, interval=10), streams=clients,
        turns=-(-cancels // clients), stagger_s=0.2, think_s=0.1, tokens=product.tokens, cancel=cancel, at_frame=5,
    )  # fmt: skip
    stage.exchanges()
    seen = stage.run(job)
    time.sleep(_SETTLE_S)
    asked = {exchange["tag"]: exchange for exchange in stage.exchanges()["exchanges"]}
    begun = [(at, asked[tag]["closed"]) for tag, at in seen.cancelled.items() if tag in asked]
    took = [closed - at for at, closed in begun if closed is not None]
    missing, early = len(begun) - len(took), len(seen.cancelled) - len(begun)
    spread = Spread.of(took)
    note = f"{spread.count} cancels; p50 {spread.p50:.1f}, most {spread.most:.1f} ms"
    return Line(
        row=row, what=f"cancel to upstream closed, {name}", figure=spread.p99, unit="ms", limit=50,
        note="; ".join(filter(None, (
            note,
            f"{missing} not closed" if missing else "",
            f"{early} before the upstream was asked" if early else "",
            *seen.errors[:1],
        ))),
        faults=missing + seen.failed,
    )  # fmt: skip
