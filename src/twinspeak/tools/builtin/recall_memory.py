"""The tool `recall_memory`: more of what is remembered than a prompt has room for (reference content 8.1)."""

from typing import Annotated

from msgspec import Meta

from twinspeak.domain.caller import scope_of
from twinspeak.domain.events import DisplayInfo
from twinspeak.domain.memory import NAMESPACE_CHARS, Memory, notes
from twinspeak.domain.searching import asked_for, stream_of
from twinspeak.domain.tools import MEMORY
from twinspeak.domain.turn import ToolOutcome, TurnPlan
from twinspeak.engine.ports import ToolContext
from twinspeak.persistence.db import Database
from twinspeak.persistence.repos import memories
from twinspeak.tools.registry import Rules, Tool

DISPLAY = DisplayInfo(icon="memory", label="Remembering")
_DESCRIPTION = (
    "Look up what is remembered of the user, and what members of this twin shared. Use it when the notes you were "
    "given do not hold what you need."
)
_NOTHING = "Nothing of that kind is remembered."

Query = Annotated[str, Meta(max_length=500, description="Words that must be in it; left out: the latest.")]
Namespace = Annotated[str, Meta(max_length=NAMESPACE_CHARS, description="Such as personal_info; left out: any.")]
Limit = Annotated[int, Meta(ge=1, le=50, description="How many to return at most.")]


def recall_memory_tool(db: Database) -> Tool:
    """Make the tool over the database. It is offered where the user has memory switched on."""

    async def recall_memory(
        context: ToolContext, query: Query = "", namespace: Namespace = "", limit: Limit = 20
    ) -> ToolOutcome:
        twin = context.plan.institution
        scope = scope_of(context.plan.ask.caller, twin.id if twin else None)
        known = await db.read(lambda tx: memories.readable(tx, scope))
        found = [one for one in known if _fits(one, query, namespace.strip())]
        latest = sorted(found, key=lambda one: (-one.updated, one.id))[:limit]
        return ToolOutcome(text=notes(tuple(latest)) or _NOTHING)

    rules = Rules(origin=MEMORY)
    return Tool(recall_memory, description=_DESCRIPTION, display=DISPLAY, offered=_remembers, rules=rules)


def _remembers(plan: TurnPlan) -> bool:
    return plan.uses_memory and not plan.ask.depth


def _fits(memory: Memory, query: str, namespace: str) -> bool:
    if namespace and memory.namespace.casefold() != namespace.casefold():
        return False
    held = list(stream_of(f"{memory.name.replace('_', ' ')} {memory.value} {memory.description} {memory.namespace}"))
    wanted = asked_for(query.replace("_", " "))
    return all(any(word == one or (begins and word.startswith(one)) for word in held) for one, begins in wanted)
