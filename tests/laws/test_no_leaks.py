"""What no commit may carry: somebody's machine, a registry's host, unfinished work, and calls that lose errors."""

import ast
import re

import pytest

from tests.laws.source import parse, project_files, python_files, read

# Where everything may be caught: `path::function` -> why this is a boundary. An entry that catches nothing is an error.
BOUNDARIES: dict[str, str] = {
    "src/twinspeak/app/compose.py::_reap": "a reaper that died of an outage would never settle what the outage left",
    "src/twinspeak/cli/commands.py::_reporting": "whoever typed it gets words and an exit code; --debug shows more",
    "src/twinspeak/engine/rounds.py::Rounds._checkpoint": "whatever breaks in the store, the answer goes on",
    "src/twinspeak/engine/saving.py::save": "tried again until the database takes it; the row keeps its checkpoint",
    "src/twinspeak/engine/toolbox.py::_outcome": "a tool or a search that breaks is a failed call, not a failed turn",
    "src/twinspeak/engine/turn.py::Turn._admit": "what breaks before the turn has a row reaches the asker as an error",
    "src/twinspeak/engine/turn.py::Turn._answer": "a bug in an adapter must not lose the turn: it is saved as failed",
    "src/twinspeak/engine/turn.py::Turn._refusal": "the row is there by then, and its hold must be released",
    "src/twinspeak/knowledge/parsing.py::outcome_of": "whatever a parser raises on a strange file is that file's fault",
    "src/twinspeak/knowledge/pipeline.py::Pipeline._step": "a bug in a parser ends on its document alone",
    "src/twinspeak/persistence/lanes.py::Lane._run": "whatever a unit of work raises belongs to who awaits it",
    "src/twinspeak/tools/runner.py::Runner.prepare": "a list that breaks costs a turn that server's tools alone",
    "src/twinspeak/tools/runner.py::Runner.run": "a tool may raise anything; the model is told only that it failed",
    "src/twinspeak/transports/http/boundary.py::Boundary.__call__": "whoever asked gets a coded 500, the log the rest",
}

# Where a task may be made outside a TaskGroup: `path::function` -> who owns it.
TASK_OWNERS: dict[str, str] = {
    "src/twinspeak/engine/tasks.py::Supervisor.spawn": "the supervisor keeps it, logs what it dies of, and ends it",
}

# This file spells what it looks for.
SELF = "tests/laws/test_no_leaks.py"

_TEXT_RULES = {
    "a path of somebody's machine": r"(?<![\w./:-])(?:/(?:home|Users|root|work|tmp|private)/\w|[A-Z]:\\Users\\)",
    "a registry's host or an address in a lock": (
        r"(?:pypi|pythonhosted|npmjs|yarnpkg)\.(?:org|com)\b|--(?:extra-)?index-url\b|--find-links\b|\bfile:///\w"
        r'|"resolved": *"'
    ),
    "unfinished work": r"\b(?:TODO|FIXME|XXX|NotImplementedError)\b|(?i:\bplaceholder\b)(?! *[=:-])",
}
_EVERYTHING = {"Exception", "BaseException"}
_MAKES_TASKS = {"create_task", "ensure_future"}


def text_leaks(text: str) -> list[str]:
    """Return `line: what: the match` for each match of a rule."""
    return [
        f"{text.count(chr(10), 0, match.start()) + 1}: {what}: {match[0]}"
        for what, pattern in _TEXT_RULES.items()
        for match in re.finditer(pattern, text)
    ]


def functions_with(tree: ast.Module, wanted: str) -> set[str]:
    """Return the dotted names of the functions in which `wanted` happens ("" for the module itself)."""
    found: set[str] = set()
    pending: list[tuple[str, ast.AST]] = [("", tree)]
    while pending:
        outer, node = pending.pop()
        if _CHECKS[wanted](node):
            found.add(outer)
        named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        inner = f"{outer}.{node.name}".lstrip(".") if named else outer
        pending += [(inner, child) for child in ast.iter_child_nodes(node)]
    return found


