"""What a turn needs of the world, as Protocols; `app` wires the adapters that fit them."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

import msgspec

from twinspeak.domain.errors import CodedError
from twinspeak.domain.events import DisplayInfo, ModelEvent
from twinspeak.domain.models import ModelSpec
from twinspeak.domain.tools import Material
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
    """Turns what was asked into what will be done."""

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

    async def switch(self, plan: TurnPlan) -> None:
        """Note that the turn goes on with another model, at that one's price."""
        ...

    async def checkpoint(self, turn_id: str, snapshot: Snapshot) -> None:
        """Save the text so far and renew the lease."""
        ...

    async def finish(self, end: TurnEnd) -> Settlement:
        """Settle, write history, set the state: one transaction. A second call changes nothing and answers the same."""
        ...

    def expected(self, end: TurnEnd) -> Settlement:
        """Return what `finish` would answer as far as is known without asking the database (decision 021)."""
        ...


class Moderator(Protocol):
    """Decides what may be asked, and what may be answered."""

    async def refuses(self, plan: TurnPlan, text: str) -> str | None:
        """Return None to let `text` pass, else what to tell the person."""
        ...

    async def withdraws(self, plan: TurnPlan, text: str) -> str | None:
        """Return None to let the answer `text` stand, else what to put in its place."""
        ...


class Summarizer(Protocol):
    """Looks after conversations: names new ones, sums up those that have become long."""

    async def keep_up(self, plan: TurnPlan) -> None:
        """Do what there is to do after a turn has ended well; nobody waits for it."""
        ...


class Retriever(Protocol):
    """Searches the vault."""

    async def search(self, plan: TurnPlan, query: str, *, limit: int) -> list[Passage]:
        """Return passages of the vaults that the turn's caller may read, best first, numbered from 1."""
        ...


class ToolContext(Protocol):
    """What a running tool may use of its turn."""

    @property
    def plan(self) -> TurnPlan:
        """Return what was resolved for the turn."""
        ...

    def progress(self, call_id: str, display: DisplayInfo, fraction: float | None) -> None:
        """Tell readers how far a long tool is."""
        ...

    def material(self) -> Sequence[Material]:
        """Return what the turn holds by now that its user did not say."""
        ...

    def begun(self, name: str) -> int:
        """Return how many calls of a tool the turn has begun, this one too."""
        ...


class ToolRunner(Protocol):
    """Knows the tools and runs them."""

    async def prepare(self, plan: TurnPlan) -> None:
        """Have at hand what `specs` and `run` need of other servers. Never raises, and never takes long."""
        ...

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
    """One vendor's wire."""

    def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent]]:
        """Ask the model; yield events in batches as they arrive.

        Runs in a task of its own, which also closes the generator.
        Cancelling the task closes the upstream connection before the task ends.
        Raises ProviderFailed or ProviderTimeout.
        """
        ...


class ModelDirectory(Protocol):
    """Knows which adapter serves a model."""

    def serving(self, model: ModelSpec) -> ModelProvider:
        """Return the adapter that serves a model. Raises ModelUnavailable."""
        ...


class TurnObserver(Protocol):
    """Is told how turns go, for metrics and logs. Must not block, must not raise."""

    def turn_began(self, plan: TurnPlan) -> None:
        """A turn was admitted."""
        ...

    def turn_fell_back(self, plan: TurnPlan, error: CodedError) -> None:
        """The model of `plan` did not answer because of `error`; the next one is asked."""
        ...

    def turn_ended(self, plan: TurnPlan, end: TurnEnd) -> None:
        """An admitted turn has been saved, or could not be."""
        ...


class TurnPorts(msgspec.Struct, frozen=True):
    """All of them, as `app` wires them. Without a moderator everything may be asked; the summarizer is optional too."""

    resolver: Resolver
    store: TurnStore
    moderator: Moderator | None
    retriever: Retriever
    tools: ToolRunner
    models: ModelDirectory
    observer: TurnObserver
    summarizer: Summarizer | None = None
