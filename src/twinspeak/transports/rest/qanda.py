"""POST /api/ai/personal/qanda (reference 3.1): one question, one JSON reply."""

from typing import Any

import orjson
from fastapi import Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from twinspeak.domain.errors import ServerStopping
from twinspeak.domain.turn import Face, Failure, TurnReply
from twinspeak.engine.replay import reply_to
from twinspeak.transports import reply, turns
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http import errors
from twinspeak.transports.http.routes import FilesRoute, SignedIn, request_id, router, services_of
from twinspeak.transports.question import Question

ROUTER = router("Questions", failures=turns.FAILURES, kind=FilesRoute)


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
    wire.QANDA_PATH,
    summary="Ask a question, get the whole answer",
    responses={200: {"model": Reply}},
    openapi_extra=turns.ONCE,
)
async def qanda(request: Request, caller: SignedIn, question: Question) -> Response:
    """Run one turn. A client that hangs up cancels it; a cancelled turn answers with the part there is."""
    found = await turns.answering(request, question.ask(request, caller, Face.REST))
    if isinstance(found, turns.Kept):
        return _response(request, found, reply_to(found.record), failed=False)
    turn, streams, args = found.turn, services_of(request).streams, question.args
    if args.socket_id and not found.joined:
        delta_only = args.stream_mode == wire.DELTA
        streams.bind(turn, args.socket_id, delta_only=delta_only, extended=bool(args.extended_events))
    await turns.ended(request, found)
    answer = turn.reply or turn.failure or Failure.of(ServerStopping())
    return _response(request, found, answer, failed=streams.failed(turn))


def _response(
    request: Request, found: turns.Live | turns.Kept, answer: TurnReply | Failure, *, failed: bool
) -> Response:
    headers = found.headers
    if isinstance(answer, Failure):
        content, status = errors.body(answer, request_id(request)), answer.status
        headers |= errors.retry_after(answer)
    else:
        content, status = {**reply.render(answer), **_streaming(failed)}, 200
    return Response(orjson.dumps(content), status_code=status, media_type="application/json", headers=headers)


def _streaming(failed: bool) -> dict[str, Any]:  # noqa: FBT001 -- it is the only thing told
    """Tell whether the stream that was asked for reached somebody; the outputs are whole anyway (contract 4.3)."""
    if not failed:
        return {"streamingFailed": False}
    return {"streamingFailed": True, "streamingError": "No live socket of yours could be reached."}
