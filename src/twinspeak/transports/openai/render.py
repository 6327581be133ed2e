"""Turn events as OpenAI's chat completion chunks (contract 4.4; platform.openai.com, chat streaming)."""

from typing import Any

from twinspeak.domain.clock import now_ms
from twinspeak.domain.credits import Usage
from twinspeak.domain.events import (
    AnswerReady,
    StopReason,
    TextDelta,
    ToolStarted,
    TurnEnded,
    TurnEvent,
    TurnFailed,
    TurnStarted,
)
from twinspeak.domain.turn import TurnReply
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http import errors
from twinspeak.transports.stream import data_frame


class Renderer:
    """Renders one stream. Every chunk echoes the client's `model`, at its top level and in its delta."""

    def __init__(self, turn_id: str, model: str, *, include_usage: bool, request_id: str) -> None:
        """`include_usage` adds OpenAI's usage chunk before the end."""
        self._head = {
            "id": f"{wire.CHAT_ID_PREFIX}{turn_id}",
            "object": wire.CHUNK_OBJECT,
            "created": now_ms() // 1000,
            "model": model,
        }
        self._model = model
        self._include_usage = include_usage
        self._request_id = request_id
        self._spoke = False
        self._acknowledged = False

    def frame(self, event: TurnEvent | None) -> bytes:  # noqa: PLR0911 -- one return a kind of event
        """Return the bytes of `event`, b"" where it has none on this face; None is a heartbeat."""
        match event:
            case None:
                return self._content("")
            case TextDelta():
                self._spoke, self._acknowledged = True, False
                return self._content(event.text)
            case TurnStarted():
                return self._chunk({"role": wire.ROLE_ASSISTANT, "content": ""})
            case ToolStarted():
                return self._acknowledge(event)
            case AnswerReady():
                return self._finish(event.reply)
            case TurnFailed():
                return data_frame(errors.openai_body(event, self._request_id))
            case TurnEnded():
                return b"data: %b\n\n" % wire.STREAM_END.encode()
            case _:
                return b""

    def _acknowledge(self, event: ToolStarted) -> bytes:
        """Say once a round that a tool runs, as a person would on the telephone; the turn's own search is quick."""
        if event.automatic or self._acknowledged:
            return b""
        self._acknowledged = True
        label = event.display.label
        words = f"One moment, {label[:1].lower()}{label[1:]}."
        return self._content(f" {words}" if self._spoke else f"{words}\n\n")

    def _finish(self, reply: TurnReply) -> bytes:
        last = self._chunk({}, finish_reason(reply))
        if not self._include_usage:
            return last
        return last + data_frame({**self._head, "choices": [], "usage": usage(reply.usage)})

    def _content(self, text: str) -> bytes:
        return self._chunk({"content": text})

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, wire.DELTA: {**delta, "model": self._model}, "finish_reason": finish, "logprobs": None}
        chunk: dict[str, Any] = {**self._head, "choices": [choice]}
        if self._include_usage:
            chunk["usage"] = None
        return data_frame(chunk)


def completion(reply: TurnReply, model: str) -> dict[str, Any]:
    """Return the whole answer as one `chat.completion`."""
    message = {"role": wire.ROLE_ASSISTANT, "content": reply.output, "refusal": None}
    return {
        "id": f"{wire.CHAT_ID_PREFIX}{reply.turn_id}",
        "object": wire.COMPLETION_OBJECT,
        "created": now_ms() // 1000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason(reply), "logprobs": None}],
        "usage": usage(reply.usage),
    }


def finish_reason(reply: TurnReply) -> str:
    """Return OpenAI's word for why the answer ended."""
    if reply.moderated or reply.stop_reason == StopReason.REFUSED:
        return wire.FINISH_FILTERED
    return wire.FINISH_LENGTH if reply.stop_reason == StopReason.LENGTH else wire.STOP


def usage(counted: Usage) -> dict[str, Any]:
    """Return OpenAI's usage object."""
    return {
        "prompt_tokens": counted.input,
        "completion_tokens": counted.completion,
        "total_tokens": counted.total,
        "prompt_tokens_details": {"cached_tokens": counted.cached},
    }
