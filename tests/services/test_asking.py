"""From what was asked to what will run, and everything that is refused on the way."""

import asyncio
from typing import Any

import msgspec
import pytest
from sqlalchemy import update

from tests.services.stage import Stage, ask
from twinspeak.domain import clock
from twinspeak.domain.caller import Caller
from twinspeak.domain.conversation import DIGEST_HEAD, CourseRef, Exchange
from twinspeak.domain.errors import (
    AccountSuspended,
    ChatCompletionDisabled,
    CodedError,
    InvalidId,
    InvalidToken,
    ModelUnavailable,
    NotAMember,
    NotFound,
    OriginNotAllowed,
    RateLimited,
)
from twinspeak.domain.ids import new_id, new_uuid
from twinspeak.domain.institution import Institution
from twinspeak.domain.turn import Face, Sampling, TurnState
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import assistants


class Here:
    """Ada in a twin of hers; Bob in another."""

    def __init__(self, stage: Stage, **twin: Any) -> None:
        self.ada, self.bob = stage.person(fname="Ada", lname="Lovelace"), stage.person("bob@example.org")
        self.twin = stage.twin("Oak", **twin)
        self.other = stage.twin("Elm")
        self.membership = stage.join(self.ada, self.twin)
        stage.join(self.bob, self.other)


# -- twins ------------------------------------------------------------------------------------------------------------


async def test_the_active_twin_answers_unless_another_is_named(stage: Stage):
    here = Here(stage)
    stage.join(here.ada, here.other, account_type="admin", active=False)
    caller = await stage.caller()
    assert (await stage.plan(caller)).institution == here.twin
    for spelling in (here.other.public_id, here.other.public_id.upper()):
        plan = await stage.plan(caller, institution_public_id=spelling)
        assert plan.institution == here.other
        assert plan.ask.caller == msgspec.structs.replace(caller, institution_id=here.other.id, kind="admin")
    assert (await stage.plan(caller)).institution == here.twin
    assert (await stage.caller()).institution_id == here.twin.id


async def test_who_belongs_nowhere_asks_for_himself(stage: Stage):
    stage.person()
    plan = await stage.plan(await stage.caller())
    assert plan.institution is None
    assert plan.payer_institution_id is None
    assert plan.show_thinking
    assert plan.search_vault
    assert (plan.passages_limit, plan.tool_results_max_chars) == (6, 4_000)


async def test_every_twin_that_is_not_ones_own_gets_the_same_answer(stage: Stage):
    here = Here(stage)
    caller = await stage.caller()
    deleted = stage.twin("Gone")
    stage.join(here.ada, deleted, active=False)
    stage.set_twin(deleted, status="deleted")
    answers: set[tuple[str, str, str]] = set()
    for name in (here.other.public_id, new_uuid(), deleted.public_id, "no uuid", "x" * 36, "x" * 100_000, here.twin.id):
        with pytest.raises(NotAMember) as caught:
            await stage.plan(caller, institution_public_id=name)
        answers.add((caught.value.code, caught.value.message, repr(caught.value.details)))
    assert len(answers) == 1


async def test_a_super_administrator_is_no_member_by_that(stage: Stage):
    here = Here(stage)
    stage.person("root@example.org", account_type="super")
    caller = await stage.caller("root@example.org")
    assert caller.kind == "super"
    with pytest.raises(NotAMember):
        await stage.plan(caller, institution_public_id=here.twin.public_id)
    assert (await stage.plan(caller)).institution is None


@pytest.mark.parametrize("status", ["suspended", "pending", "deleted"])
async def test_a_membership_that_is_not_active_is_none(stage: Stage, status: str):
    here = Here(stage)
    caller = await stage.caller()
    stage.set_membership(here.membership, status)
    for fields in ({}, {"institution_public_id": here.twin.public_id}):
        with pytest.raises(NotAMember):
            await stage.plan(caller, **fields)


@pytest.mark.parametrize("status", ["suspended", "inactive", "deleted"])
async def test_a_twin_that_is_not_active_answers_nobody(stage: Stage, status: str):
    here = Here(stage)
    caller = await stage.caller()
    stage.set_twin(here.twin, status=status)
    for fields in ({}, {"institution_public_id": here.twin.public_id}):
        with pytest.raises(NotAMember):
            await stage.plan(caller, **fields)


