"""Words of texts, as search compares them: the same for every database, for we cut them up ourselves.

A word is a run of letters, digits and the marks on them, in folded case and one normal form. Scripts without blanks
between words (Chinese, Japanese, Thai, …) are cut into overlapping pairs of characters. A symbol beyond ASCII, such as
an emoji, is a word; all other signs part words and are not looked for.
"""

import unicodedata
from collections.abc import Iterable, Iterator

LONGEST = 40
"""Characters of a word that are compared."""
MOST = 4_000
"""Different words of one record that are found."""
MOST_ASKED = 20
"""Words of a question that are looked for."""
PREFIX_FROM = 3
"""Characters from which on a word also finds what begins with it."""

_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Japanese syllables
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),  # Chinese characters
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


def words_of(texts: Iterable[str], most: int = MOST) -> list[str]:
    """Return the different words of texts, each once, in order: the first `most`."""
    found: dict[str, None] = {}
    for text in texts:
        for word in _words(text):
            found[word[:LONGEST]] = None
            if len(found) >= most:
                return list(found)
    return list(found)


def stream_of(text: str) -> Iterator[str]:
    """Yield all words of a text as they follow one another."""
    return _words(text)


def asked_for(text: str) -> list[tuple[str, bool]]:
    """Return what a search looks for: words that must all be there, and whether each may go on."""
    return [(word, len(word) >= PREFIX_FROM or _is_unspaced(word[0])) for word in words_of([text], MOST_ASKED)]


def _words(text: str) -> Iterator[str]:
    run: list[str] = []
    unspaced = False
    for sign in unicodedata.normalize("NFKC", text).casefold():
        kind = unicodedata.category(sign)
        if kind[0] in "LNM":
            if run and kind[0] != "M" and _is_unspaced(sign) != unspaced:
                yield from _cut(run, unspaced=unspaced)
                run = []
            if not run:
                unspaced = _is_unspaced(sign)
            run.append(sign)
            continue
        yield from _cut(run, unspaced=unspaced)
        run = []
        if kind[0] == "S" and sign > "\x7f":
            yield sign
    yield from _cut(run, unspaced=unspaced)


def _cut(run: list[str], *, unspaced: bool) -> Iterator[str]:
    if not unspaced:
        if run:
            yield "".join(run)
        return
    for place in range(len(run)):
        pair = "".join(run[place : place + 2])
        if len(pair) == 2 or len(run) == 1:
            yield pair


def _is_unspaced(sign: str) -> bool:
    point = ord(sign)
    return point >= _UNSPACED[0][0] and any(first <= point <= last for first, last in _UNSPACED)
