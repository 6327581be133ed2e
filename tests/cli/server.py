"""A small real server that speaks the sign-in, the event stream and the history as `twinspeak chat` uses them."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

TURN = "0123456789abcdef01234567"
EMAIL, PASSWORD, TOKEN = "ann@example.org", "correct horse", "token-1"

Step = bytes | asyncio.Event | str
"""What a stream does next: send bytes, wait for an event, or "cut" (hang up) or "hang" (until the client does)."""


def frame(kind: str, **fields: Any) -> bytes:
    return b"data: " + json.dumps({"type": kind, **fields}).encode() + b"\n\n"


CONNECTED = frame("connected", message="Stream connected", turnId=TURN)
DONE = frame("done")


def deltas(*pieces: str) -> list[Step]:
    return [frame("stream", delta=piece) for piece in pieces]


def complete(text: str, **fields: Any) -> bytes:
    body = {"success": True, "outputs": [text], "model": "local", "usage": 42, "credits": 1, "totalCredits": 49}
    return frame("complete", **{**body, "course_id": 7, "course_name": "First", "query_duration_ms": 1234, **fields})


def answer(text: str, **fields: Any) -> list[Step]:
    return [CONNECTED, *deltas(*text.split("|")), complete(text.replace("|", ""), **fields), DONE]


def failure(status: int, code: str, message: str, **headers: str) -> web.Response:
    error = {"code": code, "status": status, "message": message, "type": "x", "param": None, "details": {}}
    return web.json_response({"success": False, "message": message, "error": error}, status=status, headers=headers)


class FakeServer:
    """Plays `streams`, one a question, the last one again and again; a Response in their place is sent as it is."""

    def __init__(self) -> None:
        self.url = ""
        self.streams: list[Sequence[Step] | web.Response] = []
        self.questions: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        self.sign_ins: list[dict[str, Any]] = []
        self.histories: list[dict[str, Any]] = []
        self.challenge: dict[str, str] | None = None
        self.shown: list[dict[str, Any]] = []
        self.record: dict[str, Any] | None = None
        self.asked = asyncio.Event()
        self.hung_up = asyncio.Event()

    async def sign_in(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.sign_ins.append(body)
        if body != {"email": EMAIL, "password": PASSWORD}:
            return failure(401, "invalid_credentials", "The e-mail address or the password is wrong.")
        if self.challenge:
            return web.json_response({"success": True, "mfaRequired": True, **self.challenge})
        return web.json_response({"token": f"token-{len(self.sign_ins)}", "profile": {"email": EMAIL}})

    async def verify(self, request: web.Request) -> web.Response:
        self.shown.append(await request.json())
        return web.json_response({"token": TOKEN, "profile": {"email": EMAIL}})

    async def history(self, request: web.Request) -> web.Response:
        self.histories.append(await request.json())
        # Not there at the first look: a cancelled turn takes a moment to be saved.
        found = [self.record] if self.record and len(self.histories) > 1 else []
        return web.json_response({"success": True, "data": found})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        self.questions.append(await request.json())
        self.tokens.append(request.headers.get("x-access-token", ""))
        self.asked.set()
        script = self.streams.pop(0) if len(self.streams) > 1 else self.streams[0]
        if isinstance(script, web.Response):
            return script
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        try:
            for step in script:
                await self._play(request, response, step)
        except (asyncio.CancelledError, ConnectionResetError):
            self.hung_up.set()
            raise
        return response

    async def _play(self, request: web.Request, response: web.StreamResponse, step: Step) -> None:
        if isinstance(step, bytes):
            await response.write(step)
        elif isinstance(step, asyncio.Event):
            await step.wait()
        elif step == "cut":
            assert request.transport is not None
            request.transport.close()
            raise ConnectionResetError
        else:
            await asyncio.Event().wait()


@asynccontextmanager
async def serving() -> AsyncGenerator[FakeServer]:
    fake = FakeServer()
    application = web.Application()
    application.router.add_post("/api/auth/signin", fake.sign_in)
    application.router.add_post("/api/auth/mfa-verify", fake.verify)
    application.router.add_post("/api/user/histories", fake.history)
    application.router.add_post("/api/ai/personal-stream/qanda-stream", fake.stream)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    fake.url = f"http://{host}:{port}"
    try:
        yield fake
    finally:
        await runner.cleanup()
