"""A small client of Twinspeak's own API, for `twinspeak chat`.

It does not go through `egress`: that is the server's way out, and this runs on somebody's desk.
"""

import json
import ssl
from collections.abc import AsyncGenerator, Awaitable
from pathlib import Path
from typing import Any, Self, cast
from urllib.parse import urlsplit

import aiohttp
import msgspec

from twinspeak.cli.events import Event, ProtocolError, parse
from twinspeak.cli.exits import CommandError, ExitCode
from twinspeak.cli.sse import FrameTooLargeError, SseParser

CONNECT_S = 10
REPLY_S = 30
SILENCE_S = 180
"""A server sends a heartbeat every 15 s; one that is silent this long is gone."""

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_REFUSALS = {401, 403}


class ServerError(CommandError):
    """The server answered with an error; `error_code` is the stable one of docs/errors.md, "" when it gave none."""

    def __init__(self, message: str, code: ExitCode, *, error_code: str = "", hint: str = "") -> None:
        """As CommandError."""
        super().__init__(message, code, hint=hint)
        self.error_code = error_code


class Question(msgspec.Struct, frozen=True):
    """One question and where it belongs; "" and None mean: the server decides."""

    text: str
    twin: str = ""
    course_id: int | None = None
    course_name: str = ""

    def body(self) -> dict[str, Any]:
        """Return the request body: text once and not cumulative, and the extended events."""
        args: dict[str, Any] = {"streamMode": "delta", "extendedEvents": True}
        if self.twin:
            args["institutionPublicId"] = self.twin
        if self.course_id is not None:
            args["selectedCourse"] = {"course_id": self.course_id, "course_name": self.course_name}
        return {"inputs": [self.text], "requestArgs": args}


class CodeWanted(msgspec.Struct, frozen=True):
    """Signing in takes a code too; `sent_to` is the mailbox that has it, "" for an authenticator app."""

    challenge_id: str
    sent_to: str


class Kept(msgspec.Struct, frozen=True):
    """What the server saved of a cancelled turn; `credits` None when it does not say."""

    credits: int | None


def normal_url(url: str) -> str:
    """Return the server's address without a trailing slash, with `http://` when it names no scheme.

    Raises CommandError.
    """
    text = url.strip()
    text = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise CommandError(f"{url!r} is not the address of a server.", ExitCode.USAGE, hint="Try http://127.0.0.1:8080")
    return text.rstrip("/")


