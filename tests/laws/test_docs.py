"""The tables of docs/ say what the code says, no more and no less. Their shape:

settings.md   | `TWINSPEAK_NAME` | `default`, *unset* or *required* | what it does |
errors.md     | `code` | status | `type` | when it comes |
wire.md       | `literal` | on which faces | what it tells a client |
where.md      prose and tables; what is in backticks and ends in `/` or a file's suffix is a path from the root
decisions/    NNN-slug.md with the headings Context, Decision, Measured, Turned down, in this order
"""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import msgspec
import pytest
from pydantic import AliasChoices, Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from tests.laws.source import PACKAGE, ROOT, code_spans, project_files, python_files, table_rows, twice

DOCS = ROOT / "docs"
WIRE_NAMES = "src/twinspeak/transports/wire_names.py"
HEADINGS = ["Context", "Decision", "Measured", "Turned down"]

# Named as a folder: nobody looks for one migration by what it does.
NAMED_AS_ONE = ("src/twinspeak/persistence/migrations/versions/",)

_PATH = re.compile(r"(?:[\w.-]+/)+(?:[\w.-]+\.\w+)?|[\w-]+\.(?:md|toml|txt)|\.ci/run|Makefile")


def differences(in_code: Mapping[str, Any], in_docs: list[tuple[str, Any]]) -> list[str]:
    """Return what one side says and the other does not."""
    documented = dict(in_docs)
    wrong = [f"{name} is documented twice" for name in twice(name for name, _ in in_docs)]
    wrong += [f"{name} is not documented" for name in in_code if name not in documented]
    wrong += [f"{name} is documented, but not there" for name in documented if name not in in_code]
    for name in in_code.keys() & documented.keys():
        if in_code[name] != documented[name]:
            wrong.append(f"{name} is {in_code[name]}, but documented as {documented[name]}")
    return sorted(wrong)


def rows_of(document: str, width: int) -> list[list[str]]:
    rows = table_rows((DOCS / document).read_text(encoding="utf-8"))
    assert [row for row in rows if len(row) != width] == []
    assert [row[0] for row in rows if "" in row] == [], "an empty cell tells nobody anything"
    return rows


# -- settings ---------------------------------------------------------------------------------------------------------


def setting_name(field: str, info: FieldInfo, prefix: str) -> str:
    """Return the environment variable a field is read from."""
    alias = info.validation_alias
    if isinstance(alias, AliasChoices):
        alias = alias.choices[0]
    return alias if isinstance(alias, str) else f"{prefix}{field}".upper()


def setting_default(info: FieldInfo) -> str:
    """Return the default as the table shows it: what one would write into the environment."""
    if info.is_required():
        return "*required*"
    value = info.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, tuple | list | set | frozenset):
        value = ",".join(map(str, value))
    if isinstance(value, bool):
        value = str(value).lower()
    if isinstance(value, float):
        value = f"{value:g}"
    return "*unset*" if value in (None, "") else f"`{value}`"


def settings_in_code(settings: type[BaseSettings]) -> dict[str, str]:
    prefix = settings.model_config.get("env_prefix", "")
    return {setting_name(field, info, prefix): setting_default(info) for field, info in settings.model_fields.items()}


def test_every_setting_is_documented():
    settings = importlib.import_module("twinspeak.settings").Settings
    assert settings.model_config["env_prefix"] == "TWINSPEAK_"
    in_docs = [(row[0].strip("`"), row[1]) for row in rows_of("settings.md", 3)]
    assert differences(settings_in_code(settings), in_docs) == []


def test_a_setting_is_shown_as_it_is_written():
    class Sample(BaseSettings):
        model_config = SettingsConfigDict(env_prefix="T_")
        needed: str
        port: int = 80
        pace_s: float = 20.0
        on: bool = True
        folder: Path = Path("a/b")
        key: SecretStr | None = None
        words: tuple[str, ...] = ("a", "b")
        mode: Literal["x"] = Field(default="x", validation_alias=AliasChoices("VENDOR_MODE", "V"))

    assert settings_in_code(Sample) == {
        "T_NEEDED": "*required*",
        "T_PORT": "`80`",
        "T_PACE_S": "`20`",
        "T_ON": "`true`",
        "T_FOLDER": "`a/b`",
        "T_KEY": "*unset*",
        "T_WORDS": "`a,b`",
        "VENDOR_MODE": "`x`",
    }


# -- errors -----------------------------------------------------------------------------------------------------------


def errors_in_code(root: type[Exception], package: str) -> list[tuple[str, tuple[str, str]]]:
    """Return (code, (status, type)) of `root` and its subclasses in `package`; a code once when they agree."""
    found: set[tuple[str, tuple[str, str]]] = set()
    pending: list[Any] = [root]
    while pending:
        error = pending.pop()
        if error.__module__.startswith(package):
            found.add((error.code, (str(error.status), f"`{error.type}`")))
        pending += error.__subclasses__()
    return sorted(found)


def import_all(*packages: str) -> None:
    """Import every module of the packages: a class is there only once its module is."""
    for package in packages:
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
            importlib.import_module(module.name)


def test_every_error_is_documented():
    import_all("twinspeak.domain", "twinspeak.services")
    root = importlib.import_module("twinspeak.domain.errors").CodedError
    in_code = errors_in_code(root, "twinspeak.")
    assert twice(code for code, _ in in_code) == [], "one code, one status and type"
    in_docs = [(row[0].strip("`"), (row[1], row[2])) for row in rows_of("errors.md", 4)]
    assert differences(dict(in_code), in_docs) == []


