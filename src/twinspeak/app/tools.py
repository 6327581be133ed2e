"""Wiring of the tools: which there are on this server, and how one twin asks another."""

from collections.abc import Callable
from dataclasses import dataclass

from twinspeak.app.mcp import Ways
from twinspeak.app.offline import Ground
from twinspeak.domain.errors import OperatorError, ToolError
from twinspeak.domain.ids import new_id
from twinspeak.domain.institution import Institution
from twinspeak.domain.turn import Ask, Face, TurnPlan
from twinspeak.egress.client import TrustedClient
from twinspeak.egress.fetch import Fetcher
from twinspeak.engine.ports import Retriever
from twinspeak.engine.registry import TurnRegistry
from twinspeak.persistence.db import Database
from twinspeak.persistence.repos import memberships
from twinspeak.services.tool_records import ToolRecords
from twinspeak.settings import Settings
from twinspeak.tools.builtin.ask_twin import ask_twin_tool
from twinspeak.tools.builtin.calculate import calculate_tool
from twinspeak.tools.builtin.current_time import current_time_tool
from twinspeak.tools.builtin.read_page import read_page_tool
from twinspeak.tools.builtin.recall_memory import recall_memory_tool
from twinspeak.tools.builtin.search_uploads import search_uploads_tool
from twinspeak.tools.builtin.set_user_memory import set_user_memory_tool
from twinspeak.tools.builtin.web_search import web_search_tool
from twinspeak.tools.registry import Registry, Tool
from twinspeak.tools.runner import Runner
from twinspeak.tools.search_engines import ENGINES, SearchEngine

_MOST_NAMED = 20
_MISSING = {"web_search": "No search engine is set up on this server (TWINSPEAK_WEB_SEARCH)."}


class TwinAsker:
    """`tools.builtin.ask_twin.AskTwin` over the registry of turns, which is there only once the tools are."""

    def __init__(self, db: Database) -> None:
        """Keep the database; `turns` is set before the first question."""
        self._db = db
        self.turns: TurnRegistry | None = None

    async def __call__(self, plan: TurnPlan, twin: str, question: str) -> str:
        """Return another twin's answer to a question of the turn's caller. Raises CodedError."""
        caller = plan.ask.caller
        known = await self._db.read(lambda tx: memberships.of_user(tx, caller.user_id))
        others = [one for _, one in known if plan.institution is None or one.id != plan.institution.id]
        found = [one for one in others if twin.casefold() in _names(one)]
        if len(found) != 1:
            names = ", ".join(sorted(one.name for one in others)[:_MOST_NAMED]) or "none"
            raise ToolError(f"There is no one digital twin called {twin[:100]!r} for this user. There are: {names}.")
        if self.turns is None:
            raise ToolError
        ask = Ask(
            turn_id=new_id(),
            caller=caller,
            face=Face.REST,
            question=question,
            institution_public_id=found[0].public_id,
            timezone=plan.ask.timezone,
            client_time=plan.ask.client_time,
            request_id=plan.ask.request_id,
            depth=plan.ask.depth + 1,
        )
        turn = self.turns.start(ask)
        try:
            await turn.admitted()
            await turn.ended()
        finally:
            # Whoever waits no longer (cancelled, out of time) wants no answer either; after its end this is harmless.
            turn.cancel()
        if turn.reply is None:
            raise ToolError(turn.failure.message if turn.failure else None)
        return turn.reply.output or "It gave no answer."


@dataclass(frozen=True, slots=True)
class WaysOut:
    """How tools leave this machine: to what the operator chose, to what anybody names, to MCP servers."""

    trusted: TrustedClient
    fetcher: Fetcher
    mcp: Ways


@dataclass(frozen=True, slots=True)
class Tools:
    """The runner, who asks other twins, the records' service, and the rules for MCP servers."""

    runner: Runner
    asker: TwinAsker
    records: ToolRecords
    mcp: Ways


async def tools_of(settings: Settings, ground: Ground, retriever: Retriever, ways: WaysOut) -> Tools:
    """Return the tools of this server, each with its record. Raises OperatorError for settings that cannot work."""
    asker = TwinAsker(ground.db)
    tools = [
        search_uploads_tool(retriever),
        set_user_memory_tool(ground.db),
        recall_memory_tool(ground.db),
        calculate_tool(),
        current_time_tool(),
        read_page_tool(ways.fetcher),
        ask_twin_tool(asker),
        *_web_search(settings, ways.trusted),
    ]
    records = ToolRecords(ground.db, [tool.spec for tool in tools], _MISSING)
    await records.ensure()
    return Tools(Runner(Registry(tools), ways.mcp.remote, grants=records.grants), asker, records, ways.mcp)


def _web_search(settings: Settings, client: TrustedClient) -> list[Tool]:
    name = settings.web_search
    if name == "off":
        return []
    key = settings.web_search_key.get_secret_value() if settings.web_search_key else ""
    url = settings.web_search_url or ENGINES[name]
    wrong: dict[str, Callable[[], bool]] = {
        "TWINSPEAK_WEB_SEARCH_URL": lambda: not url.startswith(("http://", "https://")),
        "TWINSPEAK_WEB_SEARCH_KEY": lambda: name != "searxng" and not key,
    }
    for setting, is_wrong in wrong.items():
        if is_wrong():
            raise OperatorError(f"TWINSPEAK_WEB_SEARCH is {name}, which needs {setting}: set it, or leave search off.")
    return [web_search_tool(SearchEngine(name=name, url=url, client=client, key=key).search)]


def _names(twin: Institution) -> set[str]:
    return {name.casefold() for name in (twin.name, twin.ai_name, twin.public_id) if name}
