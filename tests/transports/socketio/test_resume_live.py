"""Resumable SSE, and GET /api/ai/turns/{turnId}/events for turns of every face (contract 4.2)."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.faces import PATHS, Face, ask, body_of
from tests.fakes.upstream import MODEL
from tests.transports.socketio.answers import FIRST, TEXT, asking, halves
from tests.transports.socketio.clients import eventually, joined
from tests.transports.socketio.resuming import TEXT as LONG
from tests.transports.socketio.resuming import assert_whole, reply
from tests.world import World, world

pytestmark = pytest.mark.usefixtures("database")

Frame = tuple[str, dict[str, Any]]


def parsed(body: bytes) -> list[Frame]:
    """Take a resumable stream apart: `id:` line, `data:` line, blank line."""
    frames: list[Frame] = []
    for block in body.decode().removesuffix("\n\n").split("\n\n"):
        told, data = block.split("\n")
        frames.append((told.removeprefix("id: "), json.loads(data.removeprefix("data: "))))
    return frames


async def resumed(here: World, turn_id: str, after: str = "", mode: str = "") -> list[dict[str, Any]]:
    """Pick a turn up and read it to its end."""
    headers = here.server.auth(here.token) | ({"Last-Event-ID": after} if after else {})
    params = {"streamMode": mode} if mode else {}
    path = f"/api/ai/turns/{turn_id}/events"
    async with here.server.http.get(path, headers=headers, params=params) as response:
        assert response.status == 200, await response.text()
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["x-turn-id"] == turn_id
        return [frame for _, frame in parsed(await response.read())]


async def asked_resumably(here: World, **args: Any) -> tuple[str, list[Frame]]:
    """Ask and read the whole stream."""
    body = body_of(Face.SSE, resumable=True, **args)
    async with here.server.http.post(PATHS[Face.SSE], json=body, headers=here.server.auth(here.token)) as response:
        assert response.status == 200
        return response.headers["x-turn-id"], parsed(await response.read())


@asynccontextmanager
async def stage(tmp_path: Path, **changes: Any) -> AsyncGenerator[World]:
    async with world(tmp_path, default_model=MODEL, **changes) as here:
        here.upstream.default = reply(Random(3))  # noqa: S311 -- only an uneven pace
        yield here


@pytest.mark.parametrize("keep_s", [60, 0], ids=["from the log", "from history"])
@pytest.mark.parametrize("mode", ["", "delta"], ids=["cumulative", "delta"])
async def test_resuming_after_every_event_id(tmp_path: Path, keep_s: float, mode: str):
    async with stage(tmp_path, turn_log_keep_s=keep_s, stream_coalesce_ms=5) as here:
        turn_id, frames = await asked_resumably(here, **({"streamMode": mode} if mode else {}))
        assert_whole([frame for _, frame in frames], cumulative=not mode)
        assert len({token for token, _ in frames}) == len(frames) > 12
        if not keep_s:
            await eventually(lambda: not here.server.live.turns._ended)
        for at, (token, _) in enumerate(frames):
            before = [frame for _, frame in frames[: at + 1]]
            if before[-1]["type"] == "done":
                assert await _nothing_more(here, turn_id, token)
                continue
            rest = await resumed(here, turn_id, token, mode)
            assert_whole(before + _settled(rest, before), cumulative=not mode, text=LONG)
        assert_whole(await resumed(here, turn_id, mode=mode), cumulative=not mode)


def _settled(rest: list[dict[str, Any]], before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Nothing of what was told before the cut is told again."""
    kinds = {frame["type"] for frame in before} - {"stream", "thinking"}
    assert not kinds & {frame["type"] for frame in rest}
    return rest


async def _nothing_more(here: World, turn_id: str, token: str) -> bool:
    headers = here.server.auth(here.token) | {"Last-Event-ID": token}
    async with here.server.http.get(f"/api/ai/turns/{turn_id}/events", headers=headers) as response:
        return (response.status, await response.read()) == (200, b"")


@pytest.mark.parametrize("face", Face)
@pytest.mark.parametrize("keep_s", [60, 0], ids=["from the log", "from history"])
async def test_an_ended_turn_of_any_face_is_told_again(tmp_path: Path, face: Face, keep_s: float):
    async with stage(tmp_path, turn_log_keep_s=keep_s) as here:
        answer = await ask(here.server, here.token, face)
        frames = await resumed(here, answer.turn_id)
        assert_whole(frames)
        assert frames[0]["turnId"] == answer.turn_id