def test_every_error_is_found():
    class Base(Exception):
        code, status, type = "base", 500, "api_error"

    class Middle(Base): ...

    class Leaf(Middle):
        code, status = "leaf", 404

    assert Leaf.mro()
    assert errors_in_code(Base, __name__) == [("base", ("500", "`api_error`")), ("leaf", ("404", "`api_error`"))]
    assert errors_in_code(Base, "elsewhere") == []


# -- wire -------------------------------------------------------------------------------------------------------------


def literals_of(module: ModuleType) -> set[str]:
    """Return every text a module defines: constants, members of enums, items of tuples and sets."""
    found: set[str] = set()
    for name, value in vars(module).items():
        if name.startswith("_"):
            continue
        if isinstance(value, type) and issubclass(value, Enum) and value.__module__ == module.__name__:
            found.update(str(member.value) for member in value)
        elif isinstance(value, str):
            found.add(value)
        elif isinstance(value, tuple | list | set | frozenset):
            found.update(item for item in value if isinstance(item, str))
    return found


def spelled(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of every text and bytes in the code, pieces of f-strings too, docstrings not."""
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in statements:
            if isinstance(node.value, str):
                yield node.lineno, node.value
            elif isinstance(node.value, bytes):
                yield node.lineno, node.value.decode("latin-1")


def test_every_wire_literal_is_documented():
    literals = literals_of(importlib.import_module("twinspeak.transports.wire_names"))
    assert literals
    in_docs = [(row[0].strip("`"), None) for row in rows_of("wire.md", 3)]
    assert differences(dict.fromkeys(literals), in_docs) == []


def test_every_wire_literal_is_spelled_once():
    literals = literals_of(importlib.import_module("twinspeak.transports.wire_names"))
    again = [
        f"{path}:{line} spells {text!r}"
        for path in python_files("src/twinspeak/transports/")
        if path != WIRE_NAMES
        for line, text in spelled(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        if text in literals
    ]
    assert again == [], f"take it from {WIRE_NAMES}"


def test_literals_are_found_where_they_are_spelled():
    module = ModuleType("names")
    vars(module).update(STREAM="stream", ALL=("stream", "done"), _OWN="own", LIMIT=3)
    assert literals_of(module) == {"stream", "done"}
    code = '"""stream"""\nsend("stream")\nsend(b"done")\nsend(f"{x}done")\n{"stream": 1}\n'
    assert sorted(spelled(ast.parse(code))) == [(2, "stream"), (3, "done"), (4, "done"), (5, "stream")]


# -- where ------------------------------------------------------------------------------------------------------------


def paths_in(markdown: str) -> list[str]:
    return [span for span in code_spans(markdown) if _PATH.fullmatch(span)]


def unnamed(modules: Iterable[str], named: Iterable[str]) -> list[str]:
    """Return the modules that no path names; what a package's `__init__.py` says is in its docstring."""
    known = set(named)
    return [
        module
        for module in modules
        if not module.endswith("/__init__.py")
        and module not in known
        and not any(module.startswith(folder) and folder in known for folder in NAMED_AS_ONE)
    ]


def test_every_path_in_where_exists():
    where = (DOCS / "where.md").read_text(encoding="utf-8")
    assert [path for path in paths_in(where) if not (ROOT / path).exists()] == []


def test_every_module_is_in_where():
    assert PACKAGE.is_dir()
    where = (DOCS / "where.md").read_text(encoding="utf-8")
    assert unnamed(python_files("src/twinspeak/"), paths_in(where)) == []


def test_a_missing_path_and_an_unnamed_module_are_found():
    text = "`src/a.py` `src/` `.ci/run` `Makefile` `docs/where.md`, not `POST /api/x`, `/readyz`, `a.b()`, `text/plain`"
    assert paths_in(text) == ["src/a.py", "src/", ".ci/run", "Makefile", "docs/where.md"]
    modules = ["src/a.py", "src/b.py", "src/__init__.py", NAMED_AS_ONE[0] + "0001.py"]
    assert unnamed(modules, ["src/a.py", NAMED_AS_ONE[0]]) == ["src/b.py"]
    assert unnamed(modules, ["src/a.py", "src/b.py"]) == [NAMED_AS_ONE[0] + "0001.py"]


# -- decisions --------------------------------------------------------------------------------------------------------


class Record(msgspec.Struct):
    """A decision record's file name and its headings of the second level."""

    name: str
    headings: list[str]


def bad_records(records: list[Record]) -> list[str]:
    """Return what is wrong with the numbers, the names or the headings."""
    wrong: list[str] = []
    for number, record in enumerate(sorted(records, key=lambda record: record.name)):
        if not re.fullmatch(rf"{number:03d}-[a-z0-9]+(-[a-z0-9]+)*\.md", record.name):
            wrong.append(f"{record.name} should be named {number:03d}-words.md: numbers have no gap and come once")
        if record.headings != HEADINGS:
            wrong.append(f"{record.name} has the headings {record.headings}")
    return wrong


def test_decisions_are_numbered_and_complete():
    records = [
        Record(Path(path).name, re.findall(r"^## (.+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE))
        for path in project_files()
        if path.startswith("docs/decisions/")
    ]
    assert records
    assert bad_records(records) == []


@pytest.mark.parametrize(
    ("names", "headings", "wrong"),
    [
        (["000-a.md", "001-b-c.md"], HEADINGS, 0),
        (["000-a.md", "002-b.md"], HEADINGS, 1),
        (["000-a.md", "000-b.md"], HEADINGS, 1),
        (["000-A b.md"], HEADINGS, 1),
        (["000-a.md"], ["Context", "Decision", "Turned down", "Measured"], 1),
    ],
)
def test_a_bad_record_is_found(names: list[str], headings: list[str], wrong: int):
    assert len(bad_records([Record(name, headings) for name in names])) == wrong
