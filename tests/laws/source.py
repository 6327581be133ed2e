"""What the laws read: the project's files as they are on disk."""

import ast
import re
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "twinspeak"

_CODE_SPAN = re.compile(r"`([^`]+)`")
_CELL_BORDER = re.compile(r"(?<!\\)\|")


@cache
def project_files() -> tuple[str, ...]:
    """Return what a commit of everything would carry, as paths from the root: all but ignored files."""
    # A checkout that belongs to another user (a container's, often) must not stop the laws; they only read.
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = sorted(set(filter(None, listing.stdout.split("\0"))))
    return tuple(path for path in paths if (ROOT / path).is_file())


def python_files(*folders: str) -> list[str]:
    """Return the Python files below `folders` (from the root, with a slash at the end)."""
    return [path for path in project_files() if path.endswith(".py") and path.startswith(folders)]


def read(path: str) -> str | None:
    """Return a file's text, or None when it is not text."""
    try:
        text = (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def parse(path: str) -> ast.Module:
    """Return a Python file's syntax tree."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=path)


def module_name(path: str) -> str:
    """Return the dotted name of a file below src/."""
    return path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def table_rows(markdown: str) -> list[list[str]]:
    """Return the cells of every table row whose first cell begins with a code span: heads and rules fall away."""
    rows: list[list[str]] = []
    for line in markdown.splitlines():
        if line.startswith("|"):
            cells = [cell.strip().replace("\\|", "|") for cell in _CELL_BORDER.split(line)[1:-1]]
            if cells and cells[0].startswith("`"):
                rows.append(cells)
    return rows


def code_spans(markdown: str) -> list[str]:
    """Return what stands between single backticks."""
    return _CODE_SPAN.findall(markdown)


def twice(names: Iterable[str]) -> list[str]:
    """Return the names that come more than once."""
    seen: set[str] = set()
    return sorted({name for name in names if name in seen or seen.add(name)})
