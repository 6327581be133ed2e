"""What a turn runs with: its conversation, its model, its limits."""

import asyncio
from typing import Any

import pytest

from tests.services.stage import Here, Stage, ask
from twinspeak.domain import clock
from twinspeak.domain.conversation import DIGEST_HEAD, CourseRef, Exchange
from twinspeak.domain.errors import ModelUnavailable
from twinspeak.domain.turn import Face, Sampling, TurnState

# -- conversations ----------------------------------------------------------------------------------------------------


async def test_no_conversation_given_makes_a_new_one_each(stage: Stage):
    Here(stage)
    caller = await stage.caller()
    resolver = stage.resolver()
    before = clock.now_ms()
    plans = await asyncio.gather(*(resolver.resolve(ask(caller, "Why  is\nit so?")) for _ in range(20)))
    ids = [plan.course.course_id for plan in plans]
    assert len(set(ids)) == 20
    assert before <= min(ids)
    assert max(ids) < clock.now_ms() + 100
    assert {plan.course.course_name for plan in plans} == {"Why is it so?"}
    assert all(plan.ask.course == plan.course for plan in plans)
    assert (await resolver.resolve(ask(caller, new_course_name="Talk"))).course.course_name == "Talk"


async def test_the_unassigned_bucket_remembers_nothing(stage: Stage):
    Here(stage, chat_completion_enabled=True)
    caller = await stage.caller()
    await stage.turn(caller, course_id=0)
    plan = await stage.plan(caller, course=CourseRef(course_id=0, course_name=""))
    assert (plan.course.course_id, plan.course.course_name, plan.history) == (0, "", ())
    plan = await stage.plan(caller, face=Face.OPENAI)
    assert plan.course.course_id == 0


async def test_a_conversation_keeps_its_name_unless_given_another(stage: Stage):
    Here(stage)
    caller = await stage.caller()
    await stage.turn(caller, course=CourseRef(course_id=7, course_name="Talk"))
    assert (await stage.plan(caller, course=CourseRef(course_id=7))).course.course_name == "Talk"
    named = CourseRef(course_id=7, course_name="Chat")
    assert (await stage.plan(caller, course=named)).course.course_name == "Chat"
    assert (await stage.plan(caller, "How?", course=CourseRef(course_id=8))).course.course_name == "How?"


@pytest.mark.parametrize(("remember", "said", "replayed"), [(0, 3, 0), (3, 0, 0), (3, 2, 2), (3, 5, 3), (5, 9, 5)])
async def test_as_many_exchanges_are_replayed_as_the_person_wants(
    stage: Stage, remember: int, said: int, replayed: int
):
    here = Here(stage)
    stage.edit(here.ada, remember_history_count=remember)
    caller = await stage.caller()
    for number in range(said):
        await stage.turn(caller, f"q{number}", f"a{number}", course_id=7)
    plan = await stage.plan(caller, course=CourseRef(course_id=7))
    expected = [Exchange(question=f"q{n}", answer=f"a{n}") for n in range(said - replayed, said)]
    assert list(plan.history) == expected


async def test_older_ones_of_many_are_shortened(stage: Stage):
    here = Here(stage)
    stage.edit(here.ada, remember_history_count=6)
    caller = await stage.caller()
    for number in range(7):
        await stage.turn(caller, f"q{number}", f"a{number}", course_id=7)
    digest, *last = (await stage.plan(caller, course=CourseRef(course_id=7))).history
    assert [exchange.question for exchange in last] == ["q4", "q5", "q6"]
    assert digest.question.startswith(DIGEST_HEAD)
    assert all(f"q{n}" in digest.question for n in (1, 2, 3))
    assert "q0" not in digest.question


