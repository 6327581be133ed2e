"""The database: `await db.read(fn)` and `await db.write(fn)`, one transaction and one hop to a thread each.

SQLite: one writer thread with BEGIN IMMEDIATE, and a few readers that cannot write. PostgreSQL: the same code over a
pool of each, where a unit of work that met another one is run again. Measured and argued in docs/decisions/002 and 019.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeVar

import msgspec
import structlog
from sqlalchemy import Connection, CursorResult, Engine, Executable, Row, select
from sqlalchemy.exc import SQLAlchemyError

from twinspeak.domain.caller import Scope
from twinspeak.domain.errors import CodedError, Overloaded
from twinspeak.persistence.engines import make_engine, parse_url
from twinspeak.persistence.lanes import Job, Lane
from twinspeak.persistence.scope import ScopedStatement, guard

T = TypeVar("T")
Params = Mapping[str, Any]

QUEUE_LIMIT = 256
"""Jobs that may wait in each lane; one more is answered with Overloaded."""
WAIT_S = 10.0
"""How long a job may wait for a thread before its caller is told Overloaded, and it is never run."""
POSTGRES_WRITERS = 4
CLOSE_S = 10.0

_log = structlog.get_logger(__name__)


class Tx:
    """One transaction: thin helpers around a SQLAlchemy Core connection. Never leaves its unit of work."""

    __slots__ = ("connection",)

    def __init__(self, connection: Connection) -> None:
        """Wrap a connection inside its transaction."""
        self.connection = connection

    def run(self, statement: Executable, params: Params | Sequence[Params] | None = None) -> CursorResult[Any]:
        """Execute; raises UnscopedStatement for a tenant table without its scope."""
        return self.connection.execute(statement, params)

    def all(self, statement: Executable, params: Params | None = None) -> Sequence[Row[Any]]:
        """Return every row."""
        return self.connection.execute(statement, params).all()

    def first(self, statement: Executable, params: Params | None = None) -> Row[Any] | None:
        """Return the first row or None."""
        return self.connection.execute(statement, params).first()

    def value(self, statement: Executable, params: Params | None = None) -> Any:  # noqa: ANN401 -- whatever is stored
        """Return the first column of the first row or None."""
        row = self.connection.execute(statement, params).first()
        return None if row is None else row[0]

    def change(self, statement: Executable, params: Params | None = None) -> int:
        """Execute an INSERT, UPDATE or DELETE; return the rows it touched."""
        return self.connection.execute(statement, params).rowcount

    def scoped(self, scope: Scope, statement: ScopedStatement, params: Params | None = None) -> CursorResult[Any]:
        """Execute a prepared statement as `scope` sees the tables (the quick way; `scope.scoped` builds each time)."""
        rendered, bound = statement.render(scope)
        return self.connection.execute(rendered, {**bound, **params} if params else bound)


def as_dict(row: Row[Any]) -> dict[str, Any]:
    """Return a row's columns by name."""
    return dict(row._mapping)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] -- named so to leave names to columns


class DatabaseStats(msgspec.Struct, frozen=True):
    """How many units of work wait for a thread."""

    waiting_reads: int
    waiting_writes: int


