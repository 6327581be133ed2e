"""What a provider may do wrong, on every face: the coded error or the partial answer, the record, and who pays."""

import asyncio
import json
from typing import Any

import pytest

from tests.faces import FACES, QUESTION, Answer, Face, ask
from tests.fakes.upstream import (
    CUT,
    DONE,
    STALL,
    Exchange,
    Reply,
    Step,
    chunk,
    ending,
    error_reply,
    frame,
    text_reply,
    text_steps,
    tool_reply,
)
from tests.world import World, charges, stored, world

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]
SETTINGS: dict[str, Any] = {
    "turn_first_token_s": 1,
    "turn_silence_s": 1,
    "provider_retry_budget_s": 0.7,
    "turn_max_rounds": 3,
    "turn_max_answer_chars": 2_000,
    "openai_api_key": "sk-never-to-be-seen",
}

PART = "Half of an answer, "
ERROR = frame({"error": {"message": "sk-never-to-be-seen at 10.1.2.3", "type": "server_error", "code": None}})


async def failed(here: World, answer: Answer, code: str, text: str = "") -> dict[str, Any]:
    """A failure on every face: an `error` frame after what streamed, and a plain reply on REST; nobody pays."""
    error = answer.error
    assert error, answer.body
    assert (error["code"], error["details"]["provider"]) == (code, "openai")
    assert error["status"] == {"provider_failed": 502, "provider_timeout": 504}[code]
    if answer.face is Face.REST:
        assert answer.status == error["status"]
    else:
        assert answer.status == 200
        assert set(answer.texts.values()) == {text}
        last = answer.frames[-1]
        assert last == "[DONE]" if answer.face is Face.OPENAI else last["type"] == "done"
    assert b"sk-never" not in answer.body
    assert b"10.1.2.3" not in answer.body
    row = stored(here.database, answer.turn_id)
    assert (row["state"], row["success"], row["output"], row["credits"]) == ("failed", 0, text, 0)
    assert json.loads(row["failure"])["code"] == code
    assert charges(here.database, answer.turn_id) == []
    record = await here.record(answer.turn_id)
    assert (record["success"], record["out"]["output"], record["error"]["code"]) == (False, text, code)
    return error


async def answered(here: World, answer: Answer, text: str) -> dict[str, Any]:
    """A success, whatever went before it."""
    assert (answer.status, answer.error) == (200, None)
    assert set(answer.texts.values()) == {text}
    row = stored(here.database, answer.turn_id)
    assert (row["state"], row["output"]) == ("done", text)
    assert charges(here.database, answer.turn_id) == [row["credits"]]
    return row


