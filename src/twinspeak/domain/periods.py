"""Hours, days, weeks and months of UTC, as the epoch milliseconds of their beginning. Weeks begin on Mondays."""

from datetime import UTC, datetime
from enum import StrEnum

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
_MONDAY = 3
"""Days from a Monday to the first day of the epoch, which was a Thursday."""


class Grain(StrEnum):
    """How long a period is."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


def start_of(moment_ms: int, grain: Grain) -> int:
    """Return the beginning of the period that a moment is in."""
    if grain is Grain.HOUR:
        return moment_ms - moment_ms % HOUR_MS
    day = moment_ms // DAY_MS
    if grain is Grain.WEEK:
        return ((day + _MONDAY) // 7 * 7 - _MONDAY) * DAY_MS
    if grain is Grain.MONTH:
        at = datetime.fromtimestamp(moment_ms / 1000, UTC)
        return _ms(datetime(at.year, at.month, 1, tzinfo=UTC))
    return day * DAY_MS


def shifted(start_ms: int, grain: Grain, by: int) -> int:
    """Return the beginning of the period that is `by` periods after (before) the one that begins at `start_ms`."""
    if grain is not Grain.MONTH:
        return start_ms + by * {Grain.HOUR: HOUR_MS, Grain.DAY: DAY_MS, Grain.WEEK: 7 * DAY_MS}[grain]
    at = datetime.fromtimestamp(start_ms / 1000, UTC)
    months = max(12, at.year * 12 + at.month - 1 + by)
    return _ms(datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC))


def _ms(at: datetime) -> int:
    return int(at.timestamp()) * 1000
