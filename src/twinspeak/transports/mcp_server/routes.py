"""POST /api/mcp: streamable HTTP without sessions: each request stands for itself, so that any node may answer it.

A request is answered by one JSON body; `ask-twin` by a stream of events, so that it can tell how far it is. There is
nothing for a client to listen to: GET and DELETE are answered 405, as the specification has it.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Annotated, Any

import orjson
from fastapi import Depends, Request
from starlette.responses import Response

from twinspeak.domain.conversation import CourseRef
from twinspeak.domain.errors import (
    AuthenticationRequired,
    CallerError,
    CodedError,
    ContentBlocked,
    NotFound,
    OriginNotAllowed,
)
from twinspeak.domain.events import TextDelta, ToolStarted
from twinspeak.domain.ids import new_id
from twinspeak.domain.origins import allows
from twinspeak.domain.turn import Ask, Face
from twinspeak.services.mcp_access import PREFIX, Door
from twinspeak.transports import turns
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http.caller import caller as signed_in
from twinspeak.transports.http.routes import PUBLIC, origin_of, request_id, router, services_of, token_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.mcp_server import render
from twinspeak.transports.mcp_server.request import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    RESOURCE_NOT_FOUND,
    VERSIONS,
    Message,
    Rejected,
    arguments_of,
    number_in,
    read,
    text_in,
)
from twinspeak.transports.rest import docs
from twinspeak.transports.stream import EventStream, data_frame

ROUTER = router("MCP", failures=(401, 403, 429))

_QUERY_CHARS, _QUESTION_CHARS = 2_000, 100_000
_EXAMPLE = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object"}, "example": _EXAMPLE}},
    }
}
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A JSON-RPC answer, or a stream of events that ends with it.",
        "content": {"application/json": {"schema": {"type": "object"}, "example": {**_EXAMPLE, "result": {}}}},
    },
    202: {"description": "A notification was taken."},
}
_HEADERS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-accel-buffering": "no"}


async def door(request: Request) -> Door:
    """Let in a twin's secret, or a person's token, and the pages of that twin's sites alone.

    Raises AuthenticationRequired, InvalidToken, NotAMember, OriginNotAllowed.
    """
    came, origin = await _let_in(request), origin_of(request)
    trusted = came.twin.public_authorized_urls if came.twin else ()
    if origin is not None and not allows((*trusted, *services_of(request).edge.cors_origins), origin):
        raise OriginNotAllowed
    return came


async def _let_in(request: Request) -> Door:
    token = await token_of(request)
    if token is None:
        raise AuthenticationRequired
    services = services_of(request)
    if token.startswith(PREFIX):
        return await services.mcp.by_secret(token)
    public_id = next(
        (found for name in wire.INSTITUTION_HEADERS if (found := request.headers.get(name, "").strip())), ""
    )
    return await services.mcp.by_caller(await signed_in(request), public_id)


@ROUTER.post(
    "/api/mcp",
    summary="Use a digital twin over the Model Context Protocol",
    dependencies=[PUBLIC],
    response_class=Response,
    responses={**_ANSWER, **failures(400)},
    openapi_extra=_BODY,
)
async def mcp(request: Request, came: Annotated[Door, Depends(door)]) -> Response:
    """Answer one JSON-RPC message. Takes the twin's MCP secret, or a person's token, as `Authorization: Bearer`."""
    message: Message | None = None
    try:
        message = read(await request.json())
        version = request.headers.get("mcp-protocol-version", VERSIONS[0])
        if version not in VERSIONS and message.method != "initialize":
            raise Rejected(INVALID_REQUEST, "This version of the protocol is not spoken here.", data=list(VERSIONS))
        if message.id is None:
            return Response(status_code=202)
        if message.method == "tools/call" and message.params.get("name") == wire.ASK_TWIN and came.caller:
            return await _asking(request, came, message)
        work = _METHODS.get(message.method)
        if work is None:
            raise Rejected(METHOD_NOT_FOUND, f"There is no method {message.method[:100]!r}.")
        return _json(render.answer(message.id, await work(request, came, message)))
    except Rejected as error:
        return _json(render.refusal(message.id if message else None, error), 200 if message else 400)


async def _initialize(_request: Request, came: Door, message: Message) -> dict[str, Any]:
    return render.greeting(message.text("protocolVersion", most=100), came)


async def _ping(_request: Request, _came: Door, _message: Message) -> dict[str, Any]:
    return {}


async def _tools(_request: Request, came: Door, _message: Message) -> dict[str, Any]:
    return {"tools": render.tools(came)}


async def _call(request: Request, came: Door, message: Message) -> dict[str, Any]:
    name, given = message.params.get("name"), arguments_of(message)
    if name == wire.SEARCH_INSTANCE_RAG:
        query = text_in(given, "query", most=_QUERY_CHARS)
        limit = number_in(given, "limit", default=6, most=20)
        return await _told(lambda: _searched(request, came, query, limit))
    if name in (wire.API_RT_DOCS, wire.API_ADMIN_DOCS):
        described = docs.document(request.app, administration=name == wire.API_ADMIN_DOCS)
        query, path = (text_in(given, field, most=_QUERY_CHARS, default="") for field in ("query", "path"))
        return render.documentation(described, query, path)
    raise Rejected(INVALID_PARAMS, f"There is no tool {str(name)[:100]!r} here.")


async def _searched(request: Request, came: Door, query: str, limit: int) -> dict[str, Any]:
    return render.search_result(await services_of(request).mcp.search(came, query, limit))


async def _told(work: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Return what a tool gave; what went wrong in it is its result, so that the model reads it."""
    try:
        return await work()
    except CodedError as error:
        return render.text_result(error.message, failed=True)


