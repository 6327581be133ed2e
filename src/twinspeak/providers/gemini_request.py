"""What Gemini is asked: a `ModelRequest` as JSON.

Source: the vendor's reference "Generating content" and its guides "Thinking", "Thought signatures" and "Function
calling"; what differs from model to model is in `GeminiQuirks`, and the catalogue knows which model has which.
"""

from typing import Any

import msgspec

from twinspeak.domain.turn import AssistantMessage, Message, ModelRequest, ToolCall, ToolMessage, ToolSpec, UserMessage

MAKER = "gemini"
"""Whose opaque state is whose: of a round, the row of its parts; of a call, `{"id": …}` as the vendor numbered it."""


class GeminiQuirks(msgspec.Struct, frozen=True):
    """How one model wants to be asked to think.

    `levels`: for each of our efforts, what `thinkingLevel` says. `budgets`: the same as `thinkingBudget` in tokens, for
    the models before 3. Neither: the model does not think, and refuses to be asked. `temperature`: it is heeded.
    """

    levels: dict[str, str] = {}
    budgets: dict[str, int] = {}
    temperature: bool = True

    @property
    def thinks(self) -> bool:
        """True when thoughts can be asked for."""
        return bool(self.levels or self.budgets)


def encode(request: ModelRequest, quirks: GeminiQuirks) -> bytes:
    """Write the request's body."""
    body: dict[str, Any] = {"contents": _contents(request.messages)}
    if request.system:
        body["systemInstruction"] = {"parts": [{"text": request.system}]}
    if request.tools and request.model.takes_tools:
        body["tools"] = [{"functionDeclarations": [_declaration(tool) for tool in request.tools]}]
        if not request.may_call:
            body["toolConfig"] = {"functionCallingConfig": {"mode": "NONE"}}
    if config := _config(request, quirks):
        body["generationConfig"] = config
    return msgspec.json.encode(body)


def _config(request: ModelRequest, quirks: GeminiQuirks) -> dict[str, Any]:
    sampling, config = request.sampling, dict[str, Any]()
    limits = [limit for limit in (request.output_limit, sampling.max_tokens) if limit]
    if limits:
        config["maxOutputTokens"] = min(limits)
    if sampling.temperature is not None and quirks.temperature:
        config["temperature"] = sampling.temperature
    if sampling.stop:
        config["stopSequences"] = list(sampling.stop)
    if quirks.thinks:
        config["thinkingConfig"] = _thinking(request.effort, quirks)
    return config


def _thinking(effort: str, quirks: GeminiQuirks) -> dict[str, Any]:
    """Say how much to think; thoughts come as summaries, and only when they are asked for."""
    if effort in quirks.levels:
        return {"includeThoughts": True, "thinkingLevel": quirks.levels[effort]}
    if effort in quirks.budgets:
        budget = quirks.budgets[effort]
        return {"includeThoughts": budget != 0, "thinkingBudget": budget}
    return {"includeThoughts": True}


def _contents(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Write the conversation; what one side says in several messages (results of parallel tools) is one content."""
    calls = {call.call_id: call for said in messages if isinstance(said, AssistantMessage) for call in said.tool_calls}
    contents: list[dict[str, Any]] = []
    for message in messages:
        role = "model" if isinstance(message, AssistantMessage) else "user"
        parts = _parts(message, calls)
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        elif parts:
            contents.append({"role": role, "parts": parts})
    return contents


def _parts(message: Message, calls: dict[str, ToolCall]) -> list[dict[str, Any]]:
    if isinstance(message, UserMessage):
        files = [{"inlineData": {"mimeType": file.media_type, "data": file.base64}} for file in message.attachments]
        return [*files, {"text": message.text}] if message.text else []
    if isinstance(message, ToolMessage):
        call = calls.get(message.call_id)
        response = {"name": message.name, "response": {"result": message.text}}
        return [{"functionResponse": (_numbered(call) if call else {}) | response}]
    for state in message.state:
        if state.maker == MAKER:
            return list(state.value)
    said: list[dict[str, Any]] = [{"text": message.text}] if message.text else []
    return said + [{"functionCall": _numbered(call) | _call(call)} for call in message.tool_calls]


def _call(call: ToolCall) -> dict[str, Any]:
    return {"name": call.name, "args": call.arguments or {}}


def _numbered(call: ToolCall) -> dict[str, Any]:
    """Return the vendor's own number of a call, where it gave one: a result must carry the same."""
    return dict(call.state.value) if call.state and call.state.maker == MAKER else {}


def _declaration(tool: ToolSpec) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "parametersJsonSchema": tool.parameters}
