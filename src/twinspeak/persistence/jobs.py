"""Work for other processes, in a table: a worker takes a job under a lease, and another takes it when that runs out.

What a worker writes for a job goes into the same transaction as `hold`, which fails for whoever lost the job: to the
clock, or to somebody who cancelled it. So two workers never both have the last word.
"""

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, and_, func, insert, or_, select, update

from twinspeak.domain.ids import new_id
from twinspeak.persistence.db import Tx, as_dict
from twinspeak.persistence.vault_tables import jobs

_WAITING = jobs.c.state.in_(("queued", "running"))


class Job(msgspec.Struct, frozen=True):
    """A job that was taken. `attempts` counts how often; with `owner` it tells one taking from every other."""

    id: str
    kind: str
    subject_id: str
    attempts: int
    owner: str
    lease_ms: int


def enqueue(tx: Tx, kind: str, subject_id: str, *, now: int) -> str:
    """Add a job, or return the one of that kind and subject that waits or runs already."""
    known = select(jobs.c.id).where(jobs.c.kind == kind, jobs.c.subject_id == subject_id, _WAITING)
    found = tx.value(known)
    if found is not None:
        return found
    job_id = new_id()
    row = {"id": job_id, "kind": kind, "subject_id": subject_id, "created": now, "not_before": now, "lease_until": 0}
    tx.run(insert(jobs).values(row))
    return job_id


def claim(tx: Tx, owner: str, *, now: int, lease_ms: int) -> Job | None:
    """Take the job that has waited longest, also one whose lease ran out; None when there is none.

    Locks what it decides on: run it with `own_locks`.
    """
    columns = (jobs.c.id, jobs.c.kind, jobs.c.subject_id, jobs.c.attempts)
    chosen = select(*columns).where(_free(now)).order_by(jobs.c.not_before, jobs.c.id).limit(1)
    row = tx.first(chosen.with_for_update(skip_locked=True))
    if row is None:
        return None
    attempts = row.attempts + 1
    taken = {"state": "running", "owner": owner, "attempts": attempts, "lease_until": now + lease_ms}
    tx.run(update(jobs).where(jobs.c.id == row.id).values(taken))
    return _job(row, owner=owner, attempts=attempts, lease_ms=lease_ms)


def hold(tx: Tx, job: Job, *, now: int) -> bool:
    """Renew the lease; False when the job is not the worker's any more: lost, or cancelled."""
    renewed = update(jobs).where(*_still(job), jobs.c.cancelled.is_(False))
    return bool(tx.change(renewed.values(lease_until=now + job.lease_ms)))


def finish(tx: Tx, job: Job, state: str, *, now: int) -> bool:
    """End a job as done, failed or cancelled; False when it is somebody else's by now."""
    return bool(tx.change(update(jobs).where(*_still(job)).values(state=state, ended=now)))


def put_back(tx: Tx, job: Job, *, not_before: int) -> bool:
    """Let a job be taken again, later."""
    return bool(tx.change(update(jobs).where(*_still(job)).values(state="queued", not_before=not_before, owner="")))


def cancel(tx: Tx, kind: str, subject_id: str, *, now: int) -> bool:
    """Cancel what waits or runs for a subject; return whether there was anything.

    Nobody takes it any more, and what a worker has in hand comes to nothing at its next `hold`.
    """
    mine = (jobs.c.kind == kind, jobs.c.subject_id == subject_id, _WAITING)
    return bool(tx.change(update(jobs).where(*mine).values(state="cancelled", cancelled=True, ended=now)))


def ready(tx: Tx, *, now: int) -> bool:
    """Tell whether there is a job to take: what a worker asks before it locks anything."""
    return tx.value(select(jobs.c.id).where(_free(now)).limit(1)) is not None


def waiting(tx: Tx) -> int:
    """Return how many jobs wait or run."""
    return tx.value(select(func.count()).select_from(jobs).where(_WAITING))


def forget(tx: Tx, *, before: int) -> int:
    """Drop jobs that ended before a time; return how many."""
    return tx.change(jobs.delete().where(jobs.c.ended < before))


def _free(now: int) -> ColumnElement[bool]:
    return or_(
        and_(jobs.c.state == "queued", jobs.c.not_before <= now),
        and_(jobs.c.state == "running", jobs.c.lease_until < now),
    )


def _still(job: Job) -> tuple[Any, ...]:
    return (
        jobs.c.id == job.id,
        jobs.c.state == "running",
        jobs.c.owner == job.owner,
        jobs.c.attempts == job.attempts,
    )


def _job(row: Row[Any], **taken: Any) -> Job:  # noqa: ANN401 -- fields of the struct
    return Job(**{**as_dict(row), **taken})
