"""One question to one answer: a state machine with named states.

    RESOLVE -> RESERVE -> MODERATE -> RETRIEVE -> PROMPT -> ROUNDS -> FINISH -> ENDED

Until MODERATE has passed, a failure is the asker's plain error and nothing was streamed. After it, whatever happens
(answer, cancel, provider failure, time limit) goes through FINISH: one transaction that settles, saves and sets the
state, then the log is told. A database that does not take it now delays the answer only a little: the turn ends and
is `finishing` until it is saved (`engine.saving`).

What happens on cancel: `Turn.cancel` puts a message into `Control`; the step that is waiting (`control.Steps.run`)
ends its task and raises `Cancelled`; `Turn.run` turns that into FINISH with the part of the answer there is.
"""

import asyncio
from collections.abc import Coroutine
from enum import StrEnum
from typing import Any

import msgspec
import structlog

from twinspeak.domain.clock import monotonic, now_ms
from twinspeak.domain.errors import CodedError, ContentBlocked, ServerStopping
from twinspeak.domain.events import AnswerReady, TurnEnded, TurnFailed, TurnStarted
from twinspeak.domain.ids import new_id
from twinspeak.domain.turn import (
    Ask,
    Failure,
    Settlement,
    TurnEnd,
    TurnPlan,
    TurnReply,
    TurnState,
)
from twinspeak.engine import saving
from twinspeak.engine.control import Cancelled, CancelReason, Control
from twinspeak.engine.fold import TurnFold
from twinspeak.engine.limits import TurnLimits
from twinspeak.engine.log import TurnLog
from twinspeak.engine.ports import TurnPorts
from twinspeak.engine.rounds import Rounds, Workspace
from twinspeak.engine.tasks import Supervisor

_log = structlog.get_logger(__name__)


class Step(StrEnum):
    """Where a turn is."""

    RESOLVE = "resolve"
    RESERVE = "reserve"
    MODERATE = "moderate"
    RETRIEVE = "retrieve"
    PROMPT = "prompt"
    ROUNDS = "rounds"
    FINISH = "finish"
    ENDED = "ended"


