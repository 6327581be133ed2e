"""Running the tools that a model calls: within a time limit, within a size limit, and never raising (decision 009)."""

import asyncio
from typing import Any

import structlog

from twinspeak.domain.errors import CodedError, ToolError
from twinspeak.domain.events import DisplayInfo
from twinspeak.domain.turn import ToolCall, ToolOutcome, ToolSpec, TurnPlan
from twinspeak.engine.ports import ToolContext
from twinspeak.tools.registry import Registry, Tool

_LONGEST_NAME = 64
_BROKEN = "This tool failed on the server. Answer without it, or try again later."

log = structlog.stdlib.get_logger("twinspeak.tools")


class Runner:
    """`engine.ports.ToolRunner` over a registry.

    `max_result_chars` bounds what one result may put into memory and into a prompt; what clients are shown of it is cut
    further, per twin.
    """

    def __init__(self, registry: Registry, *, timeout_s: float = 30, max_result_chars: int = 100_000) -> None:
        """Keep the limits: seconds per call, characters per result."""
        self._registry = registry
        self._timeout_s = timeout_s
        self._max_result_chars = max_result_chars

    def specs(self, plan: TurnPlan) -> tuple[ToolSpec, ...]:
        """Return the tools that this turn's model may call; none for a model that takes none."""
        return tuple(self._registry.specs(plan))

    def display(self, name: str) -> DisplayInfo:
        """Return how a person sees tool `name`; a name that a model made up is shown as it is, shortened."""
        tool = self._registry.get(name)
        return tool.display if tool else DisplayInfo(icon="tool", label=name[:_LONGEST_NAME] or "Unknown tool")

    async def run(self, call: ToolCall, context: ToolContext) -> ToolOutcome:
        """Run one call. Whatever goes wrong is an outcome with `success` false that tells the model what to do."""
        try:
            tool = self._find(call, context.plan)
            outcome = await self._within_limit(tool, context, _arguments(call))
        except CodedError as error:
            return ToolOutcome(text=error.message, success=False)
        except Exception:  # the boundary round every tool: what broke inside is logged and never told
            log.exception("tool_failed", tool=call.name[:_LONGEST_NAME], call_id=call.call_id[:_LONGEST_NAME])
            return ToolOutcome(text=_BROKEN, success=False)
        return self._cut(outcome)

    def _find(self, call: ToolCall, plan: TurnPlan) -> Tool:
        """Return the tool called, if this turn offers it: a model cannot call its way round a switched-off tool."""
        offered = {tool.name: tool for tool in self._registry.offered(plan)}
        if call.name not in offered:
            there_are = ", ".join(sorted(offered)) or "none"
            raise ToolError(f"There is no tool {call.name[:_LONGEST_NAME]!r} here. Tools you can call: {there_are}.")
        return offered[call.name]

    async def _within_limit(self, tool: Tool, context: ToolContext, arguments: dict[str, Any]) -> ToolOutcome:
        """Run `tool`; raises ToolError once the time is up, after the tool has been cancelled."""
        limit = asyncio.timeout(self._timeout_s)
        try:
            async with limit:
                return await tool(context, arguments)
        except TimeoutError:
            if not limit.expired():
                raise
            raise ToolError(f"{tool.name} took longer than {self._timeout_s:g} seconds and was stopped.") from None

    def _cut(self, outcome: ToolOutcome) -> ToolOutcome:
        most = self._max_result_chars
        if len(outcome.text) <= most:
            return outcome
        marker = f"\n[cut: {len(outcome.text) - most} more characters]"
        return ToolOutcome(text=outcome.text[:most] + marker, success=outcome.success, passages=outcome.passages)


def _arguments(call: ToolCall) -> dict[str, Any]:
    if call.arguments is None:
        raise ToolError(f"The arguments of {call.name} must be one JSON object.")
    return call.arguments
