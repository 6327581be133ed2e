"""Worker threads that run units of work one at a time each, behind a bounded queue.

A lane is a queue and its threads; each thread keeps one connection. Why not the loop's default executor: a write must
be the only one (SQLite), a caller that gives up must know whether its work ran, and the queue must have an end
(docs/decisions/002).
"""

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from secrets import randbelow
from typing import Any

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from twinspeak.domain.errors import Overloaded, ServerStopping
from twinspeak.persistence.engines import OWN_LOCKS
from twinspeak.persistence.faults import Fault, fault_of, translated

Deliver = Callable[[Any, BaseException | None], None]
"""Is told the outcome of a job, on the lane's thread. Must not raise."""

CONFLICT_ATTEMPTS = 20
"""How often a unit of work is run that the database undoes because of others; then its caller is told Overloaded."""
DUPLICATE_ATTEMPTS = 3
"""As above for a row that is there already: whoever looks again finds the one that another made at the same moment."""
PAUSE_US = 500
"""The longest pause before the second attempt; it doubles with each, up to 64 ms."""

_log = structlog.get_logger(__name__)


class Job:
    """One unit of work. Whoever claims it first decides: a worker runs it, or its caller gives it up unrun."""

    __slots__ = ("_claim", "deliver", "own_locks", "work")

    def __init__(self, work: Callable[[Connection], Any], deliver: Deliver, *, own_locks: bool = False) -> None:
        """Keep what to run inside a transaction, and whom to tell; `own_locks` as in `Database.write`."""
        self.work = work
        self.deliver = deliver
        self.own_locks = own_locks
        self._claim = threading.Lock()

    def claim(self) -> bool:
        """Return True to exactly one of all callers."""
        return self._claim.acquire(blocking=False)


class Lane:
    """`threads` workers over one queue of at most `limit` waiting jobs (essential ones are always let in)."""

    def __init__(self, name: str, engine: Engine, *, threads: int, limit: int) -> None:
        """Start the workers of the lane `read` or `write`; each connects when its first job comes."""
        self._writes = name == "write"
        self._engine = engine
        self._limit = limit
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"twinspeak-{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Jobs that no worker has taken yet."""
        return self._queue.qsize()

    @property
    def alive(self) -> bool:
        """False once closed, or if a worker died (which is a bug)."""
        return not self._closed and all(thread.is_alive() for thread in self._threads)

    @property
    def full(self) -> bool:
        """True when the next job would be refused."""
        return self._queue.qsize() >= self._limit

    def put(self, job: Job, *, essential: bool) -> None:
        """Queue `job`. Raises Overloaded when too many wait, ServerStopping after `close`."""
        if self._closed:
            raise ServerStopping
        if self.full and not essential:
            raise Overloaded(retry_after_s=1)
        self._queue.put(job)

    def close(self, timeout_s: float) -> None:
        """Let the workers finish what is queued, then end them; wait at most `timeout_s` for each."""
        if self._closed:
            return
        self._closed = True
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(timeout_s)

    def _serve(self) -> None:
        connection: Connection | None = None
        while (job := self._queue.get()) is not None:
            if not job.claim():
                continue
            result, error, connection = self._run(job, connection)
            job.deliver(result, error)
        if connection is not None:
            connection.close()

    def _run(self, job: Job, connection: Connection | None) -> tuple[Any, BaseException | None, Connection | None]:
        """Run one job in one transaction, again where the database asks for it; keep the connection unless it broke."""
        attempt = 0
        while True:
            attempt += 1
            done = False
            try:
                connection = connection or self._engine.connect()
                connection.info[OWN_LOCKS] = job.own_locks
                with connection.begin():
                    result = job.work(connection)
                    done = True
                return result, None, connection
            except BaseException as error:  # boundary: whatever a unit of work raises belongs to its caller
                fault = fault_of(error, writing=self._writes)
                kept, connection = connection, _usable(connection, fault)
                if not _again(fault, attempt, connected=kept is not None, committing=done):
                    return None, translated(_raisable(error), fault), connection
            if fault is Fault.CONFLICT:
                # Whoever was in the way is likely to come back as well: not all at the same moment.
                time.sleep(randbelow(PAUSE_US << min(attempt, 7)) / 1e6)


def _again(fault: Fault, attempt: int, *, connected: bool, committing: bool) -> bool:
    """Tell whether a unit of work that failed is to be run again: never when it may have been committed."""
    if fault is Fault.CONFLICT:
        return attempt < CONFLICT_ATTEMPTS
    if fault is Fault.DUPLICATE:
        return attempt < DUPLICATE_ATTEMPTS
    # A connection that was kept may have died long ago, of a server's restart; a new one would tell of the present.
    return fault is Fault.LOST and attempt == 1 and connected and not committing


def _usable(connection: Connection | None, fault: Fault) -> Connection | None:
    """Give back a connection that can serve the next job, or None so that the worker opens another."""
    if connection is None:
        return None
    if fault is not Fault.LOST and not connection.invalidated and not connection.in_transaction():
        return connection
    try:
        connection.invalidate()
        connection.close()
    except DBAPIError as error:
        _log.warning("database_connection_dropped", error=type(error).__name__)
    return None


def _raisable(error: BaseException) -> BaseException:
    """Wrap what a future refuses to carry, so that its awaiter is told at all."""
    if not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError("a unit of work raised StopIteration")
    wrapped.__cause__ = error
    return wrapped