def _catches_everything(node: ast.AST) -> bool:
    """`except Exception`, `except BaseException`, a bare `except`, one of them in a tuple, or suppress(Exception)."""
    if isinstance(node, ast.ExceptHandler):
        if node.type is None:
            return True
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    elif isinstance(node, ast.Call) and _last_name(node.func) == "suppress":
        caught = node.args
    else:
        return False
    return any(_last_name(item) in _EVERYTHING for item in caught)


def _makes_bare_task(node: ast.AST) -> bool:
    """A task made by asyncio or a loop: a TaskGroup, whatever its name, owns those it makes."""
    if not isinstance(node, ast.Call) or _last_name(node.func) not in _MAKES_TASKS:
        return False
    if isinstance(node.func, ast.Name):
        return True
    owner = node.func.value if isinstance(node.func, ast.Attribute) else node.func
    owner = owner.func if isinstance(owner, ast.Call) else owner
    name = _last_name(owner).lower()
    return _last_name(node.func) == "ensure_future" or name in {"asyncio", "aio"} or name.endswith("loop")


def _prints(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"


def _last_name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


_CHECKS = {"catch": _catches_everything, "task": _makes_bare_task, "print": _prints}


def places(wanted: str, *folders: str) -> set[str]:
    return {f"{path}::{name}" for path in python_files(*folders) for name in functions_with(parse(path), wanted)}


def test_no_file_carries_a_leak():
    leaks = [
        f"{path}:{leak}"
        for path in project_files()
        if path != SELF
        for leak in [*text_leaks(path), *text_leaks(read(path) or "")]
    ]
    assert leaks == []


def test_everything_is_caught_only_at_named_boundaries():
    assert places("catch", "src/") == BOUNDARIES.keys()


def test_every_task_has_an_owner():
    assert places("task", "src/") == TASK_OWNERS.keys()


def test_only_commands_print():
    assert {place for place in places("print", "src/") if not place.startswith("src/twinspeak/cli/")} == set()


@pytest.mark.parametrize(
    "text",
    [
        "see /home/ada/notes",
        "cd '/work/main'",
        "C:\\Users\\ada",
        "--index-url x",
        "https://files.pythonhosted.org/x",
        '"resolved": "https://',
        "# TODO later",
        "raise NotImplementedError",
        "a Placeholder for it",
    ],
)
def test_a_leak_is_found(text: str):
    assert len(text_leaks("fine\n" + text)) == 1
    assert text_leaks("fine\n" + text)[0].startswith("2: ")


@pytest.mark.parametrize(
    "text",
    ["docs/work/plan", "https://example.org/home/ada", "from PyPI", "todos", "XXXL", '<input placeholder="…">'],
)
def test_what_only_looks_like_a_leak_is_not(text: str):
    assert text_leaks(text) == []


@pytest.mark.parametrize(
    ("wanted", "code", "found"),
    [
        ("catch", "try: ...\nexcept Exception: ...", {""}),
        ("catch", "class A:\n  def f():\n    try: ...\n    except: ...", {"A.f"}),
        ("catch", "def f():\n  try: ...\n  except (ValueError, BaseException): ...", {"f"}),
        ("catch", "def f():\n  with contextlib.suppress(Exception): ...", {"f"}),
        ("catch", "try: ...\nexcept (ValueError, OSError): ...", set()),
        ("task", "asyncio.create_task(x())", {""}),
        ("task", "async def f():\n  asyncio.get_running_loop().create_task(x())", {"f"}),
        ("task", "self._loop.create_task(x())", {""}),
        ("task", "create_task(x())", {""}),
        ("task", "group.create_task(x())", set()),
        ("print", "def f():\n  print(1)", {"f"}),
        ("print", "console.print(1)", set()),
    ],
)
def test_a_careless_call_is_found(wanted: str, code: str, found: set[str]):
    assert functions_with(ast.parse(code), wanted) == found
