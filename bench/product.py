"""The product as it is run: a data directory made offline once, then `twinspeak serve` on a copy of it.

Nothing of the product is switched off. What is set differs from a fresh installation in this only:

- rate limits of turns and sockets are so high that they never refuse; they still count;
- the twin's pool was awarded ten million credits, so that it never runs out: every turn still holds, charges and writes
  the ledger, at the default price;
- logs go to a file as JSON, the default when standard error is no terminal.
"""

import json
import shutil
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.children import Child, ChildFailed
from bench.wire import MODEL
from twinspeak.app.offline import prepare
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import institutions, wallets
from twinspeak.services.users import Person, add
from twinspeak.settings import Settings

PEOPLE = 10
CREDITS = 10_000_000
_PASSWORD = "a long bench password"  # noqa: S105 -- of a data directory that lives for minutes
_READY = b"Twinspeak is ready at "
_NEVER = "1000000"
_ENVIRONMENT = {
    "TWINSPEAK_TURNS_PER_MINUTE_USER": _NEVER,
    "TWINSPEAK_TURNS_PER_MINUTE_TWIN": _NEVER,
    "TWINSPEAK_SOCKETS_PER_USER": _NEVER,
    "TWINSPEAK_DEFAULT_MODEL": MODEL,
}


def make_data(folder: Path) -> None:
    """Make a data directory with people and credits; takes a second or two."""
    settings = Settings(data_dir=folder, admin_email=_email(0), admin_password=_PASSWORD)  # pyright: ignore[reportArgumentType] -- pydantic makes it secret
    with prepare(settings) as ground:
        twin = ground.db.read_sync(institutions.only)
        assert twin is not None
        for number in range(1, PEOPLE):
            person = Person(email=_email(number), password=_PASSWORD, twin=twin.public_id)
            add(ground.db, ground.passwords, person)
        _award(ground.db, twin.id)


def _award(db: Database, twin_id: str) -> None:
    def give(tx: Tx) -> None:
        wallets.award(tx, "institution", twin_id, CREDITS, note="for the benchmark")

    db.write_sync(give)


def _email(number: int) -> str:
    return f"person{number}@bench.example"


class Product:
    """A running server on a data directory of its own, copied from `data`. A context manager that ends it."""

    def __init__(
        self, data: Path, folder: Path, upstream: str, environment: Mapping[str, str] | None = None, **settings: str
    ) -> None:
        """Start it in `folder`, asking `upstream`; `settings` are further ones, such as `stream_coalesce_ms`.

        `environment` is added as it is, for vendors other than the one that is asked without it.
        """
        shutil.copytree(data, folder / "data")
        extra = {f"TWINSPEAK_{name.upper()}": value for name, value in settings.items()}
        env = {**_ENVIRONMENT, "OPENAI_BASE_URL": f"{upstream}/v1", **extra, **(environment or {})}
        command = [sys.executable, "-m", "twinspeak", "serve", "--port", "0", "--data-dir", str(folder / "data")]
        self.started = time.monotonic()
        self.child = Child(command, log=folder / "server.log", env=env)
        self.tokens: tuple[str, ...] = ()
        try:
            self.url = self._address()
        except BaseException:
            self.child.stop()
            raise

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.child.pid

    def sign_in(self) -> None:
        """Get a token for every person."""
        self.tokens = tuple(self._token(number) for number in range(PEOPLE))

    def until_ready(self) -> float:
        """Wait for the first 200 on /readyz; return the seconds since the process was started. Raises ChildFailed."""
        while time.monotonic() - self.started < 60:
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as response:  # noqa: S310 -- loopback
                    if response.status == 200:
                        return time.monotonic() - self.started
            except OSError:
                time.sleep(0.005)
        raise ChildFailed(f"not ready.\n{self.child.tail()}")

    def _address(self) -> str:
        while True:
            line = self.child.line()
            if _READY in line:
                return line.partition(_READY)[2].decode().strip()

    def _token(self, number: int) -> str:
        body = json.dumps({"email": _email(number), "password": _PASSWORD}).encode()
        request = urllib.request.Request(  # noqa: S310 -- loopback
            f"{self.url}/api/auth/signin", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 -- loopback
            return str(json.load(response)["token"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.child.stop(patience_s=20)
