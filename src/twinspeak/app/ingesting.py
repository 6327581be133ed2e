"""Ingestion in a process of its own: what such a process does, and the server's keeper of one.

Reading files is a thread's worth of work that never ends; in the server's own process it would hold up every stream
(decision 028). The keeper starts a process when a job waits and none runs, and the process ends by itself when nothing
has come for a while: a server whose vault nobody touches costs nothing for it.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import structlog

from twinspeak.app.embedding import open_embedders
from twinspeak.app.reading import limits_of, sizes_of
from twinspeak.domain.errors import CodedError, OperatorError
from twinspeak.domain.vault import Quotas
from twinspeak.knowledge.embedding import Embedders
from twinspeak.knowledge.pipeline import Means, Pipeline
from twinspeak.knowledge.reading import FileReader, Reader
from twinspeak.knowledge.worker import Worker
from twinspeak.persistence import jobs, migrations
from twinspeak.persistence.db import Database
from twinspeak.persistence.files import LocalFiles
from twinspeak.persistence.secrets import open_box
from twinspeak.settings import Settings
from twinspeak.telemetry import logs

FOLDER = "vault"
"""Where files are kept, in the data directory."""

_LOOK_S = 10.0
"""How often the keeper looks for jobs that it was not told of."""
_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_GOODBYE_S = 5.0
_NICE = 10
"""Streams come first."""

_log = structlog.get_logger(__name__)


def files_of(settings: Settings) -> LocalFiles:
    """Return where this installation keeps files."""
    return LocalFiles(settings.data_dir.resolve() / FOLDER)


def quotas_of(settings: Settings) -> Quotas:
    """Return how much a vault may hold."""
    return Quotas(
        own_files=settings.vault_user_files,
        own_bytes=settings.vault_user_bytes,
        twin_bytes=settings.vault_twin_bytes,
    )


def worker_of(settings: Settings, db: Database, embedders: Embedders, reader: Reader | None = None) -> Worker:
    """Return a worker on a database; without a `reader` each file is read in a process of its own."""
    means = Means(
        db=db,
        files=files_of(settings),
        reader=reader or FileReader(limits_of(settings), sizes_of(settings)),
        quotas=quotas_of(settings),
        beat_s=min(1.0, settings.ingest_lease_s / 4),
        embedders=embedders,
    )
    return Worker(db, Pipeline(means), lease_s=settings.ingest_lease_s)


def work(settings: Settings, *, follows_stdin: bool) -> None:
    """Do ingestion jobs until told to stop; with `follows_stdin`, also once standard input ends or nothing comes.

    Raises OperatorError when the database is not of this version.
    """
    logs.configure(settings.log_format, settings.log_level)
    if migrations.revision_of(settings.database) != migrations.HEAD:
        raise OperatorError("The database is not of this version: start the server first, or run `twinspeak migrate`.")
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    with _opened(settings) as db:
        asyncio.run(_work(settings, db, follows_stdin=follows_stdin))


@contextmanager
def _opened(settings: Settings) -> Generator[Database]:
    db = Database.open(settings.database, readers=1, writers=1)
    try:
        yield db
    finally:
        db.close()


async def _work(settings: Settings, db: Database, *, follows_stdin: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if follows_stdin:
        # The server holds the other end: it is gone when this one ends, however it went.
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: _Until(reader, stop), sys.stdin)
    box = open_box(settings.data_dir, settings.secrets_key.get_secret_value() if settings.secrets_key else None)
    async with open_embedders(settings, db, box) as embedders, asyncio.TaskGroup() as group:
        worker = worker_of(settings, db, embedders)
        running = group.create_task(
            worker.run(stop.is_set, idle_s=settings.ingest_idle_s if follows_stdin else None), name="worker"
        )
        stopping = group.create_task(stop.wait(), name="stop")
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        # What is in hand is left as it is: the next worker goes on from the phase that was committed last.
        running.cancel()
        stopping.cancel()


class _Until(asyncio.StreamReaderProtocol):
    """Sets an event when a pipe ends."""

    def __init__(self, reader: asyncio.StreamReader, ended: asyncio.Event) -> None:
        super().__init__(reader)
        self._ended = ended

    def eof_received(self) -> bool:
        """Note that nobody holds the other end."""
        self._ended.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """As above."""
        self._ended.set()
        super().connection_lost(exc)


class Keeper:
    """Keeps worker processes while there are jobs. `run` it as a task; `nudge` tells it of a job."""

    def __init__(self, settings: Settings, db: Database) -> None:
        """No process runs yet."""
        self._settings = settings
        self._db = db
        self._told = asyncio.Event()
        self._processes: set[asyncio.subprocess.Process] = set()

    def nudge(self) -> None:
        """Tell of a job. For the event loop's thread."""
        self._told.set()

    async def run(self) -> None:
        """Start processes as they are needed, until cancelled; then end them. Without any to start, do nothing."""
        if not self._settings.ingest_workers:
            return
        pause = _PAUSE_S
        try:
            while True:
                self._told.clear()
                failed = await self._look()
                pause = min(_LONGEST_PAUSE_S, pause * 2) if failed else _PAUSE_S
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause if failed else _LOOK_S):
                        await self._told.wait()
                if failed:
                    await asyncio.sleep(pause)
        finally:
            await self._end()

    async def _look(self) -> bool:
        """Start a process if jobs wait and fewer run than may; return whether one ended badly."""
        ended = {one for one in self._processes if one.returncode is not None}
        self._processes -= ended
        bad = [one.returncode for one in ended if one.returncode]
        for code in bad:
            _log.warning("ingestion process ended", code=code)
        try:
            waiting = await self._db.read(jobs.waiting)
        except CodedError as error:
            _log.warning("cannot look for jobs", code=error.code)
            return True
        missing = min(waiting, self._settings.ingest_workers) - len(self._processes)
        if not bad and missing > 0:
            for _ in range(missing):
                self._processes.add(await self._start())
        return bool(bad)

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "twinspeak", "worker", "--follow-stdin"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            env=self._settings.environment(),
            cwd=Path.cwd(),
        )

    async def _end(self) -> None:
        for process in self._processes:
            if process.stdin is not None:
                process.stdin.close()
        for process in self._processes:
            try:
                async with asyncio.timeout(_GOODBYE_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
