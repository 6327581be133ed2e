"""The protocol's messages and event streams, without I/O (modelcontextprotocol.io, specification 2025-11-25)."""

import math
from collections.abc import Iterator
from typing import Any, cast

import msgspec

from twinspeak import __version__

VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26")
"""What we speak, newest first."""
OTHER_VERSION = "It speaks another version of the protocol."
METHOD_NOT_FOUND = -32601
_LONGEST_LINE = 2_000_000


class WireError(ValueError):
    """What came is not the protocol."""


class Refused(Exception):
    """The server answered a request with an error."""

    def __init__(self, code: int, message: str) -> None:
        """Keep what it said."""
        super().__init__(message)
        self.code = code


class Event(msgspec.Struct, frozen=True):
    """One event of a stream; `id` is what to resume after, `retry_ms` how long to wait before that."""

    data: str = ""
    id: str | None = None
    retry_ms: int | None = None


class Events:
    """Takes a stream of events apart, however it is cut (WHATWG HTML, "event stream interpretation")."""

    def __init__(self) -> None:
        self._left = b""
        self._data: list[str] = []
        self._id: str | None = None
        self._retry: int | None = None
        self._started = False

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Yield the events that are whole now. Raises WireError for a line without end."""
        data = self._left + piece
        if not self._started and len(data) >= 3:
            data, self._started = data.removeprefix(b"\xef\xbb\xbf"), True
        held = b""
        if data.endswith(b"\r"):
            # It may be the first half of a line's end.
            data, held = data[:-1], b"\r"
        *lines, self._left = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._left += held
        if len(self._left) > _LONGEST_LINE:
            raise WireError("a line without end")
        for line in lines:
            event = self._line(line.decode("utf-8", errors="replace"))
            if event is not None:
                yield event

    def _line(self, line: str) -> Event | None:
        if not line:
            found = Event("\n".join(self._data), self._id, self._retry)
            self._data, self._retry = [], None
            return found if found.data or found.id is not None or found.retry_ms is not None else None
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "id" and "\0" not in value:
            self._id = value
        elif field == "retry" and value.isascii() and value.isdigit():
            self._retry = min(int(value[:9]), 600_000)
        return None


def request(number: int, method: str, params: dict[str, Any] | None = None) -> bytes:
    """Write a request."""
    return msgspec.json.encode(
        {"jsonrpc": "2.0", "id": number, "method": method, **({"params": params} if params is not None else {})}
    )


def notification(method: str, params: dict[str, Any] | None = None) -> bytes:
    """Write a notification."""
    return msgspec.json.encode({"jsonrpc": "2.0", "method": method, **({"params": params} if params else {})})


def hello() -> dict[str, Any]:
    """Return what `initialize` is asked with: we offer nothing."""
    told = {"name": "twinspeak", "version": __version__}
    return {"protocolVersion": VERSIONS[0], "capabilities": {}, "clientInfo": told}


def version_of(hello: dict[str, Any]) -> str | None:
    """Return the version that a server answered `initialize` with, None for one that we do not speak."""
    version: Any = hello.get("protocolVersion")
    return version if version in VERSIONS else None


def progress_of(message: dict[str, Any], number: int) -> tuple[float | None, str] | None:
    """Return how far our request `number` is (0 to 1, None where that is not known), if a message tells that."""
    params: Any = message.get("params")
    if message.get("method") != "notifications/progress" or not isinstance(params, dict):
        return None
    told = cast("dict[str, Any]", params)
    if told.get("progressToken") not in (number, str(number)):
        return None
    done, total = _number(told.get("progress")), _number(told.get("total"))
    far = None if done is None or not total or total < 0 else min(1.0, max(0.0, done / total))
    return far, str(told.get("message") or "")[:200]


def answer_to(message: dict[str, Any]) -> bytes:
    """Write our answer to a request of the server's: pings are answered, we offer nothing else."""
    head = {"jsonrpc": "2.0", "id": message.get("id")}
    if message.get("method") == "ping":
        return msgspec.json.encode({**head, "result": {}})
    return msgspec.json.encode(
        {**head, "error": {"code": METHOD_NOT_FOUND, "message": "This client has no such method."}}
    )


def read(data: bytes | str) -> list[dict[str, Any]]:
    """Return the messages in a body or an event; servers of older versions send several at once. Raises WireError."""
    try:
        found: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise WireError("no JSON") from error
    several = cast("list[Any]", found) if isinstance(found, list) else [found]
    if not all(isinstance(one, dict) for one in several):
        raise WireError("no message")
    return cast("list[dict[str, Any]]", several)


def is_request(message: dict[str, Any]) -> bool:
    """Tell whether the server asks something of us."""
    return "method" in message and message.get("id") is not None


def answers(message: dict[str, Any], number: int) -> bool:
    """Tell whether a message answers our request `number`."""
    return "method" not in message and message.get("id") in (number, str(number))


def result_of(message: dict[str, Any]) -> dict[str, Any]:
    """Return what an answer gives. Raises Refused and WireError."""
    error: Any = message.get("error")
    if isinstance(error, dict):
        told = cast("dict[str, Any]", error)
        code = told.get("code")
        raise Refused(code if isinstance(code, int) else 0, str(told.get("message", ""))[:500])
    result: Any = message.get("result")
    if not isinstance(result, dict):
        raise WireError("an answer without result")
    return cast("dict[str, Any]", result)


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if math.isfinite(value) else None
