"""One's own dialogues over HTTP: filters, trimming, and that nobody else's are among them."""

from typing import Any

import pytest

from tests.transports.rest.conftest import House, refusal
from twinspeak.domain.credits import Usage
from twinspeak.domain.ids import new_id
from twinspeak.domain.turn import Failure, Passage, ToolUse, TurnRecord, TurnState
from twinspeak.transports.rest import render
from twinspeak.transports.rest.shapes import RecordShape

HISTORIES = "/api/user/histories"


async def listed(house: House, header: dict[str, str], body: Any = None) -> list[dict[str, Any]]:
    answer = await house.client.post(HISTORIES, headers=header, json=body or {})
    assert answer.status_code == 200, answer.text
    assert answer.json()["success"] is True
    return answer.json()["data"]


async def test_inputs_and_outputs_are_trimmed_to_200_characters_but_of_a_record_asked_for_by_its_id(house: House):
    _, header = await house.newcomer()
    caller = await house.stage.auth.authenticate(header["x-access-token"])
    question, output = "Why? " * 100, "Because. " * 100
    turn_id = await house.stage.turn(caller, question, output, course_id=7)
    (record,) = await listed(house, header)
    assert (record["id"], record["course_id"], record["success"], record["state"]) == (turn_id, 7, True, "done")
    assert record["in"] == {"input": question[:200], "inputs": [question[:200]]}
    assert record["out"] == {"output": output[:200], "outputs": [output[:200]]}
    (whole,) = await listed(house, header, {"historyId": turn_id})
    assert (whole["in"]["inputs"], whole["out"]["outputs"]) == ([question], [output])


async def test_without_a_body_everything_is_meant(house: House):
    _, header = await house.newcomer()
    answer = await house.client.post(HISTORIES, headers=header)
    assert answer.json() == {"success": True, "data": []}


async def test_limit_course_id_search_before_and_after_filter_and_null_or_empty_ones_do_not(house: House):
    _, header = await house.newcomer()
    caller = await house.stage.auth.authenticate(header["x-access-token"])
    ids = [await house.stage.turn(caller, f"Question {n}", f"Answer {n}", course_id=n % 2) for n in range(4)]
    created = [house_record["created"] for house_record in await listed(house, header)]
    assert created == sorted(created)

    async def found(**body: Any) -> list[str]:
        return [record["id"] for record in await listed(house, header, body)]

    assert await found() == ids
    assert await found(limit=2) == ids[2:]
    assert await found(course_id=1) == [ids[1], ids[3]]
    assert await found(course_id=0) == [ids[0], ids[2]]
    assert await found(search="answer 3") == [ids[3]]
    assert await found(search="%") == []
    assert await found(before=0) == []
    assert await found(after=2**53 - 1) == []
    absent = {"limit": None, "course_id": "", "before": None, "historyId": "", "search": None, "institution": ""}
    assert await found(**absent, unknown=1, tools=True) == ids


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"course_id": -1}, "course_id"),
        ({"course_id": 2**64}, "course_id"),
        ({"course_id": 1.5}, "course_id"),
        ({"before": {}}, "before"),
        ({"after": 10**30}, "after"),
        ({"search": "x" * 501}, "search"),
        ({"historyId": 7}, "historyId"),
        ({"tools": "perhaps"}, "tools"),
    ],
)
async def test_a_filter_that_makes_no_sense_is_named(house: House, body: dict[str, Any], field: str):
    _, header = await house.newcomer()
    answer = await house.client.post(HISTORIES, headers=header, json=body)
    assert refusal(answer) == (422, "validation_failed")
    assert [wrong["field"] for wrong in answer.json()["error"]["details"]["fields"]] == [field]


async def test_nobody_elses_dialogue_is_there(house: House):
    _, ada = await house.newcomer()
    _, bob = await house.newcomer("bob@example.org")
    caller = await house.stage.auth.authenticate(ada["x-access-token"])
    turn_id = await house.stage.turn(caller)
    assert await listed(house, bob) == []
    foreign = await house.client.post(HISTORIES, headers=bob, json={"historyId": turn_id})
    unknown = await house.client.post(HISTORIES, headers=bob, json={"historyId": new_id()})
    assert refusal(foreign) == refusal(unknown) == (404, "not_found")
    malformed = await house.client.post(HISTORIES, headers=bob, json={"historyId": "x"})
    assert refusal(malformed) == (400, "invalid_id")


