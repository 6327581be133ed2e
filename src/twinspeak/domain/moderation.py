"""Rules by which a question or an answer is judged without asking anybody: few, plain, and the same every time.

They find what is asked for in so many words. A twin adds phrases of its own; an operator may have a vendor judge too
(decision 036). Words are compared as `domain.searching` cuts them, so that case, spelling of accents and punctuation do
not matter; no input is ever a pattern.
"""

import re
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from twinspeak.domain.searching import stream_of

JUDGED_CHARS = 200_000
"""Characters of a text that are judged."""
PHRASES = 200
PHRASE_CHARS = 100
"""Bounds of what a twin may add."""


class Action(StrEnum):
    """What a twin does with what is found: refuse and withdraw it, or let it pass and note it."""

    BLOCK = "block"
    RECORD = "record"


class Side(StrEnum):
    """What was judged."""

    INPUT = "input"
    OUTPUT = "output"


class Category(StrEnum):
    """What is looked for, by the names that OpenAI gives such things; PHRASE is a twin's own."""

    SELF_HARM = "self-harm/instructions"
    MINORS = "sexual/minors"
    WEAPONS = "illicit/violent"
    PHRASE = "phrase"


class Finding(msgspec.Struct, frozen=True):
    """What was found in a text, and who found it."""

    categories: tuple[str, ...]
    engine: str


REFUSED = "This question was refused by the digital twin's rules."
HELP = (
    "This cannot be answered here. If you are thinking of harming yourself, please talk to somebody now: the emergency "
    "number of your country, or a crisis line (findahelpline.com lists them)."
)
WITHDRAWN = "This answer was withdrawn by the digital twin's rules."

_ASKING = r"(?:how (?:do i|do you|can i|could i|to|would i)|teach me (?:how )?to|tell me how to|steps to)"
_MAKING = r"(?:make|build|construct|assemble|synthesi[sz]e|making|building|cook)"
_RULES: tuple[tuple[Category, re.Pattern[str]], ...] = (
    (
        Category.SELF_HARM,
        re.compile(
            rf"\b(?:{_ASKING}|(?:best|easiest|painless) ways? to) (?:painlessly )?"
            r"(?:(?:kill|hang|poison) myself|commit suicide|end my life)\b"
        ),
    ),
    (
        Category.MINORS,
        re.compile(
            r"\b(?:sexual|erotic|pornographic|nude) (?:\w+ ){0,3}(?:child|children|minors?|toddlers?|underage)\b"
            r"|\b(?:child|underage|preteen) (?:porn|pornography|erotica|nudes)\b"
        ),
    ),
    (
        Category.WEAPONS,
        re.compile(
            rf"\b{_ASKING} {_MAKING} (?:\w+ ){{0,3}}(?:bombs?|explosives?|nerve agents?|nerve gas|sarin|ricin|"
            r"chemical weapons?|biological weapons?|bioweapons?)\b"
        ),
    ),
)


def judge(text: str, phrases: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the categories that a text falls into, each once; none means that it may pass."""
    words = " ".join(stream_of(text[:JUDGED_CHARS]))
    found = [str(category) for category, rule in _RULES if rule.search(words)]
    around = f" {words} "
    wanted = (" ".join(stream_of(phrase)) for phrase in phrases)
    if any(phrase and f" {phrase} " in around for phrase in wanted):
        found.append(str(Category.PHRASE))
    return tuple(found)


def notice(side: Side, categories: Iterable[str]) -> str:
    """Return what a person is told when a text was blocked."""
    if side is Side.OUTPUT:
        return WITHDRAWN
    return HELP if any(category.startswith("self-harm") for category in categories) else REFUSED
