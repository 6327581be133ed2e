"""The README's fenced blocks, and a shell and a server that run them as they are written."""

import asyncio
import os
import re
import shlex
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tests.conformance import node

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "http://127.0.0.1:8080"
READY_S = 60
SESSION_S = 90
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = "=====block====="


class Block(NamedTuple):
    """A fenced block: the heading it stands under, its language ("" when it names none), its text."""

    heading: str
    language: str
    text: str


def blocks() -> list[Block]:
    """Return the README's fenced blocks, in order."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    headings = [(found.start(), found[1]) for found in re.finditer(r"^## (.*)$", readme, re.MULTILINE)]
    return [
        Block([name for start, name in headings if start < found.start()][-1], found[1], found[2])
        for found in _FENCE.finditer(readme)
    ]


def environment(home: Path, **extra: str) -> dict[str, str]:
    """Return what a stranger's shell has: a PATH (with Node on it) and a home with nothing in it."""
    home.mkdir(exist_ok=True)
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    return {**kept, "PATH": node.environment()["PATH"], "HOME": str(home), **extra}


class Server:
    """`make serve` as the README says it; `said` is what it printed so far."""

    def __init__(self) -> None:
        self.said = ""
        self._ended = False
        self._news = asyncio.Event()

    async def listen(self, printed: asyncio.StreamReader) -> None:
        """Take what the server prints, until it ends."""
        async for line in printed:
            self.said += line.decode()
            self._news.set()
        self._ended = True
        self._news.set()

    async def line(self, pattern: str) -> str:
        """Return the group of `pattern` once the server has printed a line that fits."""
        async with asyncio.timeout(READY_S):
            while not (found := re.search(pattern, self.said, re.MULTILINE)):
                assert not self._ended, f"the server has ended:\n{self.said}"
                self._news.clear()
                await self._news.wait()
        return found[1]


@asynccontextmanager
async def serving(command: str, data_dir: Path, env: dict[str, str]) -> AsyncGenerator[Server]:
    """Run a shell line that ends in `make serve` until the block ends.

    Beside it: a port that is free and a data dir that is new; and make is told that the environment is there already,
    for the tests run in it.
    """
    options = f"--port 0 --data-dir {shlex.quote(str(data_dir))}"
    line = f"exec env {command.strip()} --old-file .venv/.runtime ARGS={shlex.quote(options)}"
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", line, cwd=ROOT, env=env, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True
    )
    assert process.stdout
    server = Server()
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(server.listen(process.stdout))
        try:
            yield server
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGTERM)
            async with asyncio.timeout(READY_S):
                await process.wait()
                await listening


async def session(chosen: Sequence[Block], url: str, folder: Path, env: dict[str, str]) -> list[str]:
    """Paste the blocks into one shell, in the project's folder; return what each printed.

    Blocks of a programming language are saved as a file and run. Nothing is changed but the server's address.
    """
    (folder / "node_modules").symlink_to(node.packages())
    lines = ["set -eu"]
    for number, block in enumerate(chosen):
        text = block.text.replace(ADDRESS, url)
        lines.append(f"echo {_MARK}")
        if block.language == "sh":
            lines.append(text)
            continue
        runner, suffix = {"python": (sys.executable, "py"), "js": ("node", "mjs")}[block.language]
        saved = folder / f"block-{number}.{suffix}"
        saved.write_text(text, encoding="utf-8")
        lines.append(shlex.join([runner, str(saved)]))
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", "\n".join(lines), cwd=ROOT, env=env, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
    )
    async with asyncio.timeout(SESSION_S):
        printed = (await process.communicate())[0].decode()
    assert process.returncode == 0, printed
    return printed.split(f"{_MARK}\n")[1:]
