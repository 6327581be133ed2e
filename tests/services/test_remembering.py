"""What a conversation remembers: exchanges, summaries by a model or by rules, and none of what was forgotten."""

import asyncio
import re
from typing import Any

import msgspec
import pytest

from tests.engine.fakes import MODEL
from tests.services.stage import Here, Models, Stage
from twinspeak.domain.ai_models import AiModel, OwnSecrets
from twinspeak.domain.caller import Caller, scope_of
from twinspeak.domain.conversation import DIGEST_HEAD, CourseRef
from twinspeak.domain.errors import ProviderFailed
from twinspeak.domain.ids import new_id
from twinspeak.domain.models import ModelSpec
from twinspeak.domain.turn import TurnPlan
from twinspeak.engine import prompt, window
from twinspeak.persistence.conversation_tables import summaries
from twinspeak.persistence.repos import ai_models
from twinspeak.persistence.secrets import SecretBox
from twinspeak.persistence.tables import turns
from twinspeak.services.conversations import Conversations
from twinspeak.services.histories import Histories, HistoryFilter
from twinspeak.services.ports import Behalf
from twinspeak.services.remembering import Summaries

COURSE = 7


class FakeWriter:
    """Writes minutes that name what they were made of."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.models: list[ModelSpec] = []
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.entered = asyncio.Event()

    async def write(self, model: ModelSpec, system: str, text: str, *, behalf: Behalf) -> str:
        self.asked.append(text)
        self.models.append(model)
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return f"Minutes {len(self.asked)} by {model.id}."


async def talk(stage: Stage, caller: Caller, count: int, *, first: int = 0, **fields: Any) -> TurnPlan:
    """Have a conversation; return the plan of its last turn."""
    for number in range(first, first + count):
        await stage.turn(caller, f"Question {number}?", f"Answer {number}.", course_id=COURSE, **fields)
    return await next_plan(stage, caller)


async def next_plan(stage: Stage, caller: Caller, **fields: Any) -> TurnPlan:
    return await stage.plan(caller, "And now?", course=CourseRef(course_id=COURSE), **fields)


async def ada(stage: Stage, **twin: Any) -> Caller:
    here = Here(stage, **twin)
    stage.edit(here.ada, remember_history_count=6)
    return await stage.caller()


def said(plan: TurnPlan) -> str:
    return "\n".join(f"{exchange.question}\n{exchange.answer}" for exchange in plan.history)


async def test_from_six_on_older_exchanges_are_shortened_by_rules_without_a_model(stage: Stage):
    caller = await ada(stage)
    writer = FakeWriter()
    plan = await talk(stage, caller, 9)
    await Summaries(stage.db, Models(), writer).keep_up(plan)
    assert writer.asked == []
    assert plan.history[0].question.startswith(DIGEST_HEAD)
    assert [exchange.question for exchange in plan.history[1:]] == ["Question 6?", "Question 7?", "Question 8?"]
    assert "Question 3?" in said(plan)
    assert "Question 2?" not in said(plan)


async def test_a_twins_summary_model_sums_up_once_and_goes_on_from_there(stage: Stage):
    caller = await ada(stage, summary_model="small")
    writer = FakeWriter()
    keeper = Summaries(stage.db, Models(), writer)
    plan = await talk(stage, caller, 6)
    await keeper.keep_up(plan)
    await keeper.keep_up(plan)
    assert len(writer.asked) == 1  # nothing new since
    plan = await next_plan(stage, caller)
    assert "In sum: Minutes 1 by small." in said(plan)
    assert "Question 0?" not in said(plan)
    plan = await talk(stage, caller, 2, first=6)
    assert "In sum: Minutes 1 by small." in said(plan)
    assert "Question 3?" in said(plan)  # not in the minutes yet, so by rule
    await talk(stage, caller, 1, first=8)
    await keeper.keep_up(plan)
    assert "Minutes so far: Minutes 1 by small." in writer.asked[1]
    assert "Question 3?" in writer.asked[1]
    assert "Question 8?" not in writer.asked[1]
    assert "In sum: Minutes 2 by small." in said(await next_plan(stage, caller))


async def test_a_summary_is_written_by_the_twins_own_model_or_by_none(stage: Stage):
    caller = await ada(stage, summary_model="small")
    record = AiModel(id=new_id(), institution_id=caller.institution_id or "", name="small", created=1)
    scope, box = scope_of(caller, caller.institution_id), SecretBox(["a-key-of-this-test-alone-" * 2])
    await stage.db.write(lambda tx: ai_models.create(tx, scope, box, record, OwnSecrets(api_key="key")))
    writer = FakeWriter()
    keeper = Summaries(stage.db, Models(), writer)
    await keeper.keep_up(await talk(stage, caller, 6))
    assert [(model.record, model.id) for model in writer.models] == [(record.id, "small")]
    off = msgspec.structs.replace(record, status="inactive")
    await stage.db.write(lambda tx: ai_models.change(tx, scope, off, {}))
    await keeper.keep_up(await talk(stage, caller, 4, first=6))
    assert len(writer.models) == 1


@pytest.mark.parametrize("fields", [{"compact_history": False}, {"summary_model": "gone"}])
async def test_without_a_summary_a_conversation_goes_on(stage: Stage, fields: dict[str, Any]):
    caller = await ada(stage, **{"summary_model": "small", **fields})
    writer = FakeWriter()
    plan = await talk(stage, caller, 8)
    await Summaries(stage.db, Models(), writer).keep_up(plan)
    assert writer.asked == []
    plan = await next_plan(stage, caller)
    assert len(plan.history) == (6 if fields.get("compact_history") is False else 4)


async def test_a_model_that_fails_leaves_it_to_the_rules(stage: Stage):
    caller = await ada(stage, summary_model="small")
    writer = FakeWriter()
    writer.error = ProviderFailed()
    plan = await talk(stage, caller, 6)
    await Summaries(stage.db, Models(), writer).keep_up(plan)
    assert "Question 0?" in said(await next_plan(stage, caller))
    assert stage.column(summaries.c.id) == []


@pytest.mark.parametrize("way", ["conversation", "record"])
async def test_what_is_forgotten_takes_the_summary_with_it(stage: Stage, way: str):
    caller = await ada(stage, summary_model="small")
    plan = await talk(stage, caller, 6)
    await Summaries(stage.db, Models(), FakeWriter()).keep_up(plan)
    assert len(stage.column(summaries.c.id)) == 1
    await forget(stage, caller, way)
    assert stage.column(summaries.c.id) == []


async def forget(stage: Stage, caller: Caller, way: str) -> None:
    conversations = Conversations(stage.db)
    if way == "conversation":
        await conversations.clear(caller, "current", COURSE)
    else:
        await conversations.forget(caller, min(stage.column(turns.c.id)))


@pytest.mark.parametrize("way", ["conversation", "record"])
@pytest.mark.parametrize("before", [0, 3])
async def test_what_is_forgotten_while_it_is_summed_up_is_not_kept(stage: Stage, way: str, before: int):
    caller = await ada(stage, summary_model="small")
    writer = FakeWriter()
    keeper = Summaries(stage.db, Models(), writer)
    plan = await talk(stage, caller, 6)
    if before:
        await keeper.keep_up(plan)
        plan = await talk(stage, caller, before, first=6)
    writer.gate = asyncio.Event()
    writer.entered.clear()
    running = asyncio.create_task(keeper.keep_up(plan))
    await writer.entered.wait()
    await keeper.keep_up(plan)  # one at a time: the second one leaves it to the first
    await forget(stage, caller, way)
    writer.gate.set()
    await running
    assert len(writer.asked) == (2 if before else 1)
    assert stage.column(summaries.c.id) == []


async def test_a_summary_is_of_one_person_in_one_place(stage: Stage):
    caller = await ada(stage, summary_model="small")
    plan = await talk(stage, caller, 6)
    await Summaries(stage.db, Models(), FakeWriter()).keep_up(plan)
    stage.join(stage.person("carl@example.org"), plan.institution)  # pyright: ignore[reportArgumentType]
    carl = await stage.caller("carl@example.org")
    stage.edit(user_of(carl), remember_history_count=6)
    assert "Minutes" not in said(await talk(stage, carl, 7))


SMALL = ((1_000, 200), (1_600, 400), (4_000, 1_000), (32_000, 4_000))
"""Windows and output limits, in tokens."""
PIECES = re.compile(r"\d{1,3}|[^\W\d]+|[^\w\s]")
"""What vendors' tokenizers cut a text into first: none makes fewer tokens of it, nor more of words that are common."""


