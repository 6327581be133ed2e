"""WordPiece tokens as uncased BERT models were trained on: the published algorithm, over a `vocab.txt`."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

_LONGEST_WORD = 100


class WordPiece:
    """Texts to token ids, `[CLS]` first and `[SEP]` last."""

    def __init__(self, vocabulary: Path) -> None:
        """Read one token a line; its number is its id."""
        lines = vocabulary.read_text(encoding="utf-8").split("\n")
        self._ids = {token: number for number, token in enumerate(lines) if token}
        self._unknown = self._ids["[UNK]"]
        self._begin, self._end = self._ids["[CLS]"], self._ids["[SEP]"]
        self._known: dict[str, tuple[int, ...]] = {}

    def encode(self, text: str, most: int) -> list[int]:
        """Return at most `most` ids; a text that is longer is cut."""
        ids = [self._begin]
        for word in _words(text):
            ids.extend(self._pieces(word))
            if len(ids) >= most - 1:
                break
        return [*ids[: most - 1], self._end]

    def _pieces(self, word: str) -> tuple[int, ...]:
        known = self._known.get(word)
        if known is None:
            known = self._cut(word)
            if len(self._known) < 200_000:
                self._known[word] = known
        return known

    def _cut(self, word: str) -> tuple[int, ...]:
        """Cut a word into the longest pieces there are, from its beginning; unknown if any part of it is."""
        if len(word) > _LONGEST_WORD:
            return (self._unknown,)
        found: list[int] = []
        start = 0
        while start < len(word):
            end = len(word)
            while end > start:
                piece = self._ids.get(("##" if start else "") + word[start:end])
                if piece is not None:
                    found.append(piece)
                    break
                end -= 1
            if end == start:
                return (self._unknown,)
            start = end
        return tuple(found)


def _words(text: str) -> Iterator[str]:
    """Yield words, punctuation marks and ideographs of a text, lower-case and without accents."""
    word: list[str] = []
    for letter in unicodedata.normalize("NFD", text.lower()):
        kind = unicodedata.category(letter)
        if kind == "Mn" or letter in {"\0", "\ufffd"} or (kind in {"Cc", "Cf"} and letter not in "\t\n\r"):
            continue
        alone = _is_mark(letter, kind) or "\u3400" <= letter <= "\u9fff" or "\U00020000" <= letter <= "\U0002fa1f"
        if alone or letter.isspace():
            if word:
                yield "".join(word)
                word = []
            if alone:
                yield letter
        else:
            word.append(letter)
    if word:
        yield "".join(word)


def _is_mark(letter: str, kind: str) -> bool:
    """Whether it is punctuation, as BERT sees it: every ASCII sign too."""
    sign = letter.isascii() and letter.isprintable() and not letter.isalnum() and letter != " "
    return sign or kind.startswith("P")
