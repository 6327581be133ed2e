"""What a turn needs of the world, as Protocols. `app` wires the adapters; nothing here is imported by them at run time."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from twinspeak.domain.events import DisplayInfo, ModelEvent
from twinspeak.domain.turn import (
    Ask,
    ModelRequest,
    Passage,
    Settlement,
    Snapshot,
    ToolCall,
    ToolOutcome,
    ToolSpec,
    TurnEnd,
    TurnPlan,
)


class Resolver(Protocol):
    async def resolve(self, ask: Ask) -> TurnPlan:
        """Look up and check caller, twin, assistant, conversation and model.

        Raises NotAMember, NotFound, AccountSuspended, ChatCompletionDisabled, OriginNotAllowed, ModelUnavailable,
        ValidationFailed.
        """
        ...


class TurnStore(Protocol):
    """The turn's durable row and its money. Every call is one transaction, and is finished even if its caller goes."""

    async def begin(self, plan: TurnPlan, *, wanted: int, least: int) -> int:
        """Write the running row and hold credits; return how many are held: `wanted`, or what there is.

        Raises InsufficientCredits, and writes nothing, when fewer than `least` are there.
        """
        ...

    async def extend(self, turn_id: str, *, by: int) -> int:
        """Hold up to `by` more credits; return how many were added (0 when the payer has none left)."""
        ...

    async def checkpoint(self, turn_id: str, snapshot: Snapshot) -> None:
        """Save the text so far and renew the lease."""
        ...

    async def finish(self, end: TurnEnd) -> Settlement:
        """Settle, write history, set the state: one transaction. A second call changes nothing and answers the same."""
        ...


class Moderator(Protocol):
    async def refuses(self, plan: TurnPlan, text: str) -> str | None:
        """Return None to let `text` pass, else what to tell the person."""
        ...


class Retriever(Protocol):
    async def search(self, plan: TurnPlan, query: str, *, limit: int) -> list[Passage]:
        """Return passages of the vaults that the turn's caller may read, best first, numbered from 1."""
        ...


class ToolContext(Protocol):
    """What a running tool may use of its turn."""

    @property
    def plan(self) -> TurnPlan: ...

    def progress(self, call_id: str, display: DisplayInfo, fraction: float | None) -> None:
        """Tell readers how far a long tool is."""
        ...


class ToolRunner(Protocol):
    def specs(self, plan: TurnPlan) -> tuple[ToolSpec, ...]:
        """Return the tools that this turn's model may call."""
        ...

    def display(self, name: str) -> DisplayInfo:
        """Return how a person sees tool `name`, also one that does not exist."""
        ...

    async def run(self, call: ToolCall, context: ToolContext) -> ToolOutcome:
        """Run one call within the runner's own limits; a failing tool is an outcome, never an exception."""
        ...


class ModelProvider(Protocol):
    def stream(self, request: ModelRequest) -> AsyncIterator[Sequence[ModelEvent]]:
        """Ask the model; yield events in batches as they arrive.

        Runs in a task of its own. Cancelling the task closes the upstream connection before the task ends.
        Raises ProviderFailed or ProviderTimeout.
        """
        ...


class ModelDirectory(Protocol):
    def provider(self, name: str) -> ModelProvider:
        """Return the adapter that serves `ModelSpec.provider`. Raises ModelUnavailable."""
        ...


class TurnObserver(Protocol):
    """Is told how turns go, for metrics and logs. Must not block, must not raise."""

    def turn_began(self, plan: TurnPlan) -> None: ...

    def turn_ended(self, plan: TurnPlan, end: TurnEnd) -> None: ...
