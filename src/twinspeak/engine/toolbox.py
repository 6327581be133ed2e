"""Tools inside a turn: run, shown, kept, and their passages numbered across the whole turn."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import structlog

from twinspeak.domain.clock import monotonic
from twinspeak.domain.errors import CodedError
from twinspeak.domain.events import DisplayInfo, ToolFinished, ToolProgress, ToolStarted
from twinspeak.domain.tools import VAULT, Material
from twinspeak.domain.turn import Passage, ToolCall, ToolMessage, ToolOutcome, ToolUse, TurnPlan
from twinspeak.engine import material
from twinspeak.engine.buffer import encodable
from twinspeak.engine.log import TurnLog
from twinspeak.engine.ports import ToolRunner
from twinspeak.engine.prompt import render_passages

_log = structlog.get_logger(__name__)

MAX_CALLS = 16
"""Tool calls that one round may make; a model that wants more is told so."""
MAX_TURN_CALLS = 64
"""Tool calls of a whole turn."""
MAX_TURN_CHARS = 400_000
"""Characters that the results of a turn may have together; once they are reached, nothing more is run."""
MAX_SAME = 3
"""In how many rounds a turn may make one and the same call: what asks again and again gets no further."""
PATIENCE = 3
"""How many calls over those bounds a turn may ask for before it has to answer without tools."""
_TOO_MANY = ToolOutcome(text=f"Not run: at most {MAX_CALLS} tools may be called at once.", success=False)
_NO_MORE = ToolOutcome(
    text="Not run: this question has used up its tool calls. Answer with what you have.", success=False
)
_AGAIN = ToolOutcome(
    text=f"Not run: the same call was made {MAX_SAME} times already. Use what it gave, or answer without it.",
    success=False,
)
_STOPPED = ToolOutcome(text="Stopped before it ended.", success=False)
_BROKEN = ToolOutcome(text="This failed for a reason that is not yours. Do not try it again.", success=False)

Work = Callable[[], Awaitable[ToolOutcome]]


class _Running(msgspec.Struct, frozen=True):
    """A call between its two events: when it began (monotonic), and its first event's number in the log."""

    call: ToolCall
    started: float
    began: int
    automatic: bool


