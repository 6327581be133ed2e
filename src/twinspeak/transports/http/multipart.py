"""`multipart/form-data` as it arrives (RFC 7578, RFC 2046 5.1): bytes in, parts out, nothing of a file kept in memory.

    parser = Multipart(boundary_of(content_type))
    for event in parser.feed(piece): …          # PartBegins, PartBytes, PartEnds, in this order, part after part
    parser.finish()                             # raises InvalidBody when the last boundary never came

Pure: sockets and disks are elsewhere. Every part's header is bounded, and so is the number of parts.
"""

import re
from collections.abc import Iterator

import msgspec

from twinspeak.domain.vault_errors import InvalidBody

MOST_HEADER_BYTES = 8_192
MOST_PARTS = 1_000
_MOST_BOUNDARY = 70
_BOUNDARY = re.compile(r"""boundary=(?:"([^"]{1,200})"|([^\s;]{1,200}))""", re.IGNORECASE)
_PARAMETER = re.compile(r""";\s*(name|filename\*?)=(?:"((?:\\.|[^"\\])*)"|([^;\s]*))""", re.IGNORECASE)


class PartBegins(msgspec.Struct, frozen=True):
    """A part with its field's name; `filename` None means a plain field."""

    name: str
    filename: str | None
    media_type: str


class PartBytes(msgspec.Struct, frozen=True):
    """Some of a part."""

    data: bytes


class PartEnds(msgspec.Struct, frozen=True):
    """A part is whole."""


Event = PartBegins | PartBytes | PartEnds


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that a content type names. Raises InvalidBody."""
    found = _BOUNDARY.search(content_type)
    text = (found[1] or found[2]) if found else ""
    if not text or len(text) > _MOST_BOUNDARY or not text.isascii():
        raise InvalidBody("The content type names no boundary.")
    return text.encode()


class Multipart:
    """One body. Feed it as it comes; what it cannot tell apart from a boundary yet, it holds back."""

    def __init__(self, boundary: bytes) -> None:
        """Nothing has come yet."""
        # The first boundary has no line before it: with one put there, all are alike.
        self._buffer = bytearray(b"\r\n")
        self._mark = b"\r\n--" + boundary
        self._state = "preamble"
        self._parts = 0

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Take bytes, yield what they make. Raises InvalidBody."""
        self._buffer += piece
        while True:
            before = len(self._buffer), self._state
            if self._state in ("preamble", "part"):
                yield from self._until_boundary()
            elif self._state == "boundary":
                self._after_boundary()
            elif self._state == "header":
                yield from self._header()
            else:
                self._buffer.clear()
                return
            if (len(self._buffer), self._state) == before:
                return

    def finish(self) -> None:
        """Make sure that the body was whole. Raises InvalidBody."""
        if self._state != "epilogue":
            raise InvalidBody("The body ends before its last boundary.")

    def _until_boundary(self) -> Iterator[Event]:
        at = self._buffer.find(self._mark)
        inside = self._state == "part"
        safe = at if at >= 0 else max(0, len(self._buffer) - len(self._mark) + 1)
        if safe and inside:
            yield PartBytes(bytes(self._buffer[:safe]))
        del self._buffer[:safe]
        if at >= 0:
            del self._buffer[: len(self._mark)]
            self._state = "boundary"
            if inside:
                yield PartEnds()

    def _after_boundary(self) -> None:
        """What follows a boundary: two dashes end the body, a line's end begins a part; blanks may come before."""
        if self._buffer.startswith(b"--"):
            self._state = "epilogue"
            return
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > MOST_HEADER_BYTES:
                raise InvalidBody
            return
        if self._buffer[:end].strip(b" \t"):
            raise InvalidBody
        # The line's end stays: a part without any header has nothing but that before its blank line.
        del self._buffer[:end]
        self._state = "header"

    def _header(self) -> Iterator[Event]:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MOST_HEADER_BYTES:
                raise InvalidBody("A part's header is too long.")
            return
        self._parts += 1
        if end > MOST_HEADER_BYTES or self._parts > MOST_PARTS:
            raise InvalidBody("There are too many parts, or a part's header is too long.")
        begins = _begins(bytes(self._buffer[:end]).decode("utf-8", "replace"))
        del self._buffer[: end + 4]
        self._state = "part"
        yield begins


def _begins(header: str) -> PartBegins:
    fields = dict(line.split(":", 1) for line in header.split("\r\n") if ":" in line)
    named = {name.strip().lower(): value.strip() for name, value in fields.items()}
    disposition = named.get("content-disposition", "")
    if not disposition.lower().startswith("form-data"):
        raise InvalidBody("A part is no form-data.")
    found: dict[str, str] = {}
    for name, quoted, bare in _PARAMETER.findall(disposition):
        found.setdefault(name.lower(), _unquoted(quoted) or bare)
    if "name" not in found:
        raise InvalidBody("A part has no name.")
    return PartBegins(found["name"], found.get("filename"), named.get("content-type", ""))


def _unquoted(text: str) -> str:
    """Undo how browsers write quotes and line ends in a name (HTML's multipart/form-data encoding), and backslashes."""
    return re.sub(r'\\(["\\])', r"\1", text).replace("%22", '"').replace("%0D", " ").replace("%0A", " ")
