"""Running the tools that a model calls: within a time limit, within a size limit, and never raising (decision 009)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog

from twinspeak.domain.errors import CodedError, ToolError, ToolRefused
from twinspeak.domain.events import DisplayInfo
from twinspeak.domain.tools import ToolGrants
from twinspeak.domain.turn import ToolCall, ToolOutcome, ToolSpec, TurnPlan
from twinspeak.engine.ports import ToolContext
from twinspeak.tools.mcp.remote import ICON, RemoteTools, label_of
from twinspeak.tools.registry import AnyTool, CallContext, Registry, granted, told

_LONGEST_NAME = 64
_BROKEN = "This tool failed on the server. Answer without it, or try again later."

Grants = Callable[[TurnPlan], Awaitable[ToolGrants]]
"""Tells what a turn's place has of tools by now."""

log = structlog.stdlib.get_logger("twinspeak.tools")


class Runner:
    """`engine.ports.ToolRunner` over a registry.

    `max_result_chars` bounds what one result may put into memory and into a prompt; what clients are shown of it is cut
    further, per twin.
    """

    def __init__(
        self,
        registry: Registry,
        remote: RemoteTools | None = None,
        *,
        grants: Grants | None = None,
        timeout_s: float = 30,
        max_result_chars: int = 100_000,
    ) -> None:
        """Keep the limits: seconds per call, characters per result. Without `grants` a turn keeps what it was given."""
        self._registry = registry
        self._remote = remote
        self._grants = grants
        self._timeout_s = timeout_s
        self._max_result_chars = max_result_chars

    async def prepare(self, plan: TurnPlan) -> None:
        """Have the lists of the twin's MCP servers at hand. Never raises."""
        if self._remote is None:
            return
        try:
            await self._remote.prepare(plan)
        except Exception:  # boundary: what breaks there costs a turn those servers' tools alone
            log.exception("mcp_lists_failed")

    def specs(self, plan: TurnPlan) -> tuple[ToolSpec, ...]:
        """Return the tools that this turn's model may call; none for a model that takes none."""
        return tuple(told(plan, tool) for tool in self._offered(plan))

    def display(self, name: str) -> DisplayInfo:
        """Return how a person sees tool `name`; a name that a model made up is shown as it is, shortened."""
        tool = self._registry.get(name)
        if tool is not None:
            return tool.display
        if "__" in name:
            return DisplayInfo(icon=ICON, label=label_of(name)[:_LONGEST_NAME])
        return DisplayInfo(icon="tool", label=name[:_LONGEST_NAME] or "Unknown tool")

    async def run(self, call: ToolCall, context: ToolContext) -> ToolOutcome:
        """Run one call. Whatever goes wrong is an outcome with `success` false that tells the model what to do."""
        try:
            tool = self._find(call, await self._left(context.plan))
            _count(tool, context)
            outcome = await self._within_limit(tool, CallContext(context, call.call_id), _arguments(call))
        except ToolRefused as refusal:
            reason = str(refusal.details.get("reason", ""))
            log.warning("tool_refused", tool=call.name[:_LONGEST_NAME], reason=reason)
            return ToolOutcome(text=refusal.message, success=False, refusal=reason)
        except CodedError as error:
            return ToolOutcome(text=error.message, success=False)
        except Exception:  # the boundary round every tool: what broke inside is logged and never told
            log.exception("tool_failed", tool=call.name[:_LONGEST_NAME], call_id=call.call_id[:_LONGEST_NAME])
            return ToolOutcome(text=_BROKEN, success=False)
        return self._cut(outcome)

    def _offered(self, plan: TurnPlan) -> list[AnyTool]:
        ours: list[AnyTool] = list(self._registry)
        return granted(plan, [*ours, *(self._remote.tools(plan) if self._remote else ())])

    async def _left(self, plan: TurnPlan) -> list[AnyTool]:
        """Return the tools that the turn was offered and may still call: what is taken away in its middle is gone.

        They are looked up under the names that the model was told: with fewer servers, names could mean others.
        """
        offered = self._offered(plan)
        if self._grants is None:
            return offered
        left = plan.tool_grants.within(await self._grants(plan))
        return granted(msgspec.structs.replace(plan, tool_grants=left), offered)

    def _find(self, call: ToolCall, tools: list[AnyTool]) -> AnyTool:
        """Return the tool called, if this turn has it: a model cannot call its way round a switched-off tool."""
        offered = {tool.name: tool for tool in tools}
        if call.name not in offered:
            there_are = ", ".join(sorted(offered)) or "none"
            raise ToolRefused(
                f"There is no tool {call.name[:_LONGEST_NAME]!r} here. Tools you can call: {there_are}.",
                details={"reason": "not_granted"},
            )
        return offered[call.name]

    async def _within_limit(self, tool: AnyTool, context: CallContext, arguments: dict[str, Any]) -> ToolOutcome:
        """Run `tool`; raises ToolError once the time is up, after the tool has been cancelled."""
        seconds = tool.rules.timeout_s or self._timeout_s
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                outcome = await tool(context, arguments)
        except TimeoutError:
            if not limit.expired():
                raise
            raise ToolError(f"{tool.name} took longer than {seconds:g} seconds and was stopped.") from None
        return outcome if outcome.origin else msgspec.structs.replace(outcome, origin=tool.rules.origin)

    def _cut(self, outcome: ToolOutcome) -> ToolOutcome:
        most = self._max_result_chars
        if len(outcome.text) <= most:
            return outcome
        marker = f"\n[cut: {len(outcome.text) - most} more characters]"
        return msgspec.structs.replace(outcome, text=outcome.text[:most] + marker)


def _count(tool: AnyTool, context: ToolContext) -> None:
    """Raise ToolError for a call beyond those that a turn may make of a tool."""
    if context.begun(tool.name) > tool.rules.most:
        raise ToolError(f"Not run: {tool.name} may be called {tool.rules.most} times for one question.")


def _arguments(call: ToolCall) -> dict[str, Any]:
    if call.arguments is None:
        raise ToolError(f"The arguments of {call.name} must be one JSON object.")
    return call.arguments