REFUSALS: dict[str, tuple[Reply, int]] = {
    "401": (error_reply(401, "bad key sk-never-to-be-seen", code="invalid_api_key"), 1),
    "403": (error_reply(403, "not here"), 1),
    "404": (error_reply(404, "no such model"), 1),
    "400": (error_reply(400, "sk-never-to-be-seen"), 1),
    "429 quota": (error_reply(429, "pay", code="insufficient_quota"), 1),
    "429 later": (error_reply(429, "slow down", headers={"Retry-After": "60"}), 1),
    "429 always": (error_reply(429, "slow down", headers={"Retry-After": "0"}), 3),
    "503 always": (error_reply(503, "10.1.2.3 is down", headers={"Retry-After": "0"}), 3),
    "a page": (Reply([b"<html>10.1.2.3</html>"], 502, {"Content-Type": "text/html", "Retry-After": "0"}), 3),
    "a redirect": (Reply([b""], 307, {"Location": "http://10.1.2.3/"}), 1),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_provider_that_refuses(here: World, name: str) -> None:
    reply, attempts = REFUSALS[name]
    for face in FACES:
        asked = len(here.upstream.exchanges)
        here.upstream.script(*[reply] * attempts)
        answer: Answer = await here.ask(face)
        error = await failed(here, answer, "provider_failed")
        assert error["details"]["status"] == reply.status
        assert len(here.upstream.exchanges) - asked == attempts
        if name == "429 later" and face is Face.REST:
            assert int(answer.headers["retry-after"]) >= 60


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_provider_that_comes_round(here: World, status: int) -> None:
    for face in FACES:
        sorry = error_reply(status, "one moment", headers={"Retry-After": "0"})
        here.upstream.script(sorry, sorry, text_reply(PART))
        await answered(here, await here.ask(face), PART)


async def test_nobody_there(here: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    async with world(tmp_path_factory.mktemp("alone"), **{**SETTINGS, "turn_first_token_s": 30}) as alone:
        await alone.upstream.__aexit__()
        for answer in await asyncio.gather(*(alone.ask(face) for face in FACES)):
            await failed(alone, answer, "provider_failed")
        await alone.upstream.__aenter__()


FAULTS: dict[str, tuple[list[Step], str, str]] = {
    "cut at once": ([b"", CUT], "provider_failed", ""),
    "cut before text": ([chunk({"role": "assistant", "content": ""}), CUT], "provider_failed", ""),
    "cut in text": ([*text_steps(PART), CUT], "provider_failed", PART),
    "cut in a chunk": ([*text_steps(PART), chunk({"content": "more"})[:30], CUT], "provider_failed", PART),
    "ends in text": (text_steps(PART), "provider_failed", PART),
    "ends before text": ([b": hello\n\n"], "provider_failed", ""),
    "no body": ([], "provider_failed", ""),
    "garbage before text": ([b"data: <html>10.1.2.3</html>\n\n"], "provider_failed", ""),
    "garbage in text": ([*text_steps(PART), b"data: {sk-never-to-be-seen\n\n", *ending()], "provider_failed", PART),
    "garbage, binary": ([*text_steps(PART), bytes(range(128, 256)) * 20, b"\n\n"], "provider_failed", PART),
    "error before text": ([ERROR], "provider_failed", ""),
    "error in text": ([*text_steps(PART), ERROR, DONE], "provider_failed", PART),
    "not a stream": ([json.dumps({"choices": [{"message": {"content": "hello"}}]}).encode()], "provider_failed", ""),
    "stalls before the first byte": ([STALL], "provider_timeout", ""),
    "stalls in text": ([*text_steps(PART), STALL], "provider_timeout", PART),
    "stalls in thinking": ([chunk({"reasoning_content": "hm"}), STALL], "provider_timeout", ""),
    "only comments for ever": ([b": ping\n\n", 0.1] * 100, "provider_timeout", ""),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_stream_that_fails(here: World, name: str) -> None:
    steps, code, text = FAULTS[name]
    here.upstream.default = lambda _: Reply(list(steps))
    for answer in await asyncio.gather(*(here.ask(face) for face in FACES)):
        error = await failed(here, answer, code, text)
        if code == "provider_timeout":
            assert error["details"]["limit"] == ("silence" if text or "thinking" in name else "first_token")
    for exchange in here.upstream.exchanges[-len(FACES) :]:
        assert exchange.completed.is_set() or await exchange.hung_up()


def thirty(exchange: Exchange) -> Reply:
    """An answer that never ends by itself, thirty characters at a time."""
    return Reply([step for _ in range(10_000) for step in (chunk({"content": "x" * 30}), 0.0)])


@pytest.mark.parametrize("face", FACES)
async def test_an_answer_without_end(here: World, face: Face) -> None:
    """It is cut at the limit, said to be cut, paid for, and the provider is hung up on."""
    here.upstream.default = thirty
    answer: Answer = await here.ask(face)
    exchange = here.upstream.exchanges[-1]
    assert await exchange.hung_up()
    text = stored(here.database, answer.turn_id)["output"]
    assert 2_000 < len(text) <= 2_000 + 65_536
    row = await answered(here, answer, text)
    assert (row["stop_reason"], row["usage_estimated"], row["credits"]) == ("length", 1, 1)
    if face is Face.OPENAI:
        assert answer.frames[-2]["choices"][0]["finish_reason"] == "length"
    else:
        assert (answer.reply["truncated"], answer.reply["usageEstimated"]) == (True, True)


@pytest.mark.parametrize("face", FACES)
async def test_one_huge_piece(here: World, face: Face) -> None:
    """Three megabytes in one chunk: all of it is the answer, or none; the server goes on."""
    here.upstream.script(Reply([chunk({"content": "é" * 1_500_000}), *ending()]))
    answer: Answer = await here.ask(face)
    row = stored(here.database, answer.turn_id)
    await answered(here, answer, row["output"])
    assert set(row["output"]) == {"é"}
    assert len(answer.body) < 20_000_000


@pytest.mark.parametrize("face", FACES)
async def test_a_line_without_end(here: World, face: Face) -> None:
    here.upstream.default = lambda _: Reply([*text_steps(PART), b"data: ", *[b"x" * 500_000] * 40])
    await failed(here, await here.ask(face), "provider_failed", PART)
    await here.upstream.exchanges[-1].hung_up()


@pytest.mark.parametrize("face", FACES)
async def test_tools_for_ever(here: World, face: Face) -> None:
    """The last round gets no tools; what it asks for all the same is not run."""
    here.upstream.default = lambda _: tool_reply(("search_uploads", {"query": "library"}), text="Again.")
    asked = len(here.upstream.exchanges)
    answer: Answer = await here.ask(face)
    rounds = [exchange.json for exchange in here.upstream.exchanges[asked:]]
    assert [bool(sent.get("tools")) for sent in rounds] == [True, True, False]
    await answered(here, answer, "Again.\n\nAgain.\n\nAgain.")
    if face in (Face.SSE, Face.DELTA):
        called = [frame["call_id"] for frame in answer.kind("tool_call")]
        assert len(called) == len(set(called)) == 3
        assert sorted(called) == sorted(frame["call_id"] for frame in answer.kind("tool_result"))


ARGUMENTS = (
    "{",
    "[1]",
    "null",
    "7",
    '{"query":',
    '{"query": 5}',
    "{}",
    '{"q": "x"}',
    "\\ud800",
    '{"query": ""}',
    "[" * 500,
)


@pytest.mark.parametrize("arguments", ARGUMENTS)
async def test_tool_arguments_that_are_none(here: World, arguments: str) -> None:
    """The model is told what is wrong, and answers all the same."""
    call = {"index": 0, "id": "call_1", "type": "function"}
    asks = chunk({"tool_calls": [{**call, "function": {"name": "search_uploads", "arguments": arguments}}]})
    for face in FACES:
        here.upstream.script(Reply([asks, *ending("tool_calls")]), text_reply(PART))
        answer: Answer = await here.ask(face)
        await answered(here, answer, PART)
        told = here.upstream.exchanges[-1].json["messages"][-1]
        assert (told["role"], told["tool_call_id"]) == ("tool", "call_1")
        if face in (Face.SSE, Face.DELTA):
            result = answer.kind("tool_result")[-1]
            assert result["success"] is False
            assert result["arguments"] is None or isinstance(result["arguments"], dict)
            assert result["response"] == told["content"]


async def test_a_tool_that_nobody_has(here: World) -> None:
    for face in FACES:
        here.upstream.script(tool_reply(("rm_rf", {"path": "/"})), text_reply(PART))
        await answered(here, await here.ask(face), PART)
        assert "search_uploads" in here.upstream.exchanges[-1].json["messages"][-1]["content"]


async def test_a_hundred_tools_at_once(here: World) -> None:
    calls = [("search_uploads", {"query": f"library {number}"}) for number in range(100)]
    here.upstream.script(tool_reply(*calls), text_reply(PART))
    answer: Answer = await here.ask(Face.SSE)
    await answered(here, answer, PART)
    results = answer.kind("tool_result")[1:]
    assert len(results) == 100
    assert 0 < sum(result["success"] for result in results) <= 16
    told = [message for message in here.upstream.exchanges[-1].json["messages"] if message["role"] == "tool"]
    assert len(told) == 100


@pytest.mark.parametrize("second", ["cut", "stall", "refuse"])
async def test_a_later_round_that_fails(here: World, second: str) -> None:
    """What the first round said is kept with the record, and still nobody pays."""
    tools = tool_reply(("search_uploads", {"query": "library"}), text=PART)
    replies = {"cut": Reply([CUT]), "stall": Reply([STALL]), "refuse": error_reply(401, "no")}
    here.upstream.default = lambda _: replies[second]
    for face in FACES:
        here.upstream.script(tools)
        answer: Answer = await here.ask(face)
        await failed(here, answer, "provider_timeout" if second == "stall" else "provider_failed", PART)


async def test_usage_that_is_nonsense(here: World) -> None:
    """A provider's count may be anything; a charge is at least 1 and at most what was held."""
    counts: list[Any] = [-5, 10**30, 2**63, 2**31, "many", None, [], 1.5, True]
    for count in counts:
        usage = {"prompt_tokens": count, "completion_tokens": count, "total_tokens": count}
        here.upstream.script(
            Reply([*text_steps(PART), chunk(finish="stop"), frame({"choices": [], "usage": usage}), DONE])
        )
        answer = await ask(here.server, here.token, Face.SSE, QUESTION)
        row = await answered(here, answer, PART)
        assert row["credits"] >= 1, count
        assert row["usage_input"] >= 0
        assert row["usage_completion"] >= 0
