"""Files of exports: a ZIP that is written piece by piece, and appears whole or not at all. All of it blocks."""

import csv
import io
import json
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ExportFile:
    """One export on its way into a folder; `close` gives it its name, `drop` leaves nothing."""

    def __init__(self, path: Path) -> None:
        """Begin; the folder is made if need be. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path, self._draft = path, path.with_suffix(".part")
        descriptor = os.open(self._draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED)
        self._entry: Any = None

    def begin(self, name: str) -> None:
        """Begin a file in the ZIP; the one before is finished."""
        self._finish()
        self._entry = self._zip.open(name, "w", force_zip64=True)

    def write(self, text: str) -> None:
        """Add text to the file that was begun."""
        self._entry.write(text.encode("utf-8", "replace"))

    def rows(self, columns: Iterable[str], rows: Iterable[dict[str, Any]], *, head: bool) -> None:
        """Add rows of CSV, with the names of the columns before the first ones."""
        buffer, names = io.StringIO(), list(columns)
        writer = csv.writer(buffer)
        if head:
            writer.writerow(names)
        writer.writerows([[_cell(row[name]) for name in names] for row in rows])
        self.write(buffer.getvalue())

    def close(self) -> int:
        """Finish and publish; return the bytes. Raises OSError."""
        self._finish()
        self._zip.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._draft.rename(self._path)
        return self._path.stat().st_size

    def drop(self) -> None:
        """Leave nothing behind of what was not published."""
        if self._file.closed:
            return
        self._finish()
        self._zip.close()
        self._file.close()
        self._draft.unlink(missing_ok=True)

    def _finish(self) -> None:
        if self._entry is not None:
            self._entry.close()
            self._entry = None


def _cell(value: Any) -> Any:  # noqa: ANN401 -- whatever a column holds
    """Return a value for a cell; a text that a spreadsheet would take for a formula gets an apostrophe."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(_FORMULA) else text
