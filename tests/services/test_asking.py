"""From what was asked to what will run, and everything that is refused on the way."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import update

from tests.services.stage import Here, Stage, ask
from twinspeak.domain.caller import Caller
from twinspeak.domain.conversation import CourseRef
from twinspeak.domain.errors import (
    AccountSuspended,
    ChatCompletionDisabled,
    CodedError,
    InvalidId,
    InvalidToken,
    NotAMember,
    NotFound,
    OriginNotAllowed,
    RateLimited,
)
from twinspeak.domain.ids import new_id, new_uuid
from twinspeak.domain.turn import Face
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import assistants

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


async def test_everything_refused_is_a_coded_error(stage: Stage):
    Here(stage)
    caller = await stage.caller()
    for value in ("\x00", "é" * 12, "\ud800", "../../etc", "0" * 23, "G" * 24):
        for name in ("institution_public_id", "assistant_id"):
            with pytest.raises(CodedError) as caught:
                await stage.plan(caller, **{name: value})
            assert caught.value.status in (400, 403, 404)
