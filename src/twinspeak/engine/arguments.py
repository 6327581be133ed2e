"""What a model sent as a tool's arguments, read so that everything behind can write it again."""

from typing import Any, cast

import msgspec

_DEEPEST = 64
_WIDEST_INT = 64
"""Bits. Wider whole numbers become floats, as in JavaScript: the faces' encoder takes no others."""


def parse_arguments(raw: str) -> dict[str, Any] | None:
    """Return the JSON object in `raw`, {} for nothing at all, None for what is none.

    None too for what could not be stored or sent on: lone surrogates, NaN, nesting beyond 64. A model decides what is
    in here, and a turn that cannot be saved is lost.
    """
    if not raw.strip():
        return {}
    try:
        parsed = _portable(msgspec.json.decode(raw), _DEEPEST)
    except (msgspec.DecodeError, ValueError, OverflowError, RecursionError):
        return None
    return cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else None


def _portable(value: object, room: int) -> object:
    if not room:
        raise RecursionError
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value)
        return {key: _portable(item, room - 1) for key, item in pairs.items()}
    if isinstance(value, list):
        return [_portable(item, room - 1) for item in cast("list[object]", value)]
    if isinstance(value, int) and value.bit_length() >= _WIDEST_INT:
        return float(value)
    return value
