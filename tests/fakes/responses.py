"""OpenAI's Responses wire: its events, and its request schema as the API reference documents it."""

import json
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tests.fakes.upstream import Exchange, Reply, Step, error_reply, frame, pieces
from tests.fakes.wire import ANSWER, KEY, QUERY, THOUGHT, Counted, Wire

MODEL = "gpt-6-luna"
ENCRYPTED = "gAAAAABoyXusnBzv6TRLFFsi09D2XC4A5Jod6AOAtsnxA4Vdp6sHIAr4B0UwlKwA=="


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    pass


class Reasoning(_Strict):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


class Function(_Strict):
    type: Literal["function"]
    name: str
    description: str
    parameters: dict[str, Any]
    strict: bool


class InputText(_Strict, tag="input_text"):
    text: str


class InputImage(_Strict, tag="input_image"):
    image_url: Annotated[str, Meta(pattern="^data:image/(png|jpeg|webp|gif);base64,.")]
    detail: Literal["auto", "low", "high", "original"] = "auto"


class InputFile(_Strict, tag="input_file"):
    filename: Annotated[str, Meta(min_length=1)]
    file_data: Annotated[str, Meta(pattern="^data:application/pdf;base64,.")]


class Said(_Strict):
    """An input message without a type."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | Annotated[list[InputText | InputImage | InputFile], Meta(min_length=1)]


class Summary(_Strict):
    type: Literal["summary_text"]
    text: str


class ReasoningItem(_Strict, tag="reasoning"):
    id: str
    summary: list[Summary]
    encrypted_content: str | None = None
    status: str | None = None
    content: list[Any] | None = None


class OutputText(_Strict, tag="output_text"):
    text: str
    annotations: list[Any]
    logprobs: list[Any] | None = None


class RefusalText(_Strict, tag="refusal"):
    refusal: str


class MessageItem(_Strict, tag="message"):
    id: str
    role: Literal["assistant"]
    content: list[OutputText | RefusalText]
    status: str
    phase: str | None = None


class CallItem(_Strict, tag="function_call"):
    call_id: str
    name: str
    arguments: str
    id: str | None = None
    status: str | None = None


class CallOutput(_Strict, tag="function_call_output"):
    call_id: str
    output: str


Item = ReasoningItem | MessageItem | CallItem | CallOutput


class Request(_Strict):
    model: str
    input: list[dict[str, Any]]
    stream: Literal[True]
    store: Literal[False]
    instructions: str | None = None
    include: list[Literal["reasoning.encrypted_content"]] = []
    reasoning: Reasoning | None = None
    tools: list[Function] = []
    tool_choice: Literal["auto", "none", "required"] = "auto"
    max_output_tokens: int | None = None
    temperature: float | None = None


def event(kind: str, **fields: Any) -> bytes:
    """One event, named as the vendor does."""
    return frame({"type": kind, "sequence_number": 0, **fields}, event=kind)


def item_events(index: int, item: dict[str, Any], *between: bytes) -> list[Step]:
    """An output item from its beginning to its end."""
    empty = {"reasoning": {"summary": []}, "message": {"content": []}, "function_call": {"arguments": ""}}
    begun = {**item, **empty[item["type"]]}
    return [
        event("response.output_item.added", output_index=index, item=begun),
        *between,
        event("response.output_item.done", output_index=index, item=item),
    ]


def completed(prompt: int, completion: int, *, cached: int = 0, thought: int = 0) -> bytes:
    usage = {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": prompt + completion,
    }
    response = {"id": "resp_1", "status": "completed", "error": None, "incomplete_details": None, "usage": usage}
    return event("response.completed", response=response)


CREATED = event("response.created", response={"id": "resp_1", "status": "in_progress", "output": [], "usage": None})


def reasoning(text: str = THOUGHT) -> dict[str, Any]:
    summary = [{"type": "summary_text", "text": text}]
    return {"id": "rs_1", "type": "reasoning", "encrypted_content": ENCRYPTED, "summary": summary}


def asks() -> Reply:
    deltas = [
        event("response.reasoning_summary_text.delta", output_index=0, summary_index=0, delta=piece)
        for piece in pieces(THOUGHT, 7)
    ]
    part = event("response.reasoning_summary_part.added", output_index=0, summary_index=0, part={})
    call = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "search_uploads", "status": "completed"}
    arguments = json.dumps(QUERY)
    written = [
        event("response.function_call_arguments.delta", output_index=1, item_id="fc_1", delta=piece)
        for piece in pieces(arguments, 5)
    ]
    done = event("response.function_call_arguments.done", output_index=1, item_id="fc_1", arguments=arguments)
    return Reply(
        [
            CREATED,
            *item_events(0, reasoning(), part, *deltas),
            *item_events(1, {**call, "arguments": arguments}, *written, done),
            completed(30, 18, thought=8),
        ]
    )


def message(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}


def answers(text: str = ANSWER) -> Reply:
    deltas = [
        event("response.output_text.delta", output_index=0, delta=piece, obfuscation="x") for piece in pieces(text)
    ]
    return Reply([CREATED, *item_events(0, message(text), *deltas), completed(55, 9, cached=20)])


def opening() -> list[Step]:
    return [CREATED, event("response.output_text.delta", output_index=0, delta="Half")]


def check(exchange: Exchange) -> None:
    """Raise unless the request is one that OpenAI would take."""
    assert exchange.path == "/v1/responses"
    assert exchange.headers["authorization"] == f"Bearer {KEY}"
    check_body(exchange.body)


def check_body(body: bytes) -> None:
    request = msgspec.json.decode(body, type=Request)
    called: list[str] = []
    for raw in request.input:
        item = msgspec.convert(raw, Item if "type" in raw else Said)
        if isinstance(item, CallItem):
            called.append(item.call_id)
            json.loads(item.arguments)
        if isinstance(item, CallOutput):
            assert item.call_id in called, "no tool call found for function call output"
            called.remove(item.call_id)
        if isinstance(item, ReasoningItem):
            assert item.encrypted_content, "items are not persisted when store is false"
    assert not called, "no tool output found for function call"
    assert (request.max_output_tokens or 16) >= 16


def check_second(exchange: Exchange) -> None:
    """Raise unless the items of the round came back as they were, its reasoning still encrypted."""
    thought, call, output = exchange.json["input"][-3:]
    assert thought == reasoning()
    assert (call["id"], call["call_id"], json.loads(call["arguments"])) == ("fc_1", "call_1", QUERY)
    assert output["call_id"] == "call_1"
    assert "[1]" in output["output"]


WIRE = Wire(
    name="openai",
    model=MODEL,
    settings=lambda port: {
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
        "openai_wire": "responses",
    },
    asks=asks,
    answers=answers,
    opening=opening,
    check=check,
    check_second=check_second,
    counted=Counted(input=85, cached=20, completion=27),
    refusals={
        "key": error_reply(401, f"Incorrect API key provided: {KEY}", code="invalid_api_key"),
        "quota": error_reply(429, "You exceeded your current quota", code="insufficient_quota"),
        "rate": error_reply(429, "Rate limit", code="rate_limit_exceeded", headers={"Retry-After": "20"}),
        "model": error_reply(400, "The requested model 'x' does not exist.", code="model_not_found"),
        "long": error_reply(400, "too many", code="context_length_exceeded"),
        "request": error_reply(400, "Unsupported value"),
    },
)
