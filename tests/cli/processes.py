"""The command line as a process of its own: on pipes, and on a terminal."""

import asyncio
import os
import pty
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tests.cli.server import EMAIL, PASSWORD

LIMIT_S = 20

Env = Mapping[str, str] | None


class Ended(NamedTuple):
    code: int
    out: str
    err: str


def environment(extra: Env) -> dict[str, str]:
    return {**os.environ, "TERM": "xterm-256color", **(extra or {})}


def credentials(url: str) -> dict[str, str]:
    return {"TWINSPEAK_URL": url, "TWINSPEAK_EMAIL": EMAIL, "TWINSPEAK_PASSWORD": PASSWORD}


async def start(*arguments: str, cwd: Path | None = None, env: Env = None) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "twinspeak",
        *arguments,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        cwd=cwd,
        env=environment(env),
    )


async def finish(process: Process, given: str = "") -> Ended:
    """Give the process its input, wait for its end, and return what it said; no command shows a traceback."""
    async with asyncio.timeout(LIMIT_S):
        out, err = await process.communicate(given.encode())
    assert process.returncode is not None
    assert b"Traceback" not in out + err, err.decode()
    return Ended(process.returncode, out.decode(), err.decode())


async def run(*arguments: str, given: str = "", cwd: Path | None = None, env: Env = None) -> Ended:
    return await finish(await start(*arguments, cwd=cwd, env=env), given)


class Terminal:
    """A process on a pseudo-terminal; `shown` is everything it has written."""

    def __init__(self, process: Process, master: int) -> None:
        self.process = process
        self.shown = ""
        self._master = master
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        try:
            self.shown += os.read(self._master, 65536).decode("utf-8", "replace")
        except OSError:  # the other side is closed
            asyncio.get_running_loop().remove_reader(self._master)
        self._news.set()

    async def until(self, condition: Callable[[str], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not condition(self.shown):
                self._news.clear()
                await self._news.wait()

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    async def ended(self) -> int:
        async with asyncio.timeout(LIMIT_S):
            code = await self.process.wait()
        self._read()
        assert "Traceback" not in self.shown
        return code


@asynccontextmanager
async def terminal(*arguments: str, env: Env = None) -> AsyncGenerator[Terminal]:
    master, slave = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "twinspeak", *arguments, stdin=slave, stdout=slave, stderr=slave, env=environment(env)
    )
    os.close(slave)
    os.set_blocking(master, False)
    try:
        yield Terminal(process, master)
    finally:
        asyncio.get_running_loop().remove_reader(master)
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(master)