class Database:
    """Engines, lanes and the two ways in. Made by `open`, ended by `close`."""

    def __init__(self, reads: Lane, writes: Lane, engines: Sequence[Engine], *, single_node: bool) -> None:
        """Keep the parts; use `open`."""
        self._reads = reads
        self._writes = writes
        self._engines = engines
        self.single_node = single_node

    @classmethod
    def open(
        cls, url: str, *, readers: int = 4, writers: int = POSTGRES_WRITERS, queue_limit: int = QUEUE_LIMIT
    ) -> Self:
        """Open the migrated database at `url` (see `migrations.migrate`). SQLite has one writer, whatever `writers`.

        Raises OperatorError when the URL is none, or names a database kind that is not supported.
        """
        parsed = parse_url(url)
        sqlite = parsed.get_backend_name() == "sqlite"
        writer = make_engine(parsed, read_only=False)
        reader = make_engine(parsed, read_only=True)
        for engine in (writer, reader):
            guard(engine)
        return cls(
            Lane("read", reader, threads=readers, limit=queue_limit),
            Lane("write", writer, threads=1 if sqlite else writers, limit=queue_limit),
            (writer, reader),
            single_node=sqlite,
        )

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` in a read-only transaction. Raises Overloaded, and whatever `fn` raises."""
        return await _hop(self._reads, fn, _Terms(shielded=False))

    async def write(self, fn: Callable[[Tx], T], *, essential: bool = False, own_locks: bool = False) -> T:
        """Run `fn` in a transaction that commits when it returns and rolls back when it raises.

        It runs to its end even if the awaiting task is cancelled. Raises Overloaded, and whatever `fn` raises.
        `essential` work (ending what was begun) is let into a full queue and waits as long as it takes.
        `fn` may be run again, after a rollback, so it only ever speaks to its transaction. It may read, decide and
        write as if nobody else wrote. Where that costs too much, `own_locks` says that `fn` itself locks every row that
        it decides on (FOR UPDATE, conditions in the statement): then PostgreSQL need not watch over it.
        """
        return await _hop(self._writes, fn, _Terms(shielded=True, essential=essential, own_locks=own_locks))

    def read_sync(self, fn: Callable[[Tx], T]) -> T:
        """`read` for the command line and start-up: blocks the calling thread."""
        return _wait(self._reads, fn)

    def write_sync(self, fn: Callable[[Tx], T]) -> T:
        """`write` for the command line and start-up: blocks the calling thread."""
        return _wait(self._writes, fn)

    def ready(self) -> bool:
        """Return whether a unit of work would be taken now; costs nothing. `ping` asks the database itself."""
        return self._reads.alive and self._writes.alive and not self._reads.full and not self._writes.full

    async def ping(self) -> bool:
        """Return whether the database answers a query."""
        try:
            return await self.read(lambda tx: tx.value(select(1))) == 1
        except (CodedError, SQLAlchemyError):
            return False

    def stats(self) -> DatabaseStats:
        """Return the queues' lengths, for metrics."""
        return DatabaseStats(waiting_reads=self._reads.waiting, waiting_writes=self._writes.waiting)

    def close(self) -> None:
        """Finish what is queued, then close every connection. Blocks; a second call does nothing."""
        self._writes.close(CLOSE_S)
        self._reads.close(CLOSE_S)
        for engine in self._engines:
            engine.dispose()


class _Terms(msgspec.Struct, frozen=True):
    """How a unit of work is to be run: see `Database.write`. `shielded`: even when nobody waits for it any more."""

    shielded: bool
    essential: bool = False
    own_locks: bool = False


async def _hop(lane: Lane, fn: Callable[[Tx], T], terms: _Terms) -> T:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T, error: BaseException | None) -> None:
        if future.done():
            if error is not None:
                _log.error("unattended_unit_of_work_failed", error=type(error).__name__)
        elif error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def deliver(result: T, error: BaseException | None) -> None:
        # A loop that is gone has nobody left to tell; the transaction is over either way.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, error)

    job = Job(lambda connection: fn(Tx(connection)), deliver, own_locks=terms.own_locks)
    lane.put(job, essential=terms.essential)
    timer = None if terms.essential else loop.call_later(WAIT_S, _give_up, job, future)
    try:
        return await future
    except asyncio.CancelledError:
        if not terms.shielded:
            job.claim()
        raise
    finally:
        if timer is not None:
            timer.cancel()


def _give_up(job: Job, future: asyncio.Future[Any]) -> None:
    if not future.done() and job.claim():
        future.set_exception(Overloaded(retry_after_s=1))


def _wait(lane: Lane, fn: Callable[[Tx], T]) -> T:
    done = threading.Event()
    outcome: list[tuple[Any, BaseException | None]] = []

    def deliver(result: Any, error: BaseException | None) -> None:  # noqa: ANN401 -- whatever `fn` returns
        outcome.append((result, error))
        done.set()

    lane.put(Job(lambda connection: fn(Tx(connection)), deliver), essential=True)
    done.wait()
    result, error = outcome[0]
    if error is not None:
        raise error
    return result
