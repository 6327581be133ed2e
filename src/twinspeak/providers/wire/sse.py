"""Server-sent events, bytes to events (WHATWG HTML, 9.2.6 "Interpreting an event stream"). No I/O.

Two deliberate departures: ids and retry times are dropped, because a provider's stream is never resumed, and an event
that the end of the stream cuts off from its blank line is still delivered, because servers close right after `[DONE]`.
"""

_BOM = b"\xef\xbb\xbf"


class SseTooLong(ValueError):
    """A line or an event is longer than anything a provider sends."""


SseEvent = tuple[str, bytes]
"""A name, empty where the stream gave none, and data: UTF-8 as sent, lines joined by LF."""


class SseSplitter:
    """Feed it the body in pieces of any size; it gives the same events however the bytes are cut."""

    def __init__(self, *, max_event_bytes: int = 8_000_000) -> None:
        self._max = max_event_bytes
        self._rest: list[bytes] = []
        self._rest_size = 0
        self._start: bytes | None = b""
        self._skip_lf = False
        self._name = ""
        self._data: list[bytes] = []
        self._data_size = 0

    def feed(self, piece: bytes) -> list[SseEvent]:
        """Return the events that `piece` completes. Raises SseTooLong."""
        if self._start is not None:
            piece = self._skip_bom(piece)
        if self._skip_lf and piece:
            piece = piece.removeprefix(b"\n")
            self._skip_lf = False
        if b"\r" in piece:
            self._skip_lf = piece.endswith(b"\r")
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n" not in piece:
            self._keep(piece)
            return []
        lines = piece.split(b"\n")
        if self._rest:
            lines[0] = b"".join((*self._rest, lines[0]))
            self._rest, self._rest_size = [], 0
        self._keep(lines.pop())
        return self._events(lines)

    def close(self) -> list[SseEvent]:
        """Return what the end of the stream left unfinished."""
        last = b"".join((self._start or b"", *self._rest))
        self._start, self._rest = None, []
        return self._events([last, b""])

    def _skip_bom(self, piece: bytes) -> bytes:
        piece = (self._start or b"") + piece
        if len(piece) < len(_BOM) and _BOM.startswith(piece):
            self._start = piece
            return b""
        self._start = None
        return piece.removeprefix(_BOM)

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._rest.append(piece)
            self._rest_size += len(piece)
            self._check(self._rest_size)

    def _check(self, size: int) -> None:
        if size > self._max:
            raise SseTooLong(f"an event is longer than {self._max} bytes")

    def _events(self, lines: list[bytes]) -> list[SseEvent]:
        found: list[SseEvent] = []
        for line in lines:
            if not line:
                if self._data:
                    found.append((self._name, self._data[0] if len(self._data) == 1 else b"\n".join(self._data)))
                    self._data, self._data_size = [], 0
                self._name = ""
            elif line.startswith(b"data:"):
                self._add(line[6:] if line[5:6] == b" " else line[5:])
            elif line.startswith(b"event:"):
                self._name = line[6:].removeprefix(b" ").decode("utf-8", "replace")
            elif line == b"data":
                self._add(b"")
        return found

    def _add(self, data: bytes) -> None:
        self._data.append(data)
        self._data_size += len(data)
        self._check(self._data_size)
