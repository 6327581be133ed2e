"""Text to search terms: the same for documents and questions, or nothing would ever match."""

import re
import unicodedata
from functools import lru_cache

from twinspeak.knowledge.index.stem import stem

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
_LONGEST_TERM = 64

STOP_WORDS = frozenset(
    _WORD.findall(
        """
        a about after all also am an and any are as at be because been before being but by can could did do does doing
        for from get had has have having he her here hers him his how i if in into is it its itself just let many may
        me might more most much must my no nor not of off on once only or other our ours out over own please same shall
        she should so some such tell than that the their theirs them then there these they this those through to too
        under until up upon us use used uses using very want was we were what when where which while who whom whose why
        will with would you your yours
        """
    )
)
"""Words that say nothing about what a text is about. Question words are among them: all questions have them."""


def terms(text: str) -> list[str]:
    """Return the terms of `text` in order, stop words left out.

    Case, accents and width are folded; words are stemmed; names like `OPENAI_API_KEY` fall into their parts; scripts
    that do not part words (Chinese, Japanese) give pairs of neighbouring characters. Never raises.
    """
    found: list[str] = []
    for word in _WORD.findall(_fold(text)):
        found.extend(_terms_of(word) if len(word) <= _LONGEST_TERM else _terms_of.__wrapped__(word))
    return found


@lru_cache(maxsize=131_072)
def _terms_of(word: str) -> tuple[str, ...]:
    """Return the terms of one folded word. Words come again and again: remembering them halves an index's time."""
    if _UNSPACED.search(word):
        return tuple(_pairs(word))
    plain = _without_possessive(word)
    return () if plain in STOP_WORDS else (stem(plain[:_LONGEST_TERM]),)


def _fold(text: str) -> str:
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return unicodedata.normalize("NFKC", bare)


def _without_possessive(word: str) -> str:
    head, _, tail = word.replace("\u2019", "'").partition("'")
    return head if tail in {"s", "ll", "re", "ve", "d", "m"} else (head + tail)


def _pairs(word: str) -> list[str]:
    return [word] if len(word) == 1 else [word[at : at + 2] for at in range(len(word) - 1)]
