"""GET /api/ai/turns lists the caller's running turns, POST /api/ai/turns/{turnId}/cancel ends one."""

import asyncio
from typing import Annotated, Literal

from fastapi import Path, Request
from pydantic import BaseModel, Field

from twinspeak.domain.caller import Caller
from twinspeak.domain.clock import iso
from twinspeak.domain.errors import InvalidId, NotFound
from twinspeak.domain.ids import parse_id
from twinspeak.domain.turn import TurnState
from twinspeak.engine.control import CancelReason
from twinspeak.engine.turn import Turn
from twinspeak.transports.http.routes import SignedIn, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.services import Services

ROUTER = router("Turns", failures=(401, 403))

_QUESTION_CHARS = 200
"""As histories trim (reference 4.1)."""
_WAIT_S = 10.0
"""How long a cancel waits for the turn to be saved; after that it says that the turn is still ending."""


class RunningTurn(BaseModel):
    """A turn that is being answered now, on whichever face it was asked."""

    turn_id: str = Field(serialization_alias="turnId", examples=["6920a1b2c3d4e5f60718293a"])
    state: Literal["running", "finishing"] = Field(
        default="running", description="`finishing`: answered, but the database has not taken it yet."
    )
    face: str = Field(examples=["sse"])
    started: str = Field(examples=["2026-11-21T09:30:00.000Z"])
    question: str = Field(description=f"The first {_QUESTION_CHARS} characters.")
    institution: str | None = Field(description="The twin's id, null for a personal turn and until it is known.")
    assistant: str | None = Field(description="The assistant's id.")
    course_id: int | None = Field(description="The conversation, null until it is known.")
    course_name: str | None
    model: str | None
    parent_id: str | None = Field(serialization_alias="parentId", description="As of records.")
    replaces_id: str | None = Field(serialization_alias="replacesId", description="As of records.")
    branched: bool = Field(description="As of records.")


class RunningTurns(BaseModel):
    """Oldest first."""

    success: Literal[True] = True
    data: list[RunningTurn]


class Cancellation(BaseModel):
    """What became of the turn."""

    success: Literal[True] = True
    cancelled: bool = Field(description="True when the turn ended by being cancelled, now or before.")
    turn_id: str = Field(serialization_alias="turnId", examples=["6920a1b2c3d4e5f60718293a"])
    state: TurnState = Field(description="`running` only if the turn takes unusually long to end.")


@ROUTER.get("/api/ai/turns", summary="List your running turns")
async def list_turns(request: Request, caller: SignedIn) -> RunningTurns:
    """Return the caller's turns that are not saved yet, on every face and in every tab."""
    return RunningTurns(data=[_shown(turn) for turn in services_of(request).turns.running(caller.user_id)])


@ROUTER.post("/api/ai/turns/{turnId}/cancel", summary="Cancel a turn", responses=failures(404))
async def cancel_turn(
    request: Request,
    caller: SignedIn,
    turn_id: Annotated[str, Path(alias="turnId", description="24 hexadecimal digits.")],
) -> Cancellation:
    """Stop generation, tools and the provider's connection; the answer so far is saved and charged for.

    Answers once the turn is saved. Cancelling again, or too late, changes nothing and says how the turn ended.
    """
    known = parse_id(turn_id)
    if known is None:
        raise InvalidId(param="turnId")
    services = services_of(request)
    turn = services.turns.find(known, caller.user_id)
    if turn is not None:
        turn.cancel(CancelReason.REQUESTED)
        if not await _ended(turn):
            return Cancellation(cancelled=True, turn_id=known, state=TurnState.RUNNING)
        if turn.finishing:
            return Cancellation(cancelled=turn.state is TurnState.CANCELLED, turn_id=known, state=turn.state)
    state = await _final_state(services, caller, known, turn)
    return Cancellation(cancelled=state is TurnState.CANCELLED, turn_id=known, state=state)


async def _ended(turn: Turn) -> bool:
    try:
        async with asyncio.timeout(_WAIT_S):
            await turn.ended()
    except TimeoutError:
        return False
    return True


async def _final_state(services: Services, caller: Caller, turn_id: str, turn: Turn | None) -> TurnState:
    """Ask history, which also checks whose turn it is. One refused before it had a row is only known to its object."""
    try:
        record = await services.records.record(caller, turn_id)
    except NotFound:
        if turn is None:
            raise
        return TurnState.REFUSED
    return record.state


def _shown(turn: Turn) -> RunningTurn:
    plan, ask = turn.plan, turn.ask
    return RunningTurn(
        turn_id=turn.turn_id,
        state="finishing" if turn.finishing else "running",
        face=ask.face,
        started=iso(turn.started_ms),
        question=ask.question[:_QUESTION_CHARS],
        institution=plan.institution.id if plan and plan.institution else None,
        assistant=plan.assistant.id if plan and plan.assistant else ask.assistant_id,
        course_id=plan.course.course_id if plan else None,
        course_name=plan.course.course_name if plan else None,
        model=plan.model.id if plan else None,
        parent_id=plan.course.parent_id if plan else None,
        replaces_id=plan.course.replaces_id if plan else None,
        branched=plan.course.branched if plan else False,
    )
