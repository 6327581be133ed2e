"""The middle of a turn: search the vault, build the prompt, then rounds of model output and tools."""

import re
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

import msgspec
import structlog

from twinspeak.domain.clock import monotonic
from twinspeak.domain.credits import Usage, estimate_tokens
from twinspeak.domain.errors import (
    CodedError,
    InsufficientCredits,
    ModelUnavailable,
    ProviderBusy,
    ProviderFailed,
    ProviderTimeout,
    ProviderUnavailable,
    ServiceError,
)
from twinspeak.domain.events import StopReason, TextDelta, ThinkingDelta, ThinkingDone
from twinspeak.domain.ids import new_id
from twinspeak.domain.prompts import PromptSeen
from twinspeak.domain.turn import (
    AssistantMessage,
    Failure,
    Message,
    ModelRequest,
    Passage,
    Snapshot,
    ThinkingPart,
    ToolCall,
    ToolMessage,
    ToolSpec,
    TurnEnd,
    TurnPlan,
    TurnState,
)
from twinspeak.engine import prompt, window
from twinspeak.engine.control import Control, Spawn, Steps
from twinspeak.engine.fold import FoldEvent, RoundResult, TurnFold
from twinspeak.engine.holds import Purse
from twinspeak.engine.limits import TurnLimits, Watch
from twinspeak.engine.log import TurnLog
from twinspeak.engine.ports import TurnPorts
from twinspeak.engine.toolbox import Toolbox

T = TypeVar("T")

_log = structlog.get_logger(__name__)

_FALL_BACK_AFTER = (ProviderFailed, ProviderTimeout, ProviderBusy, ProviderUnavailable, ModelUnavailable)
SEARCH_TOOL = "search_uploads"
_SEARCH_FAILED = "The knowledge vault could not be searched. Please try again."
_TOO_DEAR = (
    "Not given to you: there are not enough credits left for this result. Answer with what you have, and say so."
)
_NO_CREDITS = "There are not enough credits left to go on with this answer."
_NO_PASSAGES = "The vault holds no passage that answers this."
_MARKER = re.compile(r"\[(\d{1,3}(?:, ?\d{1,3})*)\]")


class Workspace(msgspec.Struct, frozen=True):
    """What a turn lends its rounds: fold and log (which share buffers), mailbox, tasks, when it began (monotonic)."""

    fold: TurnFold
    log: TurnLog
    control: Control
    spawn: Spawn
    started: float


