"""The loop of an ingestion worker: take a job, do it, look again."""

import asyncio
from collections.abc import Callable

import structlog

from twinspeak.domain.clock import monotonic, now_ms
from twinspeak.domain.errors import CodedError
from twinspeak.domain.ids import new_id
from twinspeak.knowledge.pipeline import Pipeline
from twinspeak.persistence import jobs
from twinspeak.persistence.db import Database

LEASE_S = 30.0
POLL_S = 0.5
_KEPT_MS = 7 * 86_400_000
"""How long ended jobs stay, for whoever wants to know what happened."""

_log = structlog.get_logger(__name__)


class Worker:
    """Takes jobs one at a time, the one that has waited longest first."""

    def __init__(self, db: Database, pipeline: Pipeline, *, lease_s: float = LEASE_S, poll_s: float = POLL_S) -> None:
        """`lease_s`: after this long without a sign of life, another worker takes the job."""
        self._db = db
        self._pipeline = pipeline
        self._lease_ms = round(lease_s * 1000)
        self._poll_s = poll_s
        self.owner = new_id()

    async def once(self) -> bool:
        """Do one job, if there is one; return whether there was. Raises Overloaded."""
        if not await self._db.read(lambda tx: jobs.ready(tx, now=now_ms())):
            return False
        job = await self._db.write(
            lambda tx: jobs.claim(tx, self.owner, now=now_ms(), lease_ms=self._lease_ms), own_locks=True
        )
        if job is None:
            return False
        await self._pipeline.run(job)
        return True

    async def run(self, stopping: Callable[[], bool], *, idle_s: float | None = None) -> None:
        """Do jobs until `stopping` says so, or nothing has come for `idle_s` (None: however long that takes)."""
        idle_since = monotonic()
        await self._tidy()
        while not stopping():
            try:
                busy = await self.once()
            except CodedError as error:
                _log.warning("worker waits for the database", code=error.code)
                busy = False
            if busy:
                idle_since = monotonic()
                continue
            if idle_s is not None and monotonic() - idle_since > idle_s and not await self._expected():
                return
            await asyncio.sleep(self._poll_s)

    async def _expected(self) -> bool:
        """Whether jobs wait for their time, or for another worker's lease to run out."""
        return bool(await self._db.read(jobs.waiting))

    async def _tidy(self) -> None:
        await self._db.write(lambda tx: jobs.forget(tx, before=now_ms() - _KEPT_MS))