@pytest.mark.parametrize("face", [*Face, "socket"])
async def test_a_running_turn_of_any_face_is_read_live(tmp_path: Path, face: Face | str):
    async with stage(tmp_path) as here, joined(here.server, here.token) as tab:
        asked_by = Face.REST if face == "socket" else Face(face)
        args = {"socketId": tab.sid} if face == "socket" else {}
        async with asyncio.TaskGroup() as group:
            asking_task = group.create_task(ask(here.server, here.token, asked_by, **args))
            await eventually(lambda: here.server.live.turns._running)
            turn = await here.running()
            readers = [group.create_task(resumed(here, turn.turn_id, mode=mode)) for mode in ("", "delta", "")]
        for number, reader in enumerate(readers):
            assert_whole(reader.result(), cumulative=number != 1)
        assert asking_task.result().status == 200
        if face == "socket":
            await tab.reads(LONG, turn.turn_id)


async def test_a_turn_of_somebody_else_is_not_found(tmp_path: Path):
    async with stage(tmp_path, turn_log_keep_s=60) as here:
        stranger = await here.stranger()
        answer = await ask(here.server, here.token, Face.REST)
        async with asking(here) as running:
            for turn_id in (answer.turn_id, running.turn_id, "0123456789abcdef01234567"):
                status, body = await here.get(f"/api/ai/turns/{turn_id}/events", stranger)
                assert (status, body["error"]["code"]) == (404, "not_found")
            for malformed in ("x", "1", "z" * 24, "../models"):
                status, body = await here.get(f"/api/ai/turns/{malformed}/events")
                assert status in (400, 404)


@pytest.mark.parametrize("token", ["x", "1-2-3", "e-1-2-3-4-5", "e--1-0-0-0", "e-g-0-0-0", "-" * 99, "9" * 200])
async def test_an_event_id_that_is_none_of_ours_is_refused(tmp_path: Path, token: str):
    async with stage(tmp_path) as here:
        answer = await ask(here.server, here.token, Face.REST)
        headers = here.server.auth(here.token) | {"Last-Event-ID": token}
        async with here.server.http.get(f"/api/ai/turns/{answer.turn_id}/events", headers=headers) as response:
            assert response.status in (400, 422), await response.text()


async def test_an_event_id_of_another_turn_loses_nothing_but_what_it_claims(tmp_path: Path):
    async with stage(tmp_path) as here:
        _, frames = await asked_resumably(here)
        other = await ask(here.server, here.token, Face.REST)
        for token, _ in frames[:3]:
            rest = await resumed(here, other.turn_id, token)
            assert rest[-1]["type"] == "done"
            assert rest[-2]["outputs"] == [LONG]


async def test_a_resumable_turn_goes_on_without_its_client_and_a_plain_one_does_not(tmp_path: Path):
    async with world(tmp_path, default_model=MODEL) as here:
        for resumable in (True, False):
            async with _streaming(here, resumable=resumable) as (turn, go_on):
                pass
            if resumable:
                await eventually(lambda turn=turn: here.server.live.turns.find(turn.turn_id, turn.ask.caller.user_id))
                assert not turn._end.done()
                go_on.set()
                frames = await resumed(here, turn.turn_id)
                assert frames[-2]["outputs"] == [TEXT]
            else:
                await asyncio.wait_for(turn.ended(), 5)
                assert turn.reply.cancelled


async def test_a_resumable_turn_that_nobody_reads_is_ended(tmp_path: Path):
    async with world(tmp_path, default_model=MODEL, turn_abandoned_s=0.4) as here:
        async with _streaming(here, resumable=True) as (turn, _):
            with pytest.raises(TimeoutError):  # somebody reads
                await asyncio.wait_for(turn.ended(), 0.8)
        await asyncio.wait_for(turn.ended(), 5)
        assert (turn.reply.cancelled, turn.reply.output) == (True, FIRST)
        record = await here.record(turn.turn_id)
        assert FIRST in json.dumps(record)


async def test_a_reader_of_a_plain_turn_ends_nothing_when_it_leaves(tmp_path: Path):
    async with world(tmp_path, default_model=MODEL, turn_abandoned_s=0.2) as here, asking(here) as asked:
        path = f"/api/ai/turns/{asked.turn_id}/events"
        async with here.server.http.get(path, headers=here.server.auth(here.token)) as response:
            await response.content.readuntil(b"\n\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(asked.task), 0.6)
        assert (await asked.reply())["outputs"] == [TEXT]


@asynccontextmanager
async def _streaming(here: World, *, resumable: bool) -> AsyncGenerator[tuple[Any, asyncio.Event]]:
    """Ask over SSE and read the first half of the answer; the connection ends with the block."""
    script, go_on = halves()
    here.upstream.script(script)
    body = body_of(Face.SSE, resumable=resumable)
    async with here.server.http.post(PATHS[Face.SSE], json=body, headers=here.server.auth(here.token)) as response:
        streamed = b""
        while FIRST not in streamed.decode():
            streamed += await response.content.readuntil(b"\n\n")
        yield await here.running(), go_on
        response.close()
