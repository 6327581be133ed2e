"""Every stream of the SSE face, read by the clients that people use (contract 4.1 and 4.2)."""

import asyncio
from collections import defaultdict
from typing import Any

import pytest

from tests.conformance.node import Judge
from tests.conformance.scripts import PLAIN, SCRIPTS, gated, split_emoji
from tests.conformance.sse_readers import SSE_READERS, Frame, Read, SseReader
from tests.conformance.stage import SSE_PATH, Stage

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]


@pytest.fixture(params=SSE_READERS)
def reader(request: pytest.FixtureRequest) -> SseReader:
    return SSE_READERS[request.param]


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_stream_is_read(name: str, reader: SseReader, stage: Stage, judge: Judge):
    script = SCRIPTS[name]
    stage.upstream.script(*script.replies())
    read = await reader(stage, judge, stage.body(**script.args))
    assert {frame["type"] for frame in read.frames} == script.kinds
    assert_framed(read)
    assert_thinking_closed(read)
    assert_tools_paired(read)
    if "complete" in script.kinds:
        assert read.of("complete")[0]["outputs"] == [script.text]
        assert_law(read, script.text, cumulative="streamMode" not in script.args)
    else:
        assert_failed(read)
        assert "".join(frame["delta"] for frame in read.of("stream")) == script.spoken


async def test_a_cancelled_answer_ends_well(reader: SseReader, stage: Stage, judge: Judge):
    never = asyncio.Event()
    stage.upstream.script(gated(PLAIN, never))
    cancelling: list[asyncio.Task[Any]] = []

    def cancel(frame: Frame) -> None:
        if frame["type"] == "stream" and frame["prompt"] == PLAIN:
            cancelling.append(asyncio.create_task(cancel_running(stage)))

    read = await reader(stage, judge, stage.body(), cancel)
    await asyncio.gather(*cancelling)
    assert_framed(read)
    assert_law(read, PLAIN)
    complete = read.of("complete")[0]
    assert (complete["success"], complete["cancelled"]) == (True, True)


async def test_silence_is_filled_with_heartbeats(reader: SseReader, beating: Stage, judge: Judge):
    enough = asyncio.Event()
    beating.upstream.script(gated(PLAIN, enough))
    beats: list[Frame] = []

    def listen(frame: Frame) -> None:
        if frame["type"] == "stream" and not frame["delta"]:
            beats.append(frame)
            if frame["prompt"] == PLAIN:
                enough.set()

    read = await reader(beating, judge, beating.body(), listen)
    assert_framed(read)
    assert_law(read, PLAIN)
    assert beats[-1] == {"type": "stream", "prompt": PLAIN, "delta": ""}


async def test_an_emoji_that_the_model_cut_in_two_arrives_whole(reader: SseReader, stage: Stage, judge: Judge):
    stage.upstream.script(split_emoji())
    read = await reader(stage, judge, stage.body())
    assert_law(read, "🙂")


async def test_passages_alone_are_an_answer(reader: SseReader, stage: Stage, judge: Judge):
    await stage.set_twin(rag_ignore=False)
    try:
        asked = {"inputs": ["How are answers streamed?"], "requestArgs": {"ragOnly": True}}
        read = await reader(stage, judge, asked)
    finally:
        await stage.set_twin(rag_ignore=True)
    assert_framed(read)
    assert_tools_paired(read)
    assert [frame["name"] for frame in read.of("tool_call")] == ["search_uploads"]
    complete = read.of("complete")[0]
    assert_law(read, complete["outputs"][0])
    assert len(complete["ragResults"]) == len(complete["sources"]) > 0
    assert all(f"[{source['number']}]" in complete["outputs"][0] for source in complete["sources"])


