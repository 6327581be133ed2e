"""How many requests one provider is asked at once, and in which order the others wait.

The queue is fair twice over: twins take turns (a person outside of any twin counts as one), and inside a twin its
people do. So a burst costs who made it, and nobody else.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from twinspeak.domain.errors import ProviderBusy

_COME_BACK_S = 5
"""What is told to who finds the queue full: long enough for some answers to end."""

Told = Callable[[int, int], None]


class _Waiter:
    """Somebody in the queue. `told` ends his waiting; `passed` says that a request of his counts from now on."""

    __slots__ = ("passed", "told", "twin", "user", "waits")

    def __init__(self, twin: str, user: str) -> None:
        self.twin = twin
        self.user = user
        self.waits = True
        self.passed = False
        self.told: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def tell(self, error: Exception | None = None) -> None:
        """End the waiting of one who left the queue; one whose task was cancelled just now hears no more."""
        self.waits, self.passed = False, error is None
        if self.told.done():
            return
        if error:
            self.told.set_exception(error)
            self.told.exception()  # seen: a task that is cancelled at this moment does not fetch it
        else:
            self.told.set_result(None)


class FairQueue:
    """Waiters by twin and person: the next one is of the twin, and there of the person, that was served longest ago."""

    def __init__(self) -> None:
        self._twins: OrderedDict[str, OrderedDict[str, deque[_Waiter]]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, waiter: _Waiter) -> None:
        """Append one to his own line."""
        self._twins.setdefault(waiter.twin, OrderedDict()).setdefault(waiter.user, deque()).append(waiter)
        self._length += 1

    def next(self) -> _Waiter:
        """Take the one whose turn it is; his twin and he himself go to the end. There must be one."""
        twin, people = next(iter(self._twins.items()))
        user, line = next(iter(people.items()))
        waiter = line[0]
        self.remove(waiter)
        if line:
            people.move_to_end(user)
        if people:
            self._twins.move_to_end(twin)
        return waiter

    def remove(self, waiter: _Waiter) -> None:
        """Take one out of the middle."""
        people = self._twins[waiter.twin]
        people[waiter.user].remove(waiter)
        self._length -= 1
        if not people[waiter.user]:
            del people[waiter.user]
        if not people:
            del self._twins[waiter.twin]

    def of(self, twin: str) -> int:
        """Return how many of one twin wait."""
        return _waiting(self._twins[twin]) if twin in self._twins else 0

    def last_of_longest(self) -> _Waiter:
        """Return the newest of the longest line, in the twin that has the most waiting. There must be one."""
        people = max(self._twins.values(), key=_waiting)
        return max(people.values(), key=len)[-1]


def _waiting(people: OrderedDict[str, deque[_Waiter]]) -> int:
    return sum(len(line) for line in people.values())


class Gate:
    """Lets `at_once` requests through to `provider`; up to `waiting` more wait, each for at most `patience_s` seconds.

    `told` hears how the two numbers of requests, asked and waiting, change.
    """

    def __init__(self, provider: str, *, at_once: int, waiting: int, patience_s: float, told: Told) -> None:
        self._provider = provider
        self._at_once = at_once
        self._most_waiting = waiting
        self._patience_s = patience_s
        self._told = told
        self._asked = 0
        self._queue = FairQueue()

    @asynccontextmanager
    async def passed(self, twin: str, user: str) -> AsyncGenerator[None]:
        """Be one of those who may ask, until the block ends. Raises ProviderBusy."""
        if self._asked < self._at_once and not self._queue:
            self._asked += 1
            self._told(1, 0)
        else:
            await self._wait(_Waiter(twin, user))
        try:
            yield
        finally:
            self._leave()

    async def _wait(self, waiter: _Waiter) -> None:
        """Wait for a turn; it is counted as asked when this returns."""
        self._make_room(waiter)
        self._queue.add(waiter)
        self._told(0, 1)
        try:
            async with asyncio.timeout(self._patience_s):
                await waiter.told
        except TimeoutError:
            self._give_up(waiter)
            raise self._busy() from None
        except asyncio.CancelledError:
            self._give_up(waiter)
            raise

    def _give_up(self, waiter: _Waiter) -> None:
        """Leave the queue, or hand on the turn that has come at the same moment."""
        if waiter.waits:
            self._queue.remove(waiter)
            self._told(0, -1)
        elif waiter.passed:
            self._leave()

    def _leave(self) -> None:
        """Let the next one through."""
        if self._queue:
            self._told(0, -1)
            self._queue.next().tell()
        else:
            self._asked -= 1
            self._told(-1, 0)

    def _make_room(self, waiter: _Waiter) -> None:
        """Give somebody a place in a full queue at the cost of the twin that fills it. Raises ProviderBusy."""
        if len(self._queue) < self._most_waiting:
            return
        if not self._queue:
            raise self._busy()
        last = self._queue.last_of_longest()
        if self._queue.of(last.twin) <= self._queue.of(waiter.twin) + 1:
            raise self._busy()
        self._queue.remove(last)
        self._told(0, -1)
        last.tell(self._busy())

    def _busy(self) -> ProviderBusy:
        return ProviderBusy(details={"provider": self._provider}, retry_after_s=_COME_BACK_S)
