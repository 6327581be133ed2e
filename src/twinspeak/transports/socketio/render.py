"""Turn events as `RECEIVE_STREAM` payloads (contract 4.1, reference 5)."""

from typing import Any

from twinspeak.domain.events import (
    TextDelta,
    ThinkingDelta,
    ThinkingDone,
    ToolFinished,
    ToolProgress,
    ToolStarted,
    TurnEvent,
    TurnFailed,
    TurnStarted,
)
from twinspeak.engine.buffer import TextBuffer
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http import errors


class Renderer:
    """Renders one turn for one socket; every payload carries `turnId`."""

    def __init__(self, turn_id: str, text: TextBuffer, *, cumulative: bool, extended: bool) -> None:
        """`cumulative` False leaves `prompt` out; `extended` adds failures."""
        self._turn_id = turn_id
        self._text = text
        self._cumulative = cumulative
        self._extended = extended

    def payload(self, event: TurnEvent) -> dict[str, Any] | None:
        """Return the payload of `event`, None where this face has none: the REST reply tells how a turn ends."""
        body = self._body(event)
        return None if body is None else {**body, "turnId": self._turn_id}

    def _body(self, event: TurnEvent) -> dict[str, Any] | None:
        match event:
            case TurnStarted():
                return {"type": wire.RELOAD}
            case TextDelta():
                prompt = {"prompt": self._text.slice(0, event.end)} if self._cumulative else {}
                return {"type": wire.STREAM_EVENT, **prompt, wire.DELTA: event.text}
            case ThinkingDelta() | ThinkingDone():
                return _thinking(event)
            case ToolStarted() | ToolProgress() | ToolFinished():
                return _tool(event)
            case TurnFailed() if self._extended:
                return {"type": wire.ERROR_EVENT, **errors.openai_body(event, "")}
            case _:
                return None


def _thinking(event: ThinkingDelta | ThinkingDone) -> dict[str, Any]:
    body: dict[str, Any] = {"type": wire.THINKING_EVENT, "id": f"round-{event.round}", "round": event.round}
    if isinstance(event, ThinkingDelta):
        return {**body, wire.DELTA: event.text}
    body |= {"text": event.text, wire.DONE: True}
    return body if event.signature is None else {**body, "signature": event.signature}


def _tool(event: ToolStarted | ToolProgress | ToolFinished) -> dict[str, Any]:
    if isinstance(event, ToolFinished):
        return {
            "type": wire.TOOL_RESULT_EVENT,
            "call_id": event.call_id,
            "name": event.name,
            "arguments": event.arguments,
            "response": event.response,
            "responseLength": event.response_length,
            "responseDurationMs": event.duration_ms,
            "success": event.success,
        }
    display = {"icon": event.display.icon, "label": event.display.label}
    if isinstance(event, ToolStarted):
        return {
            "type": wire.TOOL_CALL_EVENT,
            "call_id": event.call_id,
            "name": event.name,
            "arguments": event.arguments,
            "displayInfo": display,
        }
    progress = {} if event.progress is None else {"progress": event.progress}
    return {"type": wire.TOOL_PROGRESS_EVENT, "call_id": event.call_id, "displayInfo": display, **progress}