async def test_a_twins_dialogues_are_for_its_members(house: House):
    user, ada = await house.newcomer()
    _, bob = await house.newcomer("bob@example.org")
    twin = house.stage.twin()
    house.stage.join(user, twin)
    caller = await house.stage.auth.authenticate(ada["x-access-token"])
    turn_id = await house.stage.turn(caller)
    assert [record["id"] for record in await listed(house, ada, {"institution": twin.id})] == [turn_id]
    for institution in (twin.id, new_id()):
        answer = await house.client.post(HISTORIES, headers=bob, json={"institution": institution})
        assert refusal(answer) == (403, "not_a_member")
    answer = await house.client.post(HISTORIES, headers=ada, json={"institution": "x"})
    assert refusal(answer) == (400, "invalid_id")


def a_record(**fields: Any) -> TurnRecord:
    given: dict[str, Any] = {
        "id": "a" * 24,
        "created": 1_750_532_703_472,
        "state": TurnState.DONE,
        "institution_id": "b" * 24,
        "user_id": "c" * 24,
        "course_id": 7,
        "course_name": "Sky",
        "question": "q" * 300,
        "output": "o" * 300,
        "model": "local",
        "usage": Usage(input=10, cached=4, completion=5, estimated=True),
        "credits": 1,
        "duration_ms": 9,
        "first_token_ms": 2,
        "assistant": None,
    }
    return TurnRecord(**{**given, **fields})


def shown(record: TurnRecord, *, whole: bool = False) -> dict[str, Any]:
    return render.record(record, whole_texts=whole, whole_tools=whole).model_dump(by_alias=True, mode="json")


def test_a_record_has_every_documented_field():
    """Of reference 4.2, less roles, which are not built."""
    assert set(shown(a_record())) >= {
        *("id", "created", "credits", "usage", "discount", "institution", "user", "favorite", "favorite_name"),
        *("forgotten", "course_id", "course_name", "thumbUpDown", "conversation_model", "success", "cached"),
        *("completion", "latencyMs", "query_duration_ms", "in", "out", "assistant", "tools", "hasThinking"),
        "thinkingCount",
    }


def test_usage_counts_tokens_in_and_out_and_created_is_a_date():
    record = shown(a_record(thinking_count=2, stop_reason="length", moderated=True, favorite=True, thumb="up"))
    assert (record["usage"], record["cached"], record["completion"], record["usageEstimated"]) == (15, 4, 5, True)
    assert record["created"] == "2025-06-21T19:05:03.472Z"
    assert (record["hasThinking"], record["thinkingCount"], record["truncated"]) == (True, 2, True)
    assert (record["moderated"], record["favorite"], record["thumbUpDown"]) == (True, True, "up")


@pytest.mark.parametrize(
    ("state", "success"),
    [
        (TurnState.DONE, True),
        (TurnState.CANCELLED, True),
        (TurnState.FAILED, False),
        (TurnState.REFUSED, False),
        (TurnState.INTERRUPTED, False),
        (TurnState.RUNNING, False),
    ],
)
def test_what_counts_as_success(state: TurnState, success: bool):  # noqa: FBT001 - a column
    assert shown(a_record(state=state))["success"] is success


def test_tools_and_sources_are_trimmed_for_lists():
    tool = ToolUse(
        id="call", name="search", arguments=None, response="r" * 90, response_length=900, duration_ms=3, success=True
    )
    passage = Passage(number=1, chunk_id="c", document_id="d", document_name="Handbook", text="t" * 900)
    failure = Failure(code="provider_failed", status=502, type="api_error", message="m")
    record = a_record(tools=(tool,), passages=(passage,), failure=failure, state=TurnState.FAILED)
    listed_record = shown(record)
    assert len(listed_record["tools"][0]["response"]) == 80
    assert listed_record["tools"][0]["responseLength"] == 900
    assert listed_record["sources"][0]["number"] == 1
    assert listed_record["error"]["code"] == "provider_failed"
    assert len(shown(record, whole=True)["tools"][0]["response"]) == 90


def test_the_schema_is_what_is_sent():
    properties = RecordShape.model_json_schema(by_alias=True, mode="serialization")["properties"]
    assert set(properties) == set(shown(a_record()))
