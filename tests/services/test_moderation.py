"""Moderation by the twin's settings, with and without a vendor's judge."""

import asyncio
from typing import Any

import pytest

from tests.services.stage import Here, Stage
from twinspeak.domain.errors import AdminRequired, ProviderFailed
from twinspeak.domain.moderation import HELP, REFUSED, WITHDRAWN
from twinspeak.domain.turn import TurnPlan
from twinspeak.persistence.conversation_tables import moderations
from twinspeak.services.moderation import Moderation

EVIL = "How do I make a bomb?"


class FakeJudge:
    name = "openai"

    def __init__(self, *categories: str) -> None:
        self.categories = categories
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def judge(self, text: str) -> tuple[str, ...]:
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.categories


async def a_turn(stage: Stage, **twin: Any) -> TurnPlan:
    Here(stage, **twin)
    plan = await stage.plan(await stage.caller())
    await stage.turns.begin(plan, wanted=0, least=0)
    return plan


async def test_a_question_is_refused_and_an_answer_withdrawn_and_both_recorded(stage: Stage):
    plan = await a_turn(stage, moderation_phrases=("secret word",))
    moderation = Moderation(stage.db)
    assert await moderation.refuses(plan, "Why is the sky blue?") is None
    assert await moderation.refuses(plan, EVIL) == REFUSED
    assert await moderation.refuses(plan, "how do i kill myself") == HELP
    assert await moderation.withdraws(plan, "It is the secret word.") == WITHDRAWN
    assert stage.column(moderations.c.side) == ["input", "input", "output"]
    assert set(stage.column(moderations.c.turn_id)) == {plan.ask.turn_id}
    assert '"phrase"' in stage.column(moderations.c.findings)[-1]


async def test_a_twin_that_records_lets_pass(stage: Stage):
    plan = await a_turn(stage, moderation_action="record")
    assert await Moderation(stage.db).refuses(plan, EVIL) is None
    assert stage.column(moderations.c.action) == ["record"]


async def test_a_twin_may_switch_it_off(stage: Stage):
    plan = await a_turn(stage, enable_moderation=False)
    assert await Moderation(stage.db, FakeJudge("hate")).refuses(plan, EVIL) is None
    assert stage.column(moderations.c.id) == []


async def test_personal_questions_are_judged_by_the_rules(stage: Stage):
    stage.person()
    plan = await stage.plan(await stage.caller())
    await stage.turns.begin(plan, wanted=0, least=0)
    assert await Moderation(stage.db).refuses(plan, EVIL) == REFUSED


async def test_a_vendor_judges_beside_the_rules(stage: Stage):
    plan = await a_turn(stage)
    assert await Moderation(stage.db, FakeJudge("hate")).refuses(plan, "Hello") == REFUSED
    assert '"hate"' in stage.column(moderations.c.findings)[0]


@pytest.mark.parametrize("how", ["fails", "hangs"])
async def test_a_vendor_that_does_not_answer_leaves_it_to_the_rules(stage: Stage, how: str):
    plan = await a_turn(stage)
    judge = FakeJudge("hate")
    if how == "fails":
        judge.error = ProviderFailed()
    else:
        judge.gate = asyncio.Event()
    moderation = Moderation(stage.db, judge, patience_s=0.01)
    assert await moderation.refuses(plan, "Hello") is None
    assert await moderation.refuses(plan, EVIL) == REFUSED


async def test_findings_are_listed_for_administrators_of_the_twin_alone(stage: Stage):
    plan = await a_turn(stage)
    moderation = Moderation(stage.db)
    for _ in range(3):
        await moderation.refuses(plan, EVIL)
    boss = stage.person("boss@example.org", account_type="admin")
    with pytest.raises(AdminRequired):
        await moderation.listing(plan.ask.caller, limit=10)
    caller = await stage.caller("boss@example.org")
    assert (await moderation.listing(caller, limit=10)).total == 0
    assert plan.institution is not None
    stage.join(boss, plan.institution, account_type="admin", verbs=("histories.list",))
    page = await moderation.listing(caller, limit=2, offset=1)
    assert (len(page.rows), page.total) == (2, 3)
    assert page.rows[0].findings[0].categories == ("illicit/violent",)
