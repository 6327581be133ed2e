"""The processes of the benchmark: each of ours prints one JSON line with its port when it is ready."""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[1]
READY_S = 30.0
FOREIGN = (
    "TWINSPEAK_", "OPENAI_", "ANTHROPIC_", "GEMINI_", "XAI_", "MISTRAL_", "AWS_", "HTTP_PROXY", "HTTPS_PROXY",
    "ALL_PROXY", "NO_PROXY",
)  # fmt: skip
"""Settings of whoever runs the benchmark, which must not change what is measured."""


class ChildFailed(Exception):
    """A process of the benchmark did not start, or died; the text holds the end of what it wrote."""


def announce(port: int) -> None:
    """Tell the parent which port was bound."""
    sys.stdout.write(json.dumps({"port": port}) + "\n")
    sys.stdout.flush()


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a child: ours, less what would configure the product or a client."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(FOREIGN)}
    return {**kept, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "PYTHONUNBUFFERED": "1", **(extra or {})}


class Child:
    """A process with pipes; what it complains of goes to `log`. A context manager that ends it."""

    def __init__(self, command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None) -> None:
        """Start it."""
        self.log = log
        self._errors = log.open("ab")
        self._read = b""
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=ROOT,
            env=clean_environment(env),
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def line(self, within_s: float = READY_S) -> bytes:
        """Return its next line. Raises ChildFailed when it ends, or says nothing for that long."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + within_s
        while b"\n" not in self._read:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, left))
            if not ready:
                raise ChildFailed(f"{self.process.args} said nothing for {within_s:g} s.\n{self.tail()}")
            read = os.read(self.process.stdout.fileno(), 1 << 20)
            if not read:
                raise ChildFailed(f"{self.process.args} ended with {self.process.wait(5)}.\n{self.tail()}")
            self._read += read
        line, _, self._read = self._read.partition(b"\n")
        return line

    def say(self, line: bytes) -> None:
        """Write a line to its standard input. Raises ChildFailed."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise ChildFailed(f"{self.process.args} ended.\n{self.tail()}") from None

    def port(self) -> int:
        """Wait for `announce`."""
        return int(json.loads(self.line())["port"])

    def pin(self, core: int | None) -> None:
        """Keep the process, with the threads that it has and makes, on one core; None leaves it free."""
        if core is None:
            return
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})

    def tail(self) -> str:
        """Return the end of what it complained of."""
        return self.log.read_bytes()[-2_000:].decode(errors="replace")

    def stop(self, patience_s: float = 10) -> None:
        """End it politely, then for certain."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(patience_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self._errors):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def module(name: str, *arguments: str) -> list[str]:
    """Return the command that runs one of our modules with this very Python."""
    return [sys.executable, "-m", name, *arguments]
