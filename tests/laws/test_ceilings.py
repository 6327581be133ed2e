"""400 lines a file, 60 a function. Complexity, parameters and statements are ruff's, in pyproject.toml."""

import ast
from pathlib import Path

import pytest

from tests.laws.source import ROOT, parse, python_files

FILE_LINES = 400
FUNCTION_LINES = 60
EXCEPTIONS = Path("tests/laws/ceilings.txt")


def too_long(path: str, text: str, tree: ast.Module) -> dict[str, int]:
    """Return the lengths of what is over its ceiling, by `path` or `path::Class.function`."""
    lines = len(text.splitlines())
    found = {path: lines} if lines > FILE_LINES else {}
    pending: list[tuple[str, ast.AST]] = [("", tree)]
    while pending:
        outer, node = pending.pop()
        for child in ast.iter_child_nodes(node):
            name = outer
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{outer}.{child.name}".lstrip(".")
                length = (child.end_lineno or child.lineno) - child.lineno + 1
                if length > FUNCTION_LINES and not isinstance(child, ast.ClassDef):
                    found[f"{path}::{name}"] = length
            pending.append((name, child))
    return found


def compare(found: dict[str, int], excepted: dict[str, int]) -> list[str]:
    """Return what the exception list does not cover, and what it covers for nothing."""
    wrong = [f"{name} has {length} lines: split it" for name, length in found.items() if name not in excepted]
    for name, allowed in excepted.items():
        length = found.get(name)
        if length is None:
            wrong.append(f"{name} is within its ceiling: take it out of {EXCEPTIONS}")
        elif length > allowed:
            wrong.append(f"{name} grew from {allowed} to {length} lines: split it")
        elif length < allowed:
            wrong.append(f"{name} shrank from {allowed} to {length} lines: write that into {EXCEPTIONS}")
    return wrong


def read_exceptions(text: str) -> dict[str, int]:
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    return {name: int(length) for length, name in lines}


def test_nothing_is_longer_than_its_ceiling():
    found: dict[str, int] = {}
    for path in python_files("src/", "tests/", "bench/"):
        found |= too_long(path, (ROOT / path).read_text(encoding="utf-8"), parse(path))
    assert compare(found, read_exceptions((ROOT / EXCEPTIONS).read_text(encoding="utf-8"))) == []


def long_function(lines: int) -> str:
    return "class A:\n    def f():\n" + "        1\n" * (lines - 1)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1\n" * FILE_LINES, []),
        ("1\n" * (FILE_LINES + 1), ["x.py"]),
        (long_function(FUNCTION_LINES), []),
        (long_function(FUNCTION_LINES + 1), ["x.py::A.f"]),
        (
            "async def f():\n    if 1:\n        def g():\n" + "            1\n" * FUNCTION_LINES,
            ["x.py::f", "x.py::f.g"],
        ),
    ],
)
def test_it_can_fail(text: str, names: list[str]):
    assert list(too_long("x.py", text, ast.parse(text))) == names


def test_the_list_only_shrinks():
    excepted = read_exceptions("# why\n\n70 a.py::f\n")
    assert excepted == {"a.py::f": 70}
    assert compare({"a.py::f": 70}, excepted) == []
    for found in ({}, {"a.py::f": 69}, {"a.py::f": 71}, {"a.py::f": 70, "b.py": 401}):
        assert len(compare(found, excepted)) == 1
