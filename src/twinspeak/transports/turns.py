"""Starting a turn for a request, the same on every face."""

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.types import Receive

from twinspeak.domain.turn import Ask, TurnPlan
from twinspeak.engine.control import CancelReason
from twinspeak.engine.turn import Turn
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http import rate
from twinspeak.transports.http.routes import services_of
from twinspeak.transports.stream import ClientGone, hang_up

FAILURES = (401, 402, 403, 404, 429, 502, 503, 504)
"""What a question can be answered with, for the API documents."""


def start(request: Request, ask: Ask) -> Turn:
    """Count the turn against the user's limit and start it. Raises RateLimited, Overloaded, ServerStopping."""
    services = services_of(request)
    rate.take(request, ask.caller.user_id, services.turn_rule)
    return services.turns.start(ask)


async def admitted(turn: Turn) -> TurnPlan:
    """Wait until the turn may stream. Raises what refused it.

    A client that hangs up meanwhile cancels the turn, which then ends before it has asked any model.
    """
    try:
        return await turn.admitted()
    except asyncio.CancelledError:
        turn.cancel(CancelReason.CLIENT_GONE)
        raise


def headers(plan: TurnPlan) -> dict[str, str]:
    """Return the headers that name turn and conversation."""
    return {
        wire.TURN_ID_HEADER: plan.ask.turn_id,
        wire.CONVERSATION_ID_HEADER: str(plan.course.course_id),
    }


async def ended(turn: Turn, receive: Receive, *, may_go_on: Callable[[], bool] = lambda: False) -> None:
    """Wait until the turn has ended; a client that hangs up meanwhile cancels it, unless it `may_go_on`."""
    try:
        async with asyncio.TaskGroup() as group:
            listener = group.create_task(hang_up(receive), name="listen for hang-up")
            await turn.ended()
            listener.cancel()
    except* ClientGone:
        if not may_go_on():
            turn.cancel(CancelReason.CLIENT_GONE)
    await turn.ended()
