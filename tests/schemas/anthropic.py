"""What a Messages request may hold, written down from the vendor's reference: anything else is a fault of ours.

Source: platform.claude.com/docs, "Create a Message", "Tool use", "Prompt caching", "Extended thinking", "Effort",
"Vision", "PDF support".
"""

from itertools import pairwise
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Words = Annotated[str, Meta(pattern=r"\S")]
"""Text blocks must hold something that is not white space."""
ToolId = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]+$")]
ToolName = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]


class _Strict(msgspec.Struct, forbid_unknown_fields=True, tag_field="type"):
    pass


class CacheControl(_Strict, tag="ephemeral"):
    ttl: Literal["5m", "1h"] = "5m"


class Text(_Strict, tag="text"):
    text: Words
    cache_control: CacheControl | None = None
    citations: list[dict[str, Any]] | None = None


class Think(_Strict, tag="thinking"):
    thinking: str
    signature: Annotated[str, Meta(min_length=1)]


class Redacted(_Strict, tag="redacted_thinking"):
    data: Annotated[str, Meta(min_length=1)]


class ToolUse(_Strict, tag="tool_use"):
    id: ToolId
    name: ToolName
    input: dict[str, Any]
    cache_control: CacheControl | None = None


class ServerToolUse(_Strict, tag="server_tool_use"):
    id: str
    name: str
    input: dict[str, Any]


class ToolResult(_Strict, tag="tool_result"):
    tool_use_id: ToolId
    content: str | list[Text] = ""
    is_error: bool = False
    cache_control: CacheControl | None = None


class ImageSource(_Strict, tag="base64"):
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    data: Annotated[str, Meta(min_length=1, max_length=5_242_880)]


class Image(_Strict, tag="image"):
    source: ImageSource


class PdfSource(_Strict, tag="base64"):
    media_type: Literal["application/pdf"]
    data: Annotated[str, Meta(min_length=1)]


class Document(_Strict, tag="document"):
    source: PdfSource
    title: Annotated[str, Meta(min_length=1, max_length=500)] | None = None


class UserTurn(msgspec.Struct, forbid_unknown_fields=True, tag_field="role", tag="user"):
    content: Annotated[list[Text | Image | Document | ToolResult], Meta(min_length=1)]


class AssistantTurn(msgspec.Struct, forbid_unknown_fields=True, tag_field="role", tag="assistant"):
    content: Annotated[list[Text | Think | Redacted | ToolUse | ServerToolUse], Meta(min_length=1)]


class Tool(msgspec.Struct, forbid_unknown_fields=True):
    name: ToolName
    input_schema: dict[str, Any]
    description: str = ""


class Auto(_Strict, tag="auto"):
    pass


class NoTool(_Strict, tag="none"):
    pass


class Adaptive(_Strict, tag="adaptive"):
    display: Literal["summarized", "omitted"] = "summarized"


class Enabled(_Strict, tag="enabled"):
    budget_tokens: Annotated[int, Meta(ge=1024)]


class Disabled(_Strict, tag="disabled"):
    pass


class BetweenTools(_Strict, tag="between_tools"):
    pass


class OutputConfig(msgspec.Struct, forbid_unknown_fields=True):
    effort: Literal["low", "medium", "high", "xhigh", "max"]


class Request(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    max_tokens: Annotated[int, Meta(ge=1, le=128_000)]
    messages: Annotated[list[UserTurn | AssistantTurn], Meta(min_length=1)]
    stream: Literal[True]
    system: Annotated[list[Text], Meta(min_length=1)] | None = None
    tools: Annotated[list[Tool], Meta(min_length=1)] | None = None
    tool_choice: Auto | NoTool | None = None
    thinking: Adaptive | Enabled | Disabled | BetweenTools | None = None
    output_config: OutputConfig | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    stop_sequences: Annotated[list[Words], Meta(min_length=1)] | None = None


def check(body: bytes) -> Request:
    """Return the request; raise what is wrong with it."""
    request = msgspec.json.decode(body, type=Request)
    turns = request.messages
    assert isinstance(turns[0], UserTurn)
    assert isinstance(turns[-1], UserTurn), "nothing is put into the model's mouth"
    assert all(type(one) is not type(other) for one, other in pairwise(turns)), "roles alternate"
    asked: set[str] = set()
    for turn in turns:
        results = [block.tool_use_id for block in turn.content if isinstance(block, ToolResult)]
        assert sorted(results) == sorted(asked), "every call has its result in the next message, and only there"
        assert all(isinstance(block, ToolResult) for block in turn.content[: len(results)]), "results come first"
        asked = {block.id for block in turn.content if isinstance(block, ToolUse)}
    assert not asked or request.tools, "calls in the history need their tools"
    assert not (request.tool_choice and not request.tools)
    assert body.count(b'"cache_control"') <= 4
    if isinstance(request.thinking, Enabled):
        assert request.thinking.budget_tokens < request.max_tokens
        assert request.temperature is None
    return request
