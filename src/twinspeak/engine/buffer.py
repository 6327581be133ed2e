"""Text that only grows, stored once."""

_CONSOLIDATE_AT = 64
"""Pieces kept apart before they are joined: reads near the end stay cheap, and memory does not grow by the piece."""


class TextBuffer:
    """An append-only text. Offsets count characters."""

    __slots__ = ("_pieces", "length")

    def __init__(self, text: str = "") -> None:
        """Start with `text`."""
        self._pieces: list[str] = [text] if text else []
        self.length = len(text)

    def append(self, piece: str) -> int:
        """Add `piece`; return the new length."""
        self._pieces.append(piece)
        self.length += len(piece)
        if len(self._pieces) > _CONSOLIDATE_AT:
            self.text()
        return self.length

    def text(self) -> str:
        """Return the whole text."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def slice(self, start: int, end: int) -> str:
        """Return characters `start` to `end`; what was appended last is found without joining everything."""
        if end == self.length:
            if start == end:
                return ""
            if start == 0:
                return self.text()
            begin = end
            for index in range(len(self._pieces) - 1, -1, -1):
                begin -= len(self._pieces[index])
                if begin == start:
                    return self._pieces[index] if index == len(self._pieces) - 1 else "".join(self._pieces[index:])
                if begin < start:
                    break
        return self.text()[start:end]


def encodable(text: str) -> str:
    """Return `text` with surrogate pairs joined, lone halves and NUL replaced: no database and no face can take those.

    They come from JSON escapes that a provider or a tool cut in the middle of an emoji, or made up. Mended here, before
    anybody has read them, for what is streamed must be what is stored (contract section 4).
    """
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