class Turn:
    """A running turn. Faces read its `log`, await `admitted()` and `ended()`, and may `cancel()` it."""

    def __init__(self, ask: Ask, ports: TurnPorts, limits: TurnLimits, supervisor: Supervisor) -> None:
        """Make a turn that has not begun; `run` runs it."""
        self.ask = ask
        self.started_ms = now_ms()
        self.step = Step.RESOLVE
        self._resolved: TurnPlan | None = None
        self._rounds: Rounds | None = None
        self.reply: TurnReply | None = None
        self.failure: Failure | None = None
        self.state = TurnState.RUNNING
        self._saving: asyncio.Task[Settlement | None] | None = None
        self._started = monotonic()
        self._ports = ports
        self._limits = limits
        self._supervisor = supervisor
        self._control = Control()
        self._fold = TurnFold(show_thinking=False)
        self.log = TurnLog(new_id(), text=self._fold.text, thinking=self._fold.thinking)
        loop = asyncio.get_running_loop()
        self._admission: asyncio.Future[TurnPlan] = loop.create_future()
        self._end: asyncio.Future[None] = loop.create_future()

    @property
    def turn_id(self) -> str:
        """The id of the turn, and of its history record."""
        return self.ask.turn_id

    @property
    def plan(self) -> TurnPlan | None:
        """What was resolved, with the model that answers; None before that."""
        return self._rounds.plan if self._rounds else self._resolved

    @property
    def refused(self) -> bool:
        """Whether the turn was turned away: it has no history, and its log says nothing."""
        return self._admission.done() and self._admission.exception() is not None

    @property
    def finishing(self) -> bool:
        """Whether the turn has ended, and the database has not taken it yet."""
        return self._saving is not None and not self._saving.done()

    async def saved(self) -> None:
        """Wait until the database has taken the turn's end, or never will."""
        if self._saving is not None:
            await asyncio.wait((self._saving,))

    async def admitted(self) -> TurnPlan:
        """Wait until the turn may stream. Raises the coded error that refused it."""
        return await asyncio.shield(self._admission)

    async def ended(self) -> None:
        """Wait until the turn's log is closed: it is saved by then, or `finishing`."""
        await asyncio.shield(self._end)

    def cancel(self, reason: CancelReason = CancelReason.REQUESTED) -> None:
        """Tell the turn to stop. Harmless after its end, and when told before."""
        self._control.cancel(reason)

    async def run(self) -> None:
        """Walk the states to the end. Never raises but when its own task is cancelled."""
        with structlog.contextvars.bound_contextvars(turn_id=self.turn_id, user_id=self.ask.caller.user_id):
            try:
                rounds = await self._admit()
                if rounds is not None:
                    await self._answer(rounds)
            finally:
                self._close()

    async def _admit(self) -> Rounds | None:
        """RESOLVE, RESERVE, MODERATE; None when the turn was refused."""
        try:
            plan = await self._ports.resolver.resolve(self.ask)
            self._resolved = plan
            self.step = Step.RESERVE
            rounds = await self._reserve(plan)
        except CodedError as error:
            self._refuse(error)
            return None
        except Exception:  # boundary: whatever breaks before the turn has a row must reach the asker as a coded error
            _log.exception("turn could not begin", step=self.step)
            self._refuse(CodedError())
            return None
        self.step = Step.MODERATE
        if (refusal := await self._refusal(plan, rounds)) is not None:
            await self._save(rounds, rounds.end(TurnState.REFUSED, Failure.of(refusal), duration_ms=self._elapsed_ms()))
            self._refuse(refusal)
            return None
        self._admission.set_result(plan)
        self.log.append(TurnStarted(turn_id=self.turn_id))
        return rounds

    async def _reserve(self, plan: TurnPlan) -> Rounds:
        self._fold.show_thinking = plan.show_thinking
        work = Workspace(fold=self._fold, log=self.log, control=self._control, spawn=self._spawn, started=self._started)
        rounds = Rounds(plan, self._ports, self._limits, work)
        await rounds.purse.open()
        self._rounds = rounds
        return rounds

    async def _refusal(self, plan: TurnPlan, rounds: Rounds) -> CodedError | None:
        """Ask the moderator; one that breaks refuses, because nobody has said that the question may pass.

        A turn that is cancelled meanwhile passes, for it will end before anything is asked of a model.
        """
        if self._ports.moderator is None:
            return None
        try:
            words = await rounds.step(self._ports.moderator.refuses(plan, self.ask.question), name="moderate")
        except Cancelled:
            return None
        except CodedError as error:
            return error
        except Exception:  # boundary: the row is there now, and its hold must be released
            _log.exception("moderation broke")
            return CodedError()
        return None if words is None else ContentBlocked(words)

    async def _answer(self, rounds: Rounds) -> None:
        """RETRIEVE to FINISH; whatever stops it, FINISH runs."""
        state, failure = TurnState.DONE, None
        try:
            self._ports.observer.turn_began(rounds.plan)
            self._control.check()
            self.step = Step.RETRIEVE
            await rounds.retrieve()
            self.step = Step.PROMPT
            await rounds.prepare()
            rounds.build_prompt()
            self.step = Step.ROUNDS
            await rounds.run()
            await self._judge(rounds)
        except Cancelled as stop:
            state = TurnState.INTERRUPTED if stop.reason is CancelReason.SERVER_STOPPING else TurnState.CANCELLED
        except CodedError as error:
            state, failure = TurnState.FAILED, Failure.of(error)
        except Exception:  # boundary: a bug in an adapter must not lose the turn
            _log.exception("turn broke", step=self.step)
            state, failure = TurnState.FAILED, Failure.of(CodedError())
        self.step = Step.FINISH
        await self._finish(rounds, rounds.end(state, failure, duration_ms=self._elapsed_ms()))

    async def _judge(self, rounds: Rounds) -> None:
        """Have the moderator look at the whole answer, which it may withdraw; what passages say is not judged."""
        text = rounds.text
        if self._ports.moderator is None or rounds.plan.passages_only or not text:
            return
        words = await rounds.step(self._ports.moderator.withdraws(rounds.plan, text), name="moderate")
        if words is not None:
            rounds.withdraw(words)

    async def _finish(self, rounds: Rounds, end: TurnEnd) -> None:
        settlement = await self._save(rounds, end)
        if end.failure is None:
            self.reply = _reply(rounds.plan, end, settlement or self._ports.store.expected(end))
            if settlement is None:
                self.reply = msgspec.structs.replace(self.reply, settled=False)
            self.log.append(AnswerReady(reply=self.reply))
            if self._ports.summarizer is not None and settlement is not None:
                ask = msgspec.structs.replace(rounds.plan.ask, attachments=())
                plan = msgspec.structs.replace(rounds.plan, ask=ask)
                self._spawn(self._ports.summarizer.keep_up(plan), "sum up")
        else:
            self.failure = end.failure
            self.log.append(_failed(self.failure))
        self._ports.observer.turn_ended(rounds.plan, end)

    async def _save(self, rounds: Rounds, end: TurnEnd) -> Settlement | None:
        """Finish in one transaction; None when the database has not taken it soon: it is tried on, in its own task."""
        self.state = end.state
        self._saving = self._spawn(saving.save(self._ports.store, end, after=rounds.checkpointed), "save")
        await asyncio.wait((self._saving,), timeout=self._limits.save_patience_s)
        return self._saving.result() if self._saving.done() else None

    def _refuse(self, error: CodedError) -> None:
        self.failure = Failure.of(error)
        self._admission.set_exception(error)
        self._admission.exception()  # seen: a face that is gone by now must not leave a warning behind

    def _close(self) -> None:
        """Leave nobody waiting, also when this task was cancelled: then the row is left, and the reaper settles it."""
        self.step = Step.ENDED
        if not self._admission.done():
            self._refuse(ServerStopping())
        if self.reply is None and self.failure is None:
            self.failure = Failure.of(ServerStopping())
            self.log.append(_failed(self.failure))
        self.log.append(TurnEnded())
        self._let_go()
        if not self._end.done():
            self._end.set_result(None)

    def _let_go(self) -> None:
        """Drop the prompt and the files: the log is kept for a while after the end, they are large."""
        plan = self.plan
        self.ask = msgspec.structs.replace(self.ask, attachments=())
        if plan is not None:
            ask = msgspec.structs.replace(plan.ask, attachments=())
            self._resolved, self._rounds = msgspec.structs.replace(plan, ask=ask), None

    def _elapsed_ms(self) -> int:
        return round((monotonic() - self._started) * 1000)

    def _spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        return self._supervisor.spawn(work, name=f"turn {self.turn_id}: {name}")


def _failed(failure: Failure) -> TurnFailed:
    return TurnFailed(
        code=failure.code,
        status=failure.status,
        type=failure.type,
        message=failure.message,
        details=failure.details,
    )


def _reply(plan: TurnPlan, end: TurnEnd, settlement: Settlement) -> TurnReply:
    return TurnReply(
        turn_id=end.turn_id,
        output=end.output,
        model=plan.model.id,
        usage=end.usage,
        settlement=settlement,
        course_id=plan.course.course_id,
        course_name=plan.course.course_name,
        duration_ms=end.duration_ms,
        passages=end.passages,
        cancelled=end.state in (TurnState.CANCELLED, TurnState.INTERRUPTED),
        moderated=end.moderated,
        passages_only=plan.passages_only,
        stop_reason=end.stop_reason,
    )