async def test_a_hint_counts_only_for_members(stage: Stage):
    here = Here(stage)
    caller = await stage.caller()
    joined = stage.twin("Ash")
    stage.join(here.ada, joined, active=False)
    assert (await stage.plan(caller, institution_hint=joined.public_id)).institution == joined
    for hint in (here.other.public_id, new_uuid(), "pria", "gpt-4o", "", None):
        assert (await stage.plan(caller, institution_hint=hint)).institution == here.twin


# -- the session, once more -------------------------------------------------------------------------------------------


async def test_a_session_that_ended_since_asks_nothing(stage: Stage):
    here = Here(stage)
    caller = await stage.caller()
    await stage.auth.sign_out(caller)
    with pytest.raises(InvalidToken):
        await stage.plan(caller)
    caller = await stage.caller()
    stage.edit(here.ada, status="suspended")
    with pytest.raises(AccountSuspended):
        await stage.plan(caller)


async def test_a_caller_that_is_made_up_asks_nothing(stage: Stage):
    here = Here(stage)
    caller = await stage.caller()
    for forged in (
        msgspec.structs.replace(caller, user_id=here.bob.id),
        msgspec.structs.replace(caller, session_id=new_id()),
        Caller(user_id=here.ada.id, email="", kind="super", session_id=""),
    ):
        with pytest.raises(InvalidToken):
            await stage.plan(forged)
    claimed = msgspec.structs.replace(caller, institution_id=here.other.id, kind="super")
    plan = await stage.plan(claimed)
    assert (plan.institution, plan.ask.caller) == (here.twin, caller)


# -- assistants -------------------------------------------------------------------------------------------------------


async def test_assistants_that_one_may_use(stage: Stage):
    here = Here(stage)
    caller = await stage.caller()
    mine = stage.assistant("Mine", of=here.ada)
    ours = stage.assistant("Ours", of=here.ada, twin=here.twin)
    everybodys = stage.assistant("Everybody's")
    for assistant_id in (mine, ours, everybodys):
        for spelling in (assistant_id, assistant_id.upper()):
            plan = await stage.plan(caller, assistant_id=spelling)
            assert plan.assistant is not None
            assert plan.assistant.id == assistant_id


async def test_assistants_that_one_may_not_use_do_not_exist(stage: Stage):
    here = Here(stage)
    caller = await stage.caller()
    answers: set[str] = set()
    for assistant_id in (
        stage.assistant("Bob's", of=here.bob),
        stage.assistant("Elm's", of=here.bob, twin=here.other),
        new_id(),
    ):
        ways: list[dict[str, Any]] = [
            {"assistant_id": assistant_id},
            {"course": CourseRef(course_id=5, assistant_id=assistant_id)},
        ]
        for fields in ways:
            with pytest.raises(NotFound) as caught:
                await stage.plan(caller, **fields)
            answers.add(caught.value.message)
    assert len(answers) == 1
    for malformed in ("x", "x" * 24, "' OR 1=1"):
        with pytest.raises(InvalidId):
            await stage.plan(caller, assistant_id=malformed)


async def test_the_assistant_asked_for_comes_before_the_conversations_last(stage: Stage):
    here = Here(stage)
    caller = await stage.caller()
    first, second = stage.assistant("First"), stage.assistant("Second", of=here.ada)
    await stage.turn(caller, course_id=7, assistant_id=first)
    await stage.turn(caller, course_id=7, assistant_id=second)
    course = CourseRef(course_id=7, assistant_id=first)

    async def answers(**fields: Any) -> str | None:
        assistant = (await stage.plan(caller, **fields)).assistant
        return assistant.id if assistant else None

    assert await answers(course=CourseRef(course_id=7)) == second
    assert await answers(course=course) == first
    assert await answers(course=course, assistant_id=second) == second
    assert await answers(course=CourseRef(course_id=8)) is None
    assert await answers(course=CourseRef(course_id=0)) is None
    assert await answers() is None


async def test_an_assistant_that_is_gone_leaves_its_conversation_without_one(stage: Stage):
    Here(stage)
    caller = await stage.caller()
    assistant_id = stage.assistant("Gone")
    await stage.turn(caller, course_id=7, assistant_id=assistant_id)
    gone = scoped(SYSTEM, update(assistants).values(status="deleted"))
    stage.db.write_sync(lambda tx: tx.run(gone))
    assert (await stage.plan(caller, course=CourseRef(course_id=7))).assistant is None
    with pytest.raises(NotFound):
        await stage.plan(caller, assistant_id=assistant_id)


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


