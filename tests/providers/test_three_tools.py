"""Three tools in two rounds over every vendor's wire, on every face and database: the same events, the same record."""

import json
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest
import pytest_asyncio

from tests.faces import FACES, Answer, Face
from tests.fakes.rounds import VENDORS, Vendor
from tests.live import EMAIL, live_server
from tests.transports.socketio.clients import joined
from tests.world import UNBOUNDED, World, balances, stored

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

SSE = (Face.SSE, Face.DELTA)
ANSWER = "It is 0.3, and the vault says so."
SUM = {"expression": "0.1 + 0.2"}
CLOCK = {"timezone": "UTC"}
QUERY = {"query": "digital twin", "limit": 2}
FIRST = [("calculate", SUM), ("current_time", CLOCK)]
SECOND = [("search_uploads", QUERY)]
CALLED = [*FIRST, *SECOND]
_OWN = {
    *("id", "_id", "created", "user", "institution", "api", "conversation_model", "usage", "cached", "completion"),
    *("course_id", "course_name", "role_id", "role_name", "latencyMs", "query_duration_ms", "responseDurationMs"),
    *("response", "responseLength", "uploadId", "chunkId"),
}
_records: list[Any] = []


class Stage:
    def __init__(self, vendor: Vendor, world: World) -> None:
        self.vendor = vendor
        self.world = world

    async def ask(self, face: Face, **args: Any) -> Answer:
        vendor, upstream = self.vendor, self.world.upstream
        upstream.exchanges.clear()
        upstream.script(vendor.calls(FIRST), vendor.calls(SECOND), vendor.says(ANSWER))
        answer = await self.world.ask(face, **args)
        assert answer.error is None
        assert len(upstream.exchanges) == 3
        for exchange in upstream.exchanges:
            vendor.check(exchange)
        return answer


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=VENDORS, ids=lambda vendor: vendor.name)
async def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, database: str
) -> AsyncGenerator[Stage]:
    vendor: Vendor = request.param
    limits: dict[str, Any] = {"turns_per_minute_user": UNBOUNDED, "turns_per_minute_twin": UNBOUNDED}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in vendor.environment.items():
            patch.setenv(name, value)
        async with vendor.upstream() as upstream:
            settings = {**limits, "stream_coalesce_ms": 0, "default_model": vendor.model, **vendor.settings(upstream)}
            async with live_server(tmp_path_factory.mktemp(vendor.name), **settings) as server:
                here = World(server, upstream, await server.sign_in())
                await here.award(EMAIL, 100_000)
                yield Stage(vendor, here)


@pytest.mark.parametrize("face", FACES)
async def test_three_tools_in_two_rounds(stage: Stage, face: Face):
    answer = await stage.ask(face)
    assert set(answer.texts.values()) == {ANSWER}
    await check_record(stage.world, answer.turn_id)
    for frames in (await replayed(stage.world, answer.turn_id), answer.frames if face in SSE else None):
        if frames is not None:
            told = [(frame["type"], frame) for frame in frames if frame["type"] != "thinking"]
            check_order(told, start="connected", end="done")
    if face is Face.OPENAI:
        check_spoken(answer)


async def test_three_tools_in_two_rounds_over_a_socket(stage: Stage):
    async with joined(stage.world.server, stage.world.token) as tab:
        answer = await stage.ask(Face.REST, socketId=tab.sid)
        await tab.reads(ANSWER, answer.turn_id)
        frames = [(each["type"].lower(), each) for each in tab.of(answer.turn_id)]
        check_order([frame for frame in frames if frame[0] != "thinking"], start="reload", end="stream")
    await check_record(stage.world, answer.turn_id)


async def replayed(world: World, turn_id: str) -> list[dict[str, Any]]:
    """Return a turn's events as they can be picked up afterwards, whatever face it was asked on."""
    async with world.server.http.get(
        f"/api/ai/turns/{turn_id}/events", headers=world.server.auth(world.token)
    ) as response:
        assert response.status == 200
        lines = (await response.text()).splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def check_spoken(answer: Answer) -> None:
    """Chat completions say that tools run, once until there is an answer, and before it (contract 4.4)."""
    spoken, *said = answer.contents()
    assert (spoken, "".join(said)) == ("One moment, calculating.\n\n", ANSWER)


def check_order(frames: list[tuple[str, dict[str, Any]]], *, start: str, end: str) -> None:
    """The vault's own search, two calls at once with their results, one more with its, then the text (contract 4.1)."""
    assert (frames[0][0], frames[-1][0]) == (start, end)
    kinds = [kind for kind, _ in frames]
    middle = [(kind, frame) for kind, frame in frames if kind in ("tool_call", "tool_result")]
    assert [kind for kind, _ in middle[:2]] == ["tool_call", "tool_result"]
    assert sorted(kind for kind, _ in middle[2:6]) == ["tool_call", "tool_call", "tool_result", "tool_result"]
    assert [kind for kind, _ in middle[6:]] == ["tool_call", "tool_result"]
    for at, (kind, frame) in enumerate(middle):
        begun = [one["call_id"] for name, one in middle[:at] if name == "tool_call"]
        assert (frame["call_id"] in begun) == (kind == "tool_result")
    calls = [frame for kind, frame in middle if kind == "tool_call"]
    results = {frame["call_id"]: frame for kind, frame in middle if kind == "tool_result"}
    assert [(call["name"], call["arguments"]) for call in calls[1:]] == CALLED
    assert len(results) == len({call["call_id"] for call in calls}) == 4
    assert all(call["displayInfo"]["icon"] and call["displayInfo"]["label"] for call in calls)
    for call in calls:
        result = results[call["call_id"]]
        assert (result["name"], result["arguments"], result["success"]) == (call["name"], call["arguments"], True)
        assert result["responseLength"] > 0
        assert result["responseDurationMs"] >= 0
    assert results[calls[1]["call_id"]]["response"] == "0.3"
    assert kinds.index("stream") > max(at for at, kind in enumerate(kinds) if kind == "tool_result")


def common(value: Any) -> Any:
    """Return what of a record is no turn's own."""
    if isinstance(value, dict):
        return {name: common(each) for name, each in cast("dict[str, Any]", value).items() if name not in _OWN}
    return [common(each) for each in cast("list[Any]", value)] if isinstance(value, list) else value


async def check_record(world: World, turn_id: str) -> None:
    """Every face, vendor and database leave the same record, but for what is each turn's own."""
    row, record = stored(world.database, turn_id), await world.record(turn_id)
    assert (row["state"], row["output"], record["out"]["output"]) == ("done", ANSWER, ANSWER)
    tools = record["tools"]
    assert [(tool["name"], tool["success"]) for tool in tools] == [
        ("search_uploads", True),
        *((name, True) for name, _ in CALLED),
    ]
    assert [tool["arguments"] for tool in tools[1:]] == [arguments for _, arguments in CALLED]
    assert tools[1]["response"] == "0.3"
    assert tools[2]["response"].endswith("(UTC)")
    assert tools[3]["response"].startswith("[1]")
    assert [tool["responseLength"] == len(tool["response"]) for tool in tools] == [True] * 4
    _records.append(common(record))
    assert _records[-1] == _records[0]
    balances(world.database)
