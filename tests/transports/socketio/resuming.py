"""Clients that lose their connection at any byte and come back, on every face that can be resumed."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import urlsplit

from tests.fakes.upstream import Exchange, Reply, chunk, ending, pieces
from tests.world import World

THOUGHT = "First the question, then the vault. " * 3
TEXT = "".join(f"Sentence {number} of an answer, with ünïcode, 🌍 and \u2028 in it. " for number in range(12))
WAIT_S = 30


def reply(rng: Random) -> Callable[[Exchange], Reply]:
    """Return an upstream that thinks, then answers in many pieces at an uneven pace."""

    def answer(_: Exchange) -> Reply:
        steps: list[Any] = [chunk({"role": "assistant", "content": ""})]
        steps += [chunk({"reasoning_content": piece}) for piece in pieces(THOUGHT, 9)]
        for piece in pieces(TEXT, 5):
            steps.append(chunk({"content": piece}))
            if rng.random() < 0.15:
                steps.append(rng.random() * 0.01)
        return Reply([*steps, *ending()])

    return answer


def offset(rng: Random, most: int = 12_000) -> int:
    """Return after how many bytes a connection is cut: short ones as often as long ones."""
    return int(20 * (most / 20) ** rng.random())


@dataclass
class SseFollower:
    """Reads one turn to its end over as many connections as it takes; `frames` are what a client has kept."""

    here: World
    rng: Random
    mode: str = ""
    frames: list[dict[str, Any]] = field(default_factory=list)
    connections: int = 0
    turn_id: str = ""
    _cursor: str = ""

    async def follow(self) -> None:
        """Ask, lose the connection, come back, until `done`."""
        args = {"resumable": True, **({"streamMode": self.mode} if self.mode else {})}
        body = json.dumps({"inputs": ["What is a digital twin?"], "requestArgs": args}).encode()
        await self._connect("POST /api/ai/personal-stream/qanda-stream", body)
        assert self.turn_id
        query = f"?streamMode={self.mode}" if self.mode else ""
        while not self.frames or self.frames[-1]["type"] != "done":
            await self._connect(f"GET /api/ai/turns/{self.turn_id}/events{query}", b"")

    async def _connect(self, line: str, body: bytes) -> None:
        self.connections += 1
        port = urlsplit(self.here.server.url).port
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**12)
        heads = [f"{line} HTTP/1.1", "Host: here", f"x-access-token: {self.here.token}", f"Content-Length: {len(body)}"]
        heads += [
            "Content-Type: application/json",
            *([f"Last-Event-ID: {self._cursor}"] if self._cursor else []),
            "",
            "",
        ]
        writer.write("\r\n".join(heads).encode() + body)
        try:
            async with asyncio.timeout(WAIT_S):
                await self._read(reader)
        finally:
            writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        assert " 200 " in head.split("\r\n")[0], head
        self.turn_id = head.split("x-turn-id: ")[1].split("\r\n")[0]
        left, slow = offset(self.rng), self.rng.random() < 0.1
        raw = bytearray()
        while left > 0:
            data = await reader.read(min(left, 64 if slow else 65_536))
            raw += data
            left -= len(data)
            if slow:
                await asyncio.sleep(0.001)
            if not data or raw.endswith(b"0\r\n\r\n"):
                break
        self._keep(_unchunked(bytes(raw)))

    def _keep(self, stream: bytes) -> None:
        *whole, _torn = stream.split(b"\n\n")
        for block in whole:
            told, data = block.split(b"\n") if block.startswith(b"id: ") else (b"", block)
            if told:
                self._cursor = told.removeprefix(b"id: ").decode()
            frame = json.loads(data.removeprefix(b"data: "))
            if told:
                self.frames.append(frame)
            else:
                assert frame["delta"] == ""  # a heartbeat

    def check(self) -> None:
        """Nothing lost, nothing doubled, in order."""
        assert_whole(self.frames, cumulative=self.mode != "delta")


def _unchunked(raw: bytes) -> bytes:
    """Return what the chunks of a body hold, as far as they have come."""
    body = bytearray()
    while raw:
        size, mark, raw = raw.partition(b"\r\n")
        if not mark or not size:
            break
        body += raw[: int(size, 16)]
        raw = raw[int(size, 16) + 2 :]
    return bytes(body)


def assert_whole(frames: list[dict[str, Any]], *, cumulative: bool = True, text: str = TEXT) -> None:
    """The frames of one client, over all its connections, are those of one whole turn."""
    kinds = [frame["type"] for frame in frames]
    for once in ("connected", "tool_call", "tool_result", "complete", "done"):
        assert kinds.count(once) == 1, (once, kinds)
    assert (kinds[0], kinds[-2:]) == ("connected", ["complete", "done"])
    told = ""
    for frame in frames:
        if frame["type"] == "stream":
            told += frame["delta"]
            assert ("prompt" in frame) is cumulative
            assert frame.get("prompt", told) == told
    assert told == text
    complete = frames[-2]
    assert complete["outputs"] == [text]
    thoughts = [frame for frame in frames if frame["type"] == "thinking"]
    assert "".join(frame.get("delta", "") for frame in thoughts) == THOUGHT
    assert [frame["text"] for frame in thoughts if frame.get("done")] == [THOUGHT]
    assert thoughts[-1]["done"] is True
    assert kinds.index("tool_result") < kinds.index("thinking") < kinds.index("stream")
