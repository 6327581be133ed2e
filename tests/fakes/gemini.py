"""Gemini's wire: its frames, and its request schema as ai.google.dev/api/generate-content documents it."""

import json
from typing import Any, Literal

import msgspec

from tests.fakes.upstream import Exchange, Reply, Step, pieces
from tests.fakes.wire import ANSWER, KEY, QUERY, THOUGHT, Counted, Wire, only_json

MODEL = "gemini-3.5-flash"
SIGNATURE = "EpwICpkIAXLI2nxlU6gsWZaZHRYkX1orzuM8vSUFwaAt+/=="


class _Strict(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    pass


class FunctionCall(_Strict):
    name: str
    args: dict[str, Any]
    id: str | None = None


class FunctionResponse(_Strict):
    name: str
    response: dict[str, Any]
    id: str | None = None


class Blob(_Strict):
    mime_type: Literal["image/png", "image/jpeg", "image/webp", "image/heic", "image/heif", "application/pdf"]
    data: str


class Part(_Strict):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    inline_data: Blob | None = None


class Content(_Strict):
    parts: list[Part]
    role: Literal["user", "model"]


class SystemInstruction(_Strict):
    parts: list[Part]


class FunctionDeclaration(_Strict):
    name: str
    description: str
    parameters_json_schema: dict[str, Any]


class Tool(_Strict):
    function_declarations: list[FunctionDeclaration]


class FunctionCallingConfig(_Strict):
    mode: Literal["AUTO", "ANY", "NONE", "VALIDATED"]


class ToolConfig(_Strict):
    function_calling_config: FunctionCallingConfig


class ThinkingConfig(_Strict):
    include_thoughts: bool
    thinking_level: Literal["minimal", "low", "medium", "high"] | None = None
    thinking_budget: int | None = None


class GenerationConfig(_Strict):
    max_output_tokens: int | None = None
    temperature: float | None = None
    stop_sequences: list[str] | None = None
    thinking_config: ThinkingConfig | None = None


class Request(_Strict):
    contents: list[Content]
    system_instruction: SystemInstruction | None = None
    tools: list[Tool] | None = None
    tool_config: ToolConfig | None = None
    generation_config: GenerationConfig | None = None


def frame(payload: object) -> bytes:
    """One event as Google ends it: CRLF CRLF."""
    return f"data: {json.dumps(payload, ensure_ascii=False)}\r\n\r\n".encode()


def event(*parts: dict[str, Any], finish: str | None = None, **usage: int) -> bytes:
    """An event with some parts of the candidate; `usage` are counts by the vendor's names."""
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    payload: dict[str, Any] = {"candidates": [candidate], "modelVersion": MODEL, "responseId": "r"}
    return frame({**payload, "usageMetadata": usage} if usage else payload)


def asks() -> Reply:
    """Thoughts, two texts of which carry nothing, and a call with its signature."""
    thoughts = [event({"text": piece, "thought": True}, promptTokenCount=30) for piece in pieces(THOUGHT, 7)]
    call = {"functionCall": {"name": "search_uploads", "args": QUERY, "id": "g1"}, "thoughtSignature": SIGNATURE}
    counts = {"promptTokenCount": 30, "candidatesTokenCount": 10, "thoughtsTokenCount": 8, "totalTokenCount": 48}
    return Reply([*thoughts, event(call), event({"text": ""}, finish="STOP", **counts)])


def answers(text: str = ANSWER, finish: str = "STOP") -> Reply:
    """An answer in pieces; the last event brings the signature on an empty text, as Gemini 3 does."""
    steps: list[Step] = [event({"text": piece}, promptTokenCount=55, candidatesTokenCount=1) for piece in pieces(text)]
    counts = {"promptTokenCount": 55, "candidatesTokenCount": 9, "cachedContentTokenCount": 20}
    return Reply([*steps, event({"text": "", "thoughtSignature": SIGNATURE}, finish=finish, **counts)])


def opening() -> list[Step]:
    return [event({"text": "Half"})]


def error(
    code: int, status: str, message: str, *details: dict[str, Any], headers: dict[str, str] | None = None
) -> Reply:
    """A refusal before the stream."""
    body = {"error": {"code": code, "message": message, "status": status, "details": list(details)}}
    return only_json(code, json.dumps(body).encode(), headers)


def check(exchange: Exchange) -> None:
    """Raise unless the request is one that Google would take."""
    model, _, method = exchange.path.removeprefix("/v1beta/models/").partition(":")
    assert model
    assert method == "streamGenerateContent?alt=sse"
    assert exchange.headers["x-goog-api-key"] == KEY
    request = msgspec.json.decode(exchange.body, type=Request)
    assert request.contents
    assert request.contents[0].role == request.contents[-1].role == "user"
    for before, after in zip(request.contents, request.contents[1:], strict=False):
        assert before.role != after.role, "roles alternate"
        calls = [part.function_call for part in before.parts if part.function_call]
        results = [part.function_response for part in after.parts if part.function_response]
        assert [(call.id, call.name) for call in calls] == [(result.id, result.name) for result in results]
        assert not calls or any(part.thought_signature for part in before.parts), "Gemini 3 refuses calls without"
    for content in request.contents:
        for part in content.parts:
            data = [part.text, part.function_call, part.function_response, part.inline_data]
            assert sum(value is not None for value in data) == 1, "a part is one thing"


def check_second(exchange: Exchange) -> None:
    """Raise unless the round came back as it was: its thoughts, and the call with its signature on it."""
    said, result = exchange.json["contents"][-2:]
    assert [part.get("thought") for part in said["parts"]] == [True, None]
    assert said["parts"][0]["text"] == THOUGHT
    assert said["parts"][1]["thoughtSignature"] == SIGNATURE
    assert said["parts"][1]["functionCall"] == {"name": "search_uploads", "args": QUERY, "id": "g1"}
    assert result["parts"][0]["functionResponse"]["id"] == "g1"
    assert "[1]" in result["parts"][0]["functionResponse"]["response"]["result"]


BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
WAIT = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}

WIRE = Wire(
    name="gemini",
    model=MODEL,
    settings=lambda port: {"GEMINI_API_KEY": KEY, "GEMINI_BASE_URL": f"http://127.0.0.1:{port}"},
    asks=asks,
    answers=answers,
    opening=opening,
    check=check,
    check_second=check_second,
    counted=Counted(input=85, cached=20, completion=27),
    refusals={
        "key": error(400, "INVALID_ARGUMENT", f"API key not valid: {KEY}", BAD_KEY),
        "rate": error(429, "RESOURCE_EXHAUSTED", "Quota exceeded", WAIT),
        "model": error(404, "NOT_FOUND", "models/x is not found for API version v1beta"),
        "long": error(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens"),
        "request": error(400, "INVALID_ARGUMENT", "Unknown name"),
    },
)
