"""The law of contract section 4: one text, however the provider's bytes are cut, on every face, in history, on disk.

Each recording is sent by a real upstream to a real server and asked for on each face; the text must be what
`tests.laws.decode` reads from the same bytes. `STRIDE` turns cut one recording at every byte: turn k cuts it at
k, k + STRIDE, k + 2 STRIDE and so on.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from tests.faces import FACES, Answer, Face
from tests.fakes.upstream import Exchange, Reply, Step, text_reply
from tests.laws import decode
from tests.world import World, balances, charges, stored, world
from twinspeak.providers.openai_chat import OpenAIChatDecoder

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

STRIDE = 24
SECOND = "The second round [1] answers."
_TURNS_OF_THE_LOOP = 3
"""That a piece of bytes gets to reach the decoder before the next one is sent."""

OWN = decode.own_recordings()
SHARED = [path for path in decode.shared_recordings() if path.match("openai/chat-*.sse")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[World]:
    async with world(tmp_path_factory.mktemp("one-text"), credits=50_000_000) as made:
        yield made


def cut(body: bytes, at: range) -> Reply:
    """Send `body` in pieces that end at `at`."""
    ends = [0, *at, len(body)]
    steps: list[Step] = []
    for start, end in pairwise(ends):
        steps += [body[start:end], *[0.0] * _TURNS_OF_THE_LOOP]
    return Reply(steps)


class Expected(NamedTuple):
    body: bytes
    text: str
    thinking: str
    calls: int
    fails: bool


@cache
def expected(path: Path) -> Expected:
    """What a recording holds, by the other decoder; NUL, which no database takes, is U+FFFD in every copy."""
    body = path.read_bytes()
    deltas = [decode._delta(chunk) for chunk in decode._chunks(body)]
    opened = {call["id"] for delta in deltas for call in delta.get("tool_calls") or [] if call.get("id")}
    fails = bool(json.loads(path.with_suffix(".json").read_text()).get("fails"))
    text, thinking = (found.replace("\0", "\ufffd") for found in (decode.text_of(body), decode.thinking_of(body)))
    return Expected(body, text, thinking, 0 if fails else len(opened), fails)


async def check(here: World, path: Path, face: Face, cuts: Sequence[range]) -> None:
    """Run one turn for each of `cuts` on one face, all at once, and hold every copy of their text together."""
    body, text, thinking, calls, fails = expected(path)
    replies = deque(cut(body, at) for at in cuts)
    here.upstream.default = lambda exchange: text_reply(SECOND) if second_round(exchange) else replies.popleft()
    answers: list[Answer] = await asyncio.gather(*(here.ask(face) for _ in cuts))
    assert not replies
    text = "\n\n".join(part for part in (text, SECOND if calls else "") if part)
    for answer in answers:
        row = stored(here.database, answer.turn_id)
        record = await here.record(answer.turn_id)
        told = answer.texts | {"row": row["output"], "history": record["out"]["output"]}
        assert told == dict.fromkeys(told, text)
        assert record["out"]["outputs"] == [text]
        failed(answer, row) if fails else succeeded(answer, row)
        if face in (Face.SSE, Face.DELTA):
            check_thinking(answer, thinking)
            check_tools(answer, calls)
        assert charges(here.database, answer.turn_id) == ([] if fails else [row["credits"]])
    balances(here.database)


def second_round(exchange: Exchange) -> bool:
    return any(message["role"] == "tool" for message in exchange.json["messages"])


def succeeded(answer: Answer, row: dict[str, Any]) -> None:
    assert answer.error is None
    assert answer.status == 200
    assert (row["state"], row["success"], row["failure"]) == ("done", 1, None)
    assert row["credits"] >= 1
    if answer.face is Face.OPENAI:
        assert answer.frames[-1] == "[DONE]"
        assert answer.frames[-2]["choices"][0]["finish_reason"] in {"stop", "length", "content_filter"}
    else:
        assert answer.reply["credits"] == row["credits"]
        assert answer.reply["usage"] == row["usage_input"] + row["usage_completion"]


def failed(answer: Answer, row: dict[str, Any]) -> None:
    assert answer.error
    assert (answer.error["code"], answer.error["status"]) == ("provider_failed", 502)
    assert answer.status == (502 if answer.face is Face.REST else 200)
    assert (row["state"], row["success"], row["credits"]) == ("failed", 0, 0)
    if answer.face is Face.OPENAI:
        assert answer.frames[-1] == "[DONE]"
    elif answer.face is not Face.REST:
        assert [frame["type"] for frame in answer.frames[-2:]] == ["error", "done"]
        assert not answer.kind("complete")


def check_thinking(answer: Answer, thinking: str) -> None:
    """Exactly one done frame a round that thought, before its text, with the text of that round's deltas."""
    rounds: dict[int, str] = {}
    closed: list[int] = []
    for frame in answer.kind("thinking"):
        assert frame["round"] not in closed, "after the round was closed"
        assert frame["id"] == f"round-{frame['round']}"
        if frame.get("done"):
            closed.append(frame["round"])
            assert frame["text"] == rounds[frame["round"]]
        else:
            rounds[frame["round"]] = rounds.get(frame["round"], "") + frame["delta"]
    assert closed == list(rounds)
    assert thinking.startswith("".join(rounds.values()))
    assert bool(rounds) == bool(thinking)
    kinds = [frame["type"] for frame in answer.frames]
    if rounds and "stream" in kinds:
        assert max(at for at, frame in enumerate(answer.frames) if frame.get("done")) < kinds.index("stream")


