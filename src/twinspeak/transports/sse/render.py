"""Turn events as SSE frames: `data: <json>` and two newlines (seeds; contract 4.1 and 4.2)."""

from typing import Any

from twinspeak.domain.events import (
    AnswerReady,
    TextDelta,
    ThinkingDelta,
    ThinkingDone,
    ToolFinished,
    ToolProgress,
    ToolStarted,
    TurnEnded,
    TurnEvent,
    TurnFailed,
    TurnStarted,
)
from twinspeak.engine.buffer import TextBuffer
from twinspeak.transports import reply
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http import errors
from twinspeak.transports.stream import data_frame


class Renderer:
    """Renders one stream; `text` is the turn's whole answer, of which each `stream` frame shows a beginning."""

    def __init__(self, text: TextBuffer, *, cumulative: bool, extended: bool, request_id: str) -> None:
        """`cumulative` False leaves `prompt` out; `extended` adds tool progress."""
        self._text = text
        self._cumulative = cumulative
        self._extended = extended
        self._request_id = request_id
        self._end = 0

    def frame(self, event: TurnEvent | None) -> bytes:
        """Return the frame of `event`, b"" where it has none here; None is a heartbeat."""
        if event is None or isinstance(event, TextDelta):
            return self._stream(event)
        body = self._body(event)
        return data_frame(body) if body else b""

    def _stream(self, event: TextDelta | None) -> bytes:
        if event is not None:
            self._end = event.end
        body: dict[str, Any] = {"type": wire.STREAM}
        if self._cumulative:
            body["prompt"] = self._text.slice(0, self._end)
        body[wire.DELTA] = event.text if event else ""
        return data_frame(body)

    def _body(self, event: TurnEvent) -> dict[str, Any] | None:  # noqa: PLR0911 -- one return a kind of event
        match event:
            case TurnStarted():
                return {"type": wire.CONNECTED, "message": wire.CONNECTED_MESSAGE, "turnId": event.turn_id}
            case ThinkingDelta() | ThinkingDone():
                return _thinking(event)
            case ToolStarted() | ToolProgress() | ToolFinished():
                return self._tool(event)
            case AnswerReady():
                return {"type": wire.COMPLETE, **reply.render(event.reply)}
            case TurnFailed():
                return {"type": wire.ERROR, **errors.openai_body(event, self._request_id)}
            case TurnEnded():
                return {"type": wire.DONE}
            case TextDelta():
                return None

    def _tool(self, event: ToolStarted | ToolProgress | ToolFinished) -> dict[str, Any] | None:
        if isinstance(event, ToolFinished):
            return {
                "type": wire.TOOL_RESULT,
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
                "type": wire.TOOL_CALL,
                "call_id": event.call_id,
                "name": event.name,
                "arguments": event.arguments,
                "displayInfo": display,
            }
        if not self._extended:
            return None
        progress = {} if event.progress is None else {"progress": event.progress}
        return {"type": wire.TOOL_PROGRESS, "call_id": event.call_id, "displayInfo": display, **progress}


def _thinking(event: ThinkingDelta | ThinkingDone) -> dict[str, Any]:
    body: dict[str, Any] = {"type": wire.THINKING, "id": f"round-{event.round}", "round": event.round}
    if isinstance(event, ThinkingDelta):
        return {**body, wire.DELTA: event.text}
    body |= {"text": event.text, wire.DONE: True}
    return body if event.signature is None else {**body, "signature": event.signature}
