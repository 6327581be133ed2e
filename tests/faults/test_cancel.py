"""Cancelling at every moment, by whomever: the part there is, one record, one charge, the provider's socket closed."""

import asyncio
from typing import Any

import pytest

from tests.faces import FACES, Answer, Face, ask
from tests.fakes.upstream import STALL, Reply, ending, text_reply, text_steps, tool_reply
from tests.faults.stage import eventually, reached
from tests.world import World, all_turns, charges, stored
from twinspeak.knowledge.retrieve import VaultRetriever

pytestmark = pytest.mark.asyncio(loop_scope="module")

PART = "The library opens"


async def cancel(here: World, turn_id: str, token: str | None = None) -> tuple[int, dict[str, Any]]:
    return await here.post(f"/api/ai/turns/{turn_id}/cancel", token=token)


async def check(here: World, answer: Answer, text: str, *, charged: int, estimated: bool = True) -> None:
    """A cancelled turn is no error: every face ends as after an answer, with the part there is."""
    assert (answer.status, answer.error) == (200, None)
    assert set(answer.texts.values()) == {text}
    row = stored(here.database, answer.turn_id)
    assert (row["state"], row["output"], row["credits"]) == ("cancelled", text, charged)
    assert bool(row["usage_estimated"]) is estimated
    record = await here.record(answer.turn_id)
    assert record["success"] is True
    assert record["out"]["outputs"] == [text]
    assert charges(here.database, answer.turn_id) == ([charged] if charged else [])
    if answer.face is Face.OPENAI:
        assert answer.frames[-1] == "[DONE]"
        assert answer.frames[-2]["choices"][0]["finish_reason"] == "stop"
    else:
        reply = answer.reply
        assert (reply["success"], reply["cancelled"], reply["credits"]) == (True, True, charged)
        assert reply.get("usageEstimated", False) is estimated


@pytest.mark.parametrize("face", FACES)
async def test_before_the_first_token(here: World, face: Face) -> None:
    here.upstream.script(Reply([STALL]))
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(here.ask(face))
        exchange = await here.upstream.exchange()
        turn = await here.running()
        status, body = await cancel(here, turn.turn_id)
    assert (status, body) == (
        200,
        {"success": True, "cancelled": True, "turnId": turn.turn_id, "state": "cancelled"},
    )
    assert await exchange.hung_up()
    await check(here, asking.result(), "", charged=0, estimated=False)


@pytest.mark.parametrize("face", FACES)
async def test_in_mid_text(here: World, face: Face) -> None:
    here.upstream.script(Reply([*text_steps(PART), STALL]))
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(here.ask(face))
        turn = await reached(here, PART)
        exchange = await here.upstream.exchange()
        _, body = await cancel(here, turn.turn_id)
    assert body["state"] == "cancelled"
    assert await exchange.hung_up()
    await check(here, asking.result(), PART, charged=1)


