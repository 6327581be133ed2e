"""History records, field by field of reference 4.2 and 4.3: what each one tells of a dialogue that is known here."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from tests.faces import Face, ask
from tests.fakes.upstream import text_reply, tool_reply
from tests.organisation import Org
from tests.world import stored

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.usefixtures("database")]

COURSE = 1_750_532_703_472
QUESTION, ANSWER = "Why so? " * 40, "Because of the leaves. " * 20
SEARCH = {"query": "digital twin"}


@dataclass
class Seen:
    """A dialogue of the super administrator in the sample twin, as everybody sees it who may, and as it is stored."""

    row: dict[str, Any]
    assistant: dict[str, Any]
    listed: dict[str, Any]
    whole: dict[str, Any]
    whole_tools: dict[str, Any]
    admin: dict[str, Any]
    course: dict[str, Any]

    @property
    def tool(self) -> dict[str, Any]:
        return next(one for one in self.listed["tools"] if one["arguments"] == SEARCH)


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def seen(org: Org) -> Seen:
    body = {"name": "Guide", "picture_url": "/guide.webp"}
    guide = (await org.good("POST", "/api/user/assistant", body, "super"))["id"]
    await org.good("POST", f"/api/user/assistant/{guide}/like", {}, "super")
    org.here.upstream.script(tool_reply(("search_uploads", SEARCH)), text_reply(ANSWER, thinking="Let me see."))
    args = {"selectedCourse": {"course_id": COURSE, "course_name": "Leaves"}, "assistantId": guide}
    told = await ask(org.here.server, org.tokens["super"], Face.REST, QUESTION, **args)
    assert told.status == 200, told.body
    marks = {"favorite": True, "favorite_name": "Best", "thumbUpDown": "down"}
    await org.good("PUT", f"/api/user/history/{told.turn_id}", marks, "super")

    async def one(**wanted: Any) -> dict[str, Any]:
        wanted = {"before": 2**53 - 1, "course_id": COURSE, **wanted}
        [record] = (await org.good("POST", "/api/user/histories", wanted, "super"))["data"]
        return record

    courses = (await org.good("POST", "/api/user/courses", {}, "super"))["data"]
    return Seen(
        row=stored(org.here.database, told.turn_id),
        assistant={"_id": guide, "name": "Guide", "liked_count": 1, "picture_url": "/guide.webp"},
        listed=await one(),
        whole=await one(historyId=told.turn_id),
        whole_tools=await one(tools=True),
        admin=(await org.good("GET", f"/api/admin/history/{told.turn_id}", who="super"))["data"],
        course=next(one for one in courses if one["course_id"] == COURSE),
    )


def iso(row: dict[str, Any]) -> str:
    """Return when a dialogue began, as JavaScript writes times."""
    return datetime.fromtimestamp(row["created"] / 1_000, UTC).isoformat(timespec="milliseconds")[:23] + "Z"


FIELDS: dict[str, Callable[[Seen], Any]] = {
    "id": lambda seen: seen.row["id"],
    "created": lambda seen: iso(seen.row),
    "credits": lambda seen: max(1, seen.row["credits"]),
    "usage": lambda seen: seen.row["usage_input"] + seen.row["usage_completion"],
    "discount": lambda _: 0,
    "institution": lambda seen: seen.row["institution_id"],
    "user": lambda seen: seen.row["user_id"],
    "favorite": lambda _: True,
    "favorite_name": lambda _: "Best",
    "forgotten": lambda _: False,
    "course_id": lambda _: COURSE,
    "course_name": lambda _: "Leaves",
    "role_id": lambda _: COURSE,
    "role_name": lambda _: "Leaves",
    "thumbUpDown": lambda _: "down",
    "conversation_model": lambda seen: seen.row["model"],
    "success": lambda _: True,
    "cached": lambda seen: seen.row["usage_cached"],
    "completion": lambda seen: seen.row["usage_completion"],
    "latencyMs": lambda seen: seen.row["first_token_ms"],
    "query_duration_ms": lambda seen: seen.row["duration_ms"],
    "in": lambda _: {"input": QUESTION[:200], "inputs": [QUESTION[:200]]},
    "out": lambda _: {"output": ANSWER[:200], "outputs": [ANSWER[:200]]},
    "assistant": lambda seen: seen.assistant,
    "hasThinking": lambda _: True,
    "thinkingCount": lambda _: 1,
    "api": lambda _: "/api/ai/personal/qanda",
}
"""Of a record as lists show it; `tools` have tests of their own below."""


@pytest.mark.parametrize("field", FIELDS)
async def test_a_record_has_the_field(seen: Seen, field: str) -> None:
    assert seen.listed[field] == FIELDS[field](seen)


TOOL: dict[str, Callable[[dict[str, Any]], bool]] = {
    "id": lambda tool: bool(tool["id"]),
    "_id": lambda tool: tool["_id"] == tool["id"],
    "name": lambda tool: tool["name"] == "search_uploads",
    "arguments": lambda tool: tool["arguments"] == SEARCH,
    "response": lambda tool: bool(tool["response"].strip()),
    "responseLength": lambda tool: tool["responseLength"] > 80,
    "success": lambda tool: tool["success"] is True,
}


@pytest.mark.parametrize("field", TOOL)
async def test_a_tool_of_a_record_has_the_field(seen: Seen, field: str) -> None:
    assert TOOL[field](seen.tool), seen.tool


async def test_tool_responses_are_trimmed_to_80_characters_unless_tools_is_true(seen: Seen) -> None:
    for cut, whole in zip(seen.listed["tools"], seen.whole_tools["tools"], strict=True):
        assert cut["response"] == whole["response"][:80]
        assert len(whole["response"]) == whole["responseLength"]
    assert len(seen.tool["response"]) == 80
    assert seen.whole_tools["out"]["output"] == ANSWER[:200]


async def test_a_record_asked_for_by_historyid_is_whole(seen: Seen) -> None:
    asked = seen.row["question"]
    assert seen.whole["in"] == {"input": asked, "inputs": [asked]}
    assert seen.whole["out"] == {"output": ANSWER, "outputs": [ANSWER]}
    assert seen.whole["tools"] == seen.whole_tools["tools"]


ADMIN: dict[str, Callable[[Seen], Any]] = {
    "_id": lambda seen: seen.row["id"],
    "api": lambda _: "/api/ai/personal/qanda",
    "url": lambda _: "",
    "n": lambda _: 1,
    "inputLength": lambda seen: len(seen.row["question"]),
    "outputLength": lambda _: len(ANSWER),
    "creditsPooled": lambda _: True,
    "price": lambda seen: seen.row["cost"] / 1_000_000,
    "input": lambda seen: seen.row["question"],
    "inputs": lambda seen: [seen.row["question"]],
    "output": lambda _: ANSWER,
    "outputs": lambda _: [ANSWER],
    "code": lambda _: "",
    "code_language": lambda _: "",
}
"""Of what administrators read. Nobody has told what `url`, `code` and `code_language` hold: they are there, empty."""


@pytest.mark.parametrize("field", ADMIN)
async def test_the_administrators_record_has_the_field(seen: Seen, field: str) -> None:
    assert seen.admin[field] == ADMIN[field](seen)


async def test_the_administrators_record_has_the_field_ragdurationms(seen: Seen) -> None:
    assert seen.admin["ragDurationMs"] >= 0


async def test_user_and_institution_of_the_administrators_record_are_populated(seen: Seen) -> None:
    assert (seen.admin["user"]["_id"], seen.admin["user"]["email"]) == (seen.row["user_id"], "admin@example.org")
    assert seen.admin["institution"]["_id"] == seen.row["institution_id"]
    assert {"name", "ainame", "picture"} <= set(seen.admin["institution"])


COURSE_FIELDS: dict[str, Callable[[Seen], Any]] = {
    "course_id": lambda _: COURSE,
    "course_name": lambda _: "Leaves",
    "history_count": lambda _: 1,
    "last_dialogue_date": lambda seen: iso(seen.row),
    "assistant": lambda seen: seen.assistant,
}


@pytest.mark.parametrize("field", COURSE_FIELDS)
async def test_a_conversation_of_the_list_has_the_field(seen: Seen, field: str) -> None:
    assert seen.course[field] == COURSE_FIELDS[field](seen)
