"""Clients that do not stream, one that polls, and which client serves which face."""

import asyncio
import time
from secrets import token_hex

import orjson

from bench.answers import Answer
from bench.load.askers import QANDA, Asker, AskFailed, OnFrame, SocketAsker, StreamAsker
from bench.load.check import Check
from bench.load.http import HttpConnection
from bench.load.job import Job

_POLLING = "/socket.io/?EIO=4&transport=polling"
_PAGE = {"limit": 100}
_PROSE = ("a teacher keeps what is known about streams, vaults and answers where students find it " * 200).split()
"""3,000 words, 18 kB."""


class RestAsker(Asker):
    """The plain REST reply: no frames, one answer."""

    async def connect(self) -> None:
        """Connect."""
        await self.connected()

    async def ask(self, answer: Answer, check: Check, on_frame: OnFrame) -> None:
        """Ask and wait; the whole answer counts as one frame."""
        http = await self.connected()
        body = {"inputs": [self.question(answer)], "requestArgs": self.job.args}
        status = await http.post(QANDA, body, self.headers)
        reply = orjson.loads(await http.text())
        if status != 200:
            raise AskFailed(f"{status}: {reply}")
        if answer.words:
            self.whole = reply["outputs"][0]
            check.take(reply["outputs"][0], None, time.monotonic())
        on_frame()


class ReadAsker(Asker):
    """A read over REST that asks no model."""

    async def connect(self) -> None:
        """Connect."""
        await self.connected()

    async def ask(self, answer: Answer, check: Check, on_frame: OnFrame) -> None:
        """Read once."""
        del answer, check
        http = await self.connected()
        if self.job.face == "histories":
            status = await http.post("/api/user/histories", _PAGE, self.headers)
        else:
            status = await http.get(self.job.path, self.headers)
        body = await http.text()
        if status != 200:
            raise AskFailed(f"{status}: {body[:200]!r}")
        on_frame()


class UploadAsker(Asker):
    """Puts one document after another into the vault of whoever asks, no two of them alike."""

    async def connect(self) -> None:
        """Connect."""
        await self.connected()

    async def ask(self, answer: Answer, check: Check, on_frame: OnFrame) -> None:
        """Send one document; what is read out of it is read after the answer."""
        del answer, check
        http = await self.connected()
        name = token_hex(8)
        text = " ".join(f"{word}{name[at % 16 :]}" if at % 9 == 0 else word for at, word in enumerate(_PROSE))
        head = f'--{name}\r\nContent-Disposition: form-data; name="files"; filename="{name}.txt"\r\n\r\n'
        headers = {**self.headers, "Content-Type": f"multipart/form-data; boundary={name}"}
        status = await http.post_form("/api/user/files", f"{head}{text}\r\n--{name}--\r\n".encode(), headers)
        body = await http.text()
        if status != 200 or not orjson.loads(body)["files"][0]["success"]:
            raise AskFailed(f"{status}: {body[:200]!r}")
        on_frame()


class PollingAsker(Asker):
    """A Socket.IO client by polling that polls until it has joined, begins a turn, and polls no more."""

    async def connect(self) -> None:
        """Connect."""
        await self.connected()

    async def ask(self, answer: Answer, check: Check, on_frame: OnFrame) -> None:
        """Join, ask, and never come back for the answer."""
        del check
        side = await HttpConnection.connect(self.job.url)
        await side.get(_POLLING, {})
        opened = orjson.loads((await side.text())[1:])
        path = f"{_POLLING}&sid={opened['sid']}"
        await side.post_text(path, "40" + orjson.dumps({"token": self.headers["x-access-token"]}).decode())
        await side.ended()
        await side.get(path, {})
        sid = orjson.loads((await side.text())[2:])["sid"]
        http = await self.connected()
        args = {**self.job.args, "socketId": sid}
        asking = asyncio.ensure_future(
            http.post(QANDA, {"inputs": [self.question(answer)], "requestArgs": args}, self.headers)
        )
        await asyncio.sleep(0.05)
        on_frame()
        await asking

    def freeze(self) -> None:
        """There is nothing to hold back: polling clients stop by not asking."""


def asker_for(job: Job, index: int) -> Asker:
    """Return the client number `index` of a job."""
    token = job.tokens[index % len(job.tokens)]
    kinds: dict[str, type[Asker]] = {
        "socketio": SocketAsker,
        "socketio-delta": SocketAsker,
        "rest": RestAsker,
        "histories": ReadAsker,
        "upload": UploadAsker,
        "get": ReadAsker,
        "polling": PollingAsker,
    }
    return kinds.get(job.face, StreamAsker)(job, token)
