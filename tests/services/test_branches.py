"""Edit and regenerate begin a branch; the old path stays, and prompts follow the path of the question."""

from typing import Any

import pytest

from tests.services.stage import Here, Stage
from twinspeak.domain.caller import Caller
from twinspeak.domain.conversation import CourseRef
from twinspeak.domain.errors import InvalidId, NotFound
from twinspeak.domain.ids import new_id
from twinspeak.domain.turn import TurnState
from twinspeak.services.conversations import Conversations
from twinspeak.services.histories import Histories, HistoryFilter

COURSE = 7


@pytest.fixture
async def ada(stage: Stage) -> Caller:
    here = Here(stage)
    stage.edit(here.ada, remember_history_count=5)
    return await stage.caller()


async def say(stage: Stage, caller: Caller, word: str, **where: Any) -> str:
    """Ask and answer one word; return the turn's id."""
    return await stage.turn(caller, f"{word}?", f"{word}.", course=CourseRef(course_id=COURSE, **where))


async def path(stage: Stage, caller: Caller, **where: Any) -> str:
    plan = await stage.plan(caller, "Next?", course=CourseRef(course_id=COURSE, **where))
    return " ".join(exchange.answer.removesuffix(".") for exchange in plan.history)


async def test_without_branches_a_conversation_is_in_order_of_time(stage: Stage, ada: Caller):
    for word in ("a", "b", "c"):
        await say(stage, ada, word)
    assert await path(stage, ada) == "a b c"


async def test_a_question_in_anothers_place_sees_what_came_before_that(stage: Stage, ada: Caller):
    ids = {word: await say(stage, ada, word) for word in ("a", "b", "c")}
    assert await path(stage, ada, replaces_id=ids["b"]) == "a"
    assert await path(stage, ada, replaces_id=ids["a"]) == ""
    edited = await say(stage, ada, "B", replaces_id=ids["b"])
    assert await path(stage, ada) == "a B"
    await say(stage, ada, "C")
    assert await path(stage, ada) == "a B C"
    assert await path(stage, ada, parent_id=ids["c"]) == "a b c"
    assert await path(stage, ada, replaces_id=edited) == "a"


async def test_the_old_path_stays_and_can_be_gone_on_with(stage: Stage, ada: Caller):
    ids = {word: await say(stage, ada, word) for word in ("a", "b", "c")}
    await say(stage, ada, "B", replaces_id=ids["b"])
    await say(stage, ada, "d", parent_id=ids["c"])
    assert await path(stage, ada) == "a b c d"
    found = await Histories(stage.db).list(ada, HistoryFilter(course_id=COURSE))
    assert [one.output for one in found] == ["a.", "b.", "c.", "B.", "d."]
    assert (found[3].replaces_id, found[3].parent_id) == (ids["b"], ids["a"])
    assert [one.branched for one in found] == [False, False, False, True, True]
    assert found[4].parent_id == ids["c"]


async def test_branches_of_branches(stage: Stage, ada: Caller):
    first = await say(stage, ada, "a")
    second = await say(stage, ada, "A", replaces_id=first)
    await say(stage, ada, "b")
    third = await say(stage, ada, "AA", replaces_id=second)
    assert await path(stage, ada) == "AA"
    await say(stage, ada, "bb")
    await say(stage, ada, "cc")
    assert await path(stage, ada) == "AA bb cc"
    assert await path(stage, ada, replaces_id=third) == ""


async def test_going_on_after_the_newest_is_no_branch(stage: Stage, ada: Caller):
    await say(stage, ada, "a")
    last = await say(stage, ada, "b")
    plan = await stage.plan(ada, course=CourseRef(course_id=COURSE, parent_id=last))
    assert not plan.course.branched


async def test_what_is_no_answer_is_left_out_of_a_path(stage: Stage, ada: Caller):
    first = await say(stage, ada, "a")
    failed = CourseRef(course_id=COURSE, replaces_id=first)
    await stage.turn(ada, "x?", "", course=failed, state=TurnState.FAILED)
    gone = await say(stage, ada, "b")
    await say(stage, ada, "c")
    await Conversations(stage.db).forget(ada, gone)
    assert await path(stage, ada) == "c"


async def test_a_path_is_remembered_as_far_as_wanted_across_the_fork(stage: Stage, ada: Caller):
    ids = [await say(stage, ada, f"n{number}") for number in range(8)]
    await say(stage, ada, "x", replaces_id=ids[6])
    await say(stage, ada, "y")
    assert await path(stage, ada) == "n3 n4 n5 x y"


@pytest.mark.parametrize("name", ["replaces_id", "parent_id"])
@pytest.mark.parametrize("which", ["unknown", "malformed", "foreign", "other conversation", "forgotten"])
async def test_a_turn_that_is_not_in_the_conversation_is_not_found(stage: Stage, ada: Caller, name: str, which: str):
    mine = await say(stage, ada, "a")
    turn_id = {"unknown": new_id(), "malformed": "x"}.get(which, mine)
    if which == "foreign":
        turn_id = await say(stage, await stage.caller("bob@example.org"), "b")
    elif which == "other conversation":
        turn_id = await stage.turn(ada, course=CourseRef(course_id=8))
    elif which == "forgotten":
        await Conversations(stage.db).forget(ada, mine)
    with pytest.raises(InvalidId if which == "malformed" else NotFound):
        await path(stage, ada, **{name: turn_id})
