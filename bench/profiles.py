"""Where the time goes: py-spy's samples of the server under the loads of rows 1 to 5, and a table of the top of them.

The samples are kept as collapsed stacks (`*.raw.txt`), which speedscope.app and flamegraph.pl read.
"""

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from bench.answers import Answer
from bench.load.job import Face, Job
from bench.product import Product
from bench.stage import Stage

_RATE = 400
_SECONDS = 6
_TOP = 30


class NoProfiler(Exception):
    """py-spy is not installed, or may not look into processes here."""


def run(stage: Stage, every: Product, paced: Product, folder: Path) -> list[Path]:
    """Profile the server once for each row; return the paths of the tables. Raises NoProfiler."""
    long = Answer(words=200, interval=10)
    loads: tuple[tuple[str, Product, Face, int, Answer], ...] = (
        ("row1-sse-cumulative", every, "sse", 40, long),
        ("row1-sse-delta", every, "delta", 40, long),
        ("row2-openai", every, "openai", 40, long),
        ("row2-socketio", every, "socketio", 40, long),
        ("row3-coalesced", paced, "sse", 40, long),
        ("row4-200-streams", every, "sse", 200, Answer(words=200, interval=20)),
        ("row5-first-token", paced, "sse", 20, Answer(words=40, interval=5)),
    )
    folder.mkdir(parents=True, exist_ok=True)
    tables: list[Path] = []
    for name, product, face, streams, answer in loads:
        turns = int(_SECONDS / answer.duration_s) + 2
        job = Job(
            url=product.url, face=face, answer=answer, streams=streams, turns=turns, stagger_s=answer.duration_s,
            tokens=product.tokens, question="How are answers streamed to a client?",
        )  # fmt: skip
        tables.append(_profile(stage, product, job, folder / name))
    return tables


def _profile(stage: Stage, product: Product, job: Job, path: Path) -> Path:
    raw = path.with_name(f"{path.name}.raw.txt")
    spy = subprocess.Popen(
        [
            _command(), "record", "--pid", str(product.pid), "--format", "raw", "--rate", str(_RATE), "--duration",
            str(_SECONDS), "--output", str(raw), "--nonblocking", "--threads",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    stage.run(job)
    _, complaints = spy.communicate(timeout=60)
    if spy.returncode or not raw.exists():
        raise NoProfiler(complaints.decode(errors="replace")[-500:])
    shown = path.with_name(f"{path.name}.top.txt")
    shown.write_text(top(raw.read_text(encoding="utf-8")), encoding="utf-8")
    return shown


def _command() -> str:
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise NoProfiler("py-spy is not installed: `make bench-full` brings it")
    return found


def top(collapsed: str) -> str:
    """Return the heaviest functions of collapsed stacks: own and total time, as parts of all samples."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    samples = 0
    for line in collapsed.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [_function(frame) for frame in stack.split(";")]
        number = int(count)
        samples += number
        own[frames[-1]] += number
        total.update(dict.fromkeys(frames, number))
    return f"own time\n{_heaviest(own, samples)}\n\ntotal time\n{_heaviest(total, samples)}\n"


def _heaviest(counts: Counter[str], samples: int) -> str:
    return "\n".join(f"{count / samples:7.1%}  {name}" for name, count in counts.most_common(_TOP))


def _function(frame: str) -> str:
    """Return a frame without its line number, its path cut to where it tells something."""
    name, _, place = frame.partition(" (")
    path = place.rpartition(":")[0] or place.rstrip(")")
    short = path.rpartition("site-packages/")[2].rpartition("/src/")[2]
    return f"{name} ({short})" if short else name
