"""What OpenAI is asked over Responses: a `ModelRequest` as JSON.

Source: the vendor's reference "Create a model response" and its guide "Reasoning models". Nothing is stored there; what
a round needs of the one before goes along, its reasoning encrypted.
"""

from typing import Any

import msgspec

from twinspeak.domain.attachments import Attachment
from twinspeak.domain.turn import AssistantMessage, Message, ModelRequest, ToolCall, ToolMessage, ToolSpec, UserMessage
from twinspeak.providers.openai_request import Quirks, arguments_of, effort_of, limit_of

MAKER = "openai"
"""Whose opaque state is whose: of a round, its output items; of a call, `{"call_id": …}` as the vendor numbered it."""
_LEAST_OUTPUT = 16


def encode(request: ModelRequest, quirks: Quirks, *, summaries: bool = True) -> bytes:
    """Write the request's body. `summaries` False asks for no account of the reasoning."""
    effort = effort_of(request.effort, quirks)
    body: dict[str, Any] = {
        "model": request.model.wire_name,
        "input": _input(request.messages),
        "stream": True,
        "store": False,
    }
    if request.system:
        body["instructions"] = request.system
    if limit := limit_of(request):
        body["max_output_tokens"] = max(limit, _LEAST_OUTPUT)
    if quirks.efforts:
        body["include"] = ["reasoning.encrypted_content"]
        summary = {"summary": "auto"} if summaries and effort != "none" else {}
        if reasoning := ({"effort": effort} if effort else {}) | summary:
            body["reasoning"] = reasoning
    if request.tools and request.model.takes_tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if not request.may_call:
            body["tool_choice"] = "none"
    if request.sampling.temperature is not None and (quirks.sampling or (quirks.sampling_at_none and effort == "none")):
        body["temperature"] = request.sampling.temperature
    return msgspec.json.encode(body)


def _input(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    calls = {call.call_id: call for said in messages if isinstance(said, AssistantMessage) for call in said.tool_calls}
    return [item for message in messages for item in _items(message, calls)]


def _items(message: Message, calls: dict[str, ToolCall]) -> list[dict[str, Any]]:
    if isinstance(message, UserMessage):
        return [{"role": "user", "content": _content(message)}] if message.text else []
    if isinstance(message, ToolMessage):
        call = calls.get(message.call_id)
        call_id = _number(call) if call else message.call_id
        return [{"type": "function_call_output", "call_id": call_id, "output": message.text}]
    found = [state.value for state in message.state if state.maker == MAKER]
    if not found and message.text:
        found = [{"role": "assistant", "content": message.text}]
    there = {item.get("call_id") for item in found}
    return found + [_call(call) for call in message.tool_calls if _number(call) not in there]


def _content(message: UserMessage) -> str | list[dict[str, Any]]:
    if not message.attachments:
        return message.text
    return [*(_file(file) for file in message.attachments), {"type": "input_text", "text": message.text}]


def _file(file: Attachment) -> dict[str, Any]:
    if file.is_image:
        return {"type": "input_image", "image_url": file.data_url}
    return {"type": "input_file", "filename": file.file_name, "file_data": file.data_url}


def _number(call: ToolCall) -> str:
    """Return the vendor's own id of a call: its result must carry the same."""
    if call.state and call.state.maker == MAKER:
        return str(call.state.value["call_id"])
    return call.call_id


def _call(call: ToolCall) -> dict[str, Any]:
    return {"type": "function_call", "call_id": _number(call), "name": call.name, "arguments": arguments_of(call)}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": False,
    }
