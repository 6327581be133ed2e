"""The only place that reads a clock: wall time as epoch milliseconds, durations as monotonic seconds."""

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Return the wall clock as milliseconds since the epoch (UTC); what the database stores."""
    return time.time_ns() // 1_000_000


def monotonic() -> float:
    """Return seconds on a clock that never goes back; for durations and deadlines only."""
    return time.monotonic()


def iso(epoch_ms: int) -> str:
    """Render epoch milliseconds as ISO-8601 with milliseconds and ``Z``, as records show dates (reference 0.7)."""
    moment = datetime.fromtimestamp(epoch_ms / 1000, tz=UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{epoch_ms % 1000:03d}Z"
