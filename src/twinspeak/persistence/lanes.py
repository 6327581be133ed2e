"""Worker threads that run units of work one at a time each, behind a bounded queue.

A lane is a queue and its threads; each thread keeps one connection. Why not the loop's default executor: a write must
be the only one (SQLite), a caller that gives up must know whether its work ran, and the queue must have an end
(docs/decisions/002).
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from twinspeak.domain.errors import Overloaded, ServerStopping

Deliver = Callable[[Any, BaseException | None], None]
"""Is told the outcome of a job, on the lane's thread. Must not raise."""

_log = structlog.get_logger(__name__)


class Job:
    """One unit of work. Whoever claims it first decides: a worker runs it, or its caller gives it up unrun."""

    __slots__ = ("_claim", "deliver", "work")

    def __init__(self, work: Callable[[Connection], Any], deliver: Deliver) -> None:
        """Keep what to run inside a transaction, and whom to tell."""
        self.work = work
        self.deliver = deliver
        self._claim = threading.Lock()

    def claim(self) -> bool:
        """Return True to exactly one of all callers."""
        return self._claim.acquire(blocking=False)


class Lane:
    """`threads` workers over one queue of at most `limit` waiting jobs (essential ones are always let in)."""

    def __init__(self, name: str, engine: Engine, *, threads: int, limit: int) -> None:
        """Start the workers; each connects when its first job comes."""
        self._name = name
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
        """Run one job in one transaction; keep the connection unless it broke."""
        try:
            connection = connection or self._engine.connect()
            with connection.begin():
                return job.work(connection), None, connection
        except OperationalError as error:
            return None, _translated(error), _usable(connection)
        except BaseException as error:  # boundary: whatever a unit of work raises belongs to its caller
            return None, _raisable(error), _usable(connection)


def _usable(connection: Connection | None) -> Connection | None:
    """Give back a connection that can serve the next job, or None so that the worker opens another."""
    if connection is None or (not connection.invalidated and not connection.in_transaction()):
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


def _translated(error: OperationalError) -> BaseException:
    """Turn the database's own busy answer into ours; everything else stays what it is."""
    text = str(error.orig).lower()
    if "locked" in text or "busy" in text or "lock timeout" in text:
        busy = Overloaded(retry_after_s=1)
        busy.__cause__ = error
        return busy
    return error
