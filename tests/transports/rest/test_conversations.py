"""Conversations over HTTP, rule by rule of reference 4.1 to 4.7: each test is named after the rule it holds."""

from typing import Any

import pytest

from tests.transports.rest.ada import Ada
from tests.transports.rest.conftest import refusal
from twinspeak.domain.clock import iso
from twinspeak.domain.ids import new_id
from twinspeak.domain.turn import Face, TurnState
from twinspeak.persistence.conversation_tables import feedbacks
from twinspeak.persistence.tables import turns

# -- institution: three states ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["histories", "favorites", "courses"])
async def test_institution_id_is_that_twin_null_or_empty_the_personal_space_and_omitted_the_current_one(
    ada: Ada, path: str
):
    for number, place in enumerate(("oak", "elm", None), start=1):
        turn_id = await ada.turn(place, answer=f"{place}", course_id=number)
        assert (await ada.put(turn_id, favorite=True)).status_code == 200

    async def found(**body: Any) -> Any:
        return set(await ada.courses(**body)) if path == "courses" else await ada.outputs(path, **body)

    expected: list[Any] = [{1}, {2}, {3}, {3}] if path == "courses" else [["oak"], ["elm"], ["None"], ["None"]]
    asked: list[dict[str, Any]] = [{}, {"institution": ada.elm.id}, {"institution": None}, {"institution": ""}]
    assert [await found(**body) for body in asked] == expected
    assert refusal(await ada.post(path, {"institution": "oak"})) == (400, "invalid_id")
    assert refusal(await ada.post(path, {"institution": new_id()})) == (403, "not_a_member")
    assert (await ada.post(path, {"institution": 7})).status_code == 422


# -- 4.1 histories ----------------------------------------------------------------------------------------------------


async def test_all_institutions_adds_matched_and_total_and_makes_institution_an_object(ada: Ada):
    for place in ("oak", "elm", None):
        await ada.turn(place, question="Where?", answer=f"{place}")
    await ada.turn("elm", question="Who?", answer="me")
    body = await ada.done("histories", {"allInstitutions": True, "search": "where", "limit": 2})
    assert (body["matched"], body["total"]) == (3, 4)
    assert [record["out"]["output"] for record in body["data"]] == ["elm", "None"]
    assert body["data"][0]["institution"]["_id"] == ada.elm.id
    assert body["data"][0]["institution"]["name"] == "Elm"
    assert body["data"][1]["institution"]["personal"] is True
    assert "matched" not in await ada.done("histories")


async def test_all_institutions_leaves_out_twins_that_one_has_left(ada: Ada):
    await ada.turn("elm", answer="elm's")
    ada.stage.leave(ada.caller.user_id, ada.elm.id)
    body = await ada.done("histories", {"allInstitutions": True})
    assert (body["data"], body["matched"], body["total"]) == ([], 0, 0)


async def test_api_is_looked_for_in_the_address_whatever_the_case_and_is_no_pattern(ada: Ada):
    await ada.turn(answer="plain")
    plan = await ada.stage.plan(ada.caller, face=Face.SSE)
    await ada.stage.turns.begin(plan, wanted=0, least=0)
    await ada.stage.end(plan, "streamed")
    assert await ada.outputs(api="QANDA-stream") == ["streamed"]
    assert await ada.outputs(api="personal") == ["plain", "streamed"]
    assert await ada.outputs(api="(a+)+$") == await ada.outputs(api=".*") == []
    assert [one["api"] for one in (await ada.done("histories"))["data"]] == [
        "/api/ai/personal/qanda",
        "/api/ai/personal-stream/qanda-stream",
    ]


async def test_limit_is_100_unless_told_and_the_newest_are_kept(ada: Ada):
    ada.stage.copies(dict(ada.stage.row_of(await ada.turn())._mapping), 104)
    data = (await ada.done("histories"))["data"]
    assert [one["in"]["input"] for one in data] == [f"Question {number}?" for number in range(5, 105)]


async def test_history_only_of_older_clients_is_tolerated(ada: Ada):
    await ada.turn(answer="one")
    assert await ada.outputs(historyOnly=True) == ["one"]


