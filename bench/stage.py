"""Everything a run needs, started once: upstream, pass-through, load client; and how one measurement is made."""

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Self

import msgspec

from bench import product, sample
from bench.answers import Answer
from bench.children import Child, module
from bench.load.http_sync import fetch
from bench.load.job import Job, Seen
from bench.product import Product

_LONGEST_JOB_S = 600.0


class Measured(msgspec.Struct, frozen=True):
    """One measurement: what the clients saw, and what the server used meanwhile."""

    seen: Seen
    cpu_s: float
    bunched: int

    @property
    def us_per_chunk(self) -> float:
        """CPU microseconds of the server for each chunk that the upstream sent."""
        return self.cpu_s / max(1, self.seen.asked) * 1e6

    @property
    def bytes_per_answer_byte(self) -> float:
        """Bytes on the wire for each byte of the answers."""
        return self.seen.received / max(1, self.seen.asked * 6)


class Stage:
    """The processes of a run. Servers get the first core, everything that measures the last one, if there are two."""

    def __init__(self, *, pin: bool = True) -> None:
        """Nothing runs yet: use it as a context manager."""
        cores = sorted(os.sched_getaffinity(0))
        pinned = pin and len(cores) > 1
        self.server_core = cores[0] if pinned else None
        self.load_core = cores[-1] if pinned else None
        self._stack = ExitStack()
        self._servers = 0

    def __enter__(self) -> Self:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="twinspeak-bench-")))
        self.upstream = self._child("bench.upstream")
        self.upstream_url = f"http://127.0.0.1:{self.upstream.port()}"
        self.upstream.pin(self.load_core)
        self.load = self.client()
        self._data: Path | None = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @cached_property
    def passthrough(self) -> Child:
        """The floor, started when it is first asked for."""
        return self.server("bench.passthrough", self.upstream_url)

    @cached_property
    def passthrough_url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.passthrough.port()}"

    @cached_property
    def side_loads(self) -> tuple[Child, Child, Child]:
        """More load clients, for what goes on beside a measurement."""
        return self.client(), self.client(), self.client()

    def client(self) -> Child:
        """Start a load client."""
        client = self._child("bench.load")
        client.pin(self.load_core)
        return client

    def server(self, name: str, *arguments: str) -> Child:
        """Start one of our modules as something to be measured."""
        server = self._child(name, *arguments)
        server.pin(self.server_core)
        return server

    def adopt(self, command: Sequence[str], env: Mapping[str, str]) -> Child:
        """Start somebody else's program, which ends with the stage."""
        log = self.folder / f"{Path(command[0]).name}.log"
        return self._stack.enter_context(Child(command, log=log, env=env))

    def _child(self, name: str, *arguments: str) -> Child:
        return self._stack.enter_context(Child(module(name, *arguments), log=self.folder / f"{name}.log"))

    def start(self, environment: Mapping[str, str] | None = None, **settings: str) -> Product:
        """Start another server, which the caller ends."""
        if self._data is None:
            self._data = self.folder / "template"
            product.make_data(self._data)
        self._servers += 1
        folder = self.folder / f"server{self._servers}"
        folder.mkdir()
        return Product(self._data, folder, self.upstream_url, environment, **settings)

    def product(self, environment: Mapping[str, str] | None = None, **settings: str) -> Product:
        """Start another server, which the caller ends; signed in, and ready."""
        started = self.start(environment, **settings)
        try:
            started.until_ready()
            started.sign_in()
        except BaseException:
            started.child.stop()
            raise
        started.child.pin(self.server_core)
        return started

    def run(self, job: Job, *, load: Child | None = None) -> Seen:
        """Have the load client do a job, and wait for it."""
        client = load or self.load
        client.say(msgspec.json.encode(job))
        return msgspec.json.decode(client.line(_LONGEST_JOB_S), type=Seen)

    def release(self, *, load: Child | None = None) -> None:
        """End a job that holds its streams open."""
        client = load or self.load
        client.say(b"release")
        client.line(_LONGEST_JOB_S)

    def exchanges(self) -> dict[str, Any]:
        """Return, and forget, what the upstream has recorded."""
        return fetch(f"{self.upstream_url}/bench/seen")

    def measure(self, pid: int, job: Job) -> Measured:
        """Run a job against the server with process id `pid`."""
        self.exchanges()
        before = sample.cpu_s(pid)
        seen = self.run(job)
        used = sample.cpu_s(pid) - before
        return Measured(seen=seen, cpu_s=used, bunched=int(self.exchanges()["bunched"]))

    def measure_passthrough(self, job: Job) -> Measured:
        """Run a job's questions against the pass-through."""
        job = self.through_floor(job)
        return self.measure(self.passthrough.pid, job)

    def through_floor(self, job: Job) -> Job:
        """Return the same load for the pass-through."""
        return msgspec.structs.replace(job, url=self.passthrough_url, face="direct", args={})

    def warm_up(self, job: Job, streams: int = 5) -> None:
        """Let a server and its caches get warm: a short job of the same kind."""
        answer = msgspec.structs.replace(job.answer, words=min(100, job.answer.words), interval=2)
        self.run(msgspec.structs.replace(job, streams=min(streams, job.streams), turns=2, answer=answer, stagger_s=0))


def rounds(count: int, contestants: Mapping[str, Callable[[], Measured]]) -> dict[str, list[Measured]]:
    """Measure every contestant `count` times, in turn, so that what the machine does meanwhile hits all alike."""
    found: dict[str, list[Measured]] = {name: [] for name in contestants}
    for _ in range(count):
        for name, measure in contestants.items():
            found[name].append(measure())
            time.sleep(0.2)
    return found


def ratio(ours: list[Measured], floor: list[Measured]) -> float:
    """Return the median of the rounds' ratios of CPU per chunk."""
    return median(ratios(ours, floor))


def ratios(ours: list[Measured], floor: list[Measured]) -> list[float]:
    """Return CPU per chunk against the floor's of the same round."""
    return [mine.us_per_chunk / theirs.us_per_chunk for mine, theirs in zip(ours, floor, strict=True)]


__all__ = ["Answer", "Measured", "Stage", "ratio", "ratios", "rounds"]
