"""Rows as files of CSV or JSON, written while they are read: a page is in memory, never the whole."""

import csv
import io
from collections.abc import AsyncGenerator, Iterable
from typing import Any

import orjson
from fastapi.responses import StreamingResponse

FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": "user,email\n"},
            "application/json": {"schema": {"type": "array", "items": {"type": "object"}}, "example": []},
        },
        "description": "A file.",
    }
}
"""What such a route answers with, for the API documents."""


def as_file(pages: AsyncGenerator[list[dict[str, Any]]], names: list[str], kind: str, name: str) -> StreamingResponse:
    """Return rows as a file of CSV or JSON, written while they are read."""
    pieces = _csv(pages, names) if kind == "csv" else _json(pages)
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.{kind}"',
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(
        pieces, media_type="text/csv; charset=utf-8" if kind == "csv" else "application/json", headers=headers
    )


async def _csv(pages: AsyncGenerator[list[dict[str, Any]]], names: list[str]) -> AsyncGenerator[bytes]:
    yield _lines([names])
    async for page in pages:
        yield _lines([_cell(row.get(name)) for name in names] for row in page)


async def _json(pages: AsyncGenerator[list[dict[str, Any]]]) -> AsyncGenerator[bytes]:
    before = b"["
    async for page in pages:
        if page:
            yield before + b",\n".join(orjson.dumps(row) for row in page)
            before = b",\n"
    yield b"[]" if before == b"[" else b"]"


def _lines(rows: Iterable[list[Any]]) -> bytes:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> Any:
    """Return a value as a table shows it. Texts that a spreadsheet would run get a quote before them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        value = orjson.dumps(value).decode()
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return "" if value is None else value
