"""The tool `web_search`: pages of the web, found by the engine that the operator set up."""

from typing import Annotated, Any

from msgspec import Meta

from twinspeak.domain.errors import ToolError
from twinspeak.domain.events import DisplayInfo
from twinspeak.domain.tools import SEARCH
from twinspeak.domain.turn import ToolOutcome
from twinspeak.engine.ports import ToolContext
from twinspeak.tools import policy
from twinspeak.tools.registry import Rules, Tool
from twinspeak.tools.search_engines import Hit, Search

DISPLAY = DisplayInfo(icon="globe", label="Searching the web")
_DESCRIPTION = (
    "Search the web for what is newer or more special than you know. Returns titles, addresses and short texts; read a "
    "page with read_page when these do not do. The query goes to a company outside: write it in the user's own words."
)

Query = Annotated[str, Meta(min_length=1, max_length=300, description="A few telling words.")]
Limit = Annotated[int, Meta(ge=1, le=20, description="How many pages to return at most.")]


def web_search_tool(search: Search) -> Tool:
    """Make the tool over an engine."""

    async def web_search(context: ToolContext, query: Query, limit: Limit = 6) -> ToolOutcome:
        del context
        if not query.strip():
            raise ToolError("The query of web_search is empty.")
        hits = await search(query.strip(), limit)
        return ToolOutcome(text="\n\n".join(map(_shown, hits)) or "No page was found for this query.")

    rules = Rules(origin=SEARCH, check=_own_words, most=8)
    return Tool(web_search, description=_DESCRIPTION, display=DISPLAY, rules=rules)


def _own_words(context: ToolContext, arguments: dict[str, Any]) -> None:
    policy.check_leaving(context, str(arguments.get("query", "")), to=SEARCH)


def _shown(hit: Hit) -> str:
    return f"{hit.title}\n{hit.url}\n{hit.text}".strip()
