"""The world round a turn, scripted: each port with its real rules, and with what can go wrong."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from twinspeak.domain import ids
from twinspeak.domain.caller import Caller
from twinspeak.domain.conversation import CourseRef
from twinspeak.domain.credits import Price
from twinspeak.domain.errors import CodedError, Conflict, InsufficientCredits, ModelUnavailable, NotFound
from twinspeak.domain.events import DisplayInfo, ModelEvent, ModelStop, ModelText, ModelToolDelta, StopReason
from twinspeak.domain.models import ModelSpec
from twinspeak.domain.turn import (
    Ask,
    Face,
    ModelRequest,
    Passage,
    Settlement,
    Snapshot,
    ToolCall,
    ToolOutcome,
    ToolSpec,
    TurnEnd,
    TurnPlan,
    TurnState,
)
from twinspeak.engine.limits import TurnLimits
from twinspeak.engine.ports import ModelProvider, ToolContext, TurnPorts
from twinspeak.engine.registry import TurnRegistry
from twinspeak.engine.turn import Turn

MODEL = ModelSpec(
    id="fake-1",
    provider="fake",
    wire_name="fake-1",
    label="Fake",
    context_window=100_000,
    max_output=4_000,
    price=Price(),
)
CALLER = Caller(user_id="a" * 24, email="ada@example.org", kind="user", session_id="s" * 24)


def text(*pieces: str) -> list[ModelEvent]:
    return [ModelText(text=piece) for piece in pieces]


def call(name: str, arguments: str = "{}", *, index: int = 0, call_id: str | None = None) -> list[ModelEvent]:
    return [ModelToolDelta(index=index, call_id=call_id or f"id-{name}-{index}", name=name, arguments=arguments)]


END: list[ModelEvent] = [ModelStop(reason=StopReason.END)]
TOOLS: list[ModelEvent] = [ModelStop(reason=StopReason.TOOLS)]


def an_ask(question: str = "Why is the sky blue?", *, caller: Caller = CALLER) -> Ask:
    return Ask(turn_id=ids.new_id(), caller=caller, face=Face.SSE, question=question)


def a_plan(ask: Ask, **changes: Any) -> TurnPlan:
    plan = TurnPlan(
        ask=ask,
        institution=None,
        assistant=None,
        course=CourseRef(course_id=1, course_name="Sky"),
        history=(),
        model=MODEL,
        output_limit=1_000,
        effort="",
        search_vault=False,
        passages_only=False,
        show_thinking=True,
        payer_institution_id=None,
        tool_results_max_chars=40,
        passages_limit=3,
    )
    return msgspec.structs.replace(plan, **changes)


class FakeResolver:
    def __init__(self) -> None:
        self.error: Exception | None = None
        self.changes: dict[str, Any] = {}
        self.gate: asyncio.Event | None = None

    async def resolve(self, ask: Ask) -> TurnPlan:
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return a_plan(ask, **self.changes)


@dataclass
class Row:
    hold: int
    state: TurnState = TurnState.RUNNING
    snapshots: list[Snapshot] = field(default_factory=list[Snapshot])
    end: TurnEnd | None = None
    settlement: Settlement | None = None
    model: str = MODEL.id


class MemoryStore:
    """Rows and one wallet in memory, with the port's rules; `breaks` holds what the next calls of a name raise."""

    def __init__(self, balance: int = 50) -> None:
        self.balance = balance
        self.held = 0
        self.rows: dict[str, Row] = {}
        self.breaks: dict[str, list[BaseException]] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.calls: list[str] = []
        self.entered = asyncio.Event()
        self._saving = 0
        self._awaited: list[tuple[str, int, asyncio.Event]] = []

    async def called(self, name: str, times: int = 1) -> None:
        """Wait until `name` has been called so often."""
        reached = asyncio.Event()
        self._awaited.append((name, times, reached))
        self._tell()
        await reached.wait()

    def _tell(self) -> None:
        for name, times, reached in self._awaited:
            if self.calls.count(name) >= times:
                reached.set()

    async def _enter(self, name: str) -> None:
        self.calls.append(name)
        self._tell()
        if (gate := self.gates.get(name)) is not None:
            self.entered.set()
            await gate.wait()
        if self.breaks.get(name):
            raise self.breaks[name].pop(0)

    async def begin(self, plan: TurnPlan, *, wanted: int, least: int) -> int:
        await self._enter("begin")
        available = self.balance - self.held
        if available < least:
            raise InsufficientCredits
        if plan.ask.turn_id in self.rows:
            raise Conflict
        hold = min(wanted, available)
        self.held += hold
        self.rows[plan.ask.turn_id] = Row(hold=hold)
        return hold

    async def extend(self, turn_id: str, *, by: int) -> int:
        await self._enter("extend")
        row = self.rows[turn_id]
        more = min(by, self.balance - self.held) if row.state is TurnState.RUNNING else 0
        row.hold += more
        self.held += more
        return more

    async def switch(self, plan: TurnPlan) -> None:
        await self._enter("switch")
        self.rows[plan.ask.turn_id].model = plan.model.id

    async def checkpoint(self, turn_id: str, snapshot: Snapshot) -> None:
        self._saving += 1
        try:
            await self._enter("checkpoint")
        finally:
            self._saving -= 1
        row = self.rows[turn_id]
        assert row.state is TurnState.RUNNING, "a checkpoint after the end"
        row.snapshots.append(snapshot)

    async def finish(self, end: TurnEnd) -> Settlement:
        await self._enter("finish")
        assert not self._saving, "a checkpoint may be written after the end"
        row = self.rows.get(end.turn_id)
        if row is None:
            raise NotFound
        if row.settlement is None:
            assert 0 <= end.charge <= row.hold
            self.held -= row.hold
            self.balance -= end.charge
            row.state, row.end = end.state, end
            row.settlement = Settlement(
                credits=end.charge, total_credits=self.balance, credits_used=end.charge, institution_credits=None
            )
        return row.settlement

    def expected(self, end: TurnEnd) -> Settlement:
        left = self.balance - end.charge
        return Settlement(credits=end.charge, total_credits=left, credits_used=end.charge, institution_credits=None)