async def test_only_this_persons_answers_in_this_conversation_of_this_twin_are_replayed(stage: Stage):
    here = Here(stage)
    stage.join(here.ada, here.other, active=False)
    stage.join(here.bob, here.twin)
    ada, bob = await stage.caller(), await stage.caller("bob@example.org")
    await stage.turn(ada, "mine", "yes", course_id=7)
    await stage.turn(ada, "elsewhere", "no", course_id=8)
    await stage.turn(ada, "other twin", "no", course_id=7, institution_public_id=here.other.public_id)
    await stage.turn(bob, "bob's", "no", course_id=7)
    await stage.turn(ada, "failed", "half an ans", course_id=7, state=TurnState.FAILED)
    await stage.turn(ada, "running", "", course_id=7, state=TurnState.RUNNING)
    await stage.turn(ada, "cancelled", "partial", course_id=7, state=TurnState.CANCELLED)
    plan = await stage.plan(ada, course=CourseRef(course_id=7))
    assert [exchange.question for exchange in plan.history] == ["mine", "cancelled"]
    plan = await stage.plan(bob, course=CourseRef(course_id=7))
    assert [exchange.question for exchange in plan.history] == ["bob's"]


async def test_chat_completions_replay_what_the_client_sent(stage: Stage):
    Here(stage, chat_completion_enabled=True)
    caller = await stage.caller()
    await stage.turn(caller, "stored", "stored", course_id=7)
    sent = (Exchange(question="sent", answer="sent"),)
    for messages in (sent, ()):
        plan = await stage.plan(caller, face=Face.OPENAI, course=CourseRef(course_id=7), messages=messages)
        assert plan.history == messages
        assert plan.course.course_name == "stored"


async def test_foreign_conversations_are_new_ones(stage: Stage):
    """A number of somebody else's conversation tells nothing: it is this person's own, and empty."""
    here = Here(stage)
    stage.join(here.bob, here.twin)
    await stage.turn(await stage.caller(), "secret", "secret", course=CourseRef(course_id=7, course_name="Secret"))
    plan = await stage.plan(await stage.caller("bob@example.org"), "Hi", course=CourseRef(course_id=7))
    assert plan.history == ()
    assert plan.course.course_name == "Hi"


# -- models, limits, retrieval ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("twin", "assistant", "face", "expected"),
    [
        ({}, {}, Face.REST, ("local", 1_000, "")),
        ({"conversation_model": "big"}, {}, Face.REST, ("big", 8_000, "")),
        ({"conversation_model": "big"}, {"conversation_model": "small"}, Face.REST, ("small", 100, "")),
        ({"chat_completion_model": "small"}, {}, Face.REST, ("local", 1_000, "")),
        ({"chat_completion_model": "small", "conversation_model": "big"}, {}, Face.OPENAI, ("small", 100, "")),
        ({"chat_completion_model": "small"}, {"conversation_model": "big"}, Face.OPENAI, ("big", 8_000, "")),
        ({"max_completion_tokens": 50}, {}, Face.REST, ("local", 50, "")),
        ({"max_completion_tokens": 50}, {"max_completion_tokens": 0}, Face.REST, ("local", 1_000, "")),
        ({"max_completion_tokens": 50_000}, {}, Face.REST, ("local", 1_000, "")),
        ({"max_completion_tokens": -7}, {}, Face.REST, ("local", 1_000, "")),
        ({"chat_completion_max_completion_tokens": 60}, {}, Face.OPENAI, ("local", 60, "")),
        ({"reasoning_effort": "high"}, {"reasoning_effort": "low"}, Face.REST, ("local", 1_000, "low")),
        ({"chat_completion_reasoning_effort": "none"}, {}, Face.OPENAI, ("local", 1_000, "none")),
    ],
)
async def test_the_cascade(
    stage: Stage, twin: dict[str, Any], assistant: dict[str, Any], face: Face, expected: tuple[str, int, str]
):
    Here(stage, chat_completion_enabled=True, **twin)
    assistant_id = stage.assistant("A", **assistant) if assistant else None
    plan = await stage.plan(await stage.caller(), face=face, assistant_id=assistant_id)
    assert (plan.model.id, plan.output_limit, plan.effort) == expected


async def test_a_model_that_nobody_serves_is_said_to_be_missing(stage: Stage):
    Here(stage, conversation_model="retired-1")
    with pytest.raises(ModelUnavailable):
        await stage.plan(await stage.caller())


