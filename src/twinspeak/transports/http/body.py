"""The body gate: a JSON body is bounded in size, time and depth before anything else is done with it (decision 011).

Media type 415, size 413, time 408, bad UTF-8, bad JSON, depth and NUL characters 400. The limits hold for every route
made with `routes.GatedRoute`.
"""

import asyncio
from contextlib import aclosing
from typing import Any, cast

import msgspec
import orjson
from starlette.requests import Request

from twinspeak.domain.errors import InvalidJson, PayloadTooLarge, RequestTimeout, UnsupportedMediaType

MAX_DEPTH = 64
"""Nested arrays and objects; a real request has under ten."""

MAX_CONTAINERS = 20_000
"""All arrays and objects together: a megabyte of nothing else would hold the event loop for a third of a second."""

_DRAIN_BYTES = 32 * 1024 * 1024
"""How much of a refused body is read and dropped, so that a client that sends before it reads gets the answer."""

_BOM = b"\xef\xbb\xbf"
_NUL = b"\\u0000"
_OBJECTS = (dict,)
_CONTAINERS = (dict, list)


class BodyLimits(msgspec.Struct, frozen=True):
    """`max_bytes` of a body; `timeout_s` for all of it to arrive."""

    max_bytes: int
    timeout_s: float


def parse(raw: bytes) -> Any:
    """Decode JSON in UTF-8 to plain Python values. Raises InvalidJson.

    Nothing recurses on what a stranger nested: the parser stops at 1,024 levels by itself, and what is within those is
    looked through level by level.
    """
    containers = raw.count(b"[") + raw.count(b"{")
    if containers > MAX_CONTAINERS and _containers(raw) > MAX_CONTAINERS:
        raise InvalidJson(f"The body holds more than {MAX_CONTAINERS} arrays and objects.")
    try:
        value = orjson.loads(raw.removeprefix(_BOM))
    except orjson.JSONDecodeError:
        raise InvalidJson from None
    if containers > MAX_DEPTH and too_deep(value):
        raise InvalidJson(f"The body is nested deeper than {MAX_DEPTH} levels.")
    if _NUL in raw and _holds_nul(value):
        raise InvalidJson("The body holds a NUL character, which no text may have.")
    return value


def _containers(raw: bytes) -> int:
    """Count the brackets outside strings: somebody's pasted code is full of them inside one."""
    unescaped = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside = b"".join(unescaped.split(b'"')[::2])
    return outside.count(b"[") + outside.count(b"{")


def too_deep(value: Any) -> bool:
    """Tell whether arrays and objects are nested deeper than MAX_DEPTH."""
    level: list[Any] = [value] if type(value) in _CONTAINERS else []
    for _ in range(MAX_DEPTH):
        if not level:
            return False
        members: list[Any] = []
        for container in level:
            members.extend(container.values() if type(container) in _OBJECTS else container)
        level = [member for member in members if type(member) in _CONTAINERS]
    return bool(level)


def _holds_nul(value: Any) -> bool:
    """Look through a parsed value; its depth is bounded by then."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return any("\0" in key or _holds_nul(member) for key, member in members.items())
    return isinstance(value, list) and any(map(_holds_nul, cast("list[Any]", value)))


class GatedRequest(Request):
    """A request whose body has passed the gate, or was refused by `take`."""

    _taken: bytes | None = None
    _parsed: Any = None

    async def take(self, limits: BodyLimits) -> None:
        """Read and parse the body, if there is one.

        Raises UnsupportedMediaType, PayloadTooLarge, RequestTimeout, InvalidJson; starlette's ClientDisconnect when the
        client hangs up.
        """
        if self._taken is not None or not self._has_body():
            self._taken = self._taken or b""
            return
        self._check_headers(limits)
        self._taken = await self._read(limits)
        if self._taken:
            self._parsed = parse(self._taken)

    async def body(self) -> bytes:
        """Return the bytes taken; empty where the gate was not used, for nothing reads an unbounded body."""
        return self._taken or b""

    async def json(self) -> Any:
        """Return the parsed body, None when there is none."""
        return self._parsed

    def _has_body(self) -> bool:
        headers = self.headers
        return "transfer-encoding" in headers or headers.get("content-length", "0").strip() != "0"

    def _check_headers(self, limits: BodyLimits) -> None:
        declared = self.declared
        if declared > limits.max_bytes and (declared > _DRAIN_BYTES or "expect" in self.headers):
            raise _too_large(limits)
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json" and not (
            media_type.startswith("application/") and media_type.endswith("+json")
        ):
            raise UnsupportedMediaType
        if self.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise UnsupportedMediaType("Send the body without Content-Encoding.")

    @property
    def declared(self) -> int:
        """The length that the headers give, 0 when they give none that is one."""
        length = self.headers.get("content-length", "").strip()[:19]
        return int(length) if length.isascii() and length.isdigit() else 0

    async def _read(self, limits: BodyLimits) -> bytes:
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(limits.timeout_s), aclosing(self.stream()) as stream:
                async for chunk in stream:
                    size += len(chunk)
                    if size <= limits.max_bytes:
                        chunks.append(chunk)
                    elif size > limits.max_bytes + _DRAIN_BYTES:
                        break
                    else:
                        chunks.clear()
        except TimeoutError:
            if size <= limits.max_bytes:
                raise RequestTimeout from None
        if size > limits.max_bytes:
            raise _too_large(limits)
        return b"".join(chunks)


def _too_large(limits: BodyLimits) -> PayloadTooLarge:
    return PayloadTooLarge(details={"maxBytes": limits.max_bytes})
