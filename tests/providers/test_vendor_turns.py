"""Whole turns over every vendor's wire: a real server, a fake of the vendor on a real socket, each face.

A turn thinks, calls a tool, and answers. Each request is judged by what the vendor documents, and the second one must
carry what the vendor wants back; nobody else may see it.
"""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.faces import FACES, Face, body_of
from tests.fakes.speakers import KEY, SPEAKERS, Speaker
from tests.fakes.upstream import STALL, Reply, Upstream
from tests.live import EMAIL, live_server
from tests.transports.socketio.clients import joined
from tests.world import UNBOUNDED, World, balances, charges, stored
from twinspeak.domain.attachments import Attachment
from twinspeak.domain.events import TextDelta

pytestmark = pytest.mark.usefixtures("database")

THINKING, LOOK, ANSWER = "Well, let me see.", "Let me look.", "It opens at nine."
WHOLE = f"{LOOK}\n\n{ANSWER}"
PNG = Attachment("image/png", b"\x89PNG\r\n\x1a\n not much of a picture")
PDF = Attachment("application/pdf", b"%PDF-1.7 not much of a paper", "plan.pdf")
ARGUMENTS = {"query": "öffnungszeiten"}


class Place:
    def __init__(self, speaker: Speaker, upstream: Upstream, world: World) -> None:
        self.speaker = speaker
        self.upstream = upstream
        self.world = world

    def script(self) -> None:
        first = self.speaker.tool_reply(THINKING, LOOK, "search_uploads", ARGUMENTS)
        second = self.speaker.text_reply(ANSWER)
        self.upstream.default = lambda exchange: second if self.speaker.second(exchange) else first


@pytest.fixture(params=SPEAKERS, ids=lambda speaker: speaker.name)
async def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Place]:
    speaker: Speaker = request.param
    for name, value in speaker.environment.items():
        monkeypatch.setenv(name, value)
    async with speaker.upstream() as upstream:
        limits = {"turns_per_minute_user": UNBOUNDED, "turns_per_minute_twin": UNBOUNDED, "stream_coalesce_ms": 0}
        changes = {**limits, **speaker.settings(upstream), "default_model": speaker.model}
        async with live_server(tmp_path, **changes) as server:
            world = World(server, upstream, await server.sign_in())
            await world.award(EMAIL, 100_000)
            yield Place(speaker, upstream, world)


@pytest.mark.parametrize("face", FACES)
async def test_a_turn_that_thinks_and_uses_a_tool(place: Place, face: Face):
    place.script()
    answer = await place.world.ask(face, "When does the library open?")
    assert answer.error is None
    assert set(answer.texts.values()) == {WHOLE}
    requests = place.upstream.exchanges
    assert len(requests) == 2
    for exchange in requests:
        place.speaker.check(exchange)
    assert place.speaker.given_back(requests[1].json) == place.speaker.wanted_back
    row = stored(place.world.database, answer.turn_id)
    assert (row["state"], row["output"], row["provider"]) == ("done", WHOLE, place.speaker.name)
    assert (row["usage_estimated"], row["usage_input"] > 0, row["usage_completion"] > 0) == (0, True, True)
    assert charges(place.world.database, answer.turn_id) == [row["credits"]]
    balances(place.world.database)
    if face in (Face.SSE, Face.DELTA):
        done = [frame for frame in answer.kind("thinking") if frame.get("done")]
        assert [(frame["text"], frame.get("signature")) for frame in done] == [(THINKING, place.speaker.signature)]
        calls = [frame for frame in answer.kind("tool_call") if frame["arguments"] == ARGUMENTS]
        assert len(calls) == 1
    for secret in ("redacted", "encrypted", KEY):
        assert secret.encode() not in answer.body


