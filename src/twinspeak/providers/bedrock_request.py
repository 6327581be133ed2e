"""What Bedrock is asked over Converse: a `ModelRequest` as JSON.

Source: the API reference, "ConverseStream", "Message", "ContentBlock", "ToolConfiguration" and the pages on reasoning
and prompt caching (docs.aws.amazon.com/bedrock); what differs from model to model is in `BedrockQuirks`.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from twinspeak.domain.attachments import Attachment
from twinspeak.domain.turn import AssistantMessage, ModelRequest, ToolCall, ToolMessage, ToolSpec, UserMessage
from twinspeak.providers.claude import ClaudeQuirks, may_sample, thinking_fields

MAKER = "bedrock"
_CACHE = {"cachePoint": {"type": "default"}}
_BEFORE = "(What was asked before is not known any more.)"
_NOTHING = "(nothing)"
"""Stands for an empty result: Converse refuses blank text."""

Block = dict[str, Any]


class BedrockQuirks(msgspec.Struct, frozen=True):
    """How one model wants to be asked.

    `claude`: what its thinking takes. `caches`: cache points are known. `reasoning`: Amazon's `reasoningConfig` is.
    """

    claude: ClaudeQuirks = ClaudeQuirks(sampling=True)
    caches: bool = False
    reasoning: bool = False


def encode(request: ModelRequest, quirks: BedrockQuirks) -> bytes:
    """Write the request's body: UTF-8 JSON."""
    limits = (request.output_limit, request.sampling.max_tokens, request.model.max_output)
    limit = min(limit for limit in limits if limit)
    thinking = thinking_fields(quirks.claude, request.effort, limit)
    if quirks.reasoning and request.effort in {"low", "medium", "high", "max"}:
        effort = "high" if request.effort == "max" else request.effort
        thinking = {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}
    inference: dict[str, Any] = {"maxTokens": limit}
    if request.sampling.temperature is not None and may_sample(quirks.claude, thinking) and not thinking:
        inference["temperature"] = min(1.0, request.sampling.temperature)
    if stops := [stop for stop in request.sampling.stop if stop.strip()][:4]:
        inference["stopSequences"] = stops
    body: dict[str, Any] = {"messages": _messages(request), "inferenceConfig": inference}
    if request.system:
        body["system"] = [{"text": request.system}]
    if request.tools and request.model.takes_tools:
        # There is no way to forbid calls here; the engine does not run those of a last round.
        body["toolConfig"] = {"tools": [_tool(tool) for tool in request.tools]}
        if quirks.caches:
            _mark(body)
    if thinking:
        body["additionalModelRequestFields"] = thinking
    return msgspec.json.encode(body)


def _mark(body: dict[str, Any]) -> None:
    """Mark what a further round of the turn will read again: the system text with the tools, and the conversation."""
    for blocks in (body.get("system"), body["messages"][-1]["content"]):
        if blocks:
            blocks.append(_CACHE)


def _messages(request: ModelRequest) -> list[dict[str, Any]]:
    """Return strictly alternating messages, the first one the user's; results of one round stand in one message."""
    found: list[dict[str, Any]] = []
    for message in request.messages:
        role = "assistant" if isinstance(message, AssistantMessage) else "user"
        blocks = list(_blocks(message))
        if not blocks:
            continue
        if found and found[-1]["role"] == role:
            found[-1]["content"] += blocks
        else:
            found.append({"role": role, "content": blocks})
    if found and found[0]["role"] == "assistant":
        found.insert(0, {"role": "user", "content": [{"text": _BEFORE}]})
    return found


def _blocks(message: UserMessage | AssistantMessage | ToolMessage) -> Iterable[Block]:
    if isinstance(message, ToolMessage):
        said = message.text if message.text.strip() else _NOTHING
        yield {"toolResult": {"toolUseId": message.call_id, "content": [{"text": said}]}}
    elif isinstance(message, AssistantMessage) and any(item.maker == MAKER for item in message.state):
        yield from _as_it_was(message)
    else:
        if isinstance(message, UserMessage):
            yield from (_file(file, number) for number, file in enumerate(message.attachments, 1))
        if message.text.strip():
            yield {"text": message.text}
        if isinstance(message, AssistantMessage):
            yield from (_call(call) for call in message.tool_calls)


def _file(file: Attachment, number: int) -> Block:
    """Write a file; documents need names that differ, and AWS advises against those that users choose."""
    source = {"bytes": file.base64}
    if file.is_image:
        return {"image": {"format": file.media_type.removeprefix("image/"), "source": source}}
    return {"document": {"format": "pdf", "name": f"Document {number}", "source": source}}


def _as_it_was(message: AssistantMessage) -> Iterable[Block]:
    """Give a round back in its own order: signatures are good only for what they stood with."""
    left = dict(enumerate(message.tool_calls))
    for item in message.state:
        if item.maker != MAKER:
            continue
        if "toolUse" not in item.value:
            yield item.value
        elif call := left.pop(item.value["toolUse"], None):
            yield _call(call)
    yield from (_call(call) for call in left.values())


def _call(call: ToolCall) -> Block:
    return {"toolUse": {"toolUseId": call.call_id, "name": call.name, "input": call.arguments or {}}}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    spec = {"name": tool.name, "description": tool.description, "inputSchema": {"json": tool.parameters}}
    return {"toolSpec": spec}
