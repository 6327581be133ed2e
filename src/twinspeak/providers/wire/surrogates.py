"""Text that arrives in pieces from servers that count in UTF-16: a pair may be cut between two pieces."""


class Joiner:
    """Joins halves of a surrogate pair that two pieces share; a lone half is U+FFFD."""

    __slots__ = ("_half",)

    def __init__(self) -> None:
        self._half = ""

    def feed(self, piece: str) -> str:
        """Return what of the text so far can be told now."""
        if not self._half and piece.isascii():
            return piece
        piece = self._half + piece
        self._half = piece[-1] if "\ud800" <= piece[-1:] <= "\udbff" else ""
        return self.whole(piece[:-1] if self._half else piece)

    def rest(self) -> str:
        """Return what stands for a half that never met its other half."""
        half, self._half = self._half, ""
        return "\ufffd" if half else ""

    @staticmethod
    def whole(text: str) -> str:
        """Return `text` with pairs joined and lone halves replaced."""
        return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
