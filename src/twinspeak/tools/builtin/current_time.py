"""The tool `current_time`: what models cannot know by themselves."""

import datetime as dt
import re
from typing import Annotated
from zoneinfo import ZoneInfo

from msgspec import Meta

from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import ToolError
from twinspeak.domain.events import DisplayInfo
from twinspeak.domain.turn import ToolOutcome
from twinspeak.engine.ports import ToolContext
from twinspeak.tools.registry import Tool

DISPLAY = DisplayInfo(icon="clock", label="Looking at the clock")
_DESCRIPTION = "Tell the date, the time and the day of the week now, in the user's time zone or in another one."
_NAME = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+){0,3}")

Zone = Annotated[str, Meta(max_length=64, description="An IANA name such as Europe/Berlin; left out: the user's own.")]


def current_time_tool() -> Tool:
    """Make the tool. Where neither the call nor the user has a time zone that is known, it tells UTC."""

    async def current_time(context: ToolContext, timezone: Zone = "") -> ToolOutcome:
        zone = _zone(timezone)
        if zone is None and timezone.strip():
            raise ToolError(f"There is no time zone {timezone[:64]!r}. Use an IANA name such as Europe/Berlin.")
        zone = zone or _zone(context.plan.ask.timezone) or dt.UTC
        now = dt.datetime.fromtimestamp(now_ms() / 1000, zone)
        return ToolOutcome(text=f"{now:%A}, {now.replace(microsecond=0).isoformat()} ({zone})")

    return Tool(current_time, description=_DESCRIPTION, display=DISPLAY)


def _zone(name: str) -> dt.tzinfo | None:
    if name.strip().upper() in ("UTC", "GMT", "Z"):
        return dt.UTC
    if not _NAME.fullmatch(name.strip()):
        return None
    try:
        return ZoneInfo(name.strip())
    except (OSError, ValueError, KeyError):
        return None