class FakeModerator:
    def __init__(self) -> None:
        self.words: str | None = None
        self.notice: str | None = None
        self.judged: list[str] = []
        self.answer_error: Exception | None = None
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.entered = asyncio.Event()

    async def refuses(self, plan: TurnPlan, text: str) -> str | None:
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.words

    async def withdraws(self, plan: TurnPlan, text: str) -> str | None:
        self.judged.append(text)
        if self.answer_error is not None:
            raise self.answer_error
        return self.notice


def a_passage(number: int, chunk: str = "") -> Passage:
    return Passage(
        number=number,
        chunk_id=chunk or f"chunk-{number}",
        document_id="d" * 24,
        document_name=f"Handbook {number}",
        text=f"Passage {number}.",
    )


class FakeRetriever:
    def __init__(self) -> None:
        self.passages: list[Passage] = []
        self.error: BaseException | None = None
        self.gate: asyncio.Event | None = None
        self.entered = asyncio.Event()

    async def search(self, plan: TurnPlan, query: str, *, limit: int) -> list[Passage]:
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.passages[:limit]


Tool = Callable[[ToolCall, ToolContext], Awaitable[ToolOutcome]]


class FakeTools:
    """Tools by name; unlike the real runner, it lets through whatever they raise."""

    def __init__(self) -> None:
        self.tools: dict[str, Tool] = {}
        self.ran: list[ToolCall] = []

    async def prepare(self, plan: TurnPlan) -> None:
        """Everything is at hand."""

    def specs(self, plan: TurnPlan) -> tuple[ToolSpec, ...]:
        return tuple(ToolSpec(name=name, description="", parameters={}, icon="tool", label=name) for name in self.tools)

    def display(self, name: str) -> DisplayInfo:
        return DisplayInfo(icon="tool", label=name)

    async def run(self, call: ToolCall, context: ToolContext) -> ToolOutcome:
        self.ran.append(call)
        return await self.tools[call.name](call, context)


