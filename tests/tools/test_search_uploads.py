"""The tool over the vault: what it shows, asks and answers."""

from typing import Any

import pytest

from twinspeak.domain.events import DisplayInfo
from twinspeak.domain.turn import Passage, ToolCall, TurnPlan
from twinspeak.tools.builtin.search_uploads import search_uploads_tool
from twinspeak.tools.registry import Registry
from twinspeak.tools.runner import Runner

LIONS = [
    Passage(1, "a" * 24, "d" * 24, "zoo.md", "Lions are fed at noon.", section="Zoo > Lions", score=2.0),
    Passage(2, "b" * 24, "d" * 24, "notes.txt", "A lion.", score=1.0),
]


class Vault:
    """Stands in for the retriever, which has tests of its own: what matters here is what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[TurnPlan, str, int]] = []

    async def search(self, plan: TurnPlan, query: str, *, limit: int) -> list[Passage]:
        self.asked.append((plan, query, limit))
        return LIONS[:limit] if "lion" in query else []


@pytest.fixture
def vault() -> Vault:
    return Vault()


@pytest.fixture
def runner(vault: Vault) -> Runner:
    return Runner(Registry([search_uploads_tool(vault)]))


def call(arguments: dict[str, Any]) -> ToolCall:
    return ToolCall("call", "search_uploads", arguments)


async def test_passages_come_numbered_with_their_sources(runner: Runner, vault: Vault, make_context: Any) -> None:
    context = make_context()
    outcome = await runner.run(call({"query": "lions"}), context)
    assert outcome.text == "[1] zoo.md, Zoo > Lions\nLions are fed at noon.\n\n[2] notes.txt\nA lion."
    assert (outcome.success, outcome.passages) == (True, tuple(LIONS))
    assert vault.asked == [(context.plan, "lions", 6)]


async def test_the_model_may_limit(runner: Runner, make_context: Any) -> None:
    assert len((await runner.run(call({"query": "lions", "limit": 1}), make_context())).passages) == 1


async def test_nothing_found_is_no_failure(runner: Runner, make_context: Any) -> None:
    outcome = await runner.run(call({"query": "zebras"}), make_context())
    assert (outcome.success, outcome.passages) == (True, ())
    assert "No passage" in outcome.text


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"query": ""},
        {"query": "  "},
        {"query": 7},
        {"query": "x" * 501},
        {"query": "lion", "limit": 0},
        {"q": "lion"},
    ],
)
async def test_bad_arguments_ask_the_vault_nothing(
    runner: Runner, vault: Vault, make_context: Any, arguments: dict[str, Any]
) -> None:
    assert not (await runner.run(call(arguments), make_context())).success
    assert vault.asked == []


def test_it_shows_as_the_seeds_say(runner: Runner) -> None:
    assert runner.display("search_uploads") == DisplayInfo(icon="search", label="Searching documents")


def test_it_is_not_offered_when_retrieval_is_off(runner: Runner, make_context: Any) -> None:
    (spec,) = runner.specs(make_context().plan)
    assert list(spec.parameters["properties"]) == ["query", "limit"]
    assert spec.parameters["required"] == ["query"]
    assert runner.specs(make_context(search_vault=False).plan) == ()
