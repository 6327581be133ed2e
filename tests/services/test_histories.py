"""Reading one's own history, and nobody else's."""

import pytest

from tests.services.stage import Stage
from twinspeak.domain.caller import Caller
from twinspeak.domain.conversation import CourseRef
from twinspeak.domain.errors import InvalidId, NotAMember, NotFound
from twinspeak.domain.ids import new_id
from twinspeak.domain.turn import TurnState
from twinspeak.services.histories import Histories, HistoryFilter
from twinspeak.services.places import CURRENT


async def outputs(stage: Stage, caller: Caller, place: str | None = CURRENT, **wanted: object) -> list[str]:
    found = await Histories(stage.db).list(caller, HistoryFilter(**wanted), place=place)  # pyright: ignore[reportArgumentType]
    return [record.output for record in found]


async def test_the_newest_records_come_oldest_first(stage: Stage):
    stage.person()
    caller = await stage.caller()
    for number in range(5):
        await stage.turn(caller, f"q{number}", f"a{number}", course_id=number % 2)
    assert await outputs(stage, caller) == ["a0", "a1", "a2", "a3", "a4"]
    assert await outputs(stage, caller, limit=2) == ["a3", "a4"]
    assert await outputs(stage, caller, course_id=1) == ["a1", "a3"]
    assert await outputs(stage, caller, course_id=0) == ["a0", "a2", "a4"]
    assert await outputs(stage, caller, search="Q3") == ["a3"]
    assert await outputs(stage, caller, search="A4") == ["a4"]
    assert await outputs(stage, caller, search="%") == []
    assert await outputs(stage, caller, search="_") == []
    assert await Histories(stage.db).list(caller) == await Histories(stage.db).list(caller, HistoryFilter())


async def test_before_and_after_are_exclusive(stage: Stage):
    stage.person()
    caller = await stage.caller()
    await stage.turn(caller, answer="only")
    [record] = await Histories(stage.db).list(caller)
    assert await outputs(stage, caller, before=record.created) == []
    assert await outputs(stage, caller, after=record.created) == []
    assert await outputs(stage, caller, before=record.created + 1, after=record.created - 1) == ["only"]


@pytest.mark.parametrize(("limit", "count"), [(0, 1), (-5, 1), (3, 3), (10**12, 3)])
async def test_a_limit_is_kept_in_bounds(stage: Stage, limit: int, count: int):
    stage.person()
    caller = await stage.caller()
    for _ in range(3):
        await stage.turn(caller)
    assert len(await outputs(stage, caller, limit=limit)) == count


async def test_running_turns_are_no_history_and_failed_ones_are(stage: Stage):
    stage.person()
    caller = await stage.caller()
    for state in TurnState:
        await stage.turn(caller, answer=state.value, state=state)
    assert sorted(await outputs(stage, caller)) == ["cancelled", "done", "failed", "interrupted"]


async def test_a_twins_records_are_apart_from_the_personal_ones(stage: Stage):
    ada = stage.person()
    caller = await stage.caller()
    await stage.turn(caller, answer="personal")
    oak, elm = stage.twin("Oak"), stage.twin("Elm")
    stage.join(ada, elm)
    stage.join(ada, oak)
    caller = await stage.caller()
    await stage.turn(caller, answer="oak")
    elms = await stage.turn(caller, answer="elm", institution_public_id=elm.public_id)
    assert await outputs(stage, caller) == ["oak"]
    assert await outputs(stage, caller, elm.id) == ["elm"]
    assert await outputs(stage, caller, elm.id.upper()) == ["elm"]
    # By its id it is found wherever it is; a twin that is named as well must be the right one.
    assert await outputs(stage, caller, history_id=elms) == ["elm"]
    assert await outputs(stage, caller, elm.id, history_id=elms.upper()) == ["elm"]
    with pytest.raises(NotFound):
        await outputs(stage, caller, oak.id, history_id=elms)


async def test_other_peoples_records_do_not_exist(stage: Stage):
    ada, bob = stage.person(), stage.person("bob@example.org")
    oak, elm = stage.twin("Oak"), stage.twin("Elm")
    stage.join(ada, oak)
    stage.join(bob, oak)
    mine = await stage.turn(await stage.caller(), answer="ada's", course=CourseRef(course_id=7))
    other = await stage.caller("bob@example.org")
    assert await outputs(stage, other) == []
    assert await outputs(stage, other, course_id=7) == []
    assert await outputs(stage, other, search="ada") == []
    answers: set[str] = set()
    for history_id in (mine, new_id()):
        with pytest.raises(NotFound) as caught:
            await outputs(stage, other, history_id=history_id)
        answers.add(caught.value.message)
    assert len(answers) == 1
    refusals: set[str] = set()
    for institution_id in (elm.id, new_id()):
        with pytest.raises(NotAMember) as refused:
            await outputs(stage, other, institution_id)
        refusals.add(refused.value.message)
    assert len(refusals) == 1


@pytest.mark.parametrize("malformed", ["", "x", "' OR 1=1 --", "0" * 25, "\x00"])
async def test_malformed_ids_are_said_to_be(stage: Stage, malformed: str):
    stage.person()
    caller = await stage.caller()
    with pytest.raises(InvalidId):
        await outputs(stage, caller, history_id=malformed)
    with pytest.raises(InvalidId):
        await outputs(stage, caller, malformed)


@pytest.mark.parametrize("status", ["suspended", "deleted"])
async def test_who_left_a_twin_reads_nothing_there(stage: Stage, status: str):
    ada, oak = stage.person(), stage.twin("Oak")
    membership = stage.join(ada, oak)
    token = (await stage.signed_in()).token
    record = await stage.turn(await stage.auth.authenticate(token))
    stage.set_membership(membership, status)
    caller = await stage.auth.authenticate(token)
    assert await outputs(stage, caller) == []
    with pytest.raises(NotAMember):
        await outputs(stage, caller, oak.id)
    with pytest.raises(NotFound):
        await outputs(stage, caller, history_id=record)
