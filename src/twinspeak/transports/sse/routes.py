"""POST /api/ai/personal-stream/qanda-stream, and GET /api/ai/turns/{turnId}/events to pick a turn up (contract 4.2)."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import Header, Path, Query, Request
from starlette.responses import Response

from twinspeak.domain.errors import CodedError, NotFound
from twinspeak.domain.events import TurnEvent
from twinspeak.domain.turn import Face
from twinspeak.engine.log import Cursor, TurnLog
from twinspeak.engine.turn import Turn
from twinspeak.transports import turns
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http.routes import FilesRoute, SignedIn, SignedInByUrl, request_id, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.question import Question, object_id
from twinspeak.transports.sse.render import Renderer
from twinspeak.transports.stream import EventStream, Pacer, paced

ROUTER = router("Questions", failures=turns.FAILURES, kind=FilesRoute)

_EXAMPLE = (
    'data: {"type":"connected","message":"Stream connected","turnId":"6920a1b2c3d4e5f60718293a"}\n\n'
    'data: {"type":"stream","prompt":"Twins answer","delta":"Twins answer"}\n\n'
    'data: {"type":"complete","success":true,"usage":1234,"outputs":["Twins answer"],"model":"local","cached":0,'
    '"completion":42}\n\n'
    'data: {"type":"done"}\n\n'
)
_STREAM_DOC: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-Sent Events: `data: <json>` frames, from `connected` to `done`.",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    }
}


@ROUTER.post(
    wire.QANDA_STREAM_PATH,
    summary="Ask a question, stream the answer as Server-Sent Events",
    response_class=Response,
    responses=_STREAM_DOC,
    openapi_extra=turns.ONCE,
)
async def qanda_stream(request: Request, caller: SignedIn, question: Question) -> Response:
    """Run one turn. Closing the connection cancels it; what was answered by then is saved and charged.

    With `requestArgs.resumable` it goes on instead, and can be picked up by its id.
    """
    found = await turns.answering(request, question.ask(request, caller, Face.SSE))
    if (refused := turns.refusal(request, found)) is not None:
        return refused
    args, services = question.args, services_of(request)
    stream = _Stream(
        request,
        services.replay(found.record) if isinstance(found, turns.Kept) else found.turn.log,
        cumulative=args.stream_mode != wire.DELTA,
        extended=bool(args.extended_events),
        ids=bool(args.resumable),
    )
    if isinstance(found, turns.Kept):
        return stream.response(stream.frames(), found.headers)
    turn = found.turn
    if args.resumable:
        services.audience.let_go(turn)
    heard = _heard(request, turn, stream.frames()) if args.resumable or found.joined else stream.frames()
    return stream.response(heard, found.headers, on_gone=lambda: turns.gone(request, turn))


@ROUTER.get(
    "/api/ai/turns/{turnId}/events",
    summary="Pick up the stream of a turn",
    response_class=Response,
    responses={**_STREAM_DOC, **failures(400)},
)
async def turn_events(
    request: Request,
    caller: SignedInByUrl,
    turn_id: Annotated[str, Path(alias="turnId", description="24 hexadecimal digits.")],
    stream_mode: Annotated[str, Query(alias="streamMode", max_length=20)] = "",
    last_event_id: Annotated[str, Header(alias=wire.LAST_EVENT_ID, max_length=200)] = "",
) -> Response:
    """Stream a turn of the caller's, begun on any face, from its start or after `Last-Event-ID`.

    Nothing comes twice and nothing is left out. Once the turn's events have left memory, they come from its record.
    """
    known = object_id(turn_id, "turnId") or ""
    services = services_of(request)
    after = Cursor.parse(last_event_id) if last_event_id else None
    turn = services.turns.find(known, caller.user_id)
    if turn is not None:
        await _begun(turn)
    log = turn.log if turn is not None else services.replay(await services.records.record(caller, known))
    stream = _Stream(request, log, cumulative=stream_mode != wire.DELTA, extended=False, ids=True)
    frames = stream.frames(after)
    return stream.response(frames if turn is None else _heard(request, turn, frames), {wire.TURN_ID_HEADER: known})


async def _begun(turn: Turn) -> None:
    """Wait until the turn has something to show. Raises NotFound for one that is refused: it leaves no trace."""
    try:
        await turn.admitted()
    except CodedError:
        raise NotFound from None


class _Stream:
    """One SSE response over a log."""

    def __init__(self, request: Request, log: TurnLog, *, cumulative: bool, extended: bool, ids: bool) -> None:
        self._streaming = services_of(request).streaming
        self._pacer = Pacer(coalesce_ms=self._streaming.stream_coalesce_ms, cumulative=cumulative)
        self._renderer = Renderer(log.text, cumulative=cumulative, extended=extended, request_id=request_id(request))
        self._log = log
        self._ids = ids

    def frames(self, after: Cursor | None = None) -> AsyncGenerator[bytes]:
        """Yield the frames, each with the cursor after it when the client wants to resume."""
        reader = self._log.read(after)

        def with_id(event: TurnEvent | None) -> bytes:
            frame = self._renderer.frame(event)
            return b"id: %b\n%b" % (reader.cursor.token.encode(), frame) if frame and event is not None else frame

        render = with_id if self._ids else self._renderer.frame
        return paced(reader, self._pacer, render, heartbeat_s=self._streaming.stream_heartbeat_s)

    def response(
        self, frames: AsyncGenerator[bytes], headers: dict[str, str], *, on_gone: Callable[[], None] = lambda: None
    ) -> EventStream:
        """Return the response that sends `frames`."""
        return EventStream(
            frames,
            headers={**dict(wire.SSE_HEADERS), **headers},
            on_gone=on_gone,
            write_timeout_s=self._streaming.stream_write_timeout_s,
        )


async def _heard(request: Request, turn: Turn, frames: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Count the reader while it reads: a turn on its own that nobody reads is ended after a while."""
    audience = services_of(request).audience
    audience.enter(turn)
    try:
        async with aclosing(frames):
            async for frame in frames:
                yield frame
    finally:
        audience.leave(turn)
