"""What readers share about text: cleaning it, and which headings stand over what."""

import re
import unicodedata
from typing import Any, cast

LONGEST_HEADING = 200

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u0085\ufeff\ud800-\udfff]")
_BLANKS = re.compile(r"[ \t\u00a0\u2000-\u200b]+")


def clean(text: str) -> str:
    """Return `text` in Unicode NFC with plain line ends and without characters that no database takes.

    Lone surrogates, NUL and other control characters go; tabs stay.
    """
    plain = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return unicodedata.normalize("NFC", _CONTROL.sub("", plain))


def is_object(value: object) -> bool:
    """Whether it is an object of JSON."""
    return isinstance(value, dict)


def is_array(value: object) -> bool:
    """Whether it is an array of JSON."""
    return isinstance(value, list)


def mapping(value: object) -> dict[str, Any]:
    """Return `value` if it is an object of JSON, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """Return `value` if it is an array of JSON, else an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def one_line(text: str) -> str:
    """Return `text` clean, on one line, with single blanks."""
    return " ".join(clean(text).split())


def tidy(text: str) -> str:
    """Return `text` clean, each line without blanks at its ends and with single ones inside, no empty lines."""
    lines = (_BLANKS.sub(" ", line).strip() for line in clean(text).split("\n"))
    return "\n".join(line for line in lines if line)


def under(headings: list[tuple[int, str]], level: int, title: str) -> list[tuple[int, str]]:
    """Return the headings in force once one of `level` has come: those of its level and below it end."""
    return [*(held for held in headings if held[0] < level), (level, title[:LONGEST_HEADING])]


def titles(headings: list[tuple[int, str]]) -> tuple[str, ...]:
    """Return the headings' words, outermost first."""
    return tuple(title for _, title in headings)
