"""Text as both databases can hold it."""

from typing import Any

from sqlalchemy import Dialect, String, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

REPLACEMENT = "\ufffd"


def storable(text: str) -> str:
    """Return text that UTF-8 and PostgreSQL can hold.

    A lone surrogate or a NUL, of a broken client or vendor, must not lose a whole turn: a mark stands in its place.
    """
    if "\0" in text:
        text = text.replace("\0", REPLACEMENT)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class Words(TypeDecorator[str]):
    """A column of text that makes storable whatever is written to it or looked for in it."""

    impl = Text
    cache_ok = True

    def __init__(self, length: int | None = None) -> None:
        """Take at most `length` characters, where one is given; PostgreSQL alone refuses more."""
        super().__init__()
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:  # noqa: ARG002 -- the base class names it
        """Return VARCHAR with a length, else TEXT."""
        return Text() if self.length is None else String(self.length)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 -- the base class names it
        """Make a value storable on its way to the database."""
        return None if value is None else storable(value)
