"""The two unions everything flows through.

`ModelEvent` is what a provider's wire decodes to, one round at a time; `TurnEvent` is what a turn's log holds and faces
render (contract 4.1). Providers only produce the first, faces only render the second, `engine.fold` turns one into the
other.
"""

from enum import StrEnum
from typing import Any

import msgspec

from twinspeak.domain.turn import Opaque, TurnReply


class StopReason(StrEnum):
    """Why a model ended its output, whatever the vendor calls it."""

    END = "end"
    LENGTH = "length"
    TOOLS = "tools"
    REFUSED = "refused"


class ModelText(msgspec.Struct, frozen=True, gc=False):
    """Visible text, exactly as the provider sent it."""

    text: str


class ModelThinking(msgspec.Struct, frozen=True, gc=False):
    """A piece of reasoning."""

    text: str


class ModelSignature(msgspec.Struct, frozen=True, gc=False):
    """The provider's opaque continuation token of the reasoning so far (Anthropic, Bedrock)."""

    signature: str


class ModelState(msgspec.Struct, frozen=True):
    """What the provider wants back with this round when its tools have run; pieces are kept in their order."""

    item: Opaque


class ModelToolDelta(msgspec.Struct, frozen=True):
    """A piece of tool call number `index` in this round; `call_id` and `name` come once, `arguments` in fragments.

    `state` is what the provider wants back with this call; a later one replaces the earlier.
    """

    index: int
    call_id: str | None = None
    name: str | None = None
    arguments: str = ""
    state: Opaque | None = None


class ModelUsage(msgspec.Struct, frozen=True, gc=False):
    """Tokens of this round so far, normalised: `input` includes cached ones, `completion` includes thinking.

    A later one in the same round replaces the earlier one.
    """

    input: int
    cached: int
    completion: int


class ModelStop(msgspec.Struct, frozen=True, gc=False):
    """The round is over."""

    reason: StopReason


ModelEvent = ModelText | ModelThinking | ModelSignature | ModelState | ModelToolDelta | ModelUsage | ModelStop


class TurnStarted(msgspec.Struct, frozen=True, gc=False):
    """The turn was admitted: resolved, paid for, moderated."""

    turn_id: str


class TextDelta(msgspec.Struct, frozen=True, gc=False):
    """New answer text. `end` is the length in characters of the whole answer with it: the prompt is text[:end]."""

    text: str
    end: int


class ThinkingDelta(msgspec.Struct, frozen=True, gc=False):
    """New reasoning of round `round`, which counts from 0."""

    round: int
    text: str


class ThinkingDone(msgspec.Struct, frozen=True, gc=False):
    """Exactly one closes a round that thought: the whole text, and the provider's signature where it has one."""

    round: int
    text: str
    signature: str | None = None


class DisplayInfo(msgspec.Struct, frozen=True, gc=False):
    """How a person sees a tool."""

    icon: str
    label: str


class ToolStarted(msgspec.Struct, frozen=True):
    """A tool runs. `arguments` is None when the model sent none that can be read.

    `automatic` marks the search that the turn makes by itself, before any model is asked.
    """

    call_id: str
    name: str
    arguments: dict[str, Any] | None
    display: DisplayInfo
    automatic: bool = False


class ToolProgress(msgspec.Struct, frozen=True, gc=False):
    """A long tool says how far it is, 0 to 1."""

    call_id: str
    display: DisplayInfo
    progress: float | None = None


class ToolFinished(msgspec.Struct, frozen=True):
    """A tool ended. `response` may be cut (marked so); `response_length` is its length before the cut."""

    call_id: str
    name: str
    arguments: dict[str, Any] | None
    response: str
    response_length: int
    duration_ms: int
    success: bool


class AnswerReady(msgspec.Struct, frozen=True):
    """The turn is saved and settled; cancelled ones end so too."""

    reply: TurnReply


class TurnFailed(msgspec.Struct, frozen=True):
    """The turn is saved as failed, not charged. Fields as a face shows them."""

    code: str
    status: int
    type: str
    message: str
    details: dict[str, Any] = {}


class TurnEnded(msgspec.Struct, frozen=True, gc=False):
    """Nothing follows."""


TurnEvent = (
    TurnStarted
    | TextDelta
    | ThinkingDelta
    | ThinkingDone
    | ToolStarted
    | ToolProgress
    | ToolFinished
    | AnswerReady
    | TurnFailed
    | TurnEnded
)
