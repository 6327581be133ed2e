"""A reader of Server-Sent Events: bytes in, frames out, no I/O.

Follows the processing model of the HTML standard, section 9.2.6: UTF-8 with an optional byte order mark, lines ended by
CR, LF or CRLF, comments, several `data` lines a frame; a frame that the end of the stream cuts is dropped. It is the
command line's own, because a client must not lean on the server's idea of the format.
"""

from typing import NamedTuple

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""A frame beyond this is refused: no answer is that long."""


class Frame(NamedTuple):
    """One event: `data` is its lines joined by line feeds, `event` is "message" when the stream names none."""

    data: str
    event: str = "message"
    last_id: str = ""


class FrameTooLargeError(Exception):
    """The stream sent more than `MAX_FRAME_BYTES` without ending a frame."""


class SseParser:
    """Feed it the stream's bytes in any pieces; each call returns the frames that became whole."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._skip_lf = False
        self._at_start = True
        self._data: list[str] = []
        self._size = 0
        self._event = ""
        self._last_id = ""

    def feed(self, chunk: bytes) -> list[Frame]:
        """Take the next bytes. Raises FrameTooLargeError."""
        frames: list[Frame] = []
        for line in self._lines(chunk):
            if line:
                self._take(line)
            elif frame := self._dispatch():
                frames.append(frame)
        if self._size + len(self._pending) > MAX_FRAME_BYTES:
            raise FrameTooLargeError
        return frames

    def _lines(self, chunk: bytes) -> list[bytes]:
        if self._skip_lf and chunk:
            self._skip_lf = False
            if chunk[:1] == b"\n":
                chunk = chunk[1:]
        if b"\n" not in chunk and b"\r" not in chunk:
            self._pending += chunk
            return []
        whole = bytes(self._pending) + chunk
        self._pending.clear()
        # bytes.splitlines knows CR, LF and CRLF and, unlike str.splitlines, nothing else.
        lines = whole.splitlines(keepends=True)
        if not lines[-1].endswith((b"\r", b"\n")):
            self._pending += lines.pop()
        self._skip_lf = whole.endswith(b"\r")
        return [self._strip(line) for line in lines]

    def _strip(self, line: bytes) -> bytes:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        return line.rstrip(b"\r\n")

    def _take(self, line: bytes) -> None:
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._size += len(line)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._last_id = value

    def _dispatch(self) -> Frame | None:
        data, event = self._data, self._event
        self._data, self._event, self._size = [], "", 0
        return Frame("\n".join(data), event or "message", self._last_id) if data else None