def check_tools(answer: Answer, calls: int) -> None:
    """One call and one result a call id, in that order; the vault's own search is one more."""
    called = [frame["call_id"] for frame in answer.kind("tool_call")]
    finished = [frame["call_id"] for frame in answer.kind("tool_result")]
    assert len(set(called)) == len(called) == calls + 1
    assert sorted(called) == sorted(finished)
    for call in answer.kind("tool_call"):
        assert call["arguments"] is None or isinstance(call["arguments"], dict)
        assert set(call["displayInfo"]) == {"icon", "label"}
    for result in answer.kind("tool_result"):
        assert isinstance(result["response"], str)
        assert result["responseLength"] >= len(result["response"].partition("… [cut")[0])


@pytest.mark.parametrize("path", [*OWN, *SHARED], ids=decode.name_of)
async def test_one_text_at_every_cut(here: World, path: Path) -> None:
    """Every cut on some face, and every face with cuts all over the body."""
    for at, face in enumerate(FACES):
        await check(here, path, face, every_cut(path)[at :: len(FACES)])


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("path", [*OWN, *SHARED], ids=decode.name_of)
async def test_one_text_at_every_cut_on_every_face(here: World, path: Path, face: Face) -> None:
    await check(here, path, face, every_cut(path))


async def test_the_shared_recordings_were_there() -> None:
    if not SHARED:
        pytest.skip("no shared recordings beside this checkout: the law ran over the project's own")


async def test_the_cuts_reach_the_decoder(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the law would be about whole bodies only."""
    fed: dict[OpenAIChatDecoder, list[int]] = {}
    feed = OpenAIChatDecoder.feed

    def counting(decoder: OpenAIChatDecoder, data: bytes) -> Any:
        fed.setdefault(decoder, []).append(len(data))
        return feed(decoder, data)

    monkeypatch.setattr(OpenAIChatDecoder, "feed", counting)
    path = next(path for path in OWN if path.stem == "unicode")
    await check(here, path, Face.SSE, every_cut(path))
    assert {sizes[0] for sizes in fed.values()} == set(range(1, STRIDE + 1))
    assert {size for sizes in fed.values() for size in sizes[1:-1]} == {STRIDE}


def every_cut(path: Path) -> list[range]:
    size = path.stat().st_size
    return [range(first, size, STRIDE) for first in range(1, STRIDE + 1)]
