"""Streamable HTTP: one server's end of it, through the guarded way out (specification 2025-11-25, "Transports").

What a server may take of us is bounded: bytes and seconds of each answer, messages of it that we answer, and how often
a stream that it closes is taken up again. A session that it has forgotten is begun anew, once.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from itertools import count
from typing import Any

import msgspec

from twinspeak.domain.errors import CodedError, FetchFailed
from twinspeak.egress.fetch import Answer, Bounds, Fetcher, Request
from twinspeak.tools.mcp import wire

Progress = Callable[[float | None, str], None]
"""Is told how far a call is (0 to 1, None where that is not known), and a line about it."""

MAX_BYTES = 4_000_000
_ANSWERED = 20
_RESUMED = 8
_RETRY_MS, _LONGEST_RETRY_MS = 1_000, 10_000
_ACCEPT = "application/json, text/event-stream"


class Unavailable(Exception):
    """The server cannot be asked; the text says why, for administrators and models, and holds nothing of its own."""


class Gone(Exception):
    """The server does not know our session any more."""


class Endpoint(msgspec.Struct, frozen=True):
    """Where a server is, and what lets us in there."""

    url: str
    headers: dict[str, str] = {}

    def __repr__(self) -> str:
        """Say nothing of the headers."""
        return f"Endpoint({self.url!r})"


class HttpServer:
    """One server. Safe for any number of calls at once."""

    def __init__(self, fetcher: Fetcher, endpoint: Endpoint, *, max_bytes: int = MAX_BYTES) -> None:
        """Keep the parts; nothing is asked yet."""
        self._fetcher = fetcher
        self._endpoint = endpoint
        self._max_bytes = max_bytes
        self._numbers = count(1)
        self._opening = asyncio.Lock()
        self._session: dict[str, str] | None = None

    async def request(
        self, method: str, params: dict[str, Any], *, timeout_s: float, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Ask, within `timeout_s` for everything. Raises Unavailable and wire.Refused."""
        try:
            async with asyncio.timeout(timeout_s):
                for last in (False, True):
                    session = await self._opened(timeout_s)
                    try:
                        return await self._ask(session, method, params, timeout_s, progress)
                    except Gone:
                        if self._session is session:
                            self._session = None
                        if last:
                            raise
        except TimeoutError:
            raise Unavailable("It took too long to answer.") from None
        except (wire.WireError, Gone) as error:
            raise Unavailable("It does not speak the protocol.") from error
        except FetchFailed as error:
            raise Unavailable(_WHY.get(str(error.details.get("reason")), "It cannot be reached.")) from error
        except CodedError as error:
            raise Unavailable(error.message) from error
        raise Unavailable("It cannot be reached.")

    def drop(self) -> None:
        """Forget the session; the server is not told."""
        self._session = None

    async def close(self) -> None:
        """Tell the server that its session is over, if there is one; whatever it says."""
        session, self._session = self._session, None
        if session is None or "Mcp-Session-Id" not in session:
            return
        try:
            async with self._fetcher.ask(self._to("DELETE", session), Bounds(max_bytes=10_000, total_s=3)):
                pass
        except CodedError:
            return

    async def _opened(self, timeout_s: float) -> dict[str, str]:
        """Return the session's headers, shaking hands where there is none."""
        async with self._opening:
            if self._session is None:
                self._session = await self._shake_hands(timeout_s)
            return self._session

    async def _shake_hands(self, timeout_s: float) -> dict[str, str]:
        fresh: dict[str, str] = {}
        found = await self._ask(fresh, "initialize", wire.hello(), timeout_s, None)
        version = wire.version_of(found)
        if version is None:
            raise Unavailable(wire.OTHER_VERSION)
        session = {**fresh, "MCP-Protocol-Version": version}
        await self._tell(session, wire.notification("notifications/initialized"))
        return session

    async def _ask(
        self, session: dict[str, str], method: str, params: dict[str, Any], timeout_s: float, progress: Progress | None
    ) -> dict[str, Any]:
        number = next(self._numbers)
        if progress is not None:
            params = {**params, "_meta": {"progressToken": number}}
        call = _Call(lambda message: self._tell(session, message), number, progress)
        bounds = Bounds(max_bytes=self._max_bytes, total_s=timeout_s, redirects=2)
        asked = self._to("POST", session, wire.request(number, method, params))
        for _ in range(_RESUMED + 1):
            async with self._fetcher.ask(asked, bounds) as answer:
                self._check(answer, session)
                if method == "initialize" and "mcp-session-id" in answer.headers:
                    session["Mcp-Session-Id"] = answer.headers["mcp-session-id"][:1_000]
                found = await call.read(answer)
            if found is not None:
                return wire.result_of(found)
            if call.last_event is None:
                break
            await asyncio.sleep(min(call.retry_ms, _LONGEST_RETRY_MS) / 1_000)
            asked = self._to("GET", {**session, "Last-Event-ID": call.last_event})
        raise wire.WireError("no answer")

    async def _tell(self, session: dict[str, str], message: bytes) -> None:
        """Send what needs no answer."""
        async with self._fetcher.ask(
            self._to("POST", session, message), Bounds(max_bytes=100_000, total_s=10)
        ) as answer:
            self._check(answer, session)

    def _to(self, method: str, session: dict[str, str], body: bytes = b"") -> Request:
        headers = {**session, "Accept": "text/event-stream" if method == "GET" else _ACCEPT}
        if method == "POST":
            headers["Content-Type"] = "application/json"
        headers |= self._endpoint.headers
        return Request(url=self._endpoint.url, method=_METHODS[method], headers=headers, body=body)

    def _check(self, answer: Answer, session: dict[str, str]) -> None:
        if answer.status == 404 and "Mcp-Session-Id" in session:
            raise Gone
        if answer.status in (401, 403):
            raise Unavailable("It does not accept the credential that is set for it.")
        if answer.status >= 400:
            raise Unavailable(f"It answers with the HTTP status {answer.status}.")


