"""OpenAI, Mistral and xAI: chat completions with differences; request schemas as each vendor's reference has them."""

import json
import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tests.fakes import responses
from tests.fakes.upstream import DONE, Exchange, Reply, Step, chunk, frame, pieces, usage_chunk
from tests.fakes.wire import ANSWER, KEY, QUERY, THOUGHT, Counted, Wire, only_json

MISTRAL_MODEL = "mistral-medium-latest"
XAI_MODEL = "grok-4.5"
_SHORT_ID = re.compile(r"[A-Za-z0-9]{9}\Z")


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    pass


class Function(_Strict):
    name: str
    description: str
    parameters: dict[str, Any]


class Tool(_Strict):
    type: Literal["function"]
    function: Function


class Called(_Strict):
    name: str
    arguments: str


class ToolCall(_Strict):
    id: str
    type: Literal["function"]
    function: Called


class Text(_Strict, tag="text"):
    text: str


class Thinking(_Strict, tag="thinking"):
    thinking: list[Text]


class Address(_Strict):
    url: Annotated[str, Meta(pattern="^data:image/(png|jpeg|webp|gif);base64,.")]


class Image(_Strict, tag="image_url"):
    image_url: Address


class Message(_Strict):
    role: Literal["system", "user", "assistant", "tool"]
    content: str | list[Text | Thinking | Image] | None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None


class PdfData(_Strict):
    filename: Annotated[str, Meta(min_length=1)]
    file_data: Annotated[str, Meta(pattern="^data:application/pdf;base64,.")]


class Pdf(_Strict, tag="file"):
    file: PdfData