class Toolbox:
    """The tools of one turn. `used` is what history keeps, as it ended, `passages` what the answer may cite."""

    def __init__(self, plan: TurnPlan, runner: ToolRunner, log: TurnLog) -> None:
        """Nothing has run yet."""
        self.plan = plan
        self.used: list[ToolUse] = []
        self.passages: list[Passage] = []
        self._runner = runner
        self._log = log
        self._running: dict[str, _Running] = {}
        self._told: dict[str, int | None] = {}
        self._material: list[Material] = []
        self._begun: Counter[str] = Counter()
        self._same: Counter[tuple[str, bytes]] = Counter()
        self._chars = 0
        self._over = 0

    @property
    def stuck(self) -> bool:
        """Whether the model has asked for so much more than it may have that it is to answer without tools."""
        return self._over >= PATIENCE

    def material(self) -> list[Material]:
        """Return what the turn holds by now that its user did not say (engine.ports.ToolContext)."""
        return [*material.of_plan(self.plan), *self._material]

    def begun(self, name: str) -> int:
        """Return how many calls of a tool have begun, whatever became of them."""
        return self._begun[name]

    async def search(self, call: ToolCall, search: Callable[[], Awaitable[list[Passage]]]) -> bool:
        """Run the automatic retrieval, shown as a tool call; return whether it worked."""

        async def found() -> ToolOutcome:
            passages = tuple(await search())
            return ToolOutcome("No passages found.", passages=passages, origin=VAULT if passages else "")

        await self._shown(call, found, automatic=True)
        return self.used[-1].success

    async def run(self, calls: Sequence[ToolCall]) -> list[ToolMessage]:
        """Run the calls of one round in parallel; return their results in the order asked."""
        self._same.update({_same(call) for call in calls})
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._one(call, self._refused(call, index)), name=f"tool {call.name}")
                for index, call in enumerate(calls)
            ]
        return [task.result() for task in tasks]

    def progress(self, call_id: str, display: DisplayInfo, fraction: float | None) -> None:
        """Tell readers how far a long tool is (engine.ports.ToolContext): only what is new, at most once a percent."""
        percent = None if fraction is None else int(fraction * 100)
        if call_id not in self._running or (call_id in self._told and self._told[call_id] == percent):
            return
        self._told[call_id] = percent
        self._log.append(ToolProgress(call_id=call_id, display=display, progress=fraction))

    def seal(self) -> None:
        """End what still runs as stopped: a tool that ignores its cancellation is not listened to any more."""
        for call_id in tuple(self._running):
            self._keep(call_id, _STOPPED)

    def _refused(self, call: ToolCall, index: int) -> ToolOutcome | None:
        """Return why a call is not run: too many at once, in the turn, or of the same."""
        if index >= MAX_CALLS:
            return _TOO_MANY
        self._begun[call.name] += 1
        if self._begun.total() > MAX_TURN_CALLS or self._chars > MAX_TURN_CHARS:
            self._over += 1
            return _NO_MORE
        if self._same[_same(call)] > MAX_SAME:
            self._over += 1
            return _AGAIN
        return None

    async def _one(self, call: ToolCall, refused: ToolOutcome | None) -> ToolMessage:
        async def work() -> ToolOutcome:
            return refused or await self._runner.run(call, self)

        text = await self._shown(call, work)
        return ToolMessage(call_id=call.call_id, name=call.name, text=text)

    async def _shown(self, call: ToolCall, work: Work, *, automatic: bool = False) -> str:
        """Run `work` between its two events; return what the model is told."""
        display = self._runner.display(call.name)
        self._log.append(
            ToolStarted(
                call_id=call.call_id, name=call.name, arguments=call.arguments, display=display, automatic=automatic
            )
        )
        self._running[call.call_id] = _Running(call, monotonic(), self._log.last_number, automatic)
        outcome = _STOPPED
        try:
            outcome = await _outcome(call, work)
        finally:
            text = self._keep(call.call_id, outcome)
        return text

    def _numbered(self, outcome: ToolOutcome) -> str:
        """Give new passages the turn's next numbers; a passage found again keeps its own."""
        if not outcome.passages:
            return encodable(outcome.text)
        known = {passage.chunk_id: passage for passage in self.passages}
        found: list[Passage] = []
        for passage in outcome.passages:
            if passage.chunk_id not in known:
                numbered = msgspec.structs.replace(passage, number=len(self.passages) + 1)
                known[passage.chunk_id] = numbered
                self.passages.append(numbered)
            found.append(known[passage.chunk_id])
        return encodable(render_passages(found))

    def _keep(self, call_id: str, outcome: ToolOutcome) -> str:
        """Tell and keep how a call ended, once; return what the model is told."""
        running = self._running.pop(call_id, None)
        if running is None:
            return outcome.text
        text = self._numbered(outcome)
        self._chars += len(text)
        if outcome.origin:
            self._material.append(Material(outcome.origin, text))
        call, duration_ms = running.call, round((monotonic() - running.started) * 1000)
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
        self.used.append(
            ToolUse(
                id=call.call_id,
                name=call.name,
                arguments=call.arguments,
                response=text,
                response_length=len(text),
                duration_ms=duration_ms,
                success=outcome.success,
                automatic=running.automatic,
                began=running.began,
                ended=self._log.last_number,
                refusal=outcome.refusal,
            )
        )
        return material.fenced(call.name, outcome, text)


def _same(call: ToolCall) -> tuple[str, bytes]:
    """Return what one and the same call has in common; a round may make it several times at once."""
    return call.name, msgspec.json.encode(call.arguments, order="deterministic")


async def _outcome(call: ToolCall, work: Work) -> ToolOutcome:
    """Return what `work` gives; whatever it raises is a failed call, not a failed turn."""
    try:
        return await work()
    except CodedError as error:
        return ToolOutcome(text=error.message, success=False)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        _log.warning("tool cancelled itself", tool=call.name)
    except Exception:  # boundary: what breaks in a tool or in the search is logged, and never told
        _log.exception("tool broke", tool=call.name)
    return _BROKEN


def cut(text: str, limit: int) -> str:
    """Return at most `limit` characters of `text`, saying how many are missing (contract 4.1)."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… [cut: {len(text) - limit} more characters]"
