"""A turn as data: what was asked, what was resolved, what a model is sent, what is replied and what is recorded."""

from enum import StrEnum
from typing import Any

import msgspec

from twinspeak.domain.assistant import Assistant
from twinspeak.domain.attachments import Attachment
from twinspeak.domain.caller import Caller
from twinspeak.domain.conversation import CourseRef, Exchange
from twinspeak.domain.credits import Usage
from twinspeak.domain.errors import CodedError
from twinspeak.domain.institution import Institution
from twinspeak.domain.memory import Memory
from twinspeak.domain.models import ModelSpec
from twinspeak.domain.passage import Passage
from twinspeak.domain.prompts import PromptSeen
from twinspeak.domain.tools import Opaque, ToolCall, ToolGrants, ToolSpec, ToolUse


class Face(StrEnum):
    """Where a question came in."""

    REST = "rest"
    SSE = "sse"
    OPENAI = "openai"


class Sampling(msgspec.Struct, frozen=True):
    """What a client of a twin with `chatCompletionOpenAICompat` may set; None = not asked."""

    max_tokens: int | None = None
    temperature: float | None = None
    stop: tuple[str, ...] = ()


class GeoPoint(msgspec.Struct, frozen=True):
    """Where a client says it is, in degrees."""

    latitude: float
    longitude: float


class OnceKey(msgspec.Struct, frozen=True):
    """A client's `Idempotency-Key`, and a fingerprint of what it asked under it (decision 020)."""

    key: str
    fingerprint: str


class Ask(msgspec.Struct, frozen=True):
    """One question, parsed and shape-checked by a face, nothing looked up yet.

    `institution_hint` names a twin that counts only if the caller belongs to it (chat completions' `model`).
    `course` None asks for a new conversation, named `new_course_name` or after the question. `rag_only`/`rag_ignore`
    are True or None (contract 4.5). `messages` replaces the stored history (chat completions). `once` is there when
    the client sent a key by which it may ask again. `uploads` are files of a vault that go to the model beside
    `attachments`. `documents`, where there are any, are the only ones searched; what the caller may not read is not
    found by naming it. `depth` counts the turns that a model asked this one in: 0 is a person's.
    """

    turn_id: str
    caller: Caller
    face: Face
    question: str
    institution_public_id: str | None = None
    institution_hint: str | None = None
    assistant_id: str | None = None
    course: CourseRef | None = None
    new_course_name: str = ""
    rag_only: bool | None = None
    rag_ignore: bool | None = None
    messages: tuple[Exchange, ...] | None = None
    timezone: str = ""
    client_time: str = ""
    place: GeoPoint | None = None
    sampling: Sampling = Sampling()
    origin: str | None = None
    request_id: str = ""
    once: OnceKey | None = None
    attachments: tuple[Attachment, ...] = ()
    uploads: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    depth: int = 0


class Fallback(msgspec.Struct, frozen=True):
    """A model that the twin's admin chose to answer where another one does not; the rest as in `TurnPlan`."""

    model: ModelSpec
    output_limit: int
    show_thinking: bool


class TurnPlan(msgspec.Struct, frozen=True):
    """Everything a turn needs, resolved and checked against the caller.

    `course` always has an id (0 = unassigned). `output_limit` is in tokens, already within the model's own.
    `payer_institution_id` None means that the user pays. `may_locate`: user and twin let a model know the place.
    `uses_memory`: the user has not switched it off; `memories` is what there is to know.
    `has_other_twins`: the caller is a member of another twin, too.
    """

    ask: Ask
    institution: Institution | None
    assistant: Assistant | None
    course: CourseRef
    history: tuple[Exchange, ...]
    model: ModelSpec
    output_limit: int
    effort: str
    search_vault: bool
    passages_only: bool
    show_thinking: bool
    payer_institution_id: str | None
    tool_results_max_chars: int
    passages_limit: int
    user_name: str = ""
    fallbacks: tuple[Fallback, ...] = ()
    may_locate: bool = False
    uses_memory: bool = False
    memories: tuple[Memory, ...] = ()
    has_other_twins: bool = False
    tool_grants: ToolGrants = ToolGrants()

    def fallen_back(self) -> "TurnPlan":
        """Return the plan with the next fall-back in place of its model; there must be one."""
        first, *rest = self.fallbacks
        return msgspec.structs.replace(
            self,
            model=first.model,
            output_limit=first.output_limit,
            show_thinking=first.show_thinking,
            fallbacks=tuple(rest),
        )


class ToolOutcome(msgspec.Struct, frozen=True):
    """What a tool gave: text for the model, and the passages it found, to be cited.

    `origin` is where the text came from, "" for what the server worked out itself. `refusal` is why the call was not
    run, where a rule forbade it.
    """

    text: str
    success: bool = True
    passages: tuple[Passage, ...] = ()
    origin: str = ""
    refusal: str = ""


