"""Reading JSON whose shape nobody promises: what is not there, or is of another type, is simply empty."""

from typing import Any, cast


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
