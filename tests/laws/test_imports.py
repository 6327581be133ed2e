"""No import cycle; importing only defines names; `twinspeak.app` is ready quickly, without heavy libraries."""

import graphlib
import json
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grimp
import pytest

from tests.laws.source import PACKAGE, ROOT, module_name, python_files

# Alembic runs these by path, with its own context around them; nobody imports them.
RUN_BY_PATH = "twinspeak.persistence.migrations."

HEAVY = {"alembic", "botocore", "mcp", "numpy"}
APP_SECONDS = 2.5  # of processor time, so that a busy machine does not matter; about three times what it takes

# Imports the modules named on standard input one after the other and reports what that did to the rest of the world.
PROBE = textwrap.dedent("""
    import importlib, json, os, sys, threading, time

    PYTHON = {os.path.realpath(root) for root in (sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path) if root}
    HARMLESS = {"/dev/null", "/dev/urandom"}
    FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.mkdir", "os.remove",
                 "os.rename", "sqlite3.connect")
    done, module = [], None

    def watch(event, args):
        if event == "open":
            check_open(*args)
        elif event.startswith(FORBIDDEN) and event != "socket.gethostname":
            done.append(f"{module}: {event}")

    def check_open(path, mode, flags):
        if isinstance(path, int):
            return
        path = os.path.realpath(os.fsdecode(path))
        inside = path in HARMLESS or any(path.startswith(root + os.sep) for root in PYTHON)
        if not inside or (mode or "r").strip("bt") != "r":
            done.append(f"{module}: open {path} {mode}")

    modules = json.load(sys.stdin)
    sys.addaudithook(watch)
    before = time.process_time()
    for module in modules:
        importlib.import_module(module)
        done += [f"{module}: thread" for thread in threading.enumerate() if thread is not threading.main_thread()]
    seconds = time.process_time() - before
    json.dump({"done": done, "seconds": seconds, "loaded": sorted(sys.modules)}, sys.stdout)
""")


def importing(modules: list[str], path: list[Path], folder: Path) -> dict[str, Any]:
    """Import `modules` in a new process with `path` before everything else, working in an empty `folder`."""
    script = f"import sys; sys.path[:0] = {[str(entry) for entry in path]!r}\n{PROBE}"
    run = subprocess.run(
        [sys.executable, "-B", "-c", script],
        input=json.dumps(modules),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def first_cycle(imports: Mapping[str, set[str]]) -> list[str]:
    """Return the modules of one import cycle, the first again at its end; nothing when there is none."""
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_no_import_cycle():
    graph = grimp.build_graph("twinspeak", cache_dir=None)
    assert first_cycle({module: graph.find_modules_directly_imported_by(module) for module in graph.modules}) == []


def test_importing_does_nothing(tmp_path: Path):
    modules = [module_name(path) for path in python_files("src/twinspeak/") if not path.endswith("/__main__.py")]
    modules = [module for module in modules if not module.startswith(RUN_BY_PATH)]
    assert "twinspeak.app" in modules
    assert importing(modules, [ROOT / "src"], tmp_path)["done"] == []


def test_importing_the_app_is_quick_and_light(tmp_path: Path):
    report = importing(["twinspeak.app"], [PACKAGE.parent], tmp_path)
    assert HEAVY.intersection(report["loaded"]) == set()
    assert report["seconds"] < APP_SECONDS


def test_a_cycle_is_found():
    assert first_cycle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert set(first_cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("import json", None),
        ("import pathlib; pathlib.Path(__file__).read_text()", None),
        ("open('../outside')", "/outside r"),
        ("open(__file__, 'a')", "good_or_bad.py a"),
        ("import socket; socket.socket()", "socket.__new__"),
        ("import subprocess; subprocess.run(['true'])", "subprocess.Popen"),
        ("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()", "thread"),
        ("import sqlite3; sqlite3.connect(':memory:')", "sqlite3.connect"),
    ],
)
def test_a_module_that_does_something_is_found(tmp_path: Path, line: str, event: str | None):
    (tmp_path / "outside").touch()
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "good_or_bad.py").write_text(line)
    done = importing(["good_or_bad"], [tmp_path / "inside"], tmp_path / "inside")["done"]
    assert done[0].endswith(event) if event else not done, done
