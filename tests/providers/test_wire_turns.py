"""A whole turn over each wire of `tests.fakes.wire`, on each face: a real server and socket, thinking, a tool.

What the vendor is sent is held against its documented schema; what people are shown holds nothing that is the vendor's.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio

from tests.faces import FACES, PATHS, Answer, Face, body_of
from tests.fakes import chat_vendors, gemini, responses
from tests.fakes.upstream import STALL, Reply, Upstream
from tests.fakes.wire import ANSWER, KEY, THOUGHT, Wire, only_json
from tests.live import EMAIL, live_server
from tests.transports.socketio.clients import joined
from tests.world import UNBOUNDED, World, balances, stored
from twinspeak.domain.attachments import Attachment

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

WIRES = [gemini.WIRE, responses.WIRE, chat_vendors.OPENAI, chat_vendors.MISTRAL, chat_vendors.XAI]
SECRETS = (KEY, gemini.SIGNATURE, responses.ENCRYPTED)
PNG = Attachment("image/png", b"\x89PNG\r\n\x1a\n not much of a picture")
PDF = Attachment("application/pdf", b"%PDF-1.7 not much of a paper", "plan.pdf")
WORDS = {
    "key": "does not accept this server's key",
    "rate": "busy",
    "quota": "used up",
    "model": "does not know this model",
    "long": "too long",
    "request": "did not accept the request",
}


class Stage:
    def __init__(self, wire: Wire, world: World) -> None:
        self.wire = wire
        self.world = world

    async def ask(self, face: Face, *replies: Reply, **args: Any) -> Answer:
        self.world.upstream.exchanges.clear()
        self.world.upstream.script(*replies)
        return await self.world.ask(face, **args)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=WIRES, ids=lambda wire: wire.model)
async def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, database: str
) -> AsyncGenerator[Stage]:
    wire: Wire = request.param
    limits: dict[str, Any] = {"turns_per_minute_user": UNBOUNDED, "turns_per_minute_twin": UNBOUNDED}
    async with Upstream() as upstream:
        settings = {**limits, "stream_coalesce_ms": 0, "default_model": wire.model, **wire.settings(upstream.port)}
        async with live_server(tmp_path_factory.mktemp(wire.name), **settings) as server:
            here = World(server, upstream, await server.sign_in())
            await here.award(EMAIL, 100_000)
            yield Stage(wire, here)


@pytest.mark.parametrize("face", FACES)
async def test_a_turn_that_thinks_and_uses_a_tool(stage: Stage, face: Face):
    wire, world = stage.wire, stage.world
    answer = await stage.ask(face, wire.asks(), wire.answers())
    row = stored(world.database, answer.turn_id)
    record = await world.record(answer.turn_id)
    told = {**answer.texts, "row": row["output"], "history": record["out"]["output"]}
    assert told == dict.fromkeys(told, ANSWER)
    assert answer.error is None
    counted = (row["usage_input"], row["usage_cached"], row["usage_completion"], bool(row["usage_estimated"]))
    assert counted == (wire.counted.input, wire.counted.cached, wire.counted.completion, False)
    assert (row["state"], row["provider"], row["model"]) == ("done", wire.name, wire.model)
    first, second = world.upstream.exchanges
    wire.check(first)
    wire.check(second)
    wire.check_second(second)
    if face in (Face.SSE, Face.DELTA):
        check_frames(answer, wire)
    shown = answer.body.decode() + repr(row) + repr(record)
    assert [secret for secret in SECRETS if secret in shown] == []
    balances(world.database)


def check_frames(answer: Answer, wire: Wire) -> None:
    """The vault's own search is the first call, the model's the second."""
    calls = answer.kind("tool_call")
    assert [call["name"] for call in calls] == ["search_uploads", "search_uploads"]
    results = {result["call_id"]: result["success"] for result in answer.kind("tool_result")}
    assert results == {call["call_id"]: True for call in calls}
    thinking = answer.kind("thinking")
    done = [(frame["round"], frame["text"]) for frame in thinking if frame.get("done")]
    assert done == ([(0, THOUGHT)] if wire.shows_thinking else [])
    assert "".join(frame.get("delta", "") for frame in thinking) == (THOUGHT if wire.shows_thinking else "")


async def test_a_turn_that_thinks_and_uses_a_tool_over_a_socket(stage: Stage):
    wire, world = stage.wire, stage.world
    async with joined(world.server, world.token) as tab:
        answer = await stage.ask(Face.REST, wire.asks(), wire.answers(), socketId=tab.sid)
        await tab.reads(ANSWER, answer.turn_id)
        assert (answer.texts, answer.json["streamingFailed"]) == ({"outputs": ANSWER}, False)
        calls = tab.of(answer.turn_id, "TOOL_CALL")
        assert [call["name"] for call in calls] == ["search_uploads", "search_uploads"]
        assert [call["success"] for call in tab.of(answer.turn_id, "TOOL_RESULT")] == [True, True]
        done = [frame["text"] for frame in tab.of(answer.turn_id, "THINKING") if frame.get("done")]
        assert done == ([THOUGHT] if wire.shows_thinking else [])
        assert [secret for secret in SECRETS if secret in repr(tab.payloads)] == []
    first, second = world.upstream.exchanges
    wire.check(first)
    wire.check_second(second)


async def test_the_upstream_is_closed_at_once_when_the_client_goes(stage: Stage):
    world = stage.world
    world.upstream.exchanges.clear()
    world.upstream.script(Reply([*stage.wire.opening(), STALL]))
    headers = world.server.auth(world.token)
    async with world.server.http.post(PATHS[Face.SSE], json=body_of(Face.SSE), headers=headers) as response:
        seen = b""
        while b"Half" not in seen:
            seen += await asyncio.wait_for(response.content.readany(), 5)
    assert await world.upstream.exchanges[0].hung_up(within=2)
    await world.ended()


async def test_the_upstream_is_closed_at_once_when_the_turn_is_cancelled(stage: Stage):
    world = stage.world
    world.upstream.exchanges.clear()
    world.upstream.script(Reply([*stage.wire.opening(), STALL]))
    headers = world.server.auth(world.token)
    async with world.server.http.post(PATHS[Face.SSE], json=body_of(Face.SSE), headers=headers) as response:
        seen = b""
        while b"Half" not in seen:
            seen += await asyncio.wait_for(response.content.readany(), 5)
        turn_id = response.headers["x-turn-id"]
        assert (await world.post(f"/api/ai/turns/{turn_id}/cancel"))[0] == 200
        assert await world.upstream.exchanges[0].hung_up(within=2)
        assert b'"done"' in await asyncio.wait_for(response.content.read(), 5)
    row = stored(world.database, turn_id)
    assert (row["state"], row["output"], bool(row["usage_estimated"])) == ("cancelled", "Half", True)
    assert row["credits"] >= 1


async def test_each_refusal_says_what_to_do_and_costs_nothing(stage: Stage):
    for cause, reply in stage.wire.refusals.items():
        answer = await stage.ask(Face.REST, reply)
        assert answer.error
        assert (answer.error["code"], answer.status) == ("provider_failed", 502)
        assert WORDS[cause] in answer.error["message"], cause
        assert KEY not in answer.body.decode()
        assert len(stage.world.upstream.exchanges) == 1, cause
    balances(stage.world.database)


async def test_what_may_pass_is_asked_again(stage: Stage):
    """A 429 that names no wait, and a 503 of a proxy's that does."""
    busy, down = only_json(429, b"{}"), only_json(503, b"<html>", {"Retry-After": "0"})
    answer = await stage.ask(Face.REST, busy, down, stage.wire.answers())
    assert answer.texts == {"outputs": ANSWER}
    assert len(stage.world.upstream.exchanges) == 3
    for exchange in stage.world.upstream.exchanges:
        stage.wire.check(exchange)


@pytest.mark.parametrize("face", FACES)
async def test_files_of_a_question_go_along(stage: Stage, face: Face):
    wire, world = stage.wire, stage.world
    _, listed = await world.get("/api/ai/models")
    reads = next(model["reads"] for model in listed["data"] if model["id"] == wire.model)
    sent = [file for file in (PNG, PDF) if file.media_type in reads]
    assert PNG in sent
    world.upstream.exchanges.clear()
    world.upstream.script(wire.answers())
    answer = await world.ask(face, attachments=[{"url": file.data_url, "name": file.name} for file in sent])
    assert (answer.status, answer.error) == (200, None)
    (exchange,) = world.upstream.exchanges
    wire.check(exchange)
    assert [exchange.body.count(file.base64.encode()) for file in (PNG, PDF)] == [1, len(sent) - 1]


async def test_its_models_can_be_listed(stage: Stage):
    _, listed = await stage.world.get("/api/ai/models")
    assert stage.wire.model in repr(listed)
