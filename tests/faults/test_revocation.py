"""Signing out and changing the password while an answer streams: it ends at once, on every face, with what there is."""

import asyncio
from typing import Any

import pytest

from tests.faces import FACES, Answer, Face, ask
from tests.fakes.upstream import STALL, Reply, ending, text_steps
from tests.faults.stage import eventually, reached
from tests.live import EMAIL, PASSWORD
from tests.world import World, charges, stored

pytestmark = pytest.mark.asyncio(loop_scope="module")

PART = "The library opens"
CHANGED = "another horse battery"


async def ended_with_part(here: World, answer: Answer) -> None:
    assert (answer.status, answer.error) == (200, None)
    assert set(answer.texts.values()) == {PART}
    row = stored(here.database, answer.turn_id)
    assert (row["state"], row["output"], row["credits"], row["usage_estimated"]) == ("cancelled", PART, 1, 1)
    assert charges(here.database, answer.turn_id) == [1]


@pytest.mark.parametrize("face", FACES)
async def test_signing_out_ends_the_sessions_turns(here: World, face: Face) -> None:
    token = await here.server.sign_in()
    here.upstream.script(Reply([*text_steps(PART), STALL]))
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(ask(here.server, token, face))
        await reached(here, PART)
        assert (await here.post("/api/auth/signout", token=token))[0] == 200
    assert await here.upstream.exchanges[-1].hung_up()
    await ended_with_part(here, asking.result())
    again = await ask(here.server, token, face)
    assert again.error
    assert (again.status, again.error["code"]) == (401, "invalid_token")


@pytest.mark.parametrize("face", FACES)
async def test_another_session_goes_on(here: World, face: Face) -> None:
    one, other = await here.server.sign_in(), await here.server.sign_in()
    gate = asyncio.Event()
    here.upstream.script(Reply([*text_steps(PART), gate, *ending()]))
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(ask(here.server, one, face))
        await reached(here, PART)
        assert (await here.post("/api/auth/signout", token=other))[0] == 200
        gate.set()
    assert set(asking.result().texts.values()) == {PART}
    assert stored(here.database, asking.result().turn_id)["state"] == "done"


async def test_a_new_password_ends_every_session(here: World) -> None:
    """All turns on all faces, under whichever session, the one that changes it too."""
    tokens = {face: await here.server.sign_in() for face in FACES}
    here.upstream.default = lambda _: Reply([*text_steps(PART), STALL])
    turns = here.server.live.turns._running
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(ask(here.server, token, face)) for face, token in tokens.items()]
        await eventually(lambda: [turn.log.text.text() for turn in turns.values()] == [PART] * len(FACES))
        fresh = await change_password(here, tokens[Face.SSE], PASSWORD, CHANGED)
    for task in asking:
        await ended_with_part(here, task.result())
    for token in [*tokens.values(), here.token]:
        status, body = await here.get("/api/ai/turns", token)
        assert (status, body["error"]["code"]) == (401, "invalid_token")
    assert (await here.get("/api/ai/turns", fresh))[0] == 200
    here.token = await change_password(here, fresh, CHANGED, PASSWORD)


async def test_a_wrong_password_ends_nothing(here: World) -> None:
    gate = asyncio.Event()
    here.upstream.script(Reply([*text_steps(PART), gate, *ending()]))
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(here.ask(Face.SSE))
        await reached(here, PART)
        status, body = await edit(here, here.token, "wrong horse battery", CHANGED)
        assert (status, body["error"]["code"]) == (401, "invalid_credentials")
        gate.set()
    assert stored(here.database, asking.result().turn_id)["state"] == "done"


async def test_signing_out_before_the_turn_has_begun(here: World) -> None:
    """However the two race, no turn runs for a session that has ended."""
    here.upstream.default = lambda _: Reply([*text_steps(PART), STALL])
    for face in FACES * 2:
        token = await here.server.sign_in()
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(ask(here.server, token, face))
            leaving = group.create_task(here.post("/api/auth/signout", token=token))
        assert leaving.result()[0] == 200
        answer = asking.result()
        if answer.status == 200:
            assert stored(here.database, answer.turn_id)["state"] == "cancelled"
        else:
            assert answer.error
            assert (answer.status, answer.error["code"]) == (401, "invalid_token")


async def change_password(here: World, token: str, current: str, new: str) -> str:
    status, body = await edit(here, token, current, new)
    assert status == 200, body
    return body["token"]


async def edit(here: World, token: str, current: str, new: str) -> tuple[int, dict[str, Any]]:
    _, profile = await here.post("/api/user/refresh/profile", token=token)
    assert profile["profile"]["email"] == EMAIL
    body = {"resetCodeId": profile["profile"]["resetCodeId"], "password": current, "newPassword": new}
    async with here.server.http.put("/api/user/me", json=body, headers=here.server.auth(token)) as response:
        return response.status, await response.json()
