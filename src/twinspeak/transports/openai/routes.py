"""POST /api/ai/chat/completions (reference 3.4)."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

import orjson
from fastapi import Request
from starlette.responses import Response

from twinspeak.domain.errors import ServerStopping
from twinspeak.domain.turn import TurnPlan
from twinspeak.engine.control import CancelReason
from twinspeak.engine.turn import Turn
from twinspeak.transports import turns
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http import errors
from twinspeak.transports.http.routes import SignedIn, request_id, router, services_of
from twinspeak.transports.openai import render
from twinspeak.transports.openai.request import ChatCompletion
from twinspeak.transports.stream import EventStream, Pacer, paced

ROUTER = router("Questions", failures=turns.FAILURES)

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
    "/api/ai/chat/completions",
    summary="Ask as an OpenAI client does",
    response_class=Response,
    responses=_STREAM_DOC,
)
async def chat_completions(request: Request, caller: SignedIn, body: ChatCompletion) -> Response:
    """Run one turn on the last user message. Always streams, but where the twin honours `stream: false`."""
    turn = turns.start(request, body.ask(request, caller))
    plan = await turns.admitted(turn)
    if _compatible(plan) and body.field(wire.STREAM) is False:
        return await _whole(request, turn, plan, body)
    streaming = services_of(request).streaming
    renderer = render.Renderer(
        turn.turn_id,
        body.echoed_model,
        include_usage=_compatible(plan) and _wants_usage(body),
        request_id=request_id(request),
    )
    pacer = Pacer(coalesce_ms=streaming.stream_coalesce_ms, cumulative=False)
    return EventStream(
        _frames(turn, renderer, pacer, streaming.stream_heartbeat_s),
        headers={**dict(wire.SSE_HEADERS), **turns.headers(plan)},
        on_gone=lambda: turn.cancel(CancelReason.CLIENT_GONE),
        write_timeout_s=streaming.stream_write_timeout_s,
    )


async def _frames(turn: Turn, renderer: render.Renderer, pacer: Pacer, heartbeat_s: float) -> AsyncGenerator[bytes]:
    async with aclosing(paced(turn.log.read(), pacer, heartbeat_s=heartbeat_s)) as events:
        async for event in events:
            if frame := renderer.frame(event):
                yield frame


async def _whole(request: Request, turn: Turn, plan: TurnPlan, body: ChatCompletion) -> Response:
    await turns.ended(turn, request.receive)
    headers = turns.headers(plan)
    if turn.reply is None:
        failure = turn.failure or ServerStopping()
        content, status = errors.body(failure, request_id(request)), failure.status
    else:
        content, status = render.completion(turn.reply, body.echoed_model), 200
    return Response(orjson.dumps(content), status_code=status, media_type="application/json", headers=headers)


def _compatible(plan: TurnPlan) -> bool:
    return plan.institution is not None and plan.institution.chat_completion_openai_compat


def _wants_usage(body: ChatCompletion) -> bool:
    options = body.field("stream_options")
    return isinstance(options, dict) and cast("dict[str, Any]", options).get("include_usage") is True
