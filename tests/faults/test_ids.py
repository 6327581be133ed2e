"""Ids that are unknown, foreign or malformed, on every face: the exact code, and nothing run for them.

`tests/laws/test_foreign_ids.py` shows that unknown and foreign are answered alike; here is what they are answered.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.faces import FACES, PATHS, Answer, Face, ask, body_of, read
from tests.faults.conftest import nothing_runs
from tests.world import World, stored

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNKNOWN = "a" * 24
UNKNOWN_TWIN = "f831501f-b645-481a-9cbb-331509aaf8c1"
MALFORMED = ("a" * 23, "g" * 24, "a" * 25, "' OR 1=1 --", "../../etc/passwd", "é" * 24, " ")


@dataclass
class Eve:
    """A stranger: her token, her twin, and a turn of hers."""

    token: str
    twin: str
    twin_id: str
    turn: str
    course: int


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def eve(here: World) -> AsyncGenerator[Eve]:
    token = await here.stranger()
    asked = await ask(here.server, token, Face.REST, "What is my secret?")
    _, refreshed = await here.post("/api/user/refresh/profile", token=token)
    twin = refreshed["profile"]["institution"]
    yield Eve(token, twin["publicId"], twin["_id"], asked.turn_id, asked.json["course_id"])


def refused(answer: Answer, status: int, code: str) -> None:
    assert answer.error, answer.body
    assert (answer.status, answer.error["code"]) == (status, code), answer.body
    assert "x-turn-id" not in answer.headers


async def with_twin(here: World, face: Face, twin: str) -> Answer:
    if face is Face.OPENAI:
        headers = {**here.server.auth(here.token), "x-praxis-institution-public-id": twin}
        async with here.server.http.post(PATHS[face], json=body_of(face), headers=headers) as response:
            return await read(face, response)
    return await here.ask(face, institutionPublicId=twin)


async def with_assistant(here: World, face: Face, assistant: str) -> Answer:
    if face is Face.OPENAI:
        headers = {**here.server.auth(here.token), "x-praxis-assistant-id": assistant}
        async with here.server.http.post(PATHS[face], json=body_of(face), headers=headers) as response:
            return await read(face, response)
    return await here.ask(face, assistantId=assistant)


@pytest.mark.parametrize("face", FACES)
async def test_a_twin_that_is_not_ones_own(here: World, eve: Eve, face: Face) -> None:
    """A super administrator is no member of it either."""
    with nothing_runs(here):
        for twin in (eve.twin, eve.twin.upper(), UNKNOWN_TWIN, eve.twin_id, "no uuid", "x" * 5_000, "%00"):
            refused(await with_twin(here, face, twin), 403, "not_a_member")


@pytest.mark.parametrize("face", FACES)
async def test_an_assistant_that_nobody_has(here: World, eve: Eve, face: Face) -> None:
    with nothing_runs(here):
        for assistant in (UNKNOWN, eve.turn, UNKNOWN.upper()):
            refused(await with_assistant(here, face, assistant), 404, "not_found")


@pytest.mark.parametrize("face", FACES)
async def test_an_assistant_by_no_id(here: World, face: Face) -> None:
    with nothing_runs(here):
        for assistant in MALFORMED:
            if face is Face.OPENAI and (not assistant.isascii() or not assistant.strip()):
                continue  # no header, or an empty one
            refused(await with_assistant(here, face, assistant), 400, "invalid_id")


async def test_a_conversation_of_somebody_else_is_a_new_one(here: World, eve: Eve) -> None:
    """Its number is the client's choice: the same one is another conversation, and tells nothing of the first."""
    answer = await here.ask(Face.REST, selectedCourse={"course_id": eve.course})
    assert (answer.status, answer.json["course_id"]) == (200, eve.course)
    assert answer.json["course_name"] == "What is a digital twin?"
    assert "secret" not in str(here.upstream.exchanges[-1].json)
    _, records = await here.post("/api/user/histories", {"course_id": eve.course})
    assert [record["id"] for record in records["data"]] == [answer.turn_id]


@pytest.mark.parametrize("number", ["x", "-1", "1.5", "1e3", "٣", str(2**53), "9" * 5_000, "0x10"])
async def test_a_conversation_header_that_is_no_number(here: World, number: str) -> None:
    headers = {**here.server.auth(here.token), "x-praxis-conversation-id": number.encode().decode("latin-1")}
    with nothing_runs(here):
        async with here.server.http.post(PATHS[Face.OPENAI], json=body_of(Face.OPENAI), headers=headers) as response:
            refused(await read(Face.OPENAI, response), 422, "validation_failed")


async def test_turns_of_others(here: World, eve: Eve) -> None:
    before = stored(here.database, eve.turn)
    with nothing_runs(here):
        for turn in (eve.turn, UNKNOWN, eve.twin_id):
            for method, path, body in calls(turn):
                status, answer = await call(here, method, path, body)
                assert (status, answer["error"]["code"]) == (404, "not_found")
        for turn in ("a" * 23, "g" * 24, "a" * 25, "%27--", "%20"):
            for method, path, body in calls(turn):
                status, answer = await call(here, method, path, body)
                assert (status, answer["error"]["code"]) == (400, "invalid_id"), path
    assert stored(here.database, eve.turn) == before


def calls(turn: str) -> list[tuple[str, str, Any]]:
    return [
        ("POST", f"/api/ai/turns/{turn}/cancel", {}),
        ("GET", f"/api/ai/turns/{turn}/events", None),
        ("POST", "/api/user/histories", {"historyId": turn}),
    ]


async def call(here: World, method: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
    headers = here.server.auth(here.token)
    async with here.server.http.request(method, path, json=body, headers=headers) as response:
        return response.status, await response.json()


async def test_histories_of_others(here: World, eve: Eve) -> None:
    mine = await here.ask(Face.REST)
    for body, status, code in (
        ({"institution": eve.twin_id}, 403, "not_a_member"),
        ({"institution": UNKNOWN}, 403, "not_a_member"),
        ({"institution": "x"}, 400, "invalid_id"),
        ({"institution": eve.twin_id, "historyId": mine.turn_id}, 403, "not_a_member"),
    ):
        answered, answer = await here.post("/api/user/histories", body)
        assert (answered, answer["error"]["code"]) == (status, code)
    _, everything = await here.post("/api/user/histories", {"limit": 1000})
    assert eve.turn not in {record["id"] for record in everything["data"]}
    _, hers = await here.post("/api/user/histories", {"search": "secret"})
    assert hers["data"] == []


async def test_a_twin_that_was_left(here: World, eve: Eve) -> None:
    """Membership counts when it is asked, not when the token was made."""
    await here.server.ground.db.write(lambda tx: _leave(tx, eve.twin_id))
    with nothing_runs(here):
        for face in FACES:
            refused(await ask(here.server, eve.token, face), 403, "not_a_member")
        status, answer = await here.post("/api/user/histories", {"historyId": eve.turn}, eve.token)
        assert (status, answer["error"]["code"]) == (404, "not_found")


def _leave(tx: Any, institution_id: str) -> None:
    from twinspeak.persistence.repos import memberships, users

    user = users.by_email(tx, "eve@example.org")
    assert user
    membership = memberships.get(tx, user.id, institution_id)
    assert membership
    memberships.set_status(tx, membership.id, "suspended")