@pytest.mark.parametrize("face", FACES)
async def test_in_a_tool_call(here: World, face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tool is stopped, and shown as stopped; the first round is paid for by the provider's count."""
    searching, stopped = asyncio.Event(), asyncio.Event()
    search = VaultRetriever.search

    async def slow(retriever: VaultRetriever, plan: Any, query: str, *, limit: int) -> Any:
        if query != "for ever":
            return await search(retriever, plan, query, limit=limit)
        searching.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    monkeypatch.setattr(VaultRetriever, "search", slow)
    here.upstream.script(tool_reply(("search_uploads", {"query": "for ever"}), text=PART))
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(here.ask(face))
        await asyncio.wait_for(searching.wait(), 5)
        turn = await here.running()
        _, body = await cancel(here, turn.turn_id)
    assert body["cancelled"] is True
    assert stopped.is_set()
    answer = asking.result()
    await check(here, answer, PART, charged=1, estimated=False)
    assert len(here.upstream.exchanges[-1].json["messages"]) >= 2
    if face in (Face.SSE, Face.DELTA):
        called, finished = answer.kind("tool_call"), answer.kind("tool_result")
        assert [frame["call_id"] for frame in called] == [frame["call_id"] for frame in finished]
        assert [frame["success"] for frame in finished] == [True, False]


@pytest.mark.parametrize("face", FACES)
async def test_before_the_search_is_done(here: World, face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """No provider is asked, nothing is charged, and there is a record of the question all the same."""
    searching = asyncio.Event()

    async def slow(*_: Any, **__: Any) -> Any:
        searching.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(VaultRetriever, "search", slow)
    asked = len(here.upstream.exchanges)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(here.ask(face))
        await asyncio.wait_for(searching.wait(), 5)
        turn = await here.running()
        await cancel(here, turn.turn_id)
    await check(here, asking.result(), "", charged=0, estimated=False)
    assert len(here.upstream.exchanges) == asked


@pytest.mark.parametrize("face", FACES)
async def test_after_the_end_and_twice(here: World, face: Face) -> None:
    """Too late changes nothing, and says how the turn ended."""
    here.upstream.script(text_reply(PART))
    answer: Answer = await here.ask(face)
    before = stored(here.database, answer.turn_id)
    for _ in range(2):
        status, body = await cancel(here, answer.turn_id)
        assert (status, body["cancelled"], body["state"]) == (200, False, "done")
    assert stored(here.database, answer.turn_id) == before
    assert charges(here.database, answer.turn_id) == [1]


async def test_cancelling_again_says_the_same(here: World) -> None:
    here.upstream.script(Reply([*text_steps(PART), STALL]))
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(here.ask(Face.SSE))
        turn = await reached(here, PART)
        first = await cancel(here, turn.turn_id)
    assert await cancel(here, turn.turn_id) == first
    await check(here, asking.result(), PART, charged=1)


@pytest.mark.parametrize("face", FACES)
async def test_many_cancels_at_once(here: World, face: Face) -> None:
    here.upstream.script(Reply([*text_steps(PART), STALL]))
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(here.ask(face))
        turn = await reached(here, PART)
        answers = await asyncio.gather(*(cancel(here, turn.turn_id) for _ in range(8)))
    assert all((status, body["cancelled"], body["state"]) == (200, True, "cancelled") for status, body in answers)
    await check(here, asking.result(), PART, charged=1)


async def test_a_cancel_that_races_the_end(here: World) -> None:
    """Whoever wins, there is one end, and everybody is told the same one."""
    for _ in range(12):
        gate = asyncio.Event()
        here.upstream.script(Reply([*text_steps(PART), gate, *ending()]))
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(here.ask(Face.SSE))
            turn = await reached(here, PART)
            cancelling = group.create_task(cancel(here, turn.turn_id))
            gate.set()
        answer, (status, body) = asking.result(), cancelling.result()
        row = stored(here.database, answer.turn_id)
        assert status == 200
        assert row["state"] == body["state"] in {"done", "cancelled"}
        assert answer.reply.get("cancelled", False) is body["cancelled"] is (row["state"] == "cancelled")
        assert charges(here.database, answer.turn_id) == [answer.reply["credits"]] == [1]


async def test_someone_elses_turn(here: World) -> None:
    """It is not there for him, and goes on."""
    stranger = await here.stranger()
    gate = asyncio.Event()
    here.upstream.script(Reply([*text_steps(PART), gate, *ending()]))
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(here.ask(Face.SSE))
        turn = await reached(here, PART)
        status, body = await cancel(here, turn.turn_id, stranger)
        assert (status, body["error"]["code"]) == (404, "not_found")
        gate.set()
    assert asking.result().reply["outputs"] == [PART]
    assert "cancelled" not in asking.result().reply
    # And a super administrator has no more right to hers.
    here.upstream.script(Reply([*text_steps(PART), gate_of_hers := asyncio.Event(), *ending()]))
    async with asyncio.TaskGroup() as group:
        hers = group.create_task(ask(here.server, stranger, Face.REST))
        turn = await reached(here, PART)
        assert (await cancel(here, turn.turn_id))[0] == 404
        gate_of_hers.set()
    assert hers.result().json["outputs"] == [PART]


async def test_other_turns_go_on(here: World) -> None:
    """Of two in one conversation, the one that is named ends."""
    gate = asyncio.Event()
    here.upstream.default = lambda _: Reply([*text_steps(PART), gate, *ending()])
    course = {"course_id": 1_750_000_000_000}
    async with asyncio.TaskGroup() as group:
        both = [group.create_task(here.ask(Face.SSE, selectedCourse=course)) for _ in range(2)]
        turns = here.server.live.turns._running
        await eventually(lambda: [turn.log.text.text() for turn in turns.values()] == [PART] * 2)
        first = next(iter(turns))
        await cancel(here, first)
        assert len(turns) == 1
        gate.set()
    ended = {task.result().turn_id: task.result().reply for task in both}
    assert ended.pop(first)["cancelled"] is True
    assert [reply.get("cancelled") for reply in ended.values()] == [None]
    assert len([row for row in all_turns(here.database) if row["course_id"] == course["course_id"]]) == 2
