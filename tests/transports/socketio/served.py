"""The server as a process of its own, for what can only be measured from outside."""

import asyncio
import os
import socket
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.live import EMAIL, PASSWORD

READY_S = 30


@dataclass
class Served:
    """A running `twinspeak serve`; `token` is the administrator's."""

    url: str
    port: int
    http: aiohttp.ClientSession
    pid: int
    token: str = ""

    def auth(self, token: str) -> dict[str, str]:
        """Return the header that carries `token`."""
        return {"x-access-token": token}

    @property
    def memory(self) -> int:
        """Bytes of the process that are in memory."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    async def idle(self) -> None:
        """Wait until no turn runs."""
        async with asyncio.timeout(50):
            while True:
                if not await self._running():
                    return
                await asyncio.sleep(0.05)

    async def _running(self) -> bool:
        async with self.http.get("/api/ai/turns", headers=self.auth(self.token)) as response:
            return bool((await response.json())["data"])


@asynccontextmanager
async def served(data_dir: Path, **settings: Any) -> AsyncGenerator[Served]:
    """Serve until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    values = {"data_dir": data_dir, "port": port, "admin_email": EMAIL, "admin_password": PASSWORD, **settings}
    env = dict(os.environ)
    env |= {f"TWINSPEAK_{name.upper()}": str(value) for name, value in values.items() if not name.startswith("openai")}
    env |= {name.upper(): str(value) for name, value in values.items() if name.startswith("openai")}
    command = (sys.executable, "-m", "twinspeak", "serve")
    process = await asyncio.create_subprocess_exec(*command, env=env, stdout=DEVNULL, stderr=DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession(url) as http:
            here = Served(url, port, http, process.pid)
            await _ready(http)
            async with http.post("/api/auth/signin", json={"email": EMAIL, "password": PASSWORD}) as response:
                here.token = (await response.json())["token"]
            yield here
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _ready(http: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(READY_S):
        while True:
            with suppress(aiohttp.ClientError):
                async with http.get("/readyz") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.05)