async def test_every_documented_field_of_a_record_is_there(ada: Ada):
    assistant = ada.stage.assistant("Guide")
    turn_id = await ada.turn(course_id=7, assistant_id=assistant, question="Why?", answer="Because.")
    record = await ada.record(turn_id)
    documented = {
        "id", "created", "credits", "usage", "discount", "institution", "user", "favorite", "favorite_name",
        "forgotten", "course_id", "course_name", "role_id", "role_name", "thumbUpDown", "conversation_model", "success",
        "cached", "completion", "latencyMs", "query_duration_ms", "in", "out", "assistant", "tools", "hasThinking",
        "thinkingCount", "api",
    }  # fmt: skip
    assert documented - set(record) == set()
    assert (record["in"]["inputs"], record["in"]["input"]) == (["Why?"], "Why?")
    assert record["out"]["outputs"] == ["Because."]
    assert (record["role_id"], record["role_name"]) == (7, record["course_name"])
    assert (record["assistant"]["_id"], record["assistant"]["name"]) == (assistant, "Guide")
    assert (record["institution"], record["user"]) == (ada.oak.id, ada.caller.user_id)


# -- 4.3 courses ------------------------------------------------------------------------------------------------------


async def test_courses_are_sorted_by_their_last_dialogue_and_leave_course_zero_out(ada: Ada):
    guide = ada.stage.assistant("Guide")
    await ada.turn(course_id=1, question="First?")
    await ada.turn(course_id=2, question="Second?")
    await ada.turn(course_id=0)
    last = await ada.turn(course_id=1, question="Again?", assistant_id=guide)
    data = (await ada.done("courses"))["data"]
    assert [(one["course_id"], one["course_name"], one["history_count"]) for one in data] == [
        (1, "First?", 2),
        (2, "Second?", 1),
    ]
    assert data[0]["assistant"]["_id"] == guide
    assert data[1]["assistant"] is None
    assert data[0]["last_dialogue_date"] == (await ada.record(last))["created"]


async def test_a_course_counts_what_is_shown(ada: Ada):
    await ada.turn(course_id=1)
    await ada.turn(course_id=1, state=TurnState.RUNNING)
    gone = await ada.turn(course_id=1)
    await ada.done("clearHistory", {"id": gone})
    assert [one["history_count"] for one in (await ada.done("courses"))["data"]] == [1]


# -- 4.4 favourites, thumbs, feedback ---------------------------------------------------------------------------------


async def test_a_favourite_is_listed_trimmed_until_it_is_none_any_more(ada: Ada):
    kept = await ada.turn(answer="Because. " * 100)
    await ada.turn(answer="other")
    assert (await ada.put(kept, favorite=True, favorite_name="Reasons")).json()["success"] is True
    [favourite] = (await ada.done("favorites"))["data"]
    assert (favourite["favorite"], favourite["favorite_name"]) == (True, "Reasons")
    assert len(favourite["out"]["output"]) == 200
    assert await ada.outputs("favorites", api="chat/completions") == []
    await ada.put(kept, favorite=False)
    assert await ada.outputs("favorites") == []
    assert (await ada.record(kept))["favorite_name"] == ""


async def test_favourites_are_at_most_1000(ada: Ada):
    turn_id = await ada.turn()
    await ada.put(turn_id, favorite=True)
    ada.stage.copies(dict(ada.stage.row_of(turn_id)._mapping), 1_000)
    data = (await ada.done("favorites"))["data"]
    assert (len(data), data[-1]["in"]["input"]) == (1_000, "Question 1000?")


@pytest.mark.parametrize("thumb", ["up", "down", ""])
async def test_thumb_up_down(ada: Ada, thumb: str):
    turn_id = await ada.turn()
    assert (await ada.put(turn_id, thumbUpDown=thumb)).status_code == 200
    assert (await ada.record(turn_id))["thumbUpDown"] == thumb


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"thumbUpDown": "sideways"}, 422),
        ({"thumbUpDown": 1}, 422),
        ({"favorite": "yes"}, 422),
        ({"favorite_name": "x" * 501}, 422),
    ],
)
async def test_a_mark_that_makes_no_sense_changes_nothing(ada: Ada, body: dict[str, Any], status: int):
    turn_id = await ada.turn()
    before = await ada.record(turn_id)
    assert (await ada.put(turn_id, **body)).status_code == status
    assert await ada.record(turn_id) == before