@pytest.mark.parametrize(("compat", "limit"), [(False, 1_000), (True, 30)])
async def test_sampling_counts_only_where_the_twin_allows_it(stage: Stage, *, compat: bool, limit: int):
    Here(stage, chat_completion_enabled=True, chat_completion_openai_compat=compat)
    wanted = Sampling(max_tokens=30, temperature=0.1, stop=("x",))
    plan = await stage.plan(await stage.caller(), face=Face.OPENAI, sampling=wanted)
    assert plan.output_limit == limit
    assert plan.ask.sampling == (wanted if compat else Sampling())


@pytest.mark.parametrize(
    ("asked", "person", "assistant", "twin", "expected"),
    [
        ({}, {}, {}, {}, (True, False)),
        ({"rag_only": True}, {}, {}, {}, (True, True)),
        ({"rag_ignore": True}, {}, {}, {}, (False, False)),
        ({"rag_ignore": True, "rag_only": True}, {}, {}, {}, (False, False)),
        ({}, {"rag_only": True}, {}, {}, (True, True)),
        ({"rag_only": False}, {"rag_only": True}, {}, {}, (True, True)),
        ({}, {"rag_ignore": False}, {"rag_ignore": True}, {}, (True, False)),
        ({}, {}, {"rag_ignore": True}, {}, (False, False)),
        ({}, {}, {"rag_only": False}, {"rag_only": True}, (True, False)),
        ({}, {}, {}, {"rag_ignore": True}, (False, False)),
        ({"rag_only": True}, {"rag_ignore": True}, {}, {}, (False, False)),
    ],
)
async def test_retrieval_switches(
    stage: Stage,
    asked: dict[str, Any],
    person: dict[str, Any],
    assistant: dict[str, Any],
    twin: dict[str, Any],
    expected: tuple[bool, bool],
):
    here = Here(stage, **twin)
    stage.edit(here.ada, **person)
    assistant_id = stage.assistant("A", **assistant) if assistant else None
    plan = await stage.plan(await stage.caller(), assistant_id=assistant_id, **asked)
    assert (plan.search_vault, plan.passages_only) == expected


async def test_the_twins_own_settings_go_into_the_plan(stage: Stage):
    here = Here(stage, display_thinking_details=False, pool_credits=False, rag_limit_chunks=2, tool_results_max_chars=9)
    plan = await stage.plan(await stage.caller())
    assert not plan.show_thinking
    assert plan.payer_institution_id is None
    assert (plan.passages_limit, plan.tool_results_max_chars) == (2, 9)
    assert plan.user_name == "Ada Lovelace"
    stage.set_twin(here.twin, pool_credits=True, display_thinking_details=True)
    plan = await stage.plan(await stage.caller())
    assert plan.payer_institution_id == here.twin.id
    assert plan.show_thinking


async def test_the_twin_of_a_plan_is_the_stored_one(stage: Stage):
    twin = stage.twin("All", prompt="p", public_authorized_urls=("https://a.test",), reasoning_effort="low")
    stage.join(stage.person(), twin)
    assert (await stage.plan(await stage.caller())).institution == twin


# -- fall-backs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "listed", "expected"),
    [
        ("big", ("small", "local"), ["big", "small", "local"]),
        ("big", ("gone", "big", "small", "small"), ["big", "small"]),
        ("gone", ("gone too", "small"), ["small"]),
        ("", ("big",), ["local", "big"]),
        ("big", (*(f"gone{n}" for n in range(5)), "small"), ["big"]),
    ],
)
async def test_a_twins_other_models_follow_in_their_order(
    stage: Stage, chosen: str, listed: tuple[str, ...], expected: list[str]
):
    Here(stage, conversation_model=chosen, fallback_models=listed, max_completion_tokens=500)
    plan = await stage.plan(await stage.caller())
    assert [plan.model.id, *(other.model.id for other in plan.fallbacks)] == expected
    limits = {"big": 500, "local": 500, "small": 100}
    assert [plan.output_limit, *(other.output_limit for other in plan.fallbacks)] == [limits[name] for name in expected]


async def test_without_any_that_is_there_the_one_chosen_is_missed(stage: Stage):
    Here(stage, conversation_model="gone", fallback_models=("gone too",))
    caller = await stage.caller()
    with pytest.raises(ModelUnavailable):
        await stage.plan(caller)
