"""`Idempotency-Key`: one key, one turn, one charge, on whichever face it is asked again."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from tests.durable.waiting import until
from tests.faces import FACES, PATHS, STREAMS, Answer, Face, body_of, read
from tests.fakes.upstream import Reply, ending, error_reply, text_reply, text_steps
from tests.live import EMAIL
from tests.world import World, all_turns, charges, stored, world
from twinspeak.domain.clock import now_ms
from twinspeak.persistence.repos import turn_keys
from twinspeak.persistence.scope import SYSTEM, scoped
from twinspeak.persistence.tables import turns

pytestmark = pytest.mark.usefixtures("database")

KEY = "order-66"
ANSWER = "Twins answer from what you give them."
LIMIT_S = 10


@pytest.fixture
async def here(tmp_path: Path) -> AsyncGenerator[World]:
    async with world(tmp_path) as made:
        yield made


async def ask(
    here: World, face: Face, question: str = "Why?", *, key: str | None = KEY, token: str = "", **args: Any
) -> Answer:
    headers = here.server.auth(token or here.token)
    if key is not None:
        headers["Idempotency-Key"] = key
    body = body_of(face, question, **args)
    async with here.server.http.post(PATHS[face], json=body, headers=headers) as response:
        return await read(face, response)


async def forget(here: World) -> None:
    """Let the turn leave memory, as it does a minute after its end."""
    turns = here.server.live.turns
    for turn in list(turns._ended.values()):
        turns._forget(turn)


@pytest.mark.parametrize("kept", [False, True], ids=["joined", "from the record"])
@pytest.mark.parametrize("face", FACES)
async def test_asking_again_gives_the_same_answer_and_charges_once(here: World, face: Face, *, kept: bool):
    here.upstream.script(text_reply(ANSWER, thinking="Hm."))
    first = await ask(here, face)
    if kept:
        await forget(here)
    again = await ask(here, face)

    assert (first.status, again.status) == (200, 200)
    assert again.texts == first.texts
    assert again.turn_id == first.turn_id
    assert again.headers["x-conversation-id"] == first.headers["x-conversation-id"]
    assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (None, "true")
    if face is not Face.OPENAI:
        assert again.reply == first.reply
    assert len(here.upstream.exchanges) == 1
    assert len(charges(here.database, first.turn_id)) == 1
    assert len(all_turns(here.database)) == 1


async def test_a_stream_can_be_asked_for_again_on_another_face(here: World):
    here.upstream.script(text_reply(ANSWER))
    streamed = await ask(here, Face.SSE)
    await forget(here)
    whole = await ask(here, Face.REST)
    assert whole.reply["outputs"] == streamed.reply["outputs"] == [ANSWER]
    assert whole.turn_id == streamed.turn_id


@pytest.mark.parametrize("face", FACES)
async def test_two_connections_at_once_are_one_turn(here: World, face: Face):
    gate = asyncio.Event()
    here.upstream.script(Reply([*text_steps("Half "), gate, *text_steps("done"), *ending()]))
    asking = [asyncio.create_task(ask(here, face)) for _ in range(5)]
    await here.upstream.exchange()
    gate.set()
    answers = [await asyncio.wait_for(task, LIMIT_S) for task in asking]
    assert {answer.status for answer in answers} == {200}
    assert {tuple(answer.texts.values()) for answer in answers} == {tuple(answers[0].texts.values())}
    assert len({answer.turn_id for answer in answers}) == 1
    assert sorted("idempotent-replayed" in answer.headers for answer in answers) == [False, *[True] * 4]
    assert len(here.upstream.exchanges) == 1
    assert len(charges(here.database, answers[0].turn_id)) == 1


@pytest.mark.parametrize("kept", [False, True], ids=["joined", "from the record"])
async def test_the_key_of_another_question_is_a_conflict(here: World, *, kept: bool):
    await ask(here, Face.REST)
    if kept:
        await forget(here)
    other = await ask(here, Face.REST, "And how?")
    assert other.status == 409
    assert other.error is not None
    assert (other.error["code"], other.error["param"]) == ("conflict", "Idempotency-Key")
    assert (await ask(here, Face.SSE, ragOnly=True)).status == 409
    assert len(all_turns(here.database)) == 1


async def test_clocks_and_ways_of_reading_make_no_other_question(here: World):
    first = await ask(here, Face.SSE, userISODate="2026-01-01T00:00:00Z")
    again = await ask(here, Face.DELTA, userISODate="2026-01-02T00:00:00Z", resumable=True)
    assert again.turn_id == first.turn_id


async def test_somebody_elses_key_is_just_another_key(here: World):
    stranger = await here.stranger()
    mine, hers = await ask(here, Face.REST), await ask(here, Face.REST, token=stranger)
    assert mine.turn_id != hers.turn_id
    assert len(here.upstream.exchanges) == 2


@pytest.mark.parametrize("key", ["", " ", "a b", "k" * 256, "schlüssel", "a\tb"])
async def test_a_key_that_cannot_be_one_is_refused(here: World, key: str):
    refused = await ask(here, Face.REST, key=key)
    assert refused.status == 400
    assert refused.error is not None
    assert refused.error["param"] == "Idempotency-Key"
    assert here.upstream.exchanges == []


async def test_the_longest_key_is_taken(here: World):
    key = "~" * 255
    assert (await ask(here, Face.REST, key=key)).turn_id == (await ask(here, Face.REST, key=key)).turn_id


async def test_two_keys_are_refused(here: World):
    headers = [("x-access-token", here.token), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    async with here.server.http.post(PATHS[Face.REST], json=body_of(Face.REST), headers=headers) as response:
        assert response.status == 400


async def test_without_a_key_each_request_is_a_turn(here: World):
    assert (await ask(here, Face.REST, key=None)).turn_id != (await ask(here, Face.REST, key=None)).turn_id


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("kept", [False, True], ids=["joined", "from the record"])
async def test_a_failed_turn_tells_its_failure_again(here: World, face: Face, *, kept: bool):
    here.upstream.script(error_reply(400, "No."))
    first = await ask(here, face)
    if kept:
        await forget(here)
    again = await ask(here, face)
    assert (again.status, again.turn_id) == (first.status, first.turn_id)
    assert first.error is not None
    assert again.error is not None
    assert {**again.error, "requestId": ""} == {**first.error, "requestId": ""}
    assert len(here.upstream.exchanges) == 1


async def test_a_refusal_does_not_use_the_key_up(tmp_path: Path):
    async with world(tmp_path, credits=0) as here:
        await here.award(EMAIL, -50)
        assert (await ask(here, Face.REST)).status == 402
        await here.award(EMAIL, 1_000)
        assert (await ask(here, Face.REST)).status == 200


@pytest.mark.parametrize("face", FACES)
async def test_a_reader_that_hangs_up_leaves_the_turn_to_the_other(here: World, face: Face):
    gate = asyncio.Event()
    here.upstream.script(Reply([*text_steps("Half "), gate, *text_steps("done"), *ending()]))
    first = asyncio.create_task(ask(here, face))
    await here.upstream.exchange()
    second = asyncio.create_task(ask(here, face))
    turn = await here.running()
    await calls(here, turn, 2)
    first.cancel()
    await calls(here, turn, 1)
    gate.set()
    answer = await asyncio.wait_for(second, LIMIT_S)
    assert answer.status == 200
    assert stored(here.database, answer.turn_id)["state"] == "done"


@pytest.mark.parametrize("face", FACES)
async def test_the_last_reader_that_hangs_up_cancels(here: World, face: Face):
    here.upstream.script(Reply([*text_steps("Half "), asyncio.Event()]))
    asking = [asyncio.create_task(ask(here, face))]
    exchange = await here.upstream.exchange()
    asking.append(asyncio.create_task(ask(here, face)))
    turn = await here.running()
    await calls(here, turn, 2)
    for task in asking:
        task.cancel()
    assert await exchange.hung_up(within=LIMIT_S)
    await here.ended()
    assert stored(here.database, turn.turn_id)["state"] == "cancelled"


@pytest.mark.parametrize("face", STREAMS)
async def test_who_joins_late_gets_the_stream_from_its_start(here: World, face: Face):
    gate = asyncio.Event()
    here.upstream.script(Reply([*text_steps("Half "), gate, *text_steps("done"), *ending()]))
    first = asyncio.create_task(ask(here, face))
    await here.upstream.exchange()
    turn = await here.running()
    await until(lambda: turn.log.text.length == len("Half "))
    second = asyncio.create_task(ask(here, face))
    await calls(here, turn, 2)
    gate.set()
    assert (await second).texts == (await first).texts


async def test_keys_outlive_a_restart(tmp_path: Path):
    async with world(tmp_path) as here:
        first = await ask(here, Face.REST)
    async with world(tmp_path, credits=0) as here:
        again = await ask(here, Face.REST)
        assert here.upstream.exchanges == []
    assert again.json == first.json


async def test_keys_are_forgotten_after_a_day(here: World, monkeypatch: pytest.MonkeyPatch):
    first = await ask(here, Face.REST)
    await forget(here)
    monkeypatch.setattr(turn_keys, "KEEP_MS", -1)
    store: Any = here.server.live.turns._ports.store
    again = await ask(here, Face.REST)
    assert again.turn_id != first.turn_id
    assert await store.forget_keys(now_ms()) == 1


async def test_a_key_whose_turn_is_not_settled_yet_asks_for_patience(here: World):
    """A server was killed, and its turn not reaped yet; or another node answers it."""
    first = await ask(here, Face.REST)
    await forget(here)
    runs = scoped(SYSTEM, update(turns).where(turns.c.id == first.turn_id).values(state="running"))
    await here.server.ground.db.write(lambda tx: tx.run(runs))
    again = await ask(here, Face.REST)
    assert again.status == 409
    assert again.headers["retry-after"] == "5"


async def calls(here: World, turn: Any, wanted: int) -> None:
    """Wait until so many calls wait for the turn."""
    asgi: Any = here.server.live.asgi
    audience = asgi.state.services.audience
    await until(lambda: audience._turns[turn].calls == wanted)
