"""The bytes of both streaming faces on a raw socket: headers and frames as the seeds list them (contract 4.2)."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.chat_readers import Call
from tests.conformance.node import Judge
from tests.conformance.scripts import SCRIPTS
from tests.conformance.stage import CHAT_PATH, SSE_PATH, Stage
from twinspeak.domain.events import TextDelta, ThinkingDelta, ToolFinished
from twinspeak.engine.buffer import TextBuffer
from twinspeak.transports.openai import render as openai_render
from twinspeak.transports.sse import render as sse_render

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

LISTED = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
    "connection": "keep-alive",
    "content-encoding": "none",
    "transfer-encoding": "chunked",
    "x-accel-buffering": "no",
}
"""'Response Headers' of the seeds."""

LINE_BREAKS = ("\x85", "\u2028", "\u2029", "\r")
"""What no frame may hold raw: some client takes it for the end of a line."""

STREAMS = [(path, name) for path in (SSE_PATH, CHAT_PATH) for name in SCRIPTS]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@dataclass
class Raw:
    """A reply as it was on the wire: header fields in order, the chunks of its body."""

    status: str
    fields: list[tuple[str, str]]
    chunks: list[bytes]

    @property
    def body(self) -> bytes:
        """The body, its transfer coding undone."""
        return b"".join(self.chunks)


async def exchange(stage: Stage, path: str, body: Any) -> Raw:
    """Send a question over a socket of its own and read the reply to the end of its last chunk."""
    address = urlsplit(stage.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    sent = json.dumps(body).encode()
    head = [f"POST {path} HTTP/1.1", f"host: {address.netloc}", f"content-length: {len(sent)}"]
    head += [f"{name}: {value}" for name, value in stage.headers.items()]
    writer.write(("\r\n".join(head) + "\r\n\r\n").encode() + sent)
    async with asyncio.timeout(20):
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        chunks: list[bytes] = []
        while size := int(await reader.readuntil(b"\r\n"), 16):
            chunks.append(await reader.readexactly(size))
            assert await reader.readexactly(2) == b"\r\n"
        assert await reader.readexactly(2) == b"\r\n"
    writer.close()
    await writer.wait_closed()
    return Raw(status, fields, chunks)


def question(stage: Stage, path: str, args: dict[str, Any]) -> dict[str, Any]:
    return stage.body(**args) if path == SSE_PATH else Call().sent()


@pytest.mark.parametrize(("path", "name"), STREAMS)
async def test_headers_and_frames_are_as_listed(path: str, name: str, stage: Stage):
    script = SCRIPTS[name]
    stage.upstream.script(*script.replies())
    raw = await exchange(stage, path, question(stage, path, script.args))
    assert raw.status == "HTTP/1.1 200 OK"
    assert {key: [value for field, value in raw.fields if field == key] for key in LISTED} == {
        key: [value] for key, value in LISTED.items()
    }
    assert "content-length" not in dict(raw.fields)
    assert all(len(value) == 24 for field, value in raw.fields if field == "x-turn-id")
    assert_frames(raw.body.decode(), ends_with="[DONE]" if path == CHAT_PATH else '{"type":"done"}')


@pytest.mark.parametrize("path", [SSE_PATH, CHAT_PATH])
async def test_every_chunk_ends_a_frame(path: str, stage: Stage):
    """A proxy or a client that looks at one chunk at a time never waits for the rest of a frame."""
    stage.upstream.script(*SCRIPTS["tools"].replies())
    raw = await exchange(stage, path, question(stage, path, {}))
    assert all(chunk.startswith(b"data: ") and chunk.endswith(b"\n\n") for chunk in raw.chunks)


@pytest.mark.parametrize("path", [SSE_PATH, CHAT_PATH])
async def test_the_connection_can_be_used_again(path: str, stage: Stage):
    stage.upstream.script(*SCRIPTS["plain"].replies(), *SCRIPTS["plain"].replies())
    ports: set[Any] = set()
    for _ in range(2):
        async with stage.server.http.post(path, json=question(stage, path, {}), headers=stage.headers) as answer:
            assert answer.connection
            assert answer.connection.transport
            ports.add(answer.connection.transport.get_extra_info("sockname"))
            await answer.read()
    assert len(ports) == 1


@pytest.mark.parametrize("mode", ["cumulative", "delta"])
@given(pieces=st.lists(TEXT, min_size=1, max_size=8), size=st.integers(1, 50))
async def test_any_text_comes_through_in_one_line_a_frame(pieces: list[str], size: int, mode: str, judge: Judge):
    text = TextBuffer()
    events = [TextDelta(text=piece, end=text.append(piece)) for piece in pieces]
    sse = sse_render.Renderer(text, cumulative=mode == "cumulative", extended=True, request_id="r")
    chat = openai_render.Renderer("0" * 24, pieces[0], include_usage=False, request_id="r")
    frames = [sse.frame(event) for event in events] + [chat.frame(event) for event in events]
    frames.append(sse.frame(ThinkingDelta(round=0, text=text.text())))
    frames.append(sse.frame(ToolFinished("call", "name", {"query": text.text()}, text.text(), 1, 1, True)))
    stream = b"".join(frames).decode()
    assert_frames(stream)
    cut = [stream[at : at + size] for at in range(0, len(stream), size)]
    read = await judge.ask("parse", pieces=cut)
    assert read["errors"] == []
    bodies = [json.loads(event["data"]) for event in read["events"]]
    assert len(bodies) == len(frames)
    spoken, chunks = bodies[: len(pieces)], bodies[len(pieces) : 2 * len(pieces)]
    assert [body["delta"] for body in spoken] == pieces
    assert spoken[-1].get("prompt") == (text.text() if mode == "cumulative" else None)
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks] == pieces
    assert bodies[-2]["delta"] == bodies[-1]["response"] == bodies[-1]["arguments"]["query"] == text.text()


def assert_frames(stream: str, *, ends_with: str | None = None) -> None:
    """`data: ` and one line of JSON (or the closing word), and two newlines; the last frame too; nothing between."""
    assert stream.endswith("\n\n")
    frames = stream.removesuffix("\n\n").split("\n\n")
    for frame in frames:
        assert frame.startswith("data: ")
        assert len(frame.splitlines()) == 1
        assert not any(mark in frame for mark in LINE_BREAKS)
        data = frame.removeprefix("data: ")
        assert data == "[DONE]" or isinstance(json.loads(data), dict)
    if ends_with is not None:
        assert frames[-1] == f"data: {ends_with}"
