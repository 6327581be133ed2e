"""Rules of reference 4.1 to 4.9 that need a whole server, or two people: the others are in `tests/transports/rest`.

Where the contract says otherwise than the reference, the contract is what is tested, and the docstring says so.
"""

import asyncio
from typing import Any

import pytest

from tests.faces import Face, ask, body_of, post
from tests.fakes.upstream import Reply, ending, text_reply, text_steps
from tests.organisation import Org

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.usefixtures("database")]

GONE = "6920a1b2c3d4e5f60718293a"


async def talk(org: Org, who: str, course: int, name: str = "Talk", face: Face = Face.REST) -> str:
    """Ask once in a conversation; return the turn's id."""
    args = {"selectedCourse": {"course_id": course, "course_name": name}, "ragIgnore": True}
    told = await ask(org.here.server, org.tokens[who], face, "Why?", **args)
    assert told.status == 200, told.body
    return told.turn_id


async def courses(org: Org, who: str, **body: Any) -> dict[int, str]:
    data = (await org.good("POST", "/api/user/courses", body, who))["data"]
    return {one["course_id"]: one["course_name"] for one in data}


async def test_a_conversation_exists_when_its_first_turn_is_saved(org: Org) -> None:
    """Reference 4.9: nothing makes one but a question with a new number and name."""
    await org.person("first", "elm")
    assert await courses(org, "first") == {}
    await talk(org, "first", 91, "Brand new")
    assert await courses(org, "first") == {91: "Brand new"}


async def test_a_new_conversation_gets_a_title_once_its_first_answer_is_told(org: Org) -> None:
    """Decision 055: the reply has the rule's name, which waits for no model; the list has the title later."""
    await org.person("titled", "elm")
    upstream, held = org.here.upstream, asyncio.Event()
    await org.good("PUT", f"/api/admin/institution/{org.ids['elm']}", {"summaryModel": "fake-model"}, "stranger")
    upstream.script(text_reply("Brown."), Reply([held, *text_steps('"Oak leaves"'), *ending()]))
    told = await ask(org.here.server, org.tokens["titled"], Face.REST, "What colour are leaves?", ragIgnore=True)
    assert (told.status, told.json["course_name"]) == (200, "What colour are leaves?")
    assert set((await courses(org, "titled")).values()) == {"What colour are leaves?"}
    before = (await org.here.record(told.turn_id, org.tokens["titled"]))["credits"]
    held.set()
    async with asyncio.timeout(10):
        while set((await courses(org, "titled")).values()) != {"Oak leaves"}:  # noqa: ASYNC110 -- nobody tells it
            await asyncio.sleep(0.01)
    assert (await org.here.record(told.turn_id, org.tokens["titled"]))["credits"] == before
    await org.good("PUT", f"/api/admin/institution/{org.ids['elm']}", {"summaryModel": ""}, "stranger")


async def test_courses_can_be_filtered_by_api_whatever_the_case(org: Org) -> None:
    """Reference 4.1, of older clients; contract section 3 and decision 031 let no client's pattern run here."""
    await org.person("filter", "elm")
    await talk(org, "filter", 1, "Plain")
    await talk(org, "filter", 2, "Streamed", Face.SSE)
    assert await courses(org, "filter", api="QANDA-stream") == {2: "Streamed"}
    assert await courses(org, "filter", api="personal") == {1: "Plain", 2: "Streamed"}
    assert await courses(org, "filter", api="(a+)+$") == await courses(org, "filter", api=".*") == {}
    assert await courses(org, "filter", api="") == await courses(org, "filter")
    assert await org.code("POST", "/api/user/courses", {"api": "x" * 201}, "filter") == "validation_failed"


async def test_course_id_0_also_finds_what_was_asked_without_a_conversation(org: Org) -> None:
    """Reference 4.1: 0 matches 0 and null; contract 4: chat completions without the header are of no conversation."""
    server = org.here.server
    headers = server.auth(org.here.token)
    told = await post(server, Face.OPENAI, body_of(Face.OPENAI, "Where am I?"), headers)
    assert told.status == 200, told.body
    unassigned = await talk(org, "super", 0)
    found = (await org.good("POST", "/api/user/histories", {"course_id": 0}, "super"))["data"]
    assert [one["id"] for one in found][-2:] == [told.turn_id, unassigned]
    assert 0 not in await courses(org, "super")


@pytest.mark.parametrize("path", ["renameHistory", "clearHistory"])
async def test_a_conversation_of_somebody_else_is_none_of_ones_own(org: Org, path: str) -> None:
    """Numbers are unique per person: the same one of another member is another conversation."""
    record = await talk(org, "member", 77, "Mine")
    body = {"course_id": 77, "course_name": "Taken"}
    assert (await org.good("POST", f"/api/user/{path}", body, "admin"))["count"] == 0
    assert (await courses(org, "member"))[77] == "Mine"
    for who in ("admin", "other", "nobody"):
        wanted = {"id": record, "favorite_name": "Taken"}
        assert await org.code("POST", f"/api/user/{path}", wanted, who) == "not_found"
    assert (await courses(org, "member"))[77] == "Mine"


@pytest.mark.parametrize("path", ["renameHistory", "clearHistory"])
async def test_who_is_no_active_member_gets_403_for_a_conversation_there(org: Org, path: str) -> None:
    body = {"course_id": 77, "course_name": "New", "institution": org.ids["oak"]}
    assert await org.code("POST", f"/api/user/{path}", body, "other") == "not_a_member"


async def test_clearall_of_older_clients_clears_nothing(org: Org) -> None:
    """Reference 4.6: exactly one of two fields; what an older version took would be everything, by mistake."""
    await talk(org, "member", 78)
    before = await courses(org, "member")
    assert await org.code("POST", "/api/user/clearHistory", {"clearAll": True}, "member") == "invalid_request"
    assert await courses(org, "member") == before


async def test_thinking_is_told_to_its_owner_alone_in_a_list_that_may_be_empty(org: Org) -> None:
    record = await talk(org, "member", 79)
    path = f"/api/user/history/{record}/thinking"
    assert await org.good("GET", path, who="member") == {"success": True, "thinking": []}
    for who in ("admin", "other"):
        assert await org.code("GET", path, who=who) == "not_found"


async def test_no_dialogue_is_public_by_its_id(org: Org) -> None:
    """Reference 4.9 has a page for whoever knows an id; contract section 6: links are secret, expiring, revocable."""
    record = await talk(org, "member", 80)
    for path in (f"/views/history/{record}", f"/api/shared/{record}"):
        assert await org.code("GET", path) in ("not_found", "route_not_found")


async def test_reading_aloud_is_not_there_and_says_so(org: Org) -> None:
    """Reference 4.8; contract section 6 has voice among what is not scheduled."""
    record = await talk(org, "member", 81)
    assert await org.code("GET", f"/api/user/history/{record}/audio?voice=x", who="member") == "route_not_found"
    assert await org.code("GET", f"/api/user/history/{GONE}/audio", who="member") == "route_not_found"
