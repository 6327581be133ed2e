"""The clients that read the SSE face, each behind the same function: a stage, a judge, a body in; frames out."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
from httpx_sse import aconnect_sse

from tests.conformance.node import ANSWER_S, Judge
from tests.conformance.stage import SSE_PATH, Stage

Frame = dict[str, Any]
Seen = Callable[[Frame], None]


def ignore(_: Frame) -> None:
    """See a frame and do nothing."""


@dataclass
class Read:
    """What a client made of a stream; header names in lower case."""

    headers: dict[str, str]
    frames: list[Frame]

    def of(self, kind: str) -> list[Frame]:
        """The frames of one type."""
        return [frame for frame in self.frames if frame["type"] == kind]


class SseReader(Protocol):
    """One client library."""

    async def __call__(self, stage: Stage, judge: Judge, body: Any, seen: Seen = ignore, /) -> Read:
        """Ask, read to the end; call `seen` with each frame as it comes."""
        ...


async def httpx_sse(stage: Stage, _judge: Judge, body: Any, seen: Seen = ignore) -> Read:
    """httpx-sse, as PyPI has it."""
    frames: list[Frame] = []
    async with (
        httpx.AsyncClient(base_url=stage.url, timeout=ANSWER_S) as client,
        aconnect_sse(client, "POST", SSE_PATH, json=body, headers=stage.headers) as source,
    ):
        assert source.response.status_code == 200, await source.response.aread()
        async for event in source.aiter_sse():
            assert (event.event, event.id, event.retry) == ("message", "", None)
            frames.append(event.json())
            seen(frames[-1])
        return Read(dict(source.response.headers), frames)


async def eventsource_parser(stage: Stage, judge: Judge, body: Any, seen: Seen = ignore) -> Read:
    """eventsource-parser, as npm has it; its onError is never called."""
    result = await judge.ask(
        "sse",
        seen=lambda data: seen(json.loads(data)),
        url=f"{stage.url}{SSE_PATH}",
        headers=stage.headers,
        body=body,
    )
    assert result["status"] == 200
    assert (result["errors"], result["comments"], result["retries"]) == ([], [], [])
    assert all(event.keys() <= {"data", "event", "id"} for event in result["events"])
    assert all(event.get("id") is None and event.get("event") is None for event in result["events"])
    return Read(result["headers"], [json.loads(event["data"]) for event in result["events"]])


async def lines_of_httpx(stage: Stage, _judge: Judge, body: Any, seen: Seen = ignore) -> Read:
    """No SSE library at all: httpx's lines, which break where str.splitlines breaks, as many a script does it."""
    frames: list[Frame] = []
    async with (
        httpx.AsyncClient(base_url=stage.url, timeout=ANSWER_S) as client,
        client.stream("POST", SSE_PATH, json=body, headers=stage.headers) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        async for line in answer.aiter_lines():
            if line:
                assert line.startswith("data: ")
                frames.append(json.loads(line.removeprefix("data: ")))
                seen(frames[-1])
        return Read(dict(answer.headers), frames)


SSE_READERS: dict[str, SseReader] = {
    "httpx-sse": httpx_sse,
    "eventsource-parser": eventsource_parser,
    "lines": lines_of_httpx,
}
