"""The faces of a turn as a plain client reads them: whole bodies, one `json.loads` a frame, nothing of `twinspeak`."""

import io
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import aiohttp

from tests.live import LiveServer

QUESTION = "What is a digital twin?"


class Face(StrEnum):
    REST = "rest"
    SSE = "sse"
    DELTA = "sse-delta"
    OPENAI = "openai"


FACES = tuple(Face)
STREAMS = (Face.SSE, Face.DELTA, Face.OPENAI)

PATHS = {
    Face.REST: "/api/ai/personal/qanda",
    Face.SSE: "/api/ai/personal-stream/qanda-stream",
    Face.DELTA: "/api/ai/personal-stream/qanda-stream",
    Face.OPENAI: "/api/ai/chat/completions",
}
_SPOKEN = re.compile(r" One moment, [^.]+\.|One moment, [^.]+\.\n\n")


@dataclass
class Answer:
    """What came back. `frames` are a stream's decoded frames, `[DONE]` as the string it is; a plain reply has none."""

    face: Face
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def frames(self) -> list[Any]:
        return frames_of(self.body) if self.streamed else []

    @property
    def streamed(self) -> bool:
        return self.headers.get("content-type", "").startswith("text/event-stream")

    @property
    def turn_id(self) -> str:
        return self.headers["x-turn-id"]

    def kind(self, name: str) -> list[dict[str, Any]]:
        """Return the SSE frames of type `name`."""
        return [frame for frame in self.frames if frame["type"] == name]

    @property
    def error(self) -> dict[str, Any] | None:
        """The coded error, wherever this face puts it."""
        if not self.streamed:
            return self.json.get("error")
        found = [frame["error"] for frame in self.frames if isinstance(frame, dict) and "error" in frame]
        assert len(found) <= 1
        return found[0] if found else None

    @property
    def texts(self) -> dict[str, str]:
        """Every way in which this face tells the answer, by name; all must agree. A failed REST reply has none."""
        if self.face is Face.REST:
            return {"outputs": only(self.json["outputs"])} if self.status == 200 else {}
        if self.face is Face.OPENAI:
            return {"content": "".join(piece for piece in self.contents() if not _SPOKEN.fullmatch(piece))}
        streamed = self.kind("stream")
        told = {"deltas": "".join(frame["delta"] for frame in streamed)}
        if self.face is Face.SSE and streamed:
            told["last prompt"] = streamed[-1]["prompt"]
        for complete in self.kind("complete"):
            told["complete"] = only(complete["outputs"])
        return told

    @property
    def reply(self) -> dict[str, Any]:
        """The reply's fields: the body on REST, `complete` on SSE."""
        return self.json if self.face is Face.REST else only(self.kind("complete"))

    def contents(self) -> list[str]:
        """Return the pieces of content of chat completions, spoken acknowledgements too."""
        chunks = [frame for frame in self.frames if isinstance(frame, dict) and "choices" in frame]
        deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
        return [delta["content"] for delta in deltas if delta.get("content")]


def only(values: list[Any]) -> Any:
    """Return the one value there is."""
    assert len(values) == 1, values
    return values[0]


def frames_of(body: bytes) -> list[Any]:
    """Take a stream apart: every frame is `data: `, one line of JSON, two newlines (contract 4.2)."""
    text = body.decode()
    assert text.endswith("\n\n"), text[-200:]
    frames: list[Any] = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        assert block.startswith("data: "), block
        assert "\n" not in block, block
        data = block.removeprefix("data: ")
        frames.append(data if data == "[DONE]" else json.loads(data))
    return frames


def body_of(face: Face, question: str = QUESTION, **args: Any) -> dict[str, Any]:
    """Return the request's body; `args` are `requestArgs`, of which chat completions have `attachments` alone."""
    if face is Face.OPENAI:
        files = args.get("attachments")
        content = [{"type": "text", "text": question}, *map(_part, files)] if files else question
        return {"model": "pria", "messages": [{"role": "user", "content": content}], "stream": True}
    if face is Face.DELTA:
        args = {"streamMode": "delta", **args}
    return {"inputs": [question], "requestArgs": args}


def _part(file: dict[str, Any]) -> dict[str, Any]:
    if "uploadId" in file:
        return {"type": "file", "file": {"file_id": file["uploadId"]}}
    if str(file["url"]).startswith("data:application/pdf"):
        return {"type": "file", "file": {"file_data": file["url"], "filename": file.get("name")}}
    return {"type": "image_url", "image_url": {"url": file["url"]}}


async def ask(server: LiveServer, token: str, face: Face, question: str = QUESTION, **args: Any) -> Answer:
    """Ask and read the whole answer."""
    body = body_of(face, question, **args)
    return await post(server, face, body, server.auth(token))


async def post(server: LiveServer, face: Face, body: Any, headers: dict[str, str]) -> Answer:
    """Post a body of any size, and read the whole answer."""
    data = io.BytesIO(json.dumps(body).encode())
    headers = {"content-type": "application/json", **headers}
    async with server.http.post(PATHS[face], data=data, headers=headers) as response:
        return await read(face, response)


async def read(face: Face, response: aiohttp.ClientResponse) -> Answer:
    """Read a response to its end."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(face, response.status, headers, await response.read())
