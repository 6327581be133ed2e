"""What processes use: CPU time to the nanosecond, memory as the kernel counts it; and what machine this is."""

import os
import platform
import subprocess
import threading
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from bench.children import ROOT

_LIBRARIES = ("uvicorn", "uvloop", "aiohttp", "fastapi", "msgspec", "orjson", "sqlalchemy", "websockets")


def family(pid: int) -> list[int]:
    """Return a process and all its descendants that live."""
    found = [pid]
    for known in found:
        for task in Path(f"/proc/{known}/task").glob("*"):
            try:
                children = (task / "children").read_text()
            except OSError:  # the thread has just ended
                continue
            found += [int(child) for child in children.split() if int(child) not in found]
    return found


def cpu_s(pid: int) -> float:
    """Return user + system seconds of a process, its threads (ended ones too) and its living descendants.

    This is the clock behind `utime + stime` of /proc/PID/stat, which shows it in hundredths of a second only: the
    kernel gives every process a clock whose number is made of its id (clock_getcpuclockid(3)).
    """
    total = 0.0
    for member in family(pid):
        try:
            total += time.clock_gettime((~member << 3) | 2)
        except OSError:  # it has just ended
            continue
    return total


class Memory(msgspec.Struct, frozen=True):
    """Kilobytes of a process and its descendants. `pss` counts what is shared with others by its share."""

    rss: int
    pss: int


def memory(pid: int) -> Memory:
    """Return what the kernel counts now."""
    rss = pss = 0
    for member in family(pid):
        try:
            lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has just ended
            continue
        values = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines[1:])}
        rss, pss = rss + values["Rss"], pss + values["Pss"]
    return Memory(rss=rss, pss=pss)


class Peak:
    """Watches a figure from a thread, inside a `with` block; `most` is the largest seen."""

    def __init__(self, read: Callable[[], int], *, every_s: float = 0.05) -> None:
        """`read` is called every `every_s` seconds."""
        self.most = 0
        self._read = read
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._stop.wait(self._every_s):
            self.most = max(self.most, self._read())

    def __enter__(self) -> Self:
        self.most = self._read()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.most = max(self.most, self._read())


class Machine(msgspec.Struct, frozen=True):
    """Where and with what a run was made; `load` is the one-minute average before it."""

    cpu: str
    cores: int
    memory_mb: int
    system: str
    python: str
    libraries: dict[str, str]
    commit: str
    load: float


def machine() -> Machine:
    """Describe this machine now."""
    info = Path("/proc/cpuinfo").read_text(errors="replace")
    names = [line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")]
    return Machine(
        cpu=names[0] if names else platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_mb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000,
        system=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        libraries={name: _version(name) for name in _LIBRARIES},
        commit=_commit(),
        load=round(os.getloadavg()[0], 2),
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "?"


def _commit() -> str:
    command = ["git", "-c", "safe.directory=*", "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
