"""Reading JSON whose shape nobody promises: what is not there, or is of another type, is simply empty."""

import json
from typing import Any, cast

import msgspec


def is_mapping(value: object) -> bool:
    """Tell whether `value` is an object."""
    return isinstance(value, dict)


def mapping(value: object) -> dict[str, Any]:
    """Return `value` if it is an object, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """Return `value` if it is an array, else an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def text(value: object) -> str | None:
    """Return `value` if it is a string."""
    return value if isinstance(value, str) else None


def whole(value: object) -> int | None:
    """Return `value` if it is a whole number, also one written as 12.0."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else None


def read_object(data: bytes) -> dict[str, Any] | None:
    """Read a JSON object; None when `data` is none.

    What the strict reader refuses is read again: bytes that are not UTF-8 are replaced, as are halves of surrogate
    pairs, which no JSON that is written from this could hold.
    """
    try:
        payload = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            payload = json.loads(data.decode("utf-8", "replace"))
            joined = json.dumps(payload, ensure_ascii=False).encode("utf-16-le", "surrogatepass")
            payload = json.loads(joined.decode("utf-16-le", "replace"))
        except (ValueError, RecursionError):
            return None
    return mapping(payload) if is_mapping(payload) else None
