"""JSON and JSON Lines: each value on a line of its own, behind the path that leads to it."""

from collections.abc import Iterator
from typing import Any

import orjson

from twinspeak.domain.file_errors import FileDamaged
from twinspeak.domain.locator import Locator
from twinspeak.knowledge.document import Block
from twinspeak.knowledge.formats.reading import Reading
from twinspeak.knowledge.formats.words import clean, is_array, is_object, items, mapping, one_line

_BATCH_CHARS = 500


def read(reading: Reading) -> Iterator[Block]:
    """Yield the values. Things of a list stay together and know their number; members of objects are headings."""
    text = reading.text()
    try:
        yield from _records(orjson.loads(text))
        return
    except orjson.JSONDecodeError:
        pass
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                value = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise FileDamaged(f"Line {number} is not JSON.", details={"format": "json"}) from error
            yield from _block(list(_lines(value)), (), Locator(point="row", at=number))


def _records(value: Any) -> Iterator[Block]:
    if is_array(value):
        for number, item in enumerate(items(value), start=1):
            yield from _block(list(_lines(item)), (), Locator(point="row", at=number))
        return
    loose: list[str] = []
    for key, item in mapping(value).items() if is_object(value) else [("", value)]:
        lines = list(_lines(item, one_line(str(key))))
        if sum(map(len, lines)) < _BATCH_CHARS:
            loose += lines
        else:
            yield from _block(lines, (one_line(str(key))[:200],), Locator())
    yield from _block(loose, (), Locator())


def _block(lines: list[str], headings: tuple[str, ...], place: Locator) -> Iterator[Block]:
    if lines:
        yield Block("\n".join(lines), headings, place, lines=True)


def _lines(value: Any, path: str = "") -> Iterator[str]:
    """Yield `path: value` for each value inside, in the order of the file, without recursion."""
    pending: list[tuple[str, Any]] = [(path, value)]
    while pending:
        where, item = pending.pop()
        if is_object(item):
            inner = [(f"{where}.{key}" if where else str(key), held) for key, held in mapping(item).items()]
            pending.extend(reversed(inner))
        elif is_array(item):
            pending.extend((where, held) for held in reversed(items(item)))
        elif item is not None and item != "":
            said = clean(item).strip() if isinstance(item, str) else orjson.dumps(item).decode()
            yield f"{one_line(where)}: {said}" if where else said
