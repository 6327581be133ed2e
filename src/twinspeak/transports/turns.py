"""Starting, joining and finding again the turn of a request, the same on every face."""

import asyncio
from dataclasses import dataclass

import orjson
from starlette.requests import Request
from starlette.responses import Response

from twinspeak.domain.errors import Conflict
from twinspeak.domain.turn import Ask, OnceKey, TurnPlan, TurnRecord, TurnState
from twinspeak.engine.control import CancelReason
from twinspeak.engine.turn import Turn
from twinspeak.transports import idempotency
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http import errors, rate
from twinspeak.transports.http.routes import request_id, services_of
from twinspeak.transports.stream import ClientGone, hang_up

FAILURES = (401, 402, 403, 404, 409, 429, 502, 503, 504)
"""What a question can be answered with, for the API documents."""
ONCE = {"parameters": [idempotency.PARAMETER]}
"""The header that every question takes, for the API documents."""

_ANOTHER = "This Idempotency-Key was used for another question."
_ELSEWHERE = "The question of this Idempotency-Key is still being answered. Please try again in a moment."


@dataclass(frozen=True, slots=True)
class Live:
    """A turn in memory, running or just ended. `joined`: another request began it, under the same key."""

    turn: Turn
    plan: TurnPlan
    joined: bool

    @property
    def turn_id(self) -> str:
        """The turn's id."""
        return self.turn.turn_id

    @property
    def headers(self) -> dict[str, str]:
        """The headers that name turn and conversation."""
        return _headers(self.turn.turn_id, self.plan.course.course_id, again=self.joined)


@dataclass(frozen=True, slots=True)
class Kept:
    """A turn that ended before, found by its key. `openai_compat` is its twin's present switch."""

    record: TurnRecord
    openai_compat: bool

    @property
    def turn_id(self) -> str:
        """The turn's id."""
        return self.record.id

    @property
    def headers(self) -> dict[str, str]:
        """The headers that name turn and conversation."""
        return _headers(self.record.id, self.record.course_id, again=True)


async def answering(request: Request, ask: Ask) -> Live | Kept:
    """Start the turn of a request, and wait until it may stream; or join or find the one of its idempotency key.

    Raises what refuses it: RateLimited, Overloaded, ServerStopping, Conflict for a key of another question, and all
    that the resolver and the payer's credits may say.
    """
    ask = idempotency.with_key(request, ask)
    if ask.once is None:
        return await _admitted(request, _start(request, ask), joined=False)
    turn = _here(request, ask, ask.once)
    if turn is None:
        kept = await services_of(request).records.kept(ask.caller, ask.once.key)
        # Another request may have begun it while the database was asked.
        turn = _here(request, ask, ask.once)
        if turn is None and kept is not None:
            _same(kept.fingerprint, ask.once)
            if kept.state is TurnState.RUNNING:
                raise Conflict(_ELSEWHERE, retry_after_s=5)
            record = await services_of(request).records.record(ask.caller, kept.turn_id)
            return Kept(record, kept.openai_compat)
    if turn is None:
        return await _admitted(request, _start(request, ask), joined=False)
    return await _admitted(request, turn, joined=True)


def refusal(request: Request, found: Live | Kept) -> Response | None:
    """Return the plain JSON error of a turn that was refused when it was first asked, and is asked again by its key."""
    failure = found.record.failure if isinstance(found, Kept) else None
    if failure is None or not isinstance(found, Kept) or found.record.state is not TurnState.REFUSED:
        return None
    content = orjson.dumps(errors.body(failure, request_id(request)))
    return Response(content, status_code=failure.status, media_type="application/json", headers=found.headers)


async def ended(request: Request, live: Live) -> None:
    """Wait until the turn has ended. A client that hangs up meanwhile cancels it, when it was the last that waits.

    It goes on for a socket that has had part of it (contract 4.2).
    """
    turn, audience = live.turn, services_of(request).audience
    if live.joined:
        audience.enter(turn)
    try:
        async with asyncio.TaskGroup() as group:
            listener = group.create_task(hang_up(request.receive), name="listen for hang-up")
            await turn.ended()
            listener.cancel()
    except* ClientGone:
        if not live.joined:
            services_of(request).streams.released(turn)
        gone(request, turn)
    finally:
        if live.joined:
            audience.leave(turn)
    await turn.ended()


def gone(request: Request, turn: Turn) -> None:
    """A caller of the turn has hung up: it is cancelled, unless another one reads it or it lives by its listeners."""
    if services_of(request).audience.hang_up(turn):
        turn.cancel(CancelReason.CLIENT_GONE)


def _start(request: Request, ask: Ask) -> Turn:
    """Count the turn against the user's limit and start it; asking again by a key does not count."""
    services = services_of(request)
    rate.take(request, ask.caller.user_id, services.turn_rule)
    return services.turns.start(ask)


async def _admitted(request: Request, turn: Turn, *, joined: bool) -> Live:
    """Wait until the turn may stream. Raises what refused it.

    A client that hangs up meanwhile cancels the turn, which then ends before it has asked any model.
    """
    services_of(request).audience.call(turn)
    try:
        return Live(turn, await turn.admitted(), joined)
    except asyncio.CancelledError:
        gone(request, turn)
        raise


def _here(request: Request, ask: Ask, once: OnceKey) -> Turn | None:
    turn = services_of(request).turns.by_key(ask.caller.user_id, once.key)
    if turn is not None and turn.ask.once is not None:
        _same(turn.ask.once.fingerprint, once)
    return turn


def _same(fingerprint: str, once: OnceKey) -> None:
    if fingerprint != once.fingerprint:
        raise Conflict(_ANOTHER, param=idempotency.NAME)


def _headers(turn_id: str, course_id: int, *, again: bool) -> dict[str, str]:
    named = {wire.TURN_ID_HEADER: turn_id, wire.CONVERSATION_ID_HEADER: str(course_id)}
    return {**named, wire.REPLAYED_HEADER: "true"} if again else named
