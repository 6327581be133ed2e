"""What a ConverseStream request may hold, and what signs it, written down from AWS's reference.

Source: docs.aws.amazon.com, Bedrock API reference ("ConverseStream", "ContentBlock", "ToolSpecification", "ImageBlock",
"DocumentBlock"), "Prompt
caching", and "Create a signed AWS API request" (Signature Version 4).
"""

import base64
import hashlib
import hmac
from itertools import pairwise
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta

from tests.fakes.upstream import Exchange

Words = Annotated[str, Meta(pattern=r"\S")]
ToolId = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
ToolName = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class _Strict(msgspec.Struct, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    pass


class ReasoningText(_Strict):
    text: str
    signature: str | None = None


class Reasoning(_Strict):
    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None


class ResultText(_Strict):
    text: Words


class ToolUse(_Strict):
    tool_use_id: ToolId
    name: ToolName
    input: dict[str, Any]


class ToolResult(_Strict):
    tool_use_id: ToolId
    content: Annotated[list[ResultText], Meta(min_length=1)]
    status: Literal["success", "error"] | None = None


class CachePoint(_Strict):
    type: Literal["default"]


class Source(_Strict):
    bytes: Annotated[str, Meta(min_length=1)]


class Image(_Strict):
    format: Literal["png", "jpeg", "gif", "webp"]
    source: Source


class Document(_Strict):
    """No two of a request may have one name."""

    format: Literal["pdf"]
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9()\[\]-]+( [A-Za-z0-9()\[\]-]+)*$", max_length=200)]
    source: Source


class Block(_Strict):
    """Exactly one of these."""

    text: Words | None = None
    reasoning_content: Reasoning | None = None
    tool_use: ToolUse | None = None
    tool_result: ToolResult | None = None
    cache_point: CachePoint | None = None
    image: Image | None = None
    document: Document | None = None


class Turn(_Strict):
    role: Literal["user", "assistant"]
    content: Annotated[list[Block], Meta(min_length=1)]


class SystemBlock(_Strict):
    text: Words | None = None
    cache_point: CachePoint | None = None


class InferenceConfig(_Strict):
    max_tokens: Annotated[int, Meta(ge=1)]
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    stop_sequences: Annotated[list[Words], Meta(min_length=1, max_length=4)] | None = None


class Schema(_Strict):
    json: dict[str, Any]


class ToolSpec(_Strict):
    name: ToolName
    input_schema: Schema
    description: Words | None = None


class Tool(_Strict):
    tool_spec: ToolSpec


class ToolConfig(_Strict):
    tools: Annotated[list[Tool], Meta(min_length=1)]


class Request(_Strict):
    messages: Annotated[list[Turn], Meta(min_length=1)]
    inference_config: InferenceConfig
    system: Annotated[list[SystemBlock], Meta(min_length=1)] | None = None
    tool_config: ToolConfig | None = None
    additional_model_request_fields: dict[str, Any] | None = None


def check(body: bytes) -> Request:
    """Return the request; raise what is wrong with it."""
    request = msgspec.json.decode(body, type=Request)
    turns = request.messages
    assert turns[0].role == turns[-1].role == "user"
    assert all(one.role != other.role for one, other in pairwise(turns)), "roles alternate"
    asked: list[str] = []
    for turn in turns:
        assert all(len(msgspec.structs.asdict(block)) - _empty(block) == 1 for block in turn.content), "one of them"
        results = [block.tool_result.tool_use_id for block in turn.content if block.tool_result]
        assert sorted(results) == sorted(asked), "every call has its result in the next message, and only there"
        asked = [block.tool_use.tool_use_id for block in turn.content if block.tool_use]
        _check_files(turn)
        for block in turn.content:
            if block.reasoning_content and block.reasoning_content.redacted_content:
                base64.b64decode(block.reasoning_content.redacted_content, validate=True)
    assert request.tool_config or not any(block.tool_use for turn in turns for block in turn.content)
    assert body.count(b"cachePoint") <= 4
    return request


def _check_files(turn: Turn) -> None:
    """Bounds of one message, and what must stand beside a document."""
    images = [block.image for block in turn.content if block.image]
    documents = [block.document for block in turn.content if block.document]
    assert turn.role == "user" or not (images or documents)
    assert len(images) <= 20
    assert len(documents) <= 5
    assert len({document.name for document in documents}) == len(documents)
    assert not documents or any(block.text for block in turn.content)
    for files, most in ((images, 3_750_000), (documents, 4_500_000)):
        assert all(0 < len(base64.b64decode(file.source.bytes, validate=True)) <= most for file in files)


def _empty(block: Block) -> int:
    return sum(value is None for value in msgspec.structs.asdict(block).values())


def check_signature(exchange: Exchange, secret: str, region: str) -> None:
    """Compute Signature Version 4 of what arrived, and compare."""
    kind, _, fields = exchange.headers["authorization"].partition(" ")
    assert kind == "AWS4-HMAC-SHA256"
    said = dict(field.strip().split("=", 1) for field in fields.split(","))
    names = said["SignedHeaders"].split(";")
    assert {"host", "x-amz-date"} <= set(names)
    lines = [f"{name}:{exchange.headers[name]}\n" for name in names]
    path = quote(exchange.path, safe="/-_.~")
    digest = hashlib.sha256(exchange.body).hexdigest()
    canonical = "\n".join(["POST", path, "", "".join(lines), ";".join(names), digest])
    date = exchange.headers["x-amz-date"]
    scope = f"{date[:8]}/{region}/bedrock/aws4_request"
    assert said["Credential"].endswith(scope)
    to_sign = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    assert said["Signature"] == hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
