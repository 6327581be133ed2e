"""Running turns over HTTP: listing, cancelling, and that neither works on somebody else's."""

import asyncio
from typing import Any

import pytest

from tests.engine.fakes import END, text
from tests.services.stage import ask
from tests.transports.rest.conftest import House, refusal
from twinspeak.domain.conversation import CourseRef
from twinspeak.domain.ids import new_id
from twinspeak.domain.turn import TurnState
from twinspeak.engine.turn import Turn
from twinspeak.transports.rest import turns as routes


def at(turn_id: str) -> str:
    return f"/api/ai/turns/{turn_id}/cancel"


async def running(house: House, header: dict[str, str], **fields: Any) -> Turn:
    """Start a turn whose model has said `some ` and waits."""
    caller = await house.stage.auth.authenticate(header["x-access-token"])
    house.provider.script = [[text("some "), asyncio.Event()]] * 9
    house.provider.reached.clear()
    turn = house.turns.start(ask(caller, "Why is the sky blue?", **fields))
    await asyncio.wait_for(house.provider.reached.wait(), 5)
    return turn


async def test_running_turns_are_listed_for_whose_they_are(house: House):
    _, ada = await house.newcomer()
    _, bob = await house.newcomer("bob@example.org")
    first = await running(house, ada, course=CourseRef(course_id=7, course_name="Sky"))
    second = await running(house, ada)
    listed = (await house.client.get("/api/ai/turns", headers=ada)).json()
    assert listed["success"] is True
    assert [turn["turnId"] for turn in listed["data"]] == [first.turn_id, second.turn_id]
    shown = listed["data"][0]
    assert (shown["state"], shown["face"], shown["question"]) == ("running", "rest", "Why is the sky blue?")
    assert (shown["course_id"], shown["institution"], shown["model"]) == (7, None, "local")
    assert shown["started"].endswith("Z")
    assert (await house.client.get("/api/ai/turns", headers=bob)).json()["data"] == []
    assert refusal(await house.client.get("/api/ai/turns")) == (401, "authentication_required")


async def test_cancelling_saves_what_there_is_and_says_so(house: House):
    _, ada = await house.newcomer()
    turn = await running(house, ada)
    answer = await house.client.post(at(turn.turn_id), headers=ada)
    expected = {"success": True, "cancelled": True, "turnId": turn.turn_id, "state": "cancelled"}
    assert (answer.status_code, answer.json()) == (200, expected)
    assert house.provider.closed == 1
    record = await house.stage.turns.record(turn.ask.caller, turn.turn_id)
    assert (record.state, record.output) == (TurnState.CANCELLED, "some ")
    for _ in range(2):
        assert (await house.client.post(at(turn.turn_id.upper()), headers=ada, json={})).json() == expected
    assert (await house.client.get("/api/ai/turns", headers=ada)).json()["data"] == []


async def test_cancelling_twice_at_once_is_cancelling_once(house: House):
    _, ada = await house.newcomer()
    turn = await running(house, ada)
    answers = await asyncio.gather(*(house.client.post(at(turn.turn_id), headers=ada) for _ in range(5)))
    assert {answer.json()["state"] for answer in answers} == {"cancelled"}


async def test_cancelling_after_the_end_changes_nothing(house: House):
    _, ada = await house.newcomer()
    caller = await house.stage.auth.authenticate(ada["x-access-token"])
    house.provider.script = [[text("whole"), END]]
    turn = house.turns.start(ask(caller))
    await asyncio.wait_for(turn.ended(), 5)
    done = {"success": True, "cancelled": False, "turnId": turn.turn_id, "state": "done"}
    assert (await house.client.post(at(turn.turn_id), headers=ada)).json() == done
    old = await house.stage.turn(caller)
    assert (await house.client.post(at(old), headers=ada)).json()["state"] == "done"


@pytest.mark.parametrize("state", [TurnState.FAILED, TurnState.INTERRUPTED, TurnState.CANCELLED])
async def test_an_old_turn_tells_how_it_ended(house: House, state: TurnState):
    _, ada = await house.newcomer()
    caller = await house.stage.auth.authenticate(ada["x-access-token"])
    turn_id = await house.stage.turn(caller, state=state)
    answer = (await house.client.post(at(turn_id), headers=ada)).json()
    assert (answer["state"], answer["cancelled"]) == (state, state is TurnState.CANCELLED)


async def test_somebody_elses_turn_cannot_be_told_from_none(house: House):
    _, ada = await house.newcomer()
    _, bob = await house.newcomer("bob@example.org")
    turn = await running(house, ada)
    old = await house.stage.turn(turn.ask.caller)
    answers = [await house.client.post(at(turn_id), headers=bob) for turn_id in (turn.turn_id, old, new_id())]
    assert [refusal(answer) for answer in answers] == [(404, "not_found")] * 3
    bodies = [answer.json()["error"] | {"requestId": ""} for answer in answers]
    assert bodies[0] == bodies[1] == bodies[2]
    assert [turn["turnId"] for turn in (await house.client.get("/api/ai/turns", headers=ada)).json()["data"]] == [
        turn.turn_id
    ]


async def test_an_admin_of_the_twin_cannot_end_a_members_turn(house: House):
    user, ada = await house.newcomer()
    admin, boss = await house.newcomer("boss@example.org")
    twin = house.stage.twin()
    house.stage.join(user, twin)
    house.stage.join(admin, twin, account_type="admin")
    turn = await running(house, ada)
    assert refusal(await house.client.post(at(turn.turn_id), headers=boss)) == (404, "not_found")


@pytest.mark.parametrize("wrong", ["x", "6856fa89cbafcff8d98680f", "6856fa89cbafcff8d98680fg", "' or 1=1", "%00", "é"])
async def test_what_is_no_id_is_said_to_be_none(house: House, wrong: str):
    _, ada = await house.newcomer()
    answer = await house.client.post(at(wrong), headers=ada)
    assert refusal(answer) == (400, "invalid_id")
    assert answer.json()["error"]["param"] == "turnId"


async def test_who_is_nobody_cancels_nothing(house: House):
    _, ada = await house.newcomer()
    turn = await running(house, ada)
    assert refusal(await house.client.post(at(turn.turn_id))) == (401, "authentication_required")
    assert len(house.turns) == 1


async def test_a_turn_refused_before_it_had_a_row_is_refused(house: House):
    _, ada = await house.newcomer()
    caller = await house.stage.auth.authenticate(ada["x-access-token"])
    turn = house.turns.start(ask(caller, institution_public_id="f831501f-b645-481a-9cbb-331509aaf8c1"))
    answer = await house.client.post(at(turn.turn_id), headers=ada)
    assert answer.status_code in (200, 404)
    if answer.status_code == 200:
        assert (answer.json()["state"], answer.json()["cancelled"]) == ("refused", False)


async def test_a_turn_that_takes_long_to_end_is_said_to_be_ending(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(routes, "_WAIT_S", 0.05)
    _, ada = await house.newcomer()
    turn = await running(house, ada)
    gate = asyncio.Event()
    finish = house.stage.turns.finish

    async def slow(*args: Any) -> Any:
        await gate.wait()
        return await finish(*args)

    monkeypatch.setattr(house.stage.turns, "finish", slow)
    answer = (await house.client.post(at(turn.turn_id), headers=ada)).json()
    assert (answer["state"], answer["cancelled"]) == ("running", True)
    gate.set()
    await asyncio.wait_for(turn.ended(), 5)
    assert (await house.client.post(at(turn.turn_id), headers=ada)).json()["state"] == "cancelled"
