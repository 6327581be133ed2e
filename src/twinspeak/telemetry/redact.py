"""Keeps secrets and people's words out of logs: pure functions over what is about to be written.

Contract section 3 (tokens are cut out of every log) and house.md (no prompt text by default). Three nets, one below the
other: the name of a field, the look of a value, and the type of a value.
"""

import itertools
import re
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from pathlib import PurePath
from typing import cast

HIDDEN = "[hidden]"
"""Stands where a secret was."""

MAX_CHARS = 16_000
"""A longer text is cut: one record must not fill a disk."""

_MAX_DEPTH = 6
_MAX_ITEMS = 100

_SECRET_WORDS = frozenset(
    {"apikey", "authorization", "cookie", "credential", "credentials", "jwt", "passwd", "password", "pwd", "secret"}
)
_SECRET_PAIRS = frozenset(
    {("api", "key"), ("private", "key"), ("secret", "key"), ("secrets", "key"), ("access", "key")}
)

_CONTENT = frozenset(
    {
        "answer",
        "arguments",
        "body",
        "content",
        "delta",
        "input",
        "inputs",
        "messages",
        "output",
        "outputs",
        "passages",
        "prompt",
        "question",
        "response",
        "text",
    }
)

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

# Repeats are bounded, so that a hostile text costs time in proportion to its length.
_NAME = r"(?:[a-z0-9]{0,20}[_-]){0,3}(?:token|password|passwd|secret|api[_-]?key|authorization|cookie|jwt)"

_LOOKS_SECRET = re.compile(
    r"(?P<jwt>\beyJ[\w-]{6,2000}\.[\w-]{1,8000}(?:\.[\w-]*)?)"
    r"|(?P<key>\b(?:sk|xai|rk|pk)-[\w-]{8,}|\bpria_\w{8,}|\bAIza[\w-]{20,}|\b(?:AKIA|ASIA)[A-Z0-9]{12,})"
    r"|(?P<scheme>\b(?:bearer|basic))\s+[\w.~+/=-]{6,}"
    rf"|(?P<param>\b{_NAME}=)[^\s&;\"'#]+"
    rf"|(?P<field>[\"']{_NAME}[\"']\s*:\s*)(?:\"[^\"]*\"|'[^']*')"
    r"|(?P<user>://[^\s:/@]*:)[^\s@/]+(?=@)",
    re.IGNORECASE,
)

_PLAIN = re.compile(
    r"[0-9a-f]{1,24}|[a-z]{1,15}|[0-9.]{1,15}|[0-9-]{10}T[0-9:.]{8,15}Z|(?:/(?:[a-z]{1,15}|[0-9a-f]{24})){1,6}",
    re.ASCII,
)
"""Ids of ours, words, addresses, times, and paths of ids and words: most of what is logged, looked at no further."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def redact_text(text: str) -> str:
    """Return `text` with everything that looks like a secret replaced, and cut to `MAX_CHARS`.

    Known are JSON Web Tokens, vendors' API keys, `Bearer …`, `token=…` in addresses, `"password": "…"` in JSON, and the
    password in `scheme://user:password@host`.
    """
    if _PLAIN.fullmatch(text):
        return text
    if len(text) > MAX_CHARS:
        text = f"{text[:MAX_CHARS]}… [cut, {len(text)} characters]"
    return _LOOKS_SECRET.sub(_replacement, text).encode("utf-8", "replace").decode()


def _replacement(found: re.Match[str]) -> str:
    kept = found["scheme"] or found["param"] or found["field"] or found["user"] or ""
    return f"{kept}{' ' if found['scheme'] else ''}{HIDDEN}"


def one_line(text: str) -> str:
    """Return `text` with control characters written out, so that a value can neither forge a line nor move a cursor."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


@lru_cache(1_024)
def is_secret_name(name: str) -> bool:
    """Tell whether a field called `name` holds a secret: `x-access-token` does, `first_token_ms` does not."""
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words:
        return False
    pairs = set(itertools.pairwise(words))
    return words[-1] == "token" or not _SECRET_WORDS.isdisjoint(words) or not _SECRET_PAIRS.isdisjoint(pairs)


@lru_cache(1_024)
def is_content_name(name: str) -> bool:
    """Tell whether a field called `name` holds people's words."""
    return name.lower() in _CONTENT


def redact_value(name: str, value: object, depth: int = 0) -> object:
    """Return what may be logged of `value` in field `name`: plain JSON types only.

    A secret becomes `[hidden]`, people's words become their size, and an object of ours becomes its type's name,
    because its repr may hold either.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value if not _is_certainly_secret(name) or value is None else HIDDEN
    if is_secret_name(name):
        return HIDDEN
    if is_content_name(name):
        return _size(value)
    if isinstance(value, str):
        return redact_text(value)
    return _redact_other(value, depth)


def _is_certainly_secret(name: str) -> bool:
    return "password" in name.lower() or "secret" in name.lower()


def _redact_other(value: object, depth: int) -> object:
    if isinstance(value, BaseException):
        return redact_text(f"{type(value).__name__}: {value}")
    if isinstance(value, Enum):
        return redact_value("", value.value, depth)
    if isinstance(value, PurePath):
        return redact_text(str(value))
    if isinstance(value, (bytes, bytearray)):
        return f"[{len(value)} bytes]"
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return _redact_container(cast("Mapping[object, object] | list[object]", value), depth)
    return f"<{type(value).__name__}>"


def _redact_container(value: Mapping[object, object] | list[object], depth: int) -> object:
    if depth >= _MAX_DEPTH:
        return _size(value)
    if isinstance(value, Mapping):
        pairs = list(value.items())[:_MAX_ITEMS]
        return {redact_text(str(key)): redact_value(str(key), item, depth + 1) for key, item in pairs}
    return [redact_value("", item, depth + 1) for item in list(value)[:_MAX_ITEMS]]


def _size(value: object) -> str:
    if isinstance(value, str):
        return f"[{len(value)} characters]"
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return f"[{len(cast('list[object]', value))} items]"
    return f"<{type(value).__name__}>"