class UserMessage(msgspec.Struct, frozen=True, tag="user"):
    """A question, and the files that came with it."""

    text: str
    attachments: tuple[Attachment, ...] = ()


class AssistantMessage(msgspec.Struct, frozen=True, tag="assistant"):
    """An earlier answer, or an earlier round of this turn with its tool calls.

    `state` is what the provider wants back with the round, in its order.
    """

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    thinking: str = ""
    signature: str | None = None
    state: tuple[Opaque, ...] = ()


class ToolMessage(msgspec.Struct, frozen=True, tag="tool"):
    """What a tool gave, told to the model."""

    call_id: str
    name: str
    text: str


Message = UserMessage | AssistantMessage | ToolMessage


class ModelRequest(msgspec.Struct, frozen=True):
    """One round for a provider. `passages` is for models that answer from them directly (`uses_passages`).

    `twin_id` ("" outside of any) and `user_id` tell whose it is, so that those who wait for a provider take turns.

    `may_call` False asks for an answer without tools. They are named all the same: some vendors bind a round's state
    to them, and refuse a history of calls to tools that they were not told of.
    """

    turn_id: str
    model: ModelSpec
    system: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]
    output_limit: int
    effort: str
    sampling: Sampling
    question: str
    passages: tuple[Passage, ...] = ()
    may_call: bool = True
    twin_id: str = ""
    user_id: str = ""


class TurnState(StrEnum):
    """Of a turn's row. Everything but RUNNING is final."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"


class ThinkingPart(msgspec.Struct, frozen=True):
    """The reasoning of one round, as stored (reference 4.7). `closed` is its last event's number in the turn's log."""

    round: int
    text: str
    signature: str | None
    model: str
    duration_ms: int
    closed: int = 0


class Failure(msgspec.Struct, frozen=True):
    """A coded error as it is stored with, and told of, a failed turn; `retry_after_s` when waiting may help."""

    code: str
    status: int
    type: str
    message: str
    details: dict[str, Any] = {}
    retry_after_s: int | None = None

    @classmethod
    def of(cls, error: CodedError) -> "Failure":
        """Return what is kept of an error."""
        return cls(
            code=error.code,
            status=error.status,
            type=error.type,
            message=error.message,
            details=error.details,
            retry_after_s=error.retry_after_s,
        )


class Snapshot(msgspec.Struct, frozen=True):
    """What a checkpoint keeps, so that a crash loses at most about a second."""

    text: str
    usage: Usage


class TurnEnd(msgspec.Struct, frozen=True):
    """How a turn ended: what `TurnStore.finish` writes in one transaction.

    `charge` is at most what is held. `passages` are the sources that the answer could cite.
    """

    turn_id: str
    state: TurnState
    output: str
    usage: Usage
    charge: int
    duration_ms: int
    first_token_ms: int | None
    thinking: tuple[ThinkingPart, ...] = ()
    tools: tuple[ToolUse, ...] = ()
    passages: tuple[Passage, ...] = ()
    failure: Failure | None = None
    moderated: bool = False
    stop_reason: str = "end"
    prompt: PromptSeen = PromptSeen()


class Settlement(msgspec.Struct, frozen=True):
    """Balances after a turn. `total_credits` is the payer's, `institution_credits` None for a personal user."""

    credits: int
    total_credits: int
    credits_used: int
    institution_credits: int | None


class TurnReply(msgspec.Struct, frozen=True):
    """What every face tells of a finished turn (reference 3.1).

    `settled` False: the database does not take the turn yet, and the balances are those last known (decision 021).
    """

    turn_id: str
    output: str
    model: str
    usage: Usage
    settlement: Settlement
    course_id: int
    course_name: str
    duration_ms: int
    passages: tuple[Passage, ...] = ()
    cancelled: bool = False
    moderated: bool = False
    passages_only: bool = False
    stop_reason: str = "end"
    settled: bool = True


class TurnRecord(msgspec.Struct, frozen=True):
    """A saved turn: one history record (reference 4.2). Times are epoch milliseconds.

    Of its `assistant` only id, name and picture are told. Lists leave `thinking` out; `thinking_count` has its length.
    """

    id: str
    created: int
    state: TurnState
    institution_id: str | None
    user_id: str
    course_id: int
    course_name: str
    question: str
    output: str
    model: str
    usage: Usage
    credits: int
    duration_ms: int
    first_token_ms: int | None
    assistant: Assistant | None
    thinking: tuple[ThinkingPart, ...] = ()
    tools: tuple[ToolUse, ...] = ()
    passages: tuple[Passage, ...] = ()
    failure: Failure | None = None
    moderated: bool = False
    stop_reason: str = "end"
    thinking_count: int = 0
    favorite: bool = False
    settlement: Settlement | None = None
    passages_only: bool = False
    favorite_name: str = ""
    thumb: str = ""
    face: str = ""
    parent_id: str | None = None
    replaces_id: str | None = None
    branched: bool = False