class Rounds:
    """What a turn gathers on its way: text and reasoning in the fold, tools, passages, usage, the hold.

    `plan` changes its model when the turn falls back to another one.
    """

    def __init__(self, plan: TurnPlan, ports: TurnPorts, limits: TurnLimits, work: Workspace) -> None:
        """Nothing has run yet."""
        self.plan = plan
        self._ports = ports
        self._limits = limits
        self._fold = work.fold
        self._log = work.log
        self._started = work.started
        watch = Watch(limits, started=work.started)
        self._steps = Steps(work.control, watch, work.spawn, self._checkpoint)
        self.purse = Purse(plan, ports.store, least_output=limits.least_output)
        self._toolbox = Toolbox(plan, ports.tools, self._log)
        self._prompt = prompt.Prompt(system="", messages=())
        self._usage = Usage()
        self._round_prompt_tokens = 0
        self._listening: int | None = None
        self._thinking: list[ThinkingPart] = []
        self._thinking_began: float | None = None
        self._first_token_ms: int | None = None
        self._stop = StopReason.END
        self._saved = Snapshot(text="", usage=Usage())
        self._renewed = work.started
        self._notice: str | None = None

    async def step(self, work: Coroutine[Any, Any, T], *, name: str) -> T:
        """Run `work` as a step of the turn: it ends when the turn is cancelled or out of time."""
        return await self._steps.run(work, name=name)

    async def retrieve(self) -> None:
        """Search the vault for the question; a model answers without passages when that fails.

        Raises CodedError when passages are all that was asked for.
        """
        if not self.plan.search_vault:
            return
        call = ToolCall(call_id=f"call_{new_id()}", name=SEARCH_TOOL, arguments={"query": self.plan.ask.question})
        found = await self._steps.run(self._toolbox.search(call, self._search), name="retrieve")
        if not found and self.plan.passages_only:
            raise CodedError(_SEARCH_FAILED)

    async def prepare(self) -> None:
        """Have the tools of other servers at hand, where the turn's place has some."""
        if self.plan.tool_grants.servers and self.plan.model.takes_tools and not self.plan.passages_only:
            await self._steps.run(self._ports.tools.prepare(self.plan), name="tool lists")

    def build_prompt(self) -> None:
        """Fix what the first round sends."""
        specs = self._specs()
        self._prompt = prompt.build(self.plan, self._toolbox.passages, tools=window.tool_tokens(specs))

    async def run(self) -> None:
        """Run rounds until the model has answered, or a bound is reached; with `passages_only`, answer with them."""
        if self.plan.passages_only:
            self._say(prompt.render_passages(self._toolbox.passages) or _NO_PASSAGES)
            return
        messages, told = self._prompt.messages, 0
        for number in range(self._limits.max_rounds):
            last = number == self._limits.max_rounds - 1 or self._toolbox.stuck
            result = await self._ask(number, messages, may_call=not last)
            if result is None:
                await self._end_without(number, messages, told)
                return
            if last or self._too_long:
                self._stop = StopReason.LENGTH if result.tool_calls or self._too_long else result.stop
                return
            if not result.tool_calls:
                self._stop = StopReason.END if result.stop is StopReason.TOOLS else result.stop
                return
            outcomes = await self._steps.run(self._toolbox.run(result.tool_calls), name="tools")
            messages, told = (*messages, *_replayed(result, outcomes)), len(outcomes)

    async def _end_without(self, number: int, messages: tuple[Message, ...], told: int) -> None:
        """End an answer whose next round costs more than the payer has.

        Where the last `told` messages, the results of tools, make it so dear, the model is told that instead of them,
        and answers without tools. Otherwise the person is told, where there is no text yet.
        """
        self._stop = StopReason.LENGTH
        kept, results = messages[: len(messages) - told], messages[len(messages) - told :]
        spared = [
            msgspec.structs.replace(result, text=_TOO_DEAR) for result in results if isinstance(result, ToolMessage)
        ]
        result = await self._ask(number, (*kept, *spared), may_call=False) if spared else None
        if result is None and not self.text:
            self._say(_NO_CREDITS)

    @property
    def text(self) -> str:
        """The answer so far."""
        return self._fold.text.text()

    def withdraw(self, notice: str) -> None:
        """Put a notice in the place of the answer, which was paid for and has been streamed."""
        self._notice = notice

    def end(self, state: TurnState, failure: Failure | None, *, duration_ms: int) -> TurnEnd:
        """Sum the turn up: nothing of it changes any more. Failed and refused ones cost nothing."""
        self._toolbox.seal()
        usage = self._usage
        free = state in (TurnState.FAILED, TurnState.REFUSED)
        output = self.text if self._notice is None else self._notice
        return TurnEnd(
            turn_id=self.plan.ask.turn_id,
            state=state,
            output=output,
            usage=usage,
            charge=0 if free else self.purse.charge(usage, produced=self._fold.produced),
            duration_ms=duration_ms,
            first_token_ms=self._first_token_ms,
            thinking=tuple(self._thinking),
            tools=tuple(sorted(self._toolbox.used, key=lambda use: use.began)),
            passages=tuple(_cited(self._toolbox.passages, output)),
            failure=failure,
            stop_reason=self._stop.value,
            moderated=self._notice is not None,
            prompt=_seen(self._prompt),
        )

    async def checkpointed(self) -> None:
        """Wait for a checkpoint that is being written."""
        await self._steps.saved()

    async def _checkpoint(self) -> None:
        """Save text and usage if they changed; renew the lease in any case now and then.

        One that fails is only missed: the turn goes on, and the next one saves more.
        """
        running = self._fold.round_usage if self._listening is not None else Usage()
        if running is None:
            running = self._estimate() if self._fold.round_produced else Usage()
        snapshot = Snapshot(text=self._fold.text.text(), usage=self._usage.plus(running))
        now = monotonic()
        if snapshot == self._saved and now - self._renewed < self._limits.lease_renewal_s:
            return
        try:
            await self._ports.store.checkpoint(self.plan.ask.turn_id, snapshot)
        except CodedError as error:
            _log.warning("checkpoint missed", code=error.code)
        except Exception:  # boundary: whatever breaks in the store, the answer goes on
            _log.exception("checkpoint missed")
        else:
            self._saved, self._renewed = snapshot, now

    @property
    def _too_long(self) -> bool:
        return self._fold.text.length > self._limits.max_answer_chars

    def _specs(self) -> tuple[ToolSpec, ...]:
        return self._ports.tools.specs(self.plan) if self.plan.model.takes_tools else ()

    async def _request(self, messages: tuple[Message, ...], *, may_call: bool) -> ModelRequest | None:
        """Return the next round's request; None when no credits are left for a further round."""
        plan, specs = self.plan, self._specs()
        system = window.text_tokens(self._prompt.system)
        room = window.usable(plan.model) - system - window.tool_tokens(specs)
        messages = window.within(messages, room - self._limits.least_output)
        said = sum(window.message_tokens(message) for message in messages)
        tokens = system + said
        try:
            limit = await self.purse.output_limit(self._usage, tokens)
            limit = min(limit, room - said)
        except InsufficientCredits:
            if not self._fold.produced:
                raise
            return None
        self._round_prompt_tokens = estimate_tokens(self._prompt.system) + sum(
            window.message_tokens(message, estimate_tokens) for message in messages
        )
        return ModelRequest(
            turn_id=plan.ask.turn_id,
            model=plan.model,
            system=self._prompt.system,
            messages=messages,
            tools=specs,
            output_limit=limit,
            effort=plan.effort or plan.model.effort,
            sampling=plan.ask.sampling,
            question=plan.ask.question,
            passages=tuple(self._toolbox.passages),
            may_call=may_call,
            twin_id=plan.institution.id if plan.institution else "",
            user_id=plan.ask.caller.user_id,
        )

    async def _ask(self, number: int, messages: tuple[Message, ...], *, may_call: bool) -> RoundResult | None:
        """Run one round, with the next model if this one gives nothing; None when no credits are left for it."""
        while True:
            request = await self._request(messages, may_call=may_call)
            if request is None:
                return None
            try:
                return await self._round(number, request)
            except ServiceError as error:
                if not self._may_fall_back(error):
                    raise
                await self._fall_back(error)
                if number == 0:
                    self.build_prompt()
                    messages = self._prompt.messages

    def _may_fall_back(self, error: ServiceError) -> bool:
        """Tell whether the next model is asked: never once anything was seen, nor against a vendor's safety rules."""
        if not self.plan.fallbacks or self._fold.produced or not isinstance(error, _FALL_BACK_AFTER):
            return False
        if isinstance(error, ProviderTimeout):
            return error.details.get("limit") != "turn"
        return not isinstance(error, ProviderFailed) or error.elsewhere

    async def _fall_back(self, error: ServiceError) -> None:
        """Go on with the twin's next model; what the one before may have counted was for nothing, and is not paid."""
        self._ports.observer.turn_fell_back(self.plan, error)
        self.plan = self._toolbox.plan = self.plan.fallen_back()
        self._fold.show_thinking = self.plan.show_thinking
        self._usage = Usage()
        await self.purse.switch(self.plan)

    async def _round(self, number: int, request: ModelRequest) -> RoundResult:
        self._fold.begin_round(number)
        self._fold.hold_markers = bool(self._toolbox.passages)
        self._thinking_began = None
        self._listening = number
        self._steps.watch.expect_stream(self.plan.model.provider)
        try:
            await self._steps.run(self._pump(number, request), name=f"round {number}")
        finally:
            self._listening = None
            self._steps.watch.expect_nothing()
            result, events = self._fold.end_round()
            self._tell(events)
            if result.usage is not None or self._fold.round_produced:
                self._usage = self._usage.plus(result.usage or self._estimate())
        return result

    async def _pump(self, number: int, request: ModelRequest) -> None:
        """Take the provider's events as they come. Runs as a task of its own.

        A provider that does not stop when it is told to is not listened to any more: the round may be summed up by now.
        """
        provider = self._ports.models.serving(self.plan.model)
        stream = provider.stream(request)
        try:
            async for batch in stream:
                if self._listening != number:
                    return
                self._steps.watch.touch()
                self._tell(self._fold.feed(batch))
                if self._too_long:
                    return
        finally:
            await stream.aclose()

    def _tell(self, events: Iterable[FoldEvent]) -> None:
        for event in events:
            if isinstance(event, TextDelta):
                if self._first_token_ms is None:
                    self._first_token_ms = round((monotonic() - self._started) * 1000)
            elif isinstance(event, ThinkingDelta):
                self._thinking_began = self._thinking_began or monotonic()
            self._log.append(event)
            if isinstance(event, ThinkingDone):
                self._keep_thinking(event)

    def _keep_thinking(self, done: ThinkingDone) -> None:
        began = self._thinking_began or monotonic()
        self._thinking.append(
            ThinkingPart(
                round=done.round,
                text=done.text,
                signature=done.signature,
                model=self.plan.model.id,
                duration_ms=round((monotonic() - began) * 1000),
                closed=self._log.last_number,
            )
        )

    def _say(self, text: str) -> None:
        self._tell([TextDelta(text=text, end=self._fold.text.append(text))])

    async def _search(self) -> list[Passage]:
        plan = self.plan
        return await self._ports.retriever.search(plan, plan.ask.question, limit=plan.passages_limit)

    def _estimate(self) -> Usage:
        """Tokens of the running round where the provider gives no count: the prompt, and what came."""
        return Usage(input=self._round_prompt_tokens, completion=self._fold.round_tokens(), estimated=True)


def _replayed(result: RoundResult, outcomes: Iterable[ToolMessage]) -> tuple[Message, ...]:
    """What the next round sees of this one: text, reasoning with its signature, calls and their results."""
    said = AssistantMessage(
        text=result.text,
        tool_calls=result.tool_calls,
        thinking=result.thinking,
        signature=result.signature,
        state=result.state,
    )
    return (said, *outcomes)


def _seen(built: prompt.Prompt) -> PromptSeen:
    """What administrators are shown of a prompt; passages are kept with the turn already."""
    parts = tuple((part.name, part.text) for part in built.fragments if part.name != "passages")
    return PromptSeen(fragments=parts, messages=len(built.messages), tokens=built.tokens, compacted=built.compacted)


def _cited(passages: list[Passage], output: str) -> list[Passage]:
    """Return the passages, each marked whether `output` cites it as [number]."""
    numbers = {int(number) for marker in _MARKER.findall(output) for number in marker.split(",")}
    return [msgspec.structs.replace(passage, cited=passage.number in numbers) for passage in passages]