async def test_thinking_that_the_twin_hides_is_not_sent(reader: SseReader, stage: Stage, judge: Judge):
    await stage.set_twin(display_thinking_details=False)
    try:
        stage.upstream.script(*SCRIPTS["thinking"].replies())
        read = await reader(stage, judge, stage.body())
    finally:
        await stage.set_twin(display_thinking_details=True)
    assert read.of("thinking") == []
    assert_law(read, PLAIN)


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        ({"inputs": ["Hi"]}, {"x-access-token": "no-token"}, 401, "invalid_token"),
        ({"inputs": ["Hi"]}, {}, 401, "authentication_required"),
        ({"inputs": ["Hi"], "requestArgs": {"assistantId": "0" * 24}}, None, 404, "not_found"),
        ({"inputs": []}, None, 422, "validation_failed"),
    ],
)
async def test_a_refusal_is_plain_json(body: Any, headers: dict[str, str] | None, status: int, code: str, stage: Stage):
    sent = stage.headers if headers is None else headers
    async with stage.server.http.post(SSE_PATH, json=body, headers=sent) as answer:
        assert (answer.status, answer.content_type) == (status, "application/json")
        refused = await answer.json()
    assert (refused["success"], refused["error"]["code"], refused["error"]["status"]) == (False, code, status)


async def cancel_running(stage: Stage) -> None:
    """Cancel the only running turn."""
    running = (await stage.get("/api/ai/turns"))["data"]
    assert len(running) == 1
    assert (await stage.post(f"/api/ai/turns/{running[0]['turnId']}/cancel", {}))["success"]


def assert_framed(read: Read) -> None:
    """`connected` first, with the id that the header has; one outcome, then `done`, then nothing."""
    first, *_, outcome, last = read.frames
    assert first == {"type": "connected", "message": "Stream connected", "turnId": read.headers["x-turn-id"]}
    assert outcome["type"] in {"complete", "error"}
    assert last == {"type": "done"}
    kinds = [frame["type"] for frame in read.frames]
    assert [kinds.count(kind) for kind in ("connected", "done")] == [1, 1]
    assert kinds.count("complete") + kinds.count("error") == 1


def assert_law(read: Read, text: str, *, cumulative: bool = True) -> None:
    """Joined deltas = last prompt = outputs = what the model said; each prompt is the deltas so far."""
    so_far = ""
    for frame in read.of("stream"):
        so_far += frame["delta"]
        assert frame.get("prompt") == (so_far if cumulative else None)
    assert so_far == text
    assert read.of("complete")[0]["outputs"] == [text]
    assert read.of("complete")[0]["turnId"] == read.headers["x-turn-id"]


def assert_thinking_closed(read: Read) -> None:
    """One `done: true` a round, which says what its deltas said."""
    deltas: dict[str, str] = defaultdict(str)
    closed: dict[str, str] = {}
    for frame in read.of("thinking"):
        assert frame["id"] == f"round-{frame['round']}"
        assert frame["id"] not in closed
        if frame.get("done"):
            closed[frame["id"]] = frame["text"]
        else:
            deltas[frame["id"]] += frame["delta"]
    assert closed == deltas


def assert_tools_paired(read: Read) -> None:
    """One call and then one result an id; of tools that run at once, whichever ends first tells first."""
    calls = [frame["call_id"] for frame in read.of("tool_call")]
    assert len(set(calls)) == len(calls)
    assert sorted(frame["call_id"] for frame in read.of("tool_result")) == sorted(calls)
    order = [(frame["call_id"], frame["type"]) for frame in read.frames if "call_id" in frame]
    assert all(order.index((call, "tool_call")) < order.index((call, "tool_result")) for call in calls)
    for frame in read.of("tool_call"):
        assert frame["displayInfo"].keys() == {"icon", "label"}
        assert frame["arguments"] is None or isinstance(frame["arguments"], dict)


def assert_failed(read: Read) -> None:
    """The error says what the documents promise, and nothing of the model's own words."""
    error = read.of("error")[0]["error"]
    assert (error["code"], error["status"]) == ("provider_failed", 502)
    assert error["message"]
    assert error["details"]["provider"] == "openai"