async def _resources(request: Request, came: Door, message: Message) -> dict[str, Any]:
    cursor = message.text("cursor", most=10, default="0")
    if not (cursor.isascii() and cursor.isdigit()):
        raise Rejected(INVALID_PARAMS, "This cursor is none of ours.")
    page = min(int(cursor), 10_000)
    found, more = await services_of(request).mcp.files(came, page)
    listed = [render.resource(file) for file in found]
    return {"resources": listed, "nextCursor": str(page + 1)} if more else {"resources": listed}


async def _templates(_request: Request, _came: Door, _message: Message) -> dict[str, Any]:
    return {"resourceTemplates": []}


async def _resource(request: Request, came: Door, message: Message) -> dict[str, Any]:
    uri = message.text("uri", most=500)
    try:
        if not uri.startswith(render.URI):
            raise NotFound
        return render.contents(*await services_of(request).mcp.text(came, uri.removeprefix(render.URI)))
    except NotFound:
        raise Rejected(RESOURCE_NOT_FOUND, "There is no such resource.", data={"uri": uri}) from None


_METHODS: dict[str, Callable[[Request, Door, Message], Awaitable[dict[str, Any]]]] = {
    "initialize": _initialize,
    "ping": _ping,
    "tools/list": _tools,
    "tools/call": _call,
    "resources/list": _resources,
    "resources/templates/list": _templates,
    "resources/read": _resource,
}


async def _asking(request: Request, came: Door, message: Message) -> Response:
    """Ask the twin as a turn of the person's; hanging up cancels it.

    What asks over MCP is a model: like a question of another twin, this one is nobody's word (`Ask.depth`), so that no
    tool may send it on or keep it, and twins that are one another's servers never ask each other forever.
    """
    given = arguments_of(message)
    question = text_in(given, "question", most=_QUESTION_CHARS)
    course = given.get("conversation")
    if course is not None and (not isinstance(course, int) or isinstance(course, bool) or not 0 <= course < 2**53):
        raise Rejected(INVALID_PARAMS, "conversation must be a whole number.")
    if came.caller is None:
        raise AuthenticationRequired
    ask = Ask(
        turn_id=new_id(),
        caller=came.caller,
        face=Face.REST,
        question=question,
        institution_public_id=came.twin.public_id if came.twin else None,
        depth=1,
        course=None if course is None else CourseRef(course_id=course),
        origin=origin_of(request),
        request_id=request_id(request),
    )
    try:
        live = await turns.answering(request, ask)
    except (CallerError, ContentBlocked) as error:
        return _json(render.answer(message.id, render.text_result(error.message, failed=True)))
    if isinstance(live, turns.Kept):
        shown = live.record.output
        return _json(render.answer(message.id, render.text_result(shown)))
    return EventStream(
        _frames(live, message),
        headers={**_HEADERS, **live.headers},
        on_gone=lambda: turns.gone(request, live.turn),
        write_timeout_s=services_of(request).streaming.stream_write_timeout_s,
    )


async def _frames(live: turns.Live, message: Message) -> AsyncGenerator[bytes]:
    """Yield progress, where it is wanted, and the answer."""
    turn, token, steps, shown = live.turn, message.progress_token, 0, 0
    async for event in turn.log:
        said = ""
        if isinstance(event, ToolStarted):
            said = event.display.label
        elif isinstance(event, TextDelta) and event.end >= shown + 200:
            said, shown = f"{event.end} characters", event.end
        if token is not None and said:
            steps += 1
            yield data_frame(render.progress(token, steps, said))
    reply, failure = turn.reply, turn.failure
    text = reply.output if reply else failure.message if failure else ""
    structured = {"conversation": live.plan.course.course_id, "turnId": turn.turn_id}
    result = render.text_result(text, failed=reply is None, structured=structured)
    yield data_frame(render.answer(message.id, result))


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status_code=status, media_type="application/json")
