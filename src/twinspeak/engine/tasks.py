"""Every task has an owner: a `Supervisor` starts it, keeps a reference, logs what it dies of, and ends it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class Supervisor:
    """Owns tasks that outlive the call that started them. One that fails is logged and takes nobody with it."""

    def __init__(self, name: str) -> None:
        """`name` says in logs whose tasks these are."""
        self._name = name
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Start `work` as a task of its own, for someone who awaits it: its exception is theirs."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def spawn_forever(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Start `work` that nobody awaits: if it dies, the log says so."""
        task = self.spawn(work, name=name)
        task.add_done_callback(self._report)
        return task

    async def settle(self, timeout_s: float) -> bool:
        """Wait until no task is left, at most `timeout_s`; return whether none is."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=timeout_s)
        return not self._tasks

    async def aclose(self, timeout_s: float = 5) -> None:
        """Cancel what still runs and wait for it to end."""
        for task in tuple(self._tasks):
            task.cancel()
        await self.settle(timeout_s)

    def _report(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task died", owner=self._name, task=task.get_name(), exc_info=error)
