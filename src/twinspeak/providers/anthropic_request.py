"""What Anthropic is asked: a `ModelRequest` as JSON.

Source: the vendor's reference, "Create a Message", "Tool use", "Prompt caching" and "Extended thinking"
(platform.claude.com/docs); what differs from model to model is in `ClaudeQuirks`.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from twinspeak.domain.attachments import Attachment
from twinspeak.domain.turn import AssistantMessage, ModelRequest, Opaque, ToolCall, ToolMessage, ToolSpec, UserMessage
from twinspeak.providers.claude import ClaudeQuirks, may_sample, thinking_fields

MAKER = "anthropic"
_MARK = {"type": "ephemeral"}
_BEFORE = "(What was asked before is not known any more.)"
"""Stands for the question of an answer that a conversation begins with: the first message must be the user's."""

Block = dict[str, Any]


def limit_of(request: ModelRequest) -> int:
    """Return the most output tokens, thinking included; the vendor wants to be told."""
    limits = (request.output_limit, request.sampling.max_tokens, request.model.max_output)
    return min(limit for limit in limits if limit)


def continued(request: ModelRequest, state: tuple[Opaque, ...], limit: int) -> ModelRequest:
    """Return the request that goes on with an answer that was paused after `state`."""
    if not state:
        return request
    said = AssistantMessage(text="", state=state)
    return msgspec.structs.replace(request, messages=(*request.messages, said), output_limit=limit)


def encode(request: ModelRequest, quirks: ClaudeQuirks) -> bytes:
    """Write the request's body: UTF-8 JSON, streaming."""
    limit = limit_of(request)
    thinking = thinking_fields(quirks, request.effort, limit)
    tools = request.tools if request.model.takes_tools else ()
    body: dict[str, Any] = {
        "model": request.model.wire_name,
        "max_tokens": limit,
        "stream": True,
        "messages": messages_of(request),
        **thinking,
    }
    if request.system:
        body["system"] = [{"type": "text", "text": request.system}]
    if tools:
        body["tools"] = [_tool(tool) for tool in tools]
        body["tool_choice"] = {"type": "auto" if request.may_call else "none"}
        _mark(body)
    if request.sampling.temperature is not None and may_sample(quirks, thinking):
        body["temperature"] = min(1.0, request.sampling.temperature)
    if stops := [stop for stop in request.sampling.stop if stop.strip()]:
        body["stop_sequences"] = stops
    return msgspec.json.encode(body)


def _mark(body: dict[str, Any]) -> None:
    """Mark what is to be cached: tools with the system text, and the conversation so far.

    Writing costs a quarter more than plain input and reading a tenth of it, so it pays where a further round will read
    it: in turns with tools. Passages are part of the system text, so the next turn reads none of this.
    """
    last = body["messages"][-1:]
    for blocks in (body.get("system"), *(message["content"] for message in last if message["role"] == "user")):
        if blocks:
            blocks[-1] = {**blocks[-1], "cache_control": _MARK}


def messages_of(request: ModelRequest) -> list[dict[str, Any]]:
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
        found.insert(0, {"role": "user", "content": [{"type": "text", "text": _BEFORE}]})
    return found


def _blocks(message: UserMessage | AssistantMessage | ToolMessage) -> Iterable[Block]:
    if isinstance(message, ToolMessage):
        result: Block = {"type": "tool_result", "tool_use_id": message.call_id}
        yield {**result, "content": message.text} if message.text else result
    elif isinstance(message, AssistantMessage) and any(item.maker == MAKER for item in message.state):
        yield from _as_it_was(message)
    else:
        if isinstance(message, UserMessage):
            yield from (_file(file) for file in message.attachments)
        if message.text.strip():
            yield {"type": "text", "text": message.text}
        if isinstance(message, AssistantMessage):
            yield from (_call(call) for call in message.tool_calls)


def _file(file: Attachment) -> Block:
    source = {"type": "base64", "media_type": file.media_type, "data": file.base64}
    if file.is_image:
        return {"type": "image", "source": source}
    return {"type": "document", "source": source, "title": file.file_name}


def _as_it_was(message: AssistantMessage) -> Iterable[Block]:
    """Give a round back in its own order: signatures are good only for what they stood with.

    Calls are the round's own (their ids may have been made unique); one that the order does not have comes last.
    """
    left = dict(enumerate(message.tool_calls))
    for item in message.state:
        if item.maker != MAKER:
            continue
        if item.value["type"] != "tool_use":
            yield item.value
        elif call := left.pop(item.value["number"], None):
            yield _call(call)
    yield from (_call(call) for call in left.values())


def _call(call: ToolCall) -> Block:
    return {"type": "tool_use", "id": call.call_id, "name": call.name, "input": call.arguments or {}}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
