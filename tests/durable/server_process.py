"""The real server as a process of its own, to be killed."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp

from tests import databases
from tests.live import EMAIL, PASSWORD
from twinspeak.settings import Settings

START_S = 120
"""How long a start may take: long, because the machine may be busy with other tests."""
_URL = re.compile(rb"http://127\.0\.0\.1:\d+")


@dataclass
class ServerProcess:
    """`url` is its address once it has started."""

    data_dir: Path
    env: dict[str, str]
    process: Process | None = None
    url: str = ""
    token: str = ""

    @classmethod
    def on(cls, data_dir: Path, upstream_url: str, **changes: Any) -> Self:
        """Say how to run one. `changes` are settings by field name."""
        settings = {
            "admin_email": EMAIL,
            "admin_password": PASSWORD,
            "turns_per_minute_user": 1_000_000,
            "turns_per_minute_twin": 1_000_000,
            "log_level": "error",
            "log_format": "json",
            **changes,
        }
        named = {f"TWINSPEAK_{name.upper()}": str(value) for name, value in settings.items()}
        stored = databases.environment(data_dir, empty=False)
        return cls(data_dir, {**os.environ, **stored, **named, "OPENAI_BASE_URL": upstream_url})

    @property
    def settings(self) -> Settings:
        """The settings of its data, for commands beside it."""
        return Settings(data_dir=self.data_dir, database_url=self.env.get("TWINSPEAK_DATABASE_URL", ""))

    async def start(self, port: int = 0) -> None:
        """Start it, and return when it takes connections; without a port, on any that is free."""
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "twinspeak", "serve", "--port", str(port), "--data-dir", str(self.data_dir)),
            env=self.env,
            stdout=PIPE,
            stderr=PIPE,
        )
        out = self.process.stdout
        assert out is not None
        async with asyncio.timeout(START_S):
            while not (found := _URL.search(await out.readline())):
                assert not out.at_eof(), (await self.process.stderr.read()).decode()  # pyright: ignore[reportOptionalMemberAccess]
        self.url = found[0].decode()

    async def sign_in(self) -> dict[str, str]:
        """Return the header that carries the administrator's token."""
        async with (
            aiohttp.ClientSession(self.url) as http,
            http.post("/api/auth/signin", json={"email": EMAIL, "password": PASSWORD}) as response,
        ):
            assert response.status == 200, await response.text()
            return {"x-access-token": (await response.json())["token"]}

    async def kill(self) -> str:
        """End it as a power cut would; return what it had complained of."""
        return await self._end(signal.SIGKILL)

    async def stop(self) -> str:
        """Ask it to end; return what it complained of."""
        said = await self._end(signal.SIGTERM)
        assert self.process is not None
        assert self.process.returncode == 0, said
        return said

    def tell(self, number: signal.Signals) -> None:
        """Send a signal and do not wait."""
        assert self.process is not None
        self.process.send_signal(number)

    async def ended(self) -> str:
        """Wait for its end; return what it complained of."""
        assert self.process is not None
        async with asyncio.timeout(START_S):
            _, said = await self.process.communicate()
        return said.decode()

    async def _end(self, number: signal.Signals) -> str:
        self.tell(number)
        return await self.ended()