async def test_a_turn_that_thinks_and_uses_a_tool_over_a_socket(place: Place):
    place.script()
    async with joined(place.world.server, place.world.token) as tab:
        answer = await place.world.ask(Face.REST, "When does the library open?", socketId=tab.sid)
        await tab.reads(WHOLE, answer.turn_id)
        assert answer.json["streamingFailed"] is False
        done = [frame for frame in tab.of(answer.turn_id, "THINKING") if frame.get("done")]
        assert [(frame["text"], frame.get("signature")) for frame in done] == [(THINKING, place.speaker.signature)]
        calls = [call for call in tab.of(answer.turn_id, "TOOL_CALL") if call["arguments"] == ARGUMENTS]
        assert len(calls) == 1
        assert "redacted" not in repr(tab.payloads)
    for exchange in place.upstream.exchanges:
        place.speaker.check(exchange)
    assert place.speaker.given_back(place.upstream.exchanges[1].json) == place.speaker.wanted_back


@pytest.mark.parametrize("face", [Face.REST, Face.OPENAI])
async def test_files_of_a_question_go_along_in_every_round(place: Place, face: Face):
    place.script()
    files = [PNG, PDF, PDF]
    answer = await place.world.ask(face, attachments=[{"url": file.data_url, "name": file.name} for file in files])
    assert set(answer.texts.values()) == {WHOLE}
    assert len(place.upstream.exchanges) == 2
    for exchange in place.upstream.exchanges:
        place.speaker.check(exchange)
        assert [exchange.body.count(file.base64.encode()) for file in (PNG, PDF)] == [1, 2]


@pytest.mark.parametrize("face", [Face.SSE, Face.OPENAI])
async def test_hanging_up_closes_the_vendors_connection_at_once(place: Place, face: Face):
    half = Reply([*place.speaker.half("Half an answer"), STALL], headers=place.speaker.text_reply("").headers)
    place.upstream.script(half)
    server = place.world.server
    path = "/api/ai/personal-stream/qanda-stream" if face is Face.SSE else "/api/ai/chat/completions"
    async with server.http.post(path, json=body_of(face), headers=server.auth(place.world.token)) as response:
        seen = b""
        while b"answer" not in seen and b"wer" not in seen:
            seen += await asyncio.wait_for(response.content.readany(), 5)
        exchange = await place.upstream.exchange()
        response.close()
    assert await exchange.hung_up(within=2)
    await place.world.ended()


async def test_cancelling_keeps_what_came_and_says_that_it_is_estimated(place: Place):
    half = Reply([*place.speaker.half("Half an answer"), STALL], headers=place.speaker.text_reply("").headers)
    place.upstream.script(half)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(place.world.ask(Face.REST, "?"))
        exchange = await place.upstream.exchange()
        turn = await place.world.running()
        async with asyncio.timeout(5):
            async for event in turn.log:
                if isinstance(event, TextDelta) and event.end == len("Half an answer"):
                    break
        status, _ = await place.world.post(f"/api/ai/turns/{turn.ask.turn_id}/cancel")
        assert status == 200
    assert await exchange.hung_up(within=2)
    answer = asking.result()
    assert (answer.json["success"], answer.json["cancelled"]) == (True, True)
    assert answer.json["outputs"] == ["Half an answer"]
    row = stored(place.world.database, answer.turn_id)
    assert (row["state"], row["usage_estimated"]) == ("cancelled", 1)
    assert row["usage_completion"] >= 3


@pytest.mark.parametrize("face", FACES)
async def test_a_failing_vendor_is_told_without_its_words(place: Place, face: Face):
    place.upstream.default = lambda _: place.speaker.refused(401, {})
    answer = await place.world.ask(face)
    assert answer.error
    assert (answer.error["code"], answer.error["status"]) == ("provider_failed", 502)
    assert KEY.encode() not in answer.body


async def test_the_models_of_a_configured_vendor_are_listed(place: Place):
    status, body = await place.world.get("/api/ai/models")
    assert status == 200
    assert body["data"][0]["id"] == place.speaker.model
    assert body["data"][0]["owned_by"] == place.speaker.name
