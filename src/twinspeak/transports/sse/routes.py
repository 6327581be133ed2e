"""POST /api/ai/personal-stream/qanda-stream (reference 3.2)."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import Request
from starlette.responses import Response

from twinspeak.domain.turn import Face
from twinspeak.engine.control import CancelReason
from twinspeak.engine.turn import Turn
from twinspeak.transports import turns
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http.routes import SignedIn, request_id, router, services_of
from twinspeak.transports.question import Question
from twinspeak.transports.sse.render import Renderer
from twinspeak.transports.stream import EventStream, Pacer, paced

ROUTER = router("Questions", failures=turns.FAILURES)

_STREAM_DOC: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-Sent Events: `data: <json>` frames, from `connected` to `done`.",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": wire.STREAM_EXAMPLE}},
    }
}


@ROUTER.post(
    "/api/ai/personal-stream/qanda-stream",
    summary="Ask a question, stream the answer as Server-Sent Events",
    response_class=Response,
    responses=_STREAM_DOC,
)
async def qanda_stream(request: Request, caller: SignedIn, question: Question) -> Response:
    """Run one turn. Closing the connection cancels it; what was answered by then is saved and charged."""
    turn = turns.start(request, question.ask(request, caller, Face.SSE))
    plan = await turns.admitted(turn)
    streaming = services_of(request).streaming
    args = question.args
    cumulative = args.stream_mode != "delta"
    renderer = Renderer(
        turn.log.text, cumulative=cumulative, extended=bool(args.extended_events), request_id=request_id(request)
    )
    pacer = Pacer(coalesce_ms=streaming.stream_coalesce_ms, cumulative=cumulative)
    return EventStream(
        _frames(turn, renderer, pacer, streaming.stream_heartbeat_s),
        headers={**dict(wire.SSE_HEADERS), **turns.headers(plan)},
        on_gone=lambda: turn.cancel(CancelReason.CLIENT_GONE),
        write_timeout_s=streaming.stream_write_timeout_s,
    )


async def _frames(turn: Turn, renderer: Renderer, pacer: Pacer, heartbeat_s: float) -> AsyncGenerator[bytes]:
    async with aclosing(paced(turn.log.read(), pacer, heartbeat_s=heartbeat_s)) as events:
        async for event in events:
            if frame := renderer.frame(event):
                yield frame
