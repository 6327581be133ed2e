"""Tools inside a turn: run, shown, kept, and their passages numbered across the whole turn."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import msgspec

from twinspeak.domain.clock import monotonic
from twinspeak.domain.errors import CodedError
from twinspeak.domain.events import DisplayInfo, ToolFinished, ToolProgress, ToolStarted
from twinspeak.domain.turn import Passage, ToolCall, ToolMessage, ToolOutcome, ToolUse, TurnPlan
from twinspeak.engine.log import TurnLog
from twinspeak.engine.ports import ToolRunner
from twinspeak.engine.prompt import render_passages

MAX_CALLS = 16
"""Tool calls that one round may make; a model that wants more is told so."""


class Toolbox:
    """The tools of one turn. `used` is what history keeps, `passages` what the answer may cite."""

    def __init__(self, plan: TurnPlan, runner: ToolRunner, log: TurnLog) -> None:
        """Nothing has run yet."""
        self.plan = plan
        self.used: list[ToolUse] = []
        self.passages: list[Passage] = []
        self._runner = runner
        self._log = log

    async def search(self, call: ToolCall, search: Coroutine[Any, Any, list[Passage]]) -> None:
        """Run the automatic retrieval, shown as a tool call."""

        async def found() -> ToolOutcome:
            try:
                return ToolOutcome(text="No passages found.", passages=tuple(await search))
            except CodedError as error:
                return ToolOutcome(text=error.message, success=False)

        await self._shown(call, found(), automatic=True)

    async def run(self, calls: Sequence[ToolCall]) -> list[ToolMessage]:
        """Run the calls of one round in parallel; return their results in the order asked."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._one(call, allowed=index < MAX_CALLS), name=f"tool {call.name}")
                for index, call in enumerate(calls)
            ]
        return [task.result() for task in tasks]

    def progress(self, call_id: str, display: DisplayInfo, fraction: float | None) -> None:
        """Tell readers how far a long tool is (engine.ports.ToolContext)."""
        self._log.append(ToolProgress(call_id=call_id, display=display, progress=fraction))

    async def _one(self, call: ToolCall, *, allowed: bool) -> ToolMessage:
        text = await self._shown(call, self._runner.run(call, self) if allowed else _refused())
        return ToolMessage(call_id=call.call_id, name=call.name, text=text)

    async def _shown(self, call: ToolCall, work: Coroutine[Any, Any, ToolOutcome], *, automatic: bool = False) -> str:
        """Run `work` between its two events; return what the model is told."""
        started = monotonic()
        display = self._runner.display(call.name)
        self._log.append(
            ToolStarted(
                call_id=call.call_id, name=call.name, arguments=call.arguments, display=display, automatic=automatic
            )
        )
        outcome = ToolOutcome(text="Stopped before it ended.", success=False)
        try:
            outcome = await work
        finally:
            text = self._numbered(outcome)
            self._keep(call, outcome, text, round((monotonic() - started) * 1000))
        return text

    def _numbered(self, outcome: ToolOutcome) -> str:
        """Give new passages the turn's next numbers; a passage found again keeps its own."""
        if not outcome.passages:
            return outcome.text
        known = {passage.chunk_id: passage for passage in self.passages}
        found: list[Passage] = []
        for passage in outcome.passages:
            if passage.chunk_id not in known:
                numbered = msgspec.structs.replace(passage, number=len(self.passages) + 1)
                known[passage.chunk_id] = numbered
                self.passages.append(numbered)
            found.append(known[passage.chunk_id])
        return render_passages(found)

    def _keep(self, call: ToolCall, outcome: ToolOutcome, text: str, duration_ms: int) -> None:
        self.used.append(
            ToolUse(
                id=call.call_id,
                name=call.name,
                arguments=call.arguments,
                response=text,
                response_length=len(text),
                duration_ms=duration_ms,
                success=outcome.success,
            )
        )
        self._log.append(
            ToolFinished(
                call_id=call.call_id,
                name=call.name,
                arguments=call.arguments,
                response=cut(text, self.plan.tool_results_max_chars),
                response_length=len(text),
                duration_ms=duration_ms,
                success=outcome.success,
            )
        )


def cut(text: str, limit: int) -> str:
    """Return at most `limit` characters of `text`, saying how many are missing (contract 4.1)."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… [cut: {len(text) - limit} more characters]"


async def _refused() -> ToolOutcome:
    return ToolOutcome(text=f"Not run: at most {MAX_CALLS} tools may be called at once.", success=False)
