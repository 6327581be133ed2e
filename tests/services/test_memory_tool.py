"""What a model may write into memory: what is private alone, with the turn it comes from."""

from typing import Any

import pytest

from tests.services.stage import Here, Stage
from twinspeak.domain.caller import Scope
from twinspeak.domain.events import DisplayInfo
from twinspeak.domain.tools import Material
from twinspeak.domain.turn import ToolCall, ToolOutcome, TurnPlan
from twinspeak.persistence.conversation_tables import memories
from twinspeak.persistence.repos import memories as rows
from twinspeak.tools.builtin.set_user_memory import set_user_memory_tool
from twinspeak.tools.registry import Registry
from twinspeak.tools.runner import Runner


class Context:
    def __init__(self, plan: TurnPlan) -> None:
        self.plan = plan

    def progress(self, call_id: str, display: DisplayInfo, fraction: float | None) -> None:
        """Nobody looks."""

    def material(self) -> list[Material]:
        return []

    def begun(self, name: str) -> int:
        return 1


async def a_turn(stage: Stage, *, twin: bool = True) -> TurnPlan:
    here = Here(stage)
    if not twin:
        stage.edit(here.ada, active_institution_id=None)
    plan = await stage.plan(await stage.caller())
    await stage.turns.begin(plan, wanted=0, least=0)
    return plan


async def remember(stage: Stage, plan: TurnPlan, **arguments: Any) -> ToolOutcome:
    runner = Runner(Registry([set_user_memory_tool(stage.db)]))
    return await runner.run(ToolCall("call", "set_user_memory", arguments), Context(plan))


@pytest.mark.parametrize("twin", [True, False])
async def test_the_place_of_the_question_decides_the_scope(stage: Stage, twin: bool):  # noqa: FBT001 - a column
    plan = await a_turn(stage, twin=twin)
    outcome = await remember(stage, plan, name="tree", value="An oak.", namespace="garden")
    assert (outcome.success, outcome.text) == (True, "Remembered garden/tree.")
    row = stage.row(memories)
    assert (row.source, row.turn_id, row.shared, row.user_id) == (
        "model",
        plan.ask.turn_id,
        False,
        plan.ask.caller.user_id,
    )
    assert (row.institution_id is not None) == twin


async def test_a_name_that_is_there_gets_the_new_value(stage: Stage):
    plan = await a_turn(stage)
    await remember(stage, plan, name="tree", value="An oak.", description="Which")
    await remember(stage, plan, name="tree", value="An elm.")
    row = stage.row(memories)
    assert (row.value, row.description, row.version) == ("An elm.", "Which", 2)


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "x", "value": "y", "shared": True},
        {"name": "x", "value": "y", "institution_id": "z"},
        {"name": " ", "value": "y"},
        {"name": "x" * 101, "value": "y"},
        {"name": "x", "value": "y" * 2_001},
        {"value": "y"},
    ],
)
async def test_a_model_cannot_share_nor_write_what_makes_no_sense(stage: Stage, arguments: dict[str, Any]):
    plan = await a_turn(stage)
    assert not (await remember(stage, plan, **arguments)).success
    assert stage.column(memories.c.id) == []


async def test_what_is_shared_is_left_alone_by_a_model(stage: Stage):
    plan = await a_turn(stage)
    assert plan.institution is not None
    scope = Scope(user_id=plan.ask.caller.user_id, institution_id=plan.institution.id)
    fields = {"name": "tree", "value": "Ours.", "description": "", "namespace": "general", "shared": True}
    stage.db.write_sync(lambda tx: rows.add(tx, scope, {**fields, "source": "user"}))
    await remember(stage, plan, name="tree", value="Mine.")
    assert sorted(stage.column(memories.c.value)) == ["Mine.", "Ours."]


async def test_the_tool_is_away_when_memory_is_off_or_full(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    plan = await a_turn(stage)
    monkeypatch.setattr("twinspeak.persistence.repos.memories.MOST_OWN", 1)
    assert (await remember(stage, plan, name="a", value="x")).success
    outcome = await remember(stage, plan, name="b", value="x")
    assert not outcome.success
    assert "delete some" in outcome.text
    here = plan.ask.caller
    stage.db.write_sync(lambda tx: _off(tx, here.user_id))
    off = await stage.plan(await stage.caller())
    assert not (await remember(stage, off, name="a", value="y")).success


def _off(tx: Any, user_id: str) -> None:
    from twinspeak.persistence.repos import users

    users.edit(tx, user_id, {"preferences": {"use_memory": False}})
