"""A model provider for tests: a real server on a real socket that speaks chat completions and misbehaves on demand.

    async with Upstream() as upstream:
        upstream.script(text_reply("Hello."))            # next request; without a script: `upstream.default`
        ...                                              # point OPENAI_BASE_URL at upstream.base_url
        exchange = await upstream.exchange()             # the request that came: headers, body
        await exchange.hung_up(within=2)                 # the client closed its socket before the answer was complete

A reply is a list of steps: bytes are sent as they are, an `asyncio.Event` holds the stream until the test sets it, a
float sleeps, `STALL` waits until the client goes away, `CUT` resets the connection.
"""

import asyncio
import contextlib
import json
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

STALL = object()
CUT = object()
DONE = b"data: [DONE]\n\n"
MODEL = "fake-model"

Step = bytes | asyncio.Event | float | object


@dataclass
class Reply:
    """What one request is answered with. `chunked` False sends the body until the connection closes."""

    steps: list[Step]
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/event-stream; charset=utf-8"})
    chunked: bool = True


def frame(payload: object, *, event: str | None = None) -> bytes:
    """Write one event as the vendor does: one `data:` line of JSON and a blank line."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(payload, ensure_ascii=False)}\n\n".encode()


def chunk(delta: dict[str, Any] | None = None, *, finish: str | None = None, **extra: object) -> bytes:
    """Write a `chat.completion.chunk` with one choice; `extra` goes to its top level."""
    choice = {"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": MODEL}
    return frame({**head, "choices": [choice], **extra})


def usage_chunk(prompt: int, completion: int, *, cached: int = 0) -> bytes:
    """Write the last chunk that `stream_options.include_usage` asks for: no choices, only tokens."""
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    head = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": MODEL}
    return frame({**head, "choices": [], "usage": usage})


def pieces(text: str, size: int = 4) -> list[str]:
    """Cut `text` into deltas of `size` characters."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def text_steps(text: str, *, size: int = 4) -> list[Step]:
    """The opening chunk and the text of an answer, without its end."""
    return [chunk({"role": "assistant", "content": ""}), *(chunk({"content": piece}) for piece in pieces(text, size))]


def ending(finish: str = "stop", *, prompt: int = 12, completion: int = 7, cached: int = 0) -> list[Step]:
    """A finish reason, the usage chunk and `[DONE]`."""
    return [chunk(finish=finish), usage_chunk(prompt, completion, cached=cached), DONE]


def text_reply(text: str, *, size: int = 4, thinking: str = "", finish: str = "stop") -> Reply:
    """A whole, well-behaved answer."""
    thoughts = [chunk({"reasoning_content": piece}) for piece in pieces(thinking, size)]
    opening, *rest = text_steps(text, size=size)
    return Reply([opening, *thoughts, *rest, *ending(finish)])


def tool_reply(*calls: tuple[str, dict[str, Any]], text: str = "") -> Reply:
    """An answer that asks for tools: `calls` are (name, arguments), their arguments in fragments."""
    steps = text_steps(text)
    for index, (name, arguments) in enumerate(calls):
        opening = {"index": index, "id": f"call_{index}", "type": "function"}
        steps.append(chunk({"tool_calls": [{**opening, "function": {"name": name, "arguments": ""}}]}))
        for piece in pieces(json.dumps(arguments), 5):
            steps.append(chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}))
    return Reply([*steps, *ending("tool_calls")])


def error_reply(status: int, message: str, *, code: str | None = None, headers: dict[str, str] | None = None) -> Reply:
    """A refusal before the stream, in the vendor's error shape."""
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    return Reply([json.dumps(body).encode()], status, {"Content-Type": "application/json", **(headers or {})})


def raw_reply(body: bytes, *, size: int | None = None) -> Reply:
    """Recorded bytes, in writes of `size` bytes (None = one write)."""
    width = size or max(1, len(body))
    return Reply([body[at : at + width] for at in range(0, len(body), width)])


@dataclass
class Exchange:
    """One request and what became of its answer."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    sent: bytearray = field(default_factory=bytearray)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    completed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def json(self) -> dict[str, Any]:
        """The request's body, decoded."""
        return json.loads(self.body)

    async def hung_up(self, within: float = 5) -> bool:
        """Wait until the client closed its socket; tell whether that was before the answer was complete."""
        await asyncio.wait_for(self.closed.wait(), within)
        return not self.completed.is_set()


