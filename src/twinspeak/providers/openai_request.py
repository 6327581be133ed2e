"""What a chat-completions server is asked: a `ModelRequest` as JSON.

Source: the vendor's reference, "Create chat completion"; what differs from model to model is in `Quirks`, and the
catalogue knows which model has which.
"""

from hashlib import sha256
from typing import Any

import msgspec

from twinspeak.domain.attachments import Attachment
from twinspeak.domain.turn import (
    AssistantMessage,
    Message,
    ModelRequest,
    Sampling,
    ToolCall,
    ToolMessage,
    ToolSpec,
    UserMessage,
)

_EFFORTS = {
    "none": ("none", "minimal", "low"),
    "low": ("low", "minimal"),
    "medium": ("medium", "high"),
    "high": ("high",),
    "max": ("max", "xhigh", "high"),
}
"""Our efforts (contract section 4), each with the vendor's words for it, best first."""
_SHORT = 9


class Quirks(msgspec.Struct, frozen=True):
    """How one model wants to be asked.

    `efforts`: the words that `reasoning_effort` may be, () = the parameter is unknown there. `sampling`: temperature
    and stop are accepted (with `sampling_at_none`, only at effort none). `tools_at_none`: tools are refused at any
    other effort. `limit_field`: the name of the output limit. `replays_reasoning`: rounds with tool calls must carry
    their reasoning when sent back.
    """

    efforts: tuple[str, ...] = ()
    sampling: bool = True
    sampling_at_none: bool = False
    tools_at_none: bool = False
    limit_field: str = "max_completion_tokens"
    replays_reasoning: bool = False
    asks_usage: bool = True
    stops: bool = True
    thinking_parts: bool = False
    short_call_ids: bool = False
    names_forbidden_tools: bool = False


def encode(request: ModelRequest, quirks: Quirks) -> bytes:
    """Write the request's body: UTF-8 JSON, streaming, with the usage chunk asked for."""
    # Not every compatible server heeds `tool_choice: none`, and none of them misses tools that it was told of before.
    named = request.may_call or quirks.names_forbidden_tools
    tools = request.tools if request.model.takes_tools and named else ()
    effort = effort_of(request.effort, quirks)
    if tools and quirks.tools_at_none:
        effort = "none"
    body: dict[str, Any] = {
        "model": request.model.wire_name,
        "messages": _messages(request, quirks),
        "stream": True,
    }
    if quirks.asks_usage:
        body["stream_options"] = {"include_usage": True}
    if limit := limit_of(request):
        body[quirks.limit_field] = limit
    if effort:
        body["reasoning_effort"] = effort
    if tools:
        body["tools"] = [_tool(tool) for tool in tools]
        if not request.may_call:
            body["tool_choice"] = "none"
    if quirks.sampling or (quirks.sampling_at_none and effort == "none"):
        body |= _sampling(request.sampling, quirks)
    return msgspec.json.encode(body)


def _sampling(asked: Sampling, quirks: Quirks) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if asked.temperature is not None:
        fields["temperature"] = asked.temperature
    if asked.stop and quirks.stops:
        fields["stop"] = list(asked.stop)
    return fields


def effort_of(wanted: str, quirks: Quirks) -> str:
    """Return the model's word for our effort `wanted`; "" when it has none, or nothing is wanted."""
    return next((word for word in _EFFORTS.get(wanted, ()) if word in quirks.efforts), "")


def limit_of(request: ModelRequest) -> int:
    """Return how many tokens the answer may have; 0 = as many as the vendor likes."""
    limits = [limit for limit in (request.output_limit, request.sampling.max_tokens) if limit]
    return min(limits, default=0)


def _messages(request: ModelRequest, quirks: Quirks) -> list[dict[str, Any]]:
    system = [{"role": "system", "content": request.system}] if request.system else []
    return [*system, *(_message(message, quirks) for message in request.messages if _says_something(message))]


def _says_something(message: Message) -> bool:
    """An empty answer is no message to a vendor; an empty tool result is."""
    return bool(message.text) or isinstance(message, ToolMessage) or _calls(message) != ()


def _calls(message: Message) -> tuple[ToolCall, ...]:
    return message.tool_calls if isinstance(message, AssistantMessage) else ()


def _message(message: Message, quirks: Quirks) -> dict[str, Any]:
    if isinstance(message, UserMessage):
        return {"role": "user", "content": _content(message) if message.attachments else message.text}
    if isinstance(message, ToolMessage):
        return {"role": "tool", "tool_call_id": _call_id(message.call_id, quirks), "content": message.text}
    answer: dict[str, Any] = {"role": "assistant", "content": message.text or None}
    if message.tool_calls:
        answer["tool_calls"] = [_call(call, quirks) for call in message.tool_calls]
        if quirks.replays_reasoning:
            answer["reasoning_content"] = message.thinking
        if quirks.thinking_parts and message.thinking:
            answer["content"] = _parts(message)
    return answer


def _content(message: UserMessage) -> list[dict[str, Any]]:
    files = [_file(attachment) for attachment in message.attachments]
    return [*files, {"type": "text", "text": message.text}]


def _file(file: Attachment) -> dict[str, Any]:
    if file.is_image:
        return {"type": "image_url", "image_url": {"url": file.data_url}}
    return {"type": "file", "file": {"filename": file.file_name, "file_data": file.data_url}}


def _parts(message: AssistantMessage) -> list[dict[str, Any]]:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": message.thinking}]}
    return [thinking, *([{"type": "text", "text": message.text}] if message.text else [])]


def _call_id(call_id: str, quirks: Quirks) -> str:
    """Return the id as the vendor takes it; its own ids are never changed."""
    if not quirks.short_call_ids or (len(call_id) == _SHORT and call_id.isalnum() and call_id.isascii()):
        return call_id
    return sha256(call_id.encode()).hexdigest()[:_SHORT]


def _call(call: ToolCall, quirks: Quirks) -> dict[str, Any]:
    function = {"name": call.name, "arguments": arguments_of(call)}
    return {"id": _call_id(call.call_id, quirks), "type": "function", "function": function}


def arguments_of(call: ToolCall) -> str:
    """Repeat arguments as the model wrote them (its prompt cache rests on the bytes), but never as broken JSON."""
    return "{}" if call.arguments is None else call.raw or msgspec.json.encode(call.arguments).decode()


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}
