"""The tool `ask_twin`: another digital twin that the caller may use answers, in a turn of the caller's there.

That turn is paid, kept and limited as any other. It may ask no further twin, so two twins never ask each other forever.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from msgspec import Meta

from twinspeak.domain.errors import ToolError
from twinspeak.domain.events import DisplayInfo
from twinspeak.domain.turn import ToolOutcome, TurnPlan
from twinspeak.engine.ports import ToolContext
from twinspeak.tools import policy
from twinspeak.tools.registry import CallContext, Rules, Tool

DISPLAY = DisplayInfo(icon="twin", label="Asking another digital twin")
ORIGIN = "twin"
DEEPEST = 1
"""How many turns may stand behind one another: a person's, and the one it asks for."""
TIMEOUT_S = 180.0
_DESCRIPTION = (
    "Ask another digital twin that the user is a member of, when the user wants its answer. Name it as the user did; "
    "write the question in the user's own words. Nothing of this twin's documents may be told to it."
)

AskTwin = Callable[[TurnPlan, str, str], Awaitable[str]]
"""Takes the turn's plan, the twin's name and the question; returns the answer. Raises CodedError."""

Twin = Annotated[str, Meta(min_length=1, max_length=200, description="The twin's name.")]
Question = Annotated[str, Meta(min_length=1, max_length=4_000, description="What to ask, complete in itself.")]


def ask_twin_tool(ask: AskTwin) -> Tool:
    """Make the tool. It is offered to people who are members of another twin, in turns of their own."""

    async def ask_twin(context: CallContext, twin: Twin, question: Question) -> ToolOutcome:
        if not twin.strip() or not question.strip():
            raise ToolError("ask_twin needs a twin and a question.")
        label = f"Asking {' '.join(twin.split())[:60]}"
        context.progress(context.call_id, DisplayInfo(icon=DISPLAY.icon, label=label), None)
        return ToolOutcome(text=await ask(context.plan, twin.strip(), question.strip()))

    rules = Rules(origin=ORIGIN, check=_named, most=3, timeout_s=TIMEOUT_S)
    return Tool(ask_twin, description=_DESCRIPTION, display=DISPLAY, offered=_offered, rules=rules)


def _named(context: ToolContext, arguments: dict[str, Any]) -> None:
    policy.check_twin(context, [str(arguments.get("twin", ""))])
    policy.check_leaving(context, str(arguments.get("question", "")), to=ORIGIN)


def _offered(plan: TurnPlan) -> bool:
    return plan.has_other_twins and plan.ask.depth < DEEPEST
