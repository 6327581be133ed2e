"""Cancelling is a message to the turn, never `task.cancel()` on it; and how a turn waits for its steps."""

import asyncio
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any, TypeVar

from twinspeak.domain.errors import CodedError
from twinspeak.engine.limits import Watch

_GIVE_UP_S = 5.0
"""A step that was cancelled and does not end within this is left to its supervisor."""


class CancelReason(StrEnum):
    """Why a turn was told to stop."""

    REQUESTED = "requested"
    CLIENT_GONE = "client_gone"
    REVOKED = "revoked"
    ABANDONED = "abandoned"
    SERVER_STOPPING = "server_stopping"


class Cancelled(Exception):
    """Raised inside a turn, by its own waiting: the message to stop has come."""

    def __init__(self, reason: CancelReason) -> None:
        """Carry the first reason given."""
        super().__init__(reason)
        self.reason = reason


class Control:
    """The mailbox of a running turn. The first message counts; more are ignored."""

    def __init__(self) -> None:
        """Start with no message."""
        self.reason: CancelReason | None = None
        self._arrived = asyncio.Event()

    def cancel(self, reason: CancelReason) -> None:
        """Tell the turn to stop; it ends its provider and tools, then finishes like any other."""
        if self.reason is None:
            self.reason = reason
            self._arrived.set()

    def check(self) -> None:
        """Raise Cancelled when the message has come."""
        if self.reason is not None:
            raise Cancelled(self.reason)

    async def arrived(self) -> None:
        """Wait for the message."""
        await self._arrived.wait()


T = TypeVar("T")
Spawn = Callable[[Coroutine[Any, Any, Any], str], asyncio.Task[Any]]
Checkpoint = Callable[[], Coroutine[Any, Any, None]]


class Steps:
    """Runs the steps of one turn, watching for the message to stop and for its limits, and saving what there is."""

    def __init__(self, control: Control, watch: Watch, spawn: Spawn, checkpoint: Checkpoint) -> None:
        """`spawn` starts a task that its supervisor owns; `checkpoint` saves what there is, and raises nothing."""
        self.watch = watch
        self._control = control
        self._spawn = spawn
        self._checkpoint = checkpoint
        self._saving: asyncio.Task[None] | None = None

    async def run(self, work: Coroutine[Any, Any, T], *, name: str) -> T:
        """Run one step as a task of its own until it ends, the turn is cancelled or a limit passes.

        The step's task has ended (its sockets closed) before this returns, but one that ignores its cancellation for
        longer than 5 seconds. Raises what the step raised, Cancelled, or ProviderTimeout.
        """
        try:
            self._control.check()
        except Cancelled:
            work.close()
            raise
        task = self._spawn(work, name)
        cancelled = self._spawn(self._control.arrived(), f"{name}, cancel")
        try:
            while not task.done():
                wake = self.watch.next_wake_s()
                await asyncio.wait((task, cancelled), timeout=wake, return_when=asyncio.FIRST_COMPLETED)
                if task.done():
                    break
                self._control.check()
                self.watch.check()
                self._save()
        finally:
            cancelled.cancel()
            if not task.done():
                task.cancel()
                task.add_done_callback(_forget)
                await asyncio.wait((task,), timeout=_GIVE_UP_S)
        return _result(task)

    async def saved(self) -> None:
        """Wait for a checkpoint that is being written: nothing of this turn may be written after its end."""
        if self._saving is not None:
            await asyncio.wait((self._saving,))

    def _save(self) -> None:
        """Begin a checkpoint if one is due; in a task of its own, for a slow database must not delay a cancel."""
        if self.watch.checkpoint_due() and (self._saving is None or self._saving.done()):
            self._saving = self._spawn(self._checkpoint(), "checkpoint")


def _result(task: asyncio.Task[T]) -> T:
    """Return or raise what the step did; one that was cancelled from inside has failed, the turn has not."""
    if task.cancelled():
        raise CodedError
    return task.result()


def _forget(task: asyncio.Task[Any]) -> None:
    """Look at how an abandoned step ended, so that nothing complains that nobody did."""
    if not task.cancelled():
        task.exception()