# -- gates ------------------------------------------------------------------------------------------------------------


async def test_chat_completions_need_the_twins_switch(stage: Stage):
    here = Here(stage)
    with pytest.raises(ChatCompletionDisabled):
        await stage.plan(await stage.caller(), face=Face.OPENAI)
    stage.set_twin(here.twin, chat_completion_enabled=True)
    assert (await stage.plan(await stage.caller(), face=Face.OPENAI)).institution is not None
    stage.person("eve@example.org")
    with pytest.raises(ChatCompletionDisabled):
        await stage.plan(await stage.caller("eve@example.org"), face=Face.OPENAI)


@pytest.mark.parametrize(
    ("urls", "configured", "origin", "allowed"),
    [
        ((), (), None, True),
        ((), (), "https://page.test", False),
        (("https://page.test/lms",), (), "https://page.test", True),
        (("https://page.test",), (), "https://evil.test", False),
        ((), ("https://page.test",), "https://page.test", True),
        ((), ("*",), "https://page.test", True),
        (("https://page.test",), (), "null", False),
    ],
)
async def test_pages_must_be_the_twins(
    stage: Stage, urls: tuple[str, ...], configured: tuple[str, ...], origin: str | None, *, allowed: bool
):
    Here(stage, public_authorized_urls=urls)
    resolver = stage.resolver(cors_origins=configured)
    question = ask(await stage.caller(), origin=origin)
    if allowed:
        assert (await resolver.resolve(question)).ask.origin == origin
    else:
        with pytest.raises(OriginNotAllowed):
            await resolver.resolve(question)
    assert set(await resolver.origins()) == set(urls)


async def test_another_twins_pages_are_not_this_twins(stage: Stage):
    here = Here(stage)
    stage.set_twin(here.other, public_authorized_urls='["https://page.test"]')
    with pytest.raises(OriginNotAllowed):
        await stage.plan(await stage.caller(), origin="https://page.test")


async def test_a_twin_takes_only_so_many_turns(stage: Stage):
    here = Here(stage)
    stage.join(here.bob, here.twin)
    resolver = stage.resolver(per_twin=2)
    ada, bob = await stage.caller(), await stage.caller("bob@example.org")
    await resolver.resolve(ask(ada))
    with pytest.raises(NotAMember):
        await resolver.resolve(ask(ada, institution_public_id=new_uuid()))
    await resolver.resolve(ask(bob))
    with pytest.raises(RateLimited) as caught:
        await resolver.resolve(ask(ada))
    assert caught.value.retry_after_s
    stage.person("eve@example.org")
    for _ in range(5):
        await resolver.resolve(ask(await stage.caller("eve@example.org")))


async def test_foreign_conversations_are_new_ones(stage: Stage):
    """A number of somebody else's conversation tells nothing: it is this person's own, and empty."""
    here = Here(stage)
    stage.join(here.bob, here.twin)
    await stage.turn(await stage.caller(), "secret", "secret", course=CourseRef(course_id=7, course_name="Secret"))
    plan = await stage.plan(await stage.caller("bob@example.org"), "Hi", course=CourseRef(course_id=7))
    assert plan.history == ()
    assert plan.course.course_name == "Hi"


async def test_everything_refused_is_a_coded_error(stage: Stage):
    Here(stage)
    caller = await stage.caller()
    for value in ("\x00", "é" * 12, "\ud800", "../../etc", "0" * 23, "G" * 24):
        for name in ("institution_public_id", "assistant_id"):
            with pytest.raises(CodedError) as caught:
                await stage.plan(caller, **{name: value})
            assert caught.value.status in (400, 403, 404)


def test_the_twin_of_a_plan_is_the_stored_one(stage: Stage):
    twin = stage.twin("All", prompt="p", public_authorized_urls=("https://a.test",), reasoning_effort="low")
    user = stage.person()
    stage.join(user, twin)
    assert isinstance(twin, Institution)
    assert asyncio.run(_institution(stage)) == twin


async def _institution(stage: Stage) -> Institution | None:
    return (await stage.plan(await stage.caller())).institution
