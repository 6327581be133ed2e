"""POST /api/ai/personal/qanda (reference 3.1): one question, one JSON reply."""

from typing import Any

import orjson
from fastapi import Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from twinspeak.domain.errors import ServerStopping
from twinspeak.domain.turn import Face
from twinspeak.transports import reply, turns
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http import errors
from twinspeak.transports.http.routes import SignedIn, request_id, router, services_of
from twinspeak.transports.question import Question

ROUTER = router("Questions", failures=turns.FAILURES)


class Reply(BaseModel):
    """The reply's documented fields (reference 3.1); `docs/wire.md` lists them all."""

    model_config = ConfigDict(extra="allow")

    success: bool
    turnId: str  # noqa: N815 -- as on the wire
    outputs: list[str]
    usage: int
    cached: int
    completion: int
    credits: int
    totalCredits: int  # noqa: N815 -- as on the wire
    creditsUsed: int  # noqa: N815 -- as on the wire
    model: str
    query_duration_ms: int
    course_id: int
    course_name: str
    streamingFailed: bool  # noqa: N815 -- as on the wire
    sources: list[dict[str, Any]]


@ROUTER.post(
    "/api/ai/personal/qanda", summary="Ask a question, get the whole answer", responses={200: {"model": Reply}}
)
async def qanda(request: Request, caller: SignedIn, question: Question) -> Response:
    """Run one turn. A client that hangs up cancels it; a cancelled turn answers with the part there is."""
    turn = turns.start(request, question.ask(request, caller, Face.REST))
    plan = await turns.admitted(turn)
    streams, args = services_of(request).streams, question.args
    if args.socket_id:
        delta_only = args.stream_mode == wire.DELTA
        streams.bind(turn, args.socket_id, delta_only=delta_only, extended=bool(args.extended_events))
    await turns.ended(turn, request.receive, may_go_on=lambda: streams.released(turn))
    headers = turns.headers(plan)
    if turn.reply is None:
        failure = turn.failure or ServerStopping()
        content, status = errors.body(failure, request_id(request)), failure.status
    else:
        content, status = {**reply.render(turn.reply), **_streaming(streams.failed(turn))}, 200
    return Response(orjson.dumps(content), status_code=status, media_type="application/json", headers=headers)


def _streaming(failed: bool) -> dict[str, Any]:  # noqa: FBT001 -- it is the only thing told
    """Tell whether the stream that was asked for reached somebody; the outputs are whole anyway (contract 4.3)."""
    if not failed:
        return {"streamingFailed": False}
    return {"streamingFailed": True, "streamingError": "No live socket of yours could be reached."}