class Upstream:
    """The server. `default` answers requests that no script is left for."""

    def __init__(self, *, models: Sequence[str] = (MODEL,)) -> None:
        self.default: Callable[[Exchange], Reply] = lambda _: text_reply("Hello from upstream.")
        self.exchanges: list[Exchange] = []
        self._models = models
        self._scripts: deque[Reply] = deque()
        self._arrivals: asyncio.Queue[Exchange] = asyncio.Queue()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def base_url(self) -> str:
        """What `OPENAI_BASE_URL` must be."""
        return f"http://127.0.0.1:{self.port}/v1"

    def script(self, *replies: Reply) -> None:
        """Queue answers for the next requests, in order."""
        self._scripts.extend(replies)

    async def exchange(self, within: float = 5) -> Exchange:
        """Wait for the next request that nobody has taken with this yet."""
        return await asyncio.wait_for(self._arrivals.get(), within)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        self._server.close()
        await self.drop_connections()
        await self._server.wait_closed()

    async def drop_connections(self) -> None:
        """Close every open connection, as a server does with those that were idle for long."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        exchange = None
        try:
            while arrived := await _read_request(reader):
                exchange = arrived
                self.exchanges.append(exchange)
                reply = self._reply_to(exchange)
                if not await _answer(exchange, reply, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            if exchange:
                exchange.closed.set()
            self._tasks.discard(task)
            writer.close()

    def _reply_to(self, exchange: Exchange) -> Reply:
        if exchange.method == "GET" and exchange.path.endswith("/models"):
            data = [{"id": model, "object": "model", "owned_by": "tests"} for model in self._models]
            body = json.dumps({"object": "list", "data": data}).encode()
            return Reply([body], headers={"Content-Type": "application/json"})
        self._arrivals.put_nowait(exchange)
        return self._scripts.popleft() if self._scripts else self.default(exchange)


async def _read_request(reader: asyncio.StreamReader) -> Exchange | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Exchange(method, path, headers, body)


async def _answer(exchange: Exchange, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Play the reply while watching for the client to go; return whether the connection can be used again."""
    async with asyncio.TaskGroup() as group:
        playing = group.create_task(_play(exchange, reply, writer))
        watching = group.create_task(_watch(reader))
        await asyncio.wait({playing, watching}, return_when=asyncio.FIRST_COMPLETED)
        if playing.done() and playing.result():
            exchange.completed.set()
            if not reply.chunked:
                await watching
        playing.cancel()
        watching.cancel()
    return exchange.completed.is_set() and reply.chunked


async def _watch(reader: asyncio.StreamReader) -> None:
    """Return when the client closes. It sends nothing while it waits for an answer."""
    with contextlib.suppress(ConnectionError):
        assert await reader.read(1) == b"", "the client sent a second request before its answer was complete"


async def _play(exchange: Exchange, reply: Reply, writer: asyncio.StreamWriter) -> bool:
    """Send the reply; return False when the connection broke before its end."""
    try:
        await _send(exchange, reply, writer)
    except ConnectionError:
        return False
    return True


async def _send(exchange: Exchange, reply: Reply, writer: asyncio.StreamWriter) -> None:
    headers = {**reply.headers, "Transfer-Encoding": "chunked"} if reply.chunked else reply.headers
    lines = [f"HTTP/1.1 {reply.status} Fake", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    await writer.drain()
    for step in reply.steps:
        if isinstance(step, bytes) and step:
            exchange.sent += step
            writer.write(b"%x\r\n%s\r\n" % (len(step), step) if reply.chunked else step)
            await writer.drain()
        elif isinstance(step, asyncio.Event):
            await step.wait()
        elif isinstance(step, float):
            await asyncio.sleep(step)
        elif step is CUT:
            _reset(writer)
            raise ConnectionResetError
        elif step is STALL:
            await asyncio.Event().wait()
    if reply.chunked:
        writer.write(b"0\r\n\r\n")
    elif writer.can_write_eof():
        writer.write_eof()
    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset instead of an orderly end, as a crashing server does."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def joined(steps: Iterable[Step]) -> bytes:
    """The bytes of a script, for decoders that need no socket."""
    return b"".join(step for step in steps if isinstance(step, bytes))
