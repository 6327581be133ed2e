"""Cancelling is a message to the turn, never `task.cancel()` on it; and how a turn waits for its steps."""

import asyncio
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any, TypeVar

from twinspeak.engine.limits import Watch

_GIVE_UP_S = 5.0
"""A step that was cancelled and does not end within this is left to its supervisor."""


class CancelReason(StrEnum):
    """Why a turn was told to stop."""

    REQUESTED = "requested"
    CLIENT_GONE = "client_gone"
    REVOKED = "revoked"
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


class Steps:
    """Runs the steps of one turn, watching for the message to stop and for its limits."""

    def __init__(self, control: Control, watch: Watch, spawn: Spawn) -> None:
        """`spawn` starts a task that its supervisor owns."""
        self.watch = watch
        self._control = control
        self._spawn = spawn

    async def run(self, work: Coroutine[Any, Any, T], *, name: str) -> T:
        """Run one step as a task of its own until it ends, the turn is cancelled or a limit passes.

        However it ends, the step's task has ended (its sockets closed) before this returns. Raises what the step
        raised, Cancelled, or ProviderTimeout.
        """
        task = self._spawn(work, name)
        cancelled = self._spawn(self._control.arrived(), f"{name}, cancel")
        try:
            while not task.done():
                wake = self.watch.next_wake_s()
                await asyncio.wait((task, cancelled), timeout=wake, return_when=asyncio.FIRST_COMPLETED)
                if task.done():
                    break
                self._control.check()
                await self.watch.check()
        finally:
            cancelled.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait((task,), timeout=_GIVE_UP_S)
        result: T = task.result()
        return result
