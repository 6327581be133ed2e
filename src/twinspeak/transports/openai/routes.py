"""POST /api/ai/chat/completions (reference 3.4)."""

from collections.abc import AsyncGenerator, Callable
from typing import Any, cast

import orjson
from fastapi import Request
from starlette.responses import Response

from twinspeak.domain.errors import ServerStopping
from twinspeak.domain.turn import Failure, TurnPlan
from twinspeak.engine.log import TurnLog
from twinspeak.engine.replay import reply_to
from twinspeak.transports import turns
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http import errors
from twinspeak.transports.http.routes import FilesRoute, SignedIn, request_id, router, services_of
from twinspeak.transports.openai import render
from twinspeak.transports.openai.request import ChatCompletion
from twinspeak.transports.services import Streaming
from twinspeak.transports.stream import EventStream, Pacer, paced

ROUTER = router("Questions", failures=turns.FAILURES, kind=FilesRoute)

_CHUNK = '{"id":"chatcmpl-6920","object":"chat.completion.chunk","created":1763717400,"model":"pria","choices":[%s]}'
_EXAMPLE = "".join(
    f"data: {data}\n\n"
    for data in (
        _CHUNK % '{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null,"logprobs":null}',
        _CHUNK % '{"index":0,"delta":{"content":"Hello"},"finish_reason":null,"logprobs":null}',
        _CHUNK % '{"index":0,"delta":{},"finish_reason":"stop","logprobs":null}',
        wire.STREAM_END,
    )
)
_STREAM_DOC: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "OpenAI's chat completion chunks, then `data: [DONE]`.",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    }
}


@ROUTER.post(
    wire.CHAT_PATH,
    summary="Ask as an OpenAI client does",
    response_class=Response,
    responses=_STREAM_DOC,
    openapi_extra=turns.ONCE,
)
async def chat_completions(request: Request, caller: SignedIn, body: ChatCompletion) -> Response:
    """Run one turn on the last user message. Always streams, but where the twin honours `stream: false`."""
    found = await turns.answering(request, body.ask(request, caller))
    if (refused := turns.refusal(request, found)) is not None:
        return refused
    compatible = found.openai_compat if isinstance(found, turns.Kept) else _compatible(found.plan)
    if compatible and body.field(wire.STREAM) is False:
        return await _whole(request, found, body)
    services = services_of(request)
    renderer = render.Renderer(
        found.turn_id,
        body.echoed_model,
        include_usage=compatible and _wants_usage(body),
        request_id=request_id(request),
    )
    log = services.replay(found.record) if isinstance(found, turns.Kept) else found.turn.log
    return EventStream(
        _frames(log, renderer, services.streaming),
        headers={**dict(wire.SSE_HEADERS), **found.headers},
        on_gone=_hang_up(request, found),
        write_timeout_s=services.streaming.stream_write_timeout_s,
    )


def _hang_up(request: Request, found: turns.Live | turns.Kept) -> Callable[[], None]:
    return (lambda: None) if isinstance(found, turns.Kept) else lambda: turns.gone(request, found.turn)


def _frames(log: TurnLog, renderer: render.Renderer, streaming: Streaming) -> AsyncGenerator[bytes]:
    pacer = Pacer(coalesce_ms=streaming.stream_coalesce_ms, cumulative=False)
    return paced(log.read(), pacer, renderer.frame, heartbeat_s=streaming.stream_heartbeat_s)


async def _whole(request: Request, found: turns.Live | turns.Kept, body: ChatCompletion) -> Response:
    if isinstance(found, turns.Kept):
        answer = reply_to(found.record)
    else:
        await turns.ended(request, found)
        answer = found.turn.reply or found.turn.failure or Failure.of(ServerStopping())
    headers = found.headers
    if isinstance(answer, Failure):
        content, status = errors.body(answer, request_id(request)), answer.status
        headers |= errors.retry_after(answer)
    else:
        content, status = render.completion(answer, body.echoed_model), 200
    return Response(orjson.dumps(content), status_code=status, media_type="application/json", headers=headers)


def _compatible(plan: TurnPlan) -> bool:
    return plan.institution is not None and plan.institution.chat_completion_openai_compat


def _wants_usage(body: ChatCompletion) -> bool:
    options = body.field("stream_options")
    return isinstance(options, dict) and cast("dict[str, Any]", options).get("include_usage") is True