async def test_feedback_keeps_text_thumb_and_what_it_is_about(ada: Ada):
    turn_id = await ada.turn(question="Why?", course_id=7)
    body = {"text": " Not good 🙁 ", "thumbUpDown": "down", "historyId": turn_id}
    kept = (await ada.done("feedback", body))["id"]
    row = ada.stage.row(feedbacks, feedbacks.c.id == kept)
    assert (row.comment, row.thumb, row.turn_id, row.user_id) == ("Not good 🙁", "down", turn_id, ada.caller.user_id)
    assert row.institution_id == ada.oak.id
    assert '"question":"Why?"' in row.context
    assert (await ada.record(turn_id))["thumbUpDown"] == "down"
    at_large = (await ada.done("feedback", {"text": "Nice"}))["id"]
    assert ada.stage.row(feedbacks, feedbacks.c.id == at_large).turn_id is None


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"text": "  "}, 400), ({"text": "x" * 10_001}, 422), ({"historyId": "x", "text": "a"}, 400)],
)
async def test_feedback_that_says_nothing_is_refused(ada: Ada, body: dict[str, Any], status: int):
    assert (await ada.post("feedback", body)).status_code == status
    assert ada.stage.column(feedbacks.c.id) == []


# -- 4.5 rename -------------------------------------------------------------------------------------------------------


async def test_renaming_a_conversation_renames_all_its_records_in_the_place(ada: Ada):
    for place in ("oak", "oak", "elm"):
        await ada.turn(place, course_id=7, question="Old?")
    body = await ada.done("renameHistory", {"course_id": 7, "course_name": " مرحبا % 🌳 "})
    assert body == {"success": True, "message": "Conversation renamed!", "count": 2}
    assert await ada.courses() == {7: "مرحبا % 🌳"}
    assert await ada.courses(institution=ada.elm.id) == {7: "Old?"}
    asked = {"course_id": 7, "course_name": "Elm's", "institution": ada.elm.id}
    assert (await ada.done("renameHistory", asked))["count"] == 1


async def test_renaming_a_favourite_by_id_and_a_falsy_name_removes_it(ada: Ada):
    turn_id = await ada.turn("elm")
    await ada.put(turn_id, favorite=True)
    answer = await ada.done("renameHistory", {"id": turn_id, "favorite_name": "Mine"})
    assert answer["message"] == "Favorite renamed!"
    assert (await ada.record(turn_id))["favorite_name"] == "Mine"
    for falsy in ({"favorite_name": ""}, {"favorite_name": None}, {}):
        await ada.put(turn_id, favorite_name="Mine")
        await ada.done("renameHistory", {"id": turn_id, **falsy})
        assert (await ada.record(turn_id))["favorite_name"] == ""


async def test_course_zero_is_the_unassigned_bucket(ada: Ada):
    await ada.turn(course_id=0)
    await ada.turn(course_id=5)
    assert (await ada.done("renameHistory", {"course_id": 0, "course_name": "Odds"}))["count"] == 1
    assert [one["course_name"] for one in (await ada.done("histories", {"course_id": 0}))["data"]] == ["Odds"]
    assert (await ada.done("clearHistory", {"course_id": 0}))["count"] == 1
    assert len(await ada.outputs()) == 1


@pytest.mark.parametrize("path", ["renameHistory", "clearHistory"])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, "invalid_request")),
        ({"course_id": 7, "id": "6920a1b2c3d4e5f60718293a"}, (400, "invalid_request")),
        ({"course_id": 7, "allInstitutions": True}, (400, "invalid_request")),
        ({"course_id": 7, "institution": "x"}, (400, "invalid_id")),
        ({"course_id": 7, "institution": "6920a1b2c3d4e5f60718293a"}, (403, "not_a_member")),
        ({"id": "x"}, (400, "invalid_id")),
        ({"id": "6920a1b2c3d4e5f60718293a"}, (404, "not_found")),
        ({"course_id": "seven"}, (422, "validation_failed")),
        ({"course_id": -1}, (422, "validation_failed")),
        ({"course_id": 2**60}, (422, "validation_failed")),
    ],
)
async def test_a_target_that_makes_no_sense_changes_nothing(
    ada: Ada, path: str, body: dict[str, Any], expected: tuple[int, str]
):
    await ada.turn(course_id=7, question="Kept?")
    assert refusal(await ada.post(path, {"course_name": "New", **body})) == expected
    assert await ada.courses() == {7: "Kept?"}


