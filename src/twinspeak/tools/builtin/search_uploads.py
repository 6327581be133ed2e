"""The tool `search_uploads`: the model looks things up in the vault itself (reference runtime-content 4.1)."""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from twinspeak.domain.errors import ToolError
from twinspeak.domain.events import DisplayInfo
from twinspeak.domain.locator import parse_locator
from twinspeak.domain.tools import VAULT
from twinspeak.domain.turn import Passage, ToolOutcome, TurnPlan
from twinspeak.engine.ports import Retriever, ToolContext
from twinspeak.tools.registry import Rules, Tool

DISPLAY = DisplayInfo(icon="search", label="Searching documents")
"""As the seeds show it."""

_DESCRIPTION = (
    "Search the documents of this digital twin. Returns numbered passages with their sources. Use it when the passages "
    "you already have do not answer the question, or when the question has several parts; cite a passage as [number]."
)

_RULES = Rules(origin=VAULT)

Query = Annotated[str, Meta(min_length=1, max_length=500, description="What to look for, in a few telling words.")]
Limit = Annotated[int, Meta(ge=1, le=20, description="How many passages to return at most.")]


def search_uploads_tool(retriever: Retriever) -> Tool:
    """Make the tool over `retriever`. It is offered unless the turn's retrieval is switched off (`ragIgnore`)."""

    async def search_uploads(context: ToolContext, query: Query, limit: Limit = 6) -> ToolOutcome:
        if not query.strip():
            raise ToolError("The query of search_uploads is empty.")
        passages = await retriever.search(context.plan, query, limit=limit)
        return ToolOutcome(text=as_text(passages), passages=tuple(passages))

    return Tool(search_uploads, description=_DESCRIPTION, display=DISPLAY, offered=_searches, rules=_RULES)


def as_text(passages: Sequence[Passage]) -> str:
    """Render passages for the model: number, source and section, text."""
    if not passages:
        return "No passage of the documents matches this query."
    return "\n\n".join(f"[{passage.number}] {_source(passage)}\n{passage.text}" for passage in passages)


def _source(passage: Passage) -> str:
    return ", ".join(filter(None, (passage.document_name, passage.section, parse_locator(passage.locator).label)))


def _searches(plan: TurnPlan) -> bool:
    return plan.search_vault