Action = Sequence[ModelEvent] | asyncio.Event | BaseException | Callable[[], Awaitable[None]]


class FakeProvider:
    """Plays a script per round: a list is a batch, an Event is waited for, an exception raised, a function awaited.

    `reached` is set before each wait, so that a test knows where the model is. Rounds beyond the script play `beyond`.
    """

    def __init__(self) -> None:
        self.script: list[Sequence[Action]] = []
        self.beyond: Sequence[Action] = [text("again"), END]
        self.requests: list[ModelRequest] = []
        self.opened = 0
        self.closed = 0
        self.closed_by_others = 0
        self.hung_up = asyncio.Event()
        self.reached = asyncio.Event()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent]]:
        actions = self.script[self.opened] if self.opened < len(self.script) else self.beyond
        self.opened += 1
        opener = asyncio.current_task()
        self.requests.append(request)
        try:
            for action in actions:
                if isinstance(action, asyncio.Event):
                    self.reached.set()
                    await action.wait()
                elif isinstance(action, BaseException):
                    raise action
                elif callable(action):
                    self.reached.set()
                    await action()
                else:
                    yield action
                    await asyncio.sleep(0)
        finally:
            self.closed += 1
            self.closed_by_others += asyncio.current_task() is not opener
            self.hung_up.set()


class FakeModels:
    def __init__(self, provider: ModelProvider) -> None:
        self._provider = provider
        self.missing = False

    def serving(self, model: ModelSpec) -> ModelProvider:
        if self.missing:
            raise ModelUnavailable
        return self._provider


class FakeObserver:
    def __init__(self) -> None:
        self.began: list[str] = []
        self.ended: list[TurnEnd] = []
        self.fell_back: list[tuple[str, str]] = []
        self.error: Exception | None = None

    def turn_began(self, plan: TurnPlan) -> None:
        self.began.append(plan.ask.turn_id)
        if self.error is not None:
            raise self.error

    def turn_fell_back(self, plan: TurnPlan, error: CodedError) -> None:
        self.fell_back.append((plan.model.id, error.code))

    def turn_ended(self, plan: TurnPlan, end: TurnEnd) -> None:
        self.ended.append(end)


class World:
    """One registry with fakes round it; `limits` are short enough for a test to sit them out."""

    def __init__(self, *, balance: int = 50, keep_s: float = 60, **limits: Any) -> None:
        self.resolver = FakeResolver()
        self.store = MemoryStore(balance)
        self.moderator = FakeModerator()
        self.retriever = FakeRetriever()
        self.tools = FakeTools()
        self.provider = FakeProvider()
        self.models = FakeModels(self.provider)
        self.observer = FakeObserver()
        self.registry = TurnRegistry(
            TurnPorts(
                resolver=self.resolver,
                store=self.store,
                moderator=self.moderator,
                retriever=self.retriever,
                tools=self.tools,
                models=self.models,
                observer=self.observer,
            ),
            TurnLimits(**limits),
            keep_s=keep_s,
        )

    def start(self, *script: Sequence[Action], caller: Caller = CALLER, **changes: Any) -> Turn:
        """Start a turn of a plan with `changes`, whose model plays `script`."""
        if script:
            self.provider.script = list(script)
        self.resolver.changes |= changes
        return self.registry.start(an_ask(caller=caller))

    def row(self, turn: Turn) -> Row:
        return self.store.rows[turn.turn_id]

    def end(self, turn: Turn) -> TurnEnd:
        end = self.row(turn).end
        assert end is not None
        return end
