"""CPU time and memory of other processes, against what they really used."""

import json
import os
import subprocess
import sys
from pathlib import Path

from bench import sample

CHILD = """
import json, subprocess, sys, time
while time.process_time() < 0.3: pass
held = bytearray(b"x" * 30_000_000)
print(json.dumps(time.process_time()), flush=True)
sys.stdin.readline()
"""
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdin=subprocess.PIPE)
sys.stdin.readline()
child.communicate(b"\\n")
"""


def started(code: str) -> tuple[subprocess.Popen[bytes], float]:
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def ticks(pid: int) -> float:
    """Return what /proc/PID/stat says, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_clock_of_a_process_is_what_it_used():
    process, used = started(CHILD)
    try:
        assert used <= sample.cpu_s(process.pid) < used + 0.2
        assert abs(sample.cpu_s(process.pid) - ticks(process.pid)) < 0.03
        assert sample.memory(process.pid).rss > 30_000
        assert sample.memory(process.pid).pss <= sample.memory(process.pid).rss
    finally:
        process.communicate(b"\n")
    assert sample.cpu_s(process.pid) == 0


def test_children_count():
    process, used = started(PARENT)
    try:
        assert len(sample.family(process.pid)) == 2
        assert sample.cpu_s(process.pid) >= used
        assert sample.memory(process.pid).rss > 30_000
    finally:
        process.communicate(b"\n")


def test_a_peak_is_not_missed():
    readings = iter([5, 9, 2])
    with sample.Peak(lambda: next(readings, 1), every_s=0.001) as peak:
        while peak.most < 9:
            pass
    assert peak.most == 9


def test_the_machine_has_a_name():
    machine = sample.machine()
    assert machine.cores >= 1
    assert machine.python.startswith("CPython 3.")
    assert machine.libraries["uvicorn"] != "?"