def is_in_the_clear(url: str) -> bool:
    """Tell whether a password sent to `url` can be read on its way."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in _LOOPBACK


class Client:
    """One server. Make it with `open` inside the event loop, `close` it there."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:  # noqa: TID251 - as in `open`
        """Keep both; use `open`."""
        self.url = url
        self._session = session

    @classmethod
    def open(cls, url: str) -> Self:
        """Make a client for the server at `url`, which `normal_url` made."""
        # A connection each: between two questions the loop stands still and would not notice one that ended.
        session = aiohttp.ClientSession(  # noqa: TID251 - a client program, not the server
            connector=aiohttp.TCPConnector(force_close=True),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S),
            trust_env=urlsplit(url).hostname not in _LOOPBACK,
        )
        return cls(url, session)

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def sign_in(self, email: str, password: str) -> str | CodeWanted:
        """Return an access token, or which code it takes. Raises CommandError: refused, unreachable, no Twinspeak."""
        reply = await self._call("/api/auth/signin", {"email": email, "password": password}, token="")
        challenge = reply.get("challengeId")
        if isinstance(challenge, str) and challenge:
            sent = reply.get("method") != "totp"
            return CodeWanted(challenge, sent_to=str(reply.get("maskedEmail") or "") if sent else "")
        return self._token_in(reply)

    async def show_code(self, wanted: CodeWanted, code: str) -> str:
        """Return the access token that a code stands for. Raises CommandError, also for a wrong one."""
        body = {"challengeId": wanted.challenge_id, "code": code, "trustDevice": False}
        return self._token_in(await self._call("/api/auth/mfa-verify", body, token=""))

    def _token_in(self, reply: dict[str, Any]) -> str:
        token = reply.get("token")
        if not isinstance(token, str) or not token:
            raise self._strange("answered the sign-in without a token")
        return token

    async def kept(self, token: str, turn_id: str) -> Kept | None:
        """Return what history holds of turn `turn_id`, None while it is not there. Raises CommandError."""
        reply = await self._call("/api/user/histories", {"historyId": turn_id, "limit": 1}, token=token)
        records = reply.get("data")
        if not isinstance(records, list) or not records:
            return None
        record = cast("dict[str, Any]", records[0]) if isinstance(records[0], dict) else {}
        credits = record.get("credits")
        return Kept(credits=credits if isinstance(credits, int) else None)

    async def ask(self, token: str, question: Question) -> AsyncGenerator[tuple[Event, str]]:
        """Yield the answer's events, each with its JSON, until the stream ends.

        Closing this iterator, or cancelling the task that reads it, closes the connection, which cancels the turn.
        Raises CommandError.
        """
        path = "/api/ai/personal-stream/qanda-stream"
        try:
            response = await self._post(path, question.body(), token)
            try:
                if response.status != 200 or response.content_type != "text/event-stream":
                    raise await self._refusal(response)
                parser = SseParser()
                async for chunk in response.content.iter_any():
                    for frame in parser.feed(chunk):
                        event = parse(frame.data)
                        if event is not None:
                            yield event, frame.data
            finally:
                response.close()
        except ProtocolError as problem:
            raise self._strange(f"sent an event that cannot be read ({problem})") from problem
        except FrameTooLargeError as problem:
            raise self._strange("sent an event without end") from problem
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            raise self._unreachable(problem) from problem

    async def upload(self, token: str, path: Path, fields: dict[str, str]) -> dict[str, Any]:
        """Send a file to the vault, as it is read; return the server's reply. Raises CommandError, OSError."""
        with path.open("rb") as file:
            form = aiohttp.FormData(fields)
            form.add_field("files", file, filename=path.name)
            return await self._answered(self._post("/api/user/files", form, token))

    async def uploads(self, token: str, wanted: dict[str, Any]) -> dict[str, Any]:
        """Return a page of documents. Raises CommandError."""
        return await self._call("/api/user/uploads", wanted, token=token)

    async def search(self, token: str, query: str, limit: int) -> dict[str, Any]:
        """Search the vault. Raises CommandError."""
        return await self._call("/api/user/files/search-content", {"query": query, "limit": limit}, token=token)

    async def _call(self, path: str, body: dict[str, Any], *, token: str) -> dict[str, Any]:
        return await self._answered(self._post(path, body, token, limit_s=REPLY_S))

    async def _answered(self, asked: Awaitable[aiohttp.ClientResponse]) -> dict[str, Any]:
        try:
            async with await asked as response:
                if response.status != 200:
                    raise await self._refusal(response)
                reply = json.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            raise self._unreachable(problem) from problem
        except (ValueError, RecursionError) as problem:
            raise self._strange("answered with something that is not JSON") from problem
        if not isinstance(reply, dict):
            raise self._strange("answered with something that is not an object")
        return cast("dict[str, Any]", reply)

    async def _post(
        self, path: str, body: dict[str, Any] | aiohttp.FormData, token: str, limit_s: float | None = None
    ) -> aiohttp.ClientResponse:
        headers = {"x-access-token": token} if token else {}
        timeout = aiohttp.ClientTimeout(total=limit_s, sock_connect=CONNECT_S, sock_read=SILENCE_S)
        sent: dict[str, Any] = {"data": body} if isinstance(body, aiohttp.FormData) else {"json": body}
        return await self._session.post(
            f"{self.url}{path}", **sent, headers=headers, allow_redirects=False, timeout=timeout
        )

    async def _refusal(self, response: aiohttp.ClientResponse) -> CommandError:
        location = response.headers.get("Location")
        if 300 <= response.status < 400 and location:
            return CommandError(
                f"{self.url} sends its visitors on to {location}.",
                ExitCode.UNREACHABLE,
                hint="Give the address where the server really is with --url.",
            )
        error = _error_of(await response.content.read(100_000))
        if error is None:
            return self._strange(f"answered {response.status} {response.reason or ''}".rstrip())
        message = str(error.get("message") or f"The server answered {response.status}.")
        refused = response.status in _REFUSALS
        wait = response.headers.get("Retry-After")
        hint = f"Try again in {wait} s." if wait and response.status in {429, 503} else ""
        code = ExitCode.REFUSED if refused else ExitCode.ANSWER_FAILED
        return ServerError(message, code, error_code=str(error.get("code") or ""), hint=hint)

    def _strange(self, what: str) -> CommandError:
        return CommandError(
            f"{self.url} {what}.",
            ExitCode.UNREACHABLE,
            hint="Is this the address of a Twinspeak server? Give another one with --url.",
        )

    def _unreachable(self, problem: Exception) -> CommandError:
        hint = "Start it with `twinspeak serve`, or give another address with --url."
        if isinstance(problem, (ssl.SSLError, aiohttp.ClientSSLError)):
            return CommandError(f"The certificate of {self.url} is not trusted.", ExitCode.UNREACHABLE, hint="")
        if isinstance(problem, aiohttp.ClientConnectorDNSError):
            return CommandError(f"There is no host by the name in {self.url}.", ExitCode.UNREACHABLE, hint=hint)
        if isinstance(problem, (aiohttp.ClientConnectorError, ConnectionRefusedError)):
            return CommandError(f"No server answers at {self.url}.", ExitCode.UNREACHABLE, hint=hint)
        if isinstance(problem, TimeoutError):
            return CommandError(f"{self.url} does not answer in time.", ExitCode.UNREACHABLE)
        return CommandError(f"The connection to {self.url} was cut.", ExitCode.UNREACHABLE)


def _error_of(body: bytes) -> dict[str, Any] | None:
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):
        return None
    error = cast("dict[str, Any]", reply).get("error") if isinstance(reply, dict) else None
    return cast("dict[str, Any]", error) if isinstance(error, dict) else None