class OpenAIMessage(_Strict):
    """`reasoning_content` is what compatible servers want back, and OpenAI does not know."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Text | Image | Pdf] | None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None


class MistralRequest(_Strict):
    """No `stream_options`: Mistral refuses what it does not know."""

    model: str
    messages: list[Message]
    stream: Literal[True]
    max_tokens: int | None = None
    temperature: float | None = None
    stop: list[str] | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["auto", "none", "any", "required"] | None = None
    reasoning_effort: Literal["none", "high"] | None = None


class StreamOptions(_Strict):
    include_usage: bool


class OpenAIRequest(_Strict):
    """Of a model that does not reason: those are asked over Responses."""

    model: str
    messages: list[OpenAIMessage]
    stream: Literal[True]
    stream_options: StreamOptions
    max_completion_tokens: int | None = None
    temperature: float | None = None
    stop: list[str] | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["auto", "none", "required"] | None = None


class XaiRequest(_Strict):
    """As xAI takes it of a model that reasons: no `stop`."""

    model: str
    messages: list[Message]
    stream: Literal[True]
    stream_options: StreamOptions
    max_completion_tokens: int | None = None
    temperature: float | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["auto", "none", "required"] | None = None
    reasoning_effort: Literal["none", "low", "medium", "high"] | None = None


def _usage(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **more}


def _thinking(text: str) -> dict[str, Any]:
    return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]}


def mistral_asks() -> Reply:
    """Thinking as parts, then a call that comes whole, in the chunk that ends the answer."""
    thoughts = [chunk(_thinking(piece)) for piece in pieces(THOUGHT, 7)]
    function = {"name": "search_uploads", "arguments": json.dumps(QUERY)}
    call = {"tool_calls": [{"id": "D681PevKs", "function": function, "index": 0}], "content": ""}
    end = chunk(call, finish="tool_calls", usage=_usage(30, 18))
    return Reply([chunk({"role": "assistant", "content": ""}), *thoughts, end, DONE])


def mistral_answers() -> Reply:
    first, *rest = pieces(ANSWER)
    parts = chunk({"content": [{"type": "text", "text": first}]})
    usage = _usage(55, 9, prompt_tokens_details={"cached_tokens": 20})
    end = chunk({"content": ""}, finish="stop", usage=usage)
    return Reply([parts, *(chunk({"content": piece}) for piece in rest), end, DONE])


def xai_asks() -> Reply:
    """Reasoning beside the content, counted beside the completion; a call that comes whole."""
    thoughts = [chunk({"role": "assistant", "reasoning_content": piece}) for piece in pieces(THOUGHT, 7)]
    function = {"name": "search_uploads", "arguments": json.dumps(QUERY)}
    call = chunk({"tool_calls": [{"id": "call_1", "function": function, "index": 0, "type": "function"}]})
    return Reply([*thoughts, call, chunk(finish="tool_calls"), _xai_usage(30, 10, 8), DONE])


def xai_answers() -> Reply:
    steps: list[Step] = [chunk({"content": piece}) for piece in pieces(ANSWER)]
    return Reply([*steps, chunk(finish="stop"), _xai_usage(55, 9, 0, cached=20), DONE])


def _xai_usage(prompt: int, completion: int, thought: int, *, cached: int = 0) -> bytes:
    usage = _usage(
        prompt,
        completion,
        prompt_tokens_details={"text_tokens": prompt, "cached_tokens": cached},
        completion_tokens_details={"reasoning_tokens": thought},
        num_sources_used=0,
    )
    return frame({"choices": [], "usage": {**usage, "total_tokens": prompt + completion + thought}})


def opening() -> list[Step]:
    return [chunk({"role": "assistant", "content": "Half"})]


def openai_asks() -> Reply:
    """Reasoning as compatible servers send it, and a call whose arguments come in fragments."""
    thoughts = [chunk({"role": "assistant", "reasoning_content": piece}) for piece in pieces(THOUGHT, 7)]
    named = {"id": "call_1", "type": "function", "function": {"name": "search_uploads", "arguments": ""}}
    filled = [
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        for piece in pieces(json.dumps(QUERY), 5)
    ]
    call = chunk({"tool_calls": [{"index": 0, **named}], "content": None})
    return Reply([*thoughts, call, *filled, chunk(finish="tool_calls"), usage_chunk(30, 18), DONE])


def openai_answers() -> Reply:
    steps: list[Step] = [chunk({"content": piece}) for piece in pieces(ANSWER)]
    return Reply([*steps, chunk(finish="stop"), usage_chunk(55, 9, cached=20), DONE])


Schema = type[OpenAIRequest] | type[MistralRequest] | type[XaiRequest]


def _check(exchange: Exchange, schema: Schema) -> None:
    assert exchange.path == "/v1/chat/completions"
    assert exchange.headers["authorization"] == f"Bearer {KEY}"
    check_body(exchange.body, schema)


def check_body(body: bytes, schema: Schema) -> None:
    """Raise unless the request is one that the vendor would take."""
    request = msgspec.json.decode(body, type=schema)
    open_calls: list[str] = []
    for message in request.messages:
        if message.role == "tool":
            assert message.tool_call_id in open_calls
            open_calls.remove(message.tool_call_id)
        else:
            assert not open_calls, "every call has a result before anything else is said"
        open_calls += [call.id for call in message.tool_calls or []]
        if schema is MistralRequest:
            assert all(_SHORT_ID.match(call.id) for call in message.tool_calls or [])
    assert not open_calls
    assert request.messages[-1].role in {"user", "tool"}


def _check_second(exchange: Exchange, call_id: str, content: Any) -> None:
    said, result = exchange.json["messages"][-2:]
    assert said["content"] == content
    assert said["tool_calls"][0]["id"] == result["tool_call_id"] == call_id
    assert json.loads(said["tool_calls"][0]["function"]["arguments"]) == QUERY
    assert "[1]" in result["content"]


def refused(status: int, body: dict[str, Any], **headers: str) -> Reply:
    return only_json(status, json.dumps(body).encode(), headers)


def mistral_error(status: int, message: str, kind: str, code: str) -> Reply:
    return refused(status, {"object": "error", "message": message, "type": kind, "param": None, "code": code})


OPENAI = Wire(
    name="openai",
    model="gpt-4.1",
    settings=lambda port: {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1"},
    asks=openai_asks,
    answers=openai_answers,
    opening=opening,
    check=lambda exchange: _check(exchange, OpenAIRequest),
    check_second=lambda exchange: _check_second(exchange, "call_1", None),
    counted=Counted(input=85, cached=20, completion=27),
    refusals=responses.WIRE.refusals,
)

MISTRAL = Wire(
    name="mistral",
    model=MISTRAL_MODEL,
    settings=lambda port: {"MISTRAL_API_KEY": KEY, "MISTRAL_BASE_URL": f"http://127.0.0.1:{port}/v1"},
    asks=mistral_asks,
    answers=mistral_answers,
    opening=opening,
    check=lambda exchange: _check(exchange, MistralRequest),
    check_second=lambda exchange: _check_second(exchange, "D681PevKs", _thinking(THOUGHT)["content"]),
    counted=Counted(input=85, cached=20, completion=27),
    refusals={
        "key": refused(401, {"detail": "Unauthorized"}),
        "rate": refused(429, {"message": "Requests rate limit exceeded"}, **{"Retry-After": "20"}),
        "model": mistral_error(400, "Invalid model: x", "invalid_model", "1500"),
        "long": mistral_error(400, "Prompt contains 9 tokens, too large for model with 8", "invalid_request", "3051"),
        "request": refused(422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "x"]}]}),
    },
    shows_thinking=False,
)

XAI = Wire(
    name="xai",
    model=XAI_MODEL,
    settings=lambda port: {"XAI_API_KEY": KEY, "XAI_BASE_URL": f"http://127.0.0.1:{port}/v1"},
    asks=xai_asks,
    answers=xai_answers,
    opening=opening,
    check=lambda exchange: _check(exchange, XaiRequest),
    check_second=lambda exchange: _check_second(exchange, "call_1", None),
    counted=Counted(input=85, cached=20, completion=27),
    refusals={
        "key": refused(400, {"code": "invalid argument", "error": f"Incorrect API key provided: {KEY}"}),
        "quota": refused(403, {"code": "x", "error": "Your team has used all available credits."}),
        "rate": refused(429, {"code": "x", "error": "Too many requests"}, **{"Retry-After": "20"}),
        "model": refused(404, {"code": "x", "error": "The model grok-x does not exist"}),
        "long": refused(400, {"code": "x", "error": "This model's maximum prompt length is 8 but the request has 9."}),
        "request": refused(422, {"code": "x", "error": "Failed to deserialize the JSON body"}),
    },
)