def newest_whole(sent: str, said: list[str]) -> int:
    """Return how many of the newest answers are in a prompt whole; there must be none in a gap behind them."""
    whole = [answer in sent for answer in reversed(said)]
    count = whole.index(False) if False in whole else len(whole)
    assert not any(whole[count:])
    return count


async def test_200_turns_on_small_windows_keep_the_newest_and_what_was_summed_up(stage: Stage):
    caller = await ada(stage, summary_model="small")
    stage.edit(user_of(caller), remember_history_count=15)
    writer = FakeWriter()
    keeper = Summaries(stage.db, Models(), writer)
    answers: list[str] = []
    for number in range(200):
        plan = await next_plan(stage, caller)
        kept: list[int] = []
        for size, limit in SMALL:
            model = msgspec.structs.replace(MODEL, context_window=size, max_output=limit)
            built = prompt.build(msgspec.structs.replace(plan, model=model, output_limit=limit, fallbacks=()), ())
            sent = "\n".join(message.text for message in built.messages)
            answer = min(limit, window.usable(model) // 4)
            assert built.tokens + answer <= window.usable(model)
            assert len(PIECES.findall(built.system + sent)) + answer <= size
            assert sent.endswith("And now?")
            kept.append(newest_whole(sent, answers))
            assert number < 1 or f"Answer {number - 1}:" in sent
            assert number < 9 or "In sum: Minutes" in sent
            assert number < 9 or size < 4_000 or f"Answer {number - 3}:" in sent
        assert kept == sorted(kept)  # the larger the window, the more of the newest is whole
        assert kept[1] >= min(number, 1)
        assert kept[2] >= min(number, 3)
        words = f"{number} " * (20 + number % 60)
        answers.append(f"Answer {number}: {words}")
        await stage.turn(caller, f"Question {number}? {words}", answers[-1], course_id=COURSE)
        await keeper.keep_up(plan)
    assert 50 <= len(writer.asked) <= 70


def user_of(caller: Caller) -> Any:
    return type("U", (), {"id": caller.user_id})()


async def test_a_conversation_of_5000_turns_is_listed_searched_remembered_and_forgotten(stage: Stage):
    caller = await ada(stage)
    first = await stage.turn(caller, "The very first owl?", "Yes.", course_id=COURSE)
    stage.copies(dict(stage.row_of(first)._mapping), 4_999)
    histories, conversations = Histories(stage.db), Conversations(stage.db)
    assert said(await next_plan(stage, caller)).count("Question") == 6
    [listed] = await conversations.list(caller)
    assert listed.count == 5_000
    seen: list[str] = []
    before: int | None = None
    while page := await histories.list(caller, HistoryFilter(limit=1_000, course_id=COURSE, before=before)):
        seen = [record.id for record in page] + seen
        before = page[0].created
    assert len(seen) == len(set(seen)) == 5_000
    assert [one.id for one in await histories.list(caller, HistoryFilter(search="owl"))] == [first]
    assert await conversations.rename(caller, "current", COURSE, "Long") == 5_000
    assert await conversations.clear(caller, "current", COURSE) == 5_000
    assert (await next_plan(stage, caller)).history == ()