@pytest.mark.parametrize("name", ["", "   ", None, "x" * 501])
async def test_a_conversation_needs_a_name(ada: Ada, name: str | None):
    await ada.turn(course_id=7, question="Kept?")
    answer = await ada.post("renameHistory", {"course_id": 7, "course_name": name})
    assert answer.status_code in (400, 422)
    assert await ada.courses() == {7: "Kept?"}


# -- 4.6 clear --------------------------------------------------------------------------------------------------------


async def test_clearing_a_conversation_forgets_it_and_detaches_favourites(ada: Ada):
    await ada.turn(course_id=7, answer="gone")
    favourite = await ada.turn(course_id=7, answer="kept")
    await ada.turn("elm", course_id=7, answer="elm's")
    await ada.put(favourite, favorite=True)
    assert await ada.done("clearHistory", {"course_id": 7}) == {
        "success": True,
        "message": "History updated!",
        "count": 2,
    }
    assert await ada.outputs() == await ada.outputs("favorites") == ["kept"]
    record = await ada.record(favourite)
    assert (record["course_id"], record["course_name"]) == (0, "")
    assert await ada.courses() == {}
    assert await ada.courses(institution=ada.elm.id) == {7: "Why?"}
    assert (await ada.done("clearHistory", {"course_id": 7}))["count"] == 0
    assert len(ada.stage.column(turns.c.id)) == 3  # soft: nothing is lost


async def test_clearing_one_record_forgets_it_once(ada: Ada):
    turn_id = await ada.turn("elm", answer="gone")
    assert (await ada.done("clearHistory", {"id": turn_id}))["message"] == "History updated!"
    assert await ada.outputs(institution=ada.elm.id) == []
    for path, body in (("clearHistory", {"id": turn_id}), ("histories", {"historyId": turn_id})):
        assert refusal(await ada.post(path, body)) == (404, "not_found")


async def test_a_turn_of_a_cleared_conversation_ends_unseen(ada: Ada):
    plan = await ada.stage.plan(ada.caller, course=None)
    await ada.stage.turns.begin(plan, wanted=0, least=0)
    await ada.done("clearHistory", {"course_id": plan.course.course_id})
    await ada.stage.end(plan, "too late")
    assert await ada.outputs() == []


async def test_what_is_forgotten_is_not_remembered(ada: Ada):
    await ada.turn(course_id=7, question="My name?", answer="Ada")
    await ada.done("clearHistory", {"course_id": 7})
    plan = await ada.stage.plan(ada.caller, "And?", course=(await ada.stage.plan(ada.caller, course=None)).course)
    assert plan.history == ()


# -- 4.7 thinking, sources --------------------------------------------------------------------------------------------


async def test_thinking_is_fetched_apart_and_lists_only_count_it(ada: Ada):
    turn_id = await ada.stage.thoughtful_turn(ada.caller)
    answer = await ada.client.get(f"/api/user/history/{turn_id}/thinking", headers=ada.header)
    assert answer.json() == {
        "success": True,
        "thinking": [
            {
                "id": "round-0",
                "round": 0,
                "text": "Let me see",
                "signature": "s",
                "model": "m",
                "durationMs": 12,
            }
        ],
    }
    [listed] = (await ada.done("histories"))["data"]
    assert (listed["hasThinking"], listed["thinkingCount"]) == (True, 1)
    assert "Let me see" not in str(listed)


async def test_sources_are_whole(ada: Ada):
    turn_id = await ada.stage.thoughtful_turn(ada.caller)
    answer = await ada.client.get(f"/api/user/history/{turn_id}/sources", headers=ada.header)
    [source] = answer.json()["sources"]
    assert (source["number"], source["originalname"], source["text"]) == (1, "Oaks", "Leaves. " * 100)


@pytest.mark.parametrize("leaf", ["thinking", "sources"])
async def test_details_of_a_record_without_any_are_empty(ada: Ada, leaf: str):
    turn_id = await ada.turn()
    path = f"/api/user/history/{turn_id}/{leaf}"
    assert (await ada.client.get(path, headers=ada.header)).json()[leaf] == []
    for turn_id, expected in ((new_id(), (404, "not_found")), ("x", (400, "invalid_id"))):
        path = f"/api/user/history/{turn_id}/{leaf}"
        assert refusal(await ada.client.get(path, headers=ada.header)) == expected


def test_iso_is_what_javascript_reads():
    assert iso(0) == "1970-01-01T00:00:00.000Z"
