"""Porter's stemmer: `connecting`, `connected`, `connection` -> `connect`.

Written from the published description (M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980). Only
lower-case ASCII words are changed; anything else comes back as it is.
"""

import re
from functools import lru_cache

_ENGLISH = re.compile(r"[a-z]{3,}")
_FIRST_Y = re.compile(r"(?<![aeiou])y")
_VOWEL_RUN = re.compile(r"[aeiou]+[^aeiou]+")
_SHORT_END = re.compile(r"[^aeiou][aeiou][^aeiouwxy]$")

_STEP_2 = {
    "ational": "ate", "tional": "tion", "enci": "ence", "anci": "ance", "izer": "ize", "abli": "able", "alli": "al",
    "entli": "ent", "eli": "e", "ousli": "ous", "ization": "ize", "ation": "ate", "ator": "ate", "alism": "al",
    "iveness": "ive", "fulness": "ful", "ousness": "ous", "aliti": "al", "iviti": "ive", "biliti": "ble",
}  # fmt: skip
_STEP_3 = {"icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": "", "ness": ""}
_STEP_4 = {
    "al": "", "ance": "", "ence": "", "er": "", "ic": "", "able": "", "ible": "", "ant": "", "ement": "", "ment": "",
    "ent": "", "ion": "", "ou": "", "ism": "", "ate": "", "iti": "", "ous": "", "ive": "", "ize": "",
}  # fmt: skip


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Return the stem of one lower-case word."""
    if not _ENGLISH.fullmatch(word):
        return word
    word = _tidy_y(_past_and_progress(_plural(word)))
    word = _replace(word, _STEP_2, least=1)
    word = _replace(word, _STEP_3, least=1)
    word = _replace(word, _STEP_4, least=2)
    return _final_e_and_l(word)


def _pattern(word: str) -> str:
    """Write `y` as a vowel (`i`) where it sounds like one: after a consonant."""
    return word[:1] + _FIRST_Y.sub("i", word)[1:] if word else word


def _measure(word: str) -> int:
    """Count the vowel-consonant runs: Porter's m."""
    return len(_VOWEL_RUN.findall(_pattern(word)))


def _has_vowel(word: str) -> bool:
    return any(letter in "aeiou" for letter in _pattern(word))


def _plural(word: str) -> str:
    if word.endswith(("sses", "ies")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _past_and_progress(word: str) -> str:
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) else word
    for suffix in ("ed", "ing"):
        base = word.removesuffix(suffix)
        if base != word and _has_vowel(base):
            return _mend(base)
    return word


def _mend(base: str) -> str:
    """Restore what `-ed` and `-ing` took: hop(p)ing, fil(e)ing."""
    if base.endswith(("at", "bl", "iz")):
        return base + "e"
    if base[-1:] == base[-2:-1] and base[-1] not in "aeioulsz":
        return base[:-1]
    return base + "e" if _measure(base) == 1 and _SHORT_END.search(_pattern(base)) else base


def _tidy_y(word: str) -> str:
    return word[:-1] + "i" if word.endswith("y") and _has_vowel(word[:-1]) else word


def _replace(word: str, rules: dict[str, str], *, least: int) -> str:
    """Apply the rule of the longest suffix that fits, if what is before it has a measure of at least `least`."""
    for size in range(min(7, len(word) - 1), 1, -1):
        suffix = word[-size:]
        if suffix not in rules:
            continue
        base = word[:-size]
        fits = _measure(base) >= least and (suffix != "ion" or base.endswith(("s", "t")))
        return base + rules[suffix] if fits else word
    return word


def _final_e_and_l(word: str) -> str:
    if word.endswith("e"):
        base = word[:-1]
        size = _measure(base)
        if size > 1 or (size == 1 and not _SHORT_END.search(_pattern(base))):
            word = base
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word
