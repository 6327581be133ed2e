"""What a client of the MCP face may send, read without I/O."""

from typing import Any, cast

import msgspec

from twinspeak.transports import wire_names as wire

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
RESOURCE_NOT_FOUND = -32002
VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26")
"""What this face speaks, newest first."""


class Rejected(Exception):
    """The message is answered with an error of the protocol's own."""

    def __init__(self, code: int, message: str, *, data: Any = None) -> None:
        """`message` is for a developer; `data` goes with it."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class Message(msgspec.Struct, frozen=True):
    """A request, or a notification where `id` is None. Answers of a client to us are notifications without method."""

    method: str
    params: dict[str, Any]
    id: str | int | None

    @property
    def progress_token(self) -> str | int | None:
        """What progress is to be reported under, if it is wanted."""
        meta: Any = self.params.get("_meta")
        token: Any = cast("dict[str, Any]", meta).get("progressToken") if isinstance(meta, dict) else None
        return token if isinstance(token, str | int) and not isinstance(token, bool) else None

    def text(self, name: str, *, most: int, default: str | None = None) -> str:
        """Return a parameter that is a text. Raises Rejected."""
        return text_in(self.params, name, most=most, default=default)


def read(body: Any) -> Message:
    """Return the message in a decoded body. Raises Rejected."""
    if not isinstance(body, dict):
        raise Rejected(INVALID_REQUEST, "Send one JSON-RPC message; batches are not taken.")
    given = cast("dict[str, Any]", body)
    number, method, params = given.get("id"), given.get("method", ""), given.get("params", {})
    answered = "result" in given or wire.ERROR in given
    if given.get("jsonrpc") != "2.0" or not isinstance(method, str) or not (method or answered):
        raise Rejected(INVALID_REQUEST, "This is no JSON-RPC 2.0 message.")
    if number is not None and (not isinstance(number, str | int) or isinstance(number, bool)):
        raise Rejected(INVALID_REQUEST, "An id must be a string or a whole number.")
    if not isinstance(params, dict):
        raise Rejected(INVALID_PARAMS, "Parameters must be an object.")
    return Message(method=method, params=cast("dict[str, Any]", params), id=None if answered else number)


def arguments_of(message: Message) -> dict[str, Any]:
    """Return the arguments of a call. Raises Rejected."""
    found: Any = message.params.get("arguments", {})
    if not isinstance(found, dict):
        raise Rejected(INVALID_PARAMS, "Arguments must be an object.")
    return cast("dict[str, Any]", found)


def text_in(given: dict[str, Any], name: str, *, most: int, default: str | None = None) -> str:
    """Return a text. Raises Rejected for what is none, is empty though it is needed, or is too long."""
    found = given.get(name, default)
    if not isinstance(found, str) or len(found) > most or not (found.strip() or default is not None):
        raise Rejected(INVALID_PARAMS, f"{name} must be a text of at most {most} characters.")
    return found.strip()


def number_in(given: dict[str, Any], name: str, *, default: int, most: int) -> int:
    """Return a whole number from 1 to `most`. Raises Rejected."""
    found = given.get(name, default)
    if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= most:
        raise Rejected(INVALID_PARAMS, f"{name} must be a whole number from 1 to {most}.")
    return found