class _Call:
    """Reads what answers one request: a body, or streams one after the other."""

    def __init__(self, tell: Callable[[bytes], Awaitable[None]], number: int, progress: Progress | None) -> None:
        self._tell = tell
        self._number = number
        self._progress = progress
        self._answered = 0
        self.last_event: str | None = None
        self.retry_ms = _RETRY_MS

    async def read(self, answer: Answer) -> dict[str, Any] | None:
        """Return the answer; None where a stream ended without it."""
        if answer.media_type != "text/event-stream":
            return await self._among(wire.read(await answer.read()))
        events = wire.Events()
        async with aclosing(answer.pieces()) as pieces:
            async for event in _events(pieces, events):
                self.last_event = event.id if event.id is not None else self.last_event
                self.retry_ms = self.retry_ms if event.retry_ms is None else event.retry_ms
                if event.data:
                    found = await self._among(wire.read(event.data))
                    if found is not None:
                        return found
        return None

    async def _among(self, messages: list[dict[str, Any]]) -> dict[str, Any] | None:
        for message in messages:
            if wire.answers(message, self._number):
                return message
            if wire.is_request(message) and self._answered < _ANSWERED:
                self._answered += 1
                await self._tell(wire.answer_to(message))
            elif self._progress is not None and (told := wire.progress_of(message, self._number)) is not None:
                self._progress(*told)
        return None


async def _events(pieces: AsyncGenerator[bytes], events: wire.Events) -> AsyncGenerator[wire.Event]:
    async for piece in pieces:
        for event in events.feed(piece):
            yield event


_METHODS: dict[str, Any] = {"GET": "GET", "POST": "POST", "DELETE": "DELETE"}
_WHY = {
    "too_large": "It sent more than it may.",
    "timeout": "It took too long to answer.",
    "redirects": "It sends us from one address to the next.",
}
