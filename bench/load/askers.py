"""A client of each streaming face: asks, takes the answer apart, and can be told to stop in the middle."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import orjson

from bench.answers import Answer
from bench.load.check import Check
from bench.load.http import HttpConnection
from bench.load.job import Job
from bench.load.websocket import SocketClient

OnFrame = Callable[[], None]

_SSE = "/api/ai/personal-stream/qanda-stream"
_OPENAI = "/api/ai/chat/completions"
QANDA = "/api/ai/personal/qanda"
_LATE_S = 5.0


class AskFailed(Exception):
    """The answer was an error, or none."""


class Asker(ABC):
    """One client; asks one question after the other."""

    def __init__(self, job: Job, token: str) -> None:
        """Not connected yet: use `connect`."""
        self.job = job
        self.turn_id = ""
        self.whole: str | None = None
        self.http: HttpConnection | None = None
        self._token = token
        self._received_before = 0

    @abstractmethod
    async def connect(self) -> None:
        """Connect, or connect again. Raises Gone."""

    @abstractmethod
    async def ask(self, answer: Answer, check: Check, on_frame: OnFrame) -> None:
        """Ask and take the answer to its end. Raises Gone, AskFailed."""

    @property
    def received(self) -> int:
        """Bytes that came on all connections of this client."""
        return self._received_before + (self.http.received if self.http else 0)

    def freeze(self) -> None:
        """Read nothing more."""
        if self.http and self.http.transport:
            self.http.transport.pause_reading()

    def hang_up(self) -> None:
        """Close every connection."""
        if self.http:
            self._received_before += self.http.received
            self.http.close()
            self.http = None

    async def cancel_by_rest(self, side: HttpConnection) -> None:
        """Cancel the running turn over another connection. Raises Gone, AskFailed."""
        status = await side.post(f"/api/ai/turns/{self.turn_id}/cancel", {}, self.headers)
        await side.ended()
        if status != 200:
            raise AskFailed(f"cancel: {status}")

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        if self.job.bearer:
            return {"Authorization": f"Bearer {self.job.bearer}"}
        return {"x-access-token": self._token} if self._token else {}

    def question(self, answer: Answer) -> str:
        """Return what is asked."""
        return f"{self.job.question} {answer.spell()}"

    async def connected(self) -> HttpConnection:
        """Return the connection, made again if it is gone."""
        if self.http is None or not self.http.open:
            self.http = await HttpConnection.connect(self.job.url, receive_buffer=self.job.receive_buffer)
        return self.http


class StreamAsker(Asker):
    """Chat completions anywhere, and the SSE face in both modes."""

    async def connect(self) -> None:
        """Connect."""
        await self.connected()

    async def ask(self, answer: Answer, check: Check, on_frame: OnFrame) -> None:
        """Ask and read the stream."""
        http = await self.connected()
        frames = _Frames(self.job.face in ("direct", "openai"), check, on_frame)
        path, body = self._request(answer)
        status = await http.post(path, body, self.headers, frames.feed)
        self.turn_id = http.headers.get("x-turn-id", "")
        await http.ended()
        if status != 200 or frames.error:
            raise AskFailed(f"{status}: {frames.error or frames.rest[:200]!r}")
        if not frames.done:
            raise AskFailed("the stream ended without saying so")
        self.whole = frames.whole

    def _request(self, answer: Answer) -> tuple[str, dict[str, Any]]:
        question = self.question(answer)
        if self.job.face in ("direct", "openai"):
            body = {"model": self.job.model, "messages": [{"role": "user", "content": question}], "stream": True}
            return (_OPENAI if self.job.face == "openai" else self.job.path), body
        args: dict[str, Any] = dict(self.job.args)
        if self.job.face == "delta":
            args["streamMode"] = "delta"
        return _SSE, {"inputs": [question], "requestArgs": args}


class SocketAsker(Asker):
    """The Socket.IO face: asked over REST, streamed to a socket."""

    def __init__(self, job: Job, token: str) -> None:
        """Not connected yet."""
        super().__init__(job, token)
        self.socket: SocketClient | None = None
        self._check: Check | None = None
        self._on_frame: OnFrame = _nothing
        self._enough = asyncio.Event()
        self._wanted = 0
        self._socket_bytes = 0

    async def connect(self) -> None:
        """Open the REST connection and the socket."""
        await self.connected()
        if self.socket is None or not self.socket.open:
            self.socket = await SocketClient.join(self.job.url, self._token)
            self.socket.on_event = self._event

    async def ask(self, answer: Answer, check: Check, on_frame: OnFrame) -> None:
        """Ask, wait for the REST reply and for the last word on the socket."""
        await self.connect()
        assert self.http is not None
        assert self.socket is not None
        self._check, self._on_frame, self._wanted = check, on_frame, answer.words
        self._enough.clear()
        args: dict[str, Any] = {**self.job.args, "socketId": self.socket.sid}
        if self.job.face == "socketio-delta":
            args["streamMode"] = "delta"
        status = await self.http.post(QANDA, {"inputs": [self.question(answer)], "requestArgs": args}, self.headers)
        reply = orjson.loads(await self.http.text())
        if status != 200:
            raise AskFailed(f"{status}: {reply}")
        if reply["streamingFailed"]:
            raise AskFailed("the stream reached nobody")
        self.whole = reply["outputs"][0]
        if reply.get("cancelled"):
            return
        try:
            await asyncio.wait_for(self._enough.wait(), _LATE_S)
        except TimeoutError:
            return

    def cancel(self) -> None:
        """Cancel the running turn over the socket."""
        if self.socket:
            self.socket.emit("cancel_request", {"turnId": self.turn_id})

    @property
    def received(self) -> int:
        """Bytes of the stream itself: events on the socket."""
        return self._socket_bytes

    def freeze(self) -> None:
        """Read nothing more, neither here nor there."""
        super().freeze()
        if self.socket and self.socket.transport:
            self.socket.transport.pause_reading()

    def hang_up(self) -> None:
        """Close both."""
        super().hang_up()
        if self.socket:
            self.socket.close()
            self.socket = None

    def _event(self, event: list[Any], size: int, now: float) -> None:
        name, payload = event[0], event[1]
        self._socket_bytes += size + (4 if size > 125 else 2)
        if name != "RECEIVE_STREAM" or self._check is None:
            return
        self.turn_id = payload.get("turnId", self.turn_id)
        if payload["type"] == "STREAM":
            self._check.take(payload["delta"], payload.get("prompt"), now)
            self._on_frame()
            if self._check.words >= self._wanted:
                self._enough.set()


class _Frames:
    """Splits an event stream into frames and reads what is in them."""

    def __init__(self, chat_completions: bool, check: Check, on_frame: OnFrame) -> None:  # noqa: FBT001 -- one of two
        self.done = False
        self.error = ""
        self.whole: str | None = None
        self.rest = b""
        self._read = self._chunk if chat_completions else self._event
        self._check = check
        self._on_frame = on_frame

    def feed(self, data: bytes, now: float) -> None:
        """Take what came."""
        *frames, self.rest = (self.rest + data).split(b"\n\n")
        for frame in frames:
            if frame.startswith(b"data: "):
                self._read(frame[6:], now)

    def _chunk(self, payload: bytes, now: float) -> None:
        if payload == b"[DONE]":
            self.done = True
            return
        chunk = orjson.loads(payload)
        if chunk.get("error"):
            self.error = str(chunk["error"])
        choices = chunk.get("choices")
        content = choices[0]["delta"].get("content") if choices else None
        if content:
            self._check.take(content, None, now)
            self._on_frame()

    def _event(self, payload: bytes, now: float) -> None:
        event = orjson.loads(payload)
        kind = event["type"]
        if kind == "stream":
            if event["delta"]:
                self._check.take(event["delta"], event.get("prompt"), now)
                self._on_frame()
        elif kind == "complete":
            self.whole = event["outputs"][0]
        elif kind == "error":
            self.error = str(event["error"])
        elif kind == "done":
            self.done = True


def _nothing() -> None:
    """Take no notice of a frame."""
