"""The events of `POST /api/ai/personal-stream/qanda-stream` as a client reads them (contract 4.1).

A client's own reading, on purpose not the server's: unknown events and unknown fields are ignored, absent ones have a
default, so that an older command line can talk to a newer server.
"""

import json
from typing import Any

import msgspec
from msgspec import field


class ProtocolError(Exception):
    """The stream holds something that is no event."""


class Connected(msgspec.Struct, frozen=True):
    """The stream is open; `turn_id` names the turn from now on."""

    turn_id: str = field(default="", name="turnId")


class Text(msgspec.Struct, frozen=True):
    """New text in `delta`; servers may send the whole text so far in `prompt`."""

    delta: str | None = None
    prompt: str | None = None


class Thinking(msgspec.Struct, frozen=True):
    """Reasoning of one round: pieces in `delta`, and one closing frame with all of it in `text`."""

    round: int = 0
    delta: str | None = None
    text: str | None = None
    done: bool = False


class Display(msgspec.Struct, frozen=True):
    """How a person sees a tool."""

    icon: str | None = None
    label: str | None = None


class ToolCall(msgspec.Struct, frozen=True):
    """A tool runs."""

    call_id: str
    name: str = ""
    arguments: dict[str, Any] | None = None
    display: Display | None = field(default=None, name="displayInfo")


class ToolProgress(msgspec.Struct, frozen=True):
    """A tool says how far it is, 0 to 1."""

    call_id: str
    progress: float | None = None
    display: Display | None = field(default=None, name="displayInfo")


class ToolResult(msgspec.Struct, frozen=True):
    """A tool ended; `response` may be cut, `response_length` is its length before."""

    call_id: str
    name: str = ""
    response: str | None = None
    response_length: int | None = field(default=None, name="responseLength")
    duration_ms: float | None = field(default=None, name="responseDurationMs")
    success: bool = True


class Source(msgspec.Struct, frozen=True):
    """What [number] in the answer stands for."""

    number: int
    name: str = field(default="", name="originalname")
    section: str | None = None
    cited: bool = True


class Complete(msgspec.Struct, frozen=True):
    """The end of a turn that did not fail. Credits as contract section 5 names them."""

    outputs: list[str] = []
    model: str | None = None
    usage: int | None = None
    usage_estimated: bool | None = field(default=None, name="usageEstimated")
    credits: int | None = None
    total_credits: int | None = field(default=None, name="totalCredits")
    duration_ms: float | None = field(default=None, name="query_duration_ms")
    course_id: int | None = None
    course_name: str | None = None
    cancelled: bool | None = None
    moderated: bool | None = None
    truncated: bool | None = None
    sources: list[Source] = []


class ErrorBody(msgspec.Struct, frozen=True):
    """What an `error` event holds."""

    message: str | None = None
    status: int | None = None
    code: str | None = None


class Failed(msgspec.Struct, frozen=True):
    """The turn failed."""

    error: ErrorBody = ErrorBody()


class Done(msgspec.Struct, frozen=True):
    """Nothing follows."""


Event = Connected | Text | Thinking | ToolCall | ToolProgress | ToolResult | Complete | Failed | Done

_KINDS: dict[str, type[Event]] = {
    "connected": Connected,
    "stream": Text,
    "thinking": Thinking,
    "tool_call": ToolCall,
    "tool_progress": ToolProgress,
    "tool_result": ToolResult,
    "complete": Complete,
    "error": Failed,
    "done": Done,
}


def parse(data: str) -> Event | None:
    """Return the event in a frame's `data`, None for one of a kind that is not known. Raises ProtocolError."""
    try:
        value = msgspec.convert(json.loads(data), dict[str, Any])
        kind = _KINDS.get(str(value["type"]))
        return msgspec.convert(value, kind) if kind else None
    except (ValueError, TypeError, KeyError, RecursionError, msgspec.ValidationError) as problem:
        raise ProtocolError(str(problem)) from problem
