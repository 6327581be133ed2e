"""The queue before a provider: who is next, who is sent away, and that no place is ever lost."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.stage import eventually
from twinspeak.domain.errors import ProviderBusy
from twinspeak.providers.gate import Gate


class Street:
    """A gate with its numbers, and people who pass it."""

    def __init__(self, *, at_once: int = 1, waiting: int = 100, patience_s: float = 30) -> None:
        self.load = {"asked": 0, "waiting": 0}
        self.gate = Gate("openai", at_once=at_once, waiting=waiting, patience_s=patience_s, told=self._told)
        self.passed: list[str] = []
        self.leave = asyncio.Event()

    def _told(self, asked: int, waiting: int) -> None:
        self.load["asked"] += asked
        self.load["waiting"] += waiting

    async def walk(self, name: str) -> None:
        """Pass as `twin.user`, and stay until everybody may leave."""
        twin, _, user = name.partition(".")
        async with self.gate.passed(twin, user):
            self.passed.append(name)
            await self.leave.wait()

    @asynccontextmanager
    async def crowd(self, names: list[str]) -> AsyncGenerator[list[asyncio.Task[None]]]:
        """Have people come in this order; whoever is left when the block ends goes home."""
        async with asyncio.TaskGroup() as group:
            tasks: list[asyncio.Task[None]] = []
            for name in names:
                tasks.append(group.create_task(self.walk(name)))
                await asyncio.sleep(0)
            yield tasks
            for task in tasks:
                task.cancel()


@pytest.mark.parametrize(
    ("arrivals", "order"),
    [
        ("a.1 a.1 a.1 b.1 b.1", "a.1 b.1 a.1 b.1 a.1"),
        ("a.1 a.1 a.1 a.1 b.1 c.1", "a.1 b.1 c.1 a.1 a.1 a.1"),
        ("a.1 a.1 a.1 a.2 a.3", "a.1 a.2 a.3 a.1 a.1"),
        ("a.1 a.2 a.3 b.1 b.1", "a.1 b.1 a.2 b.1 a.3"),
    ],
)
async def test_twins_take_turns_and_so_do_their_people(arrivals: str, order: str):
    street = Street()
    async with street.crowd(["first.1", *arrivals.split()]):
        street.leave.set()
        await eventually(lambda: not any(street.load.values()))
        assert street.passed == ["first.1", *order.split()]


async def test_who_comes_later_does_not_overtake():
    street = Street(at_once=2)
    async with street.crowd(["a.1", "a.1", "a.1"]) as tasks:
        tasks[0].cancel()
        await asyncio.wait({tasks[0]})
        assert street.load == {"asked": 2, "waiting": 0}


async def test_a_full_queue_makes_room_for_a_small_twin_and_sends_the_last_of_the_burst_away():
    street = Street(waiting=3)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(street.walk("a.1")) for _ in range(3)]
        unlucky = group.create_task(_sent_away(street, "a.1"))
        await asyncio.sleep(0)
        small = group.create_task(street.walk("b.1"))
        assert (await asyncio.wait_for(unlucky, 5)).retry_after_s == 5
        street.leave.set()
        await asyncio.wait_for(asyncio.wait({small, *tasks}), 5)
    assert street.passed == ["a.1", "a.1", "b.1", "a.1"]
    assert street.load == {"asked": 0, "waiting": 0}


@pytest.mark.parametrize("waiting", [0, 2])
async def test_a_twin_that_fills_the_queue_itself_is_sent_away(waiting: int):
    street = Street(waiting=waiting)
    async with street.crowd(["a.1"] * (waiting + 1)):
        busy = await asyncio.wait_for(_sent_away(street, "a.2"), 5)
        assert busy.details == {"provider": "openai"}
        assert street.load == {"asked": 1, "waiting": waiting}


async def test_patience_ends():
    street = Street(patience_s=0.02)
    async with street.crowd(["a.1"]):
        await asyncio.wait_for(_sent_away(street, "b.1"), 5)
        assert street.load == {"asked": 1, "waiting": 0}


async def _sent_away(street: Street, name: str) -> ProviderBusy:
    with pytest.raises(ProviderBusy) as raised:
        await street.walk(name)
    return raised.value


@given(st.lists(st.tuples(st.sampled_from(["come a.1", "come a.2", "come b.1", "go"]), st.integers(0, 9)), max_size=40))
def test_whoever_comes_and_goes_no_place_is_lost(steps: list[tuple[str, int]]):
    asyncio.run(_play(steps))


async def _play(steps: list[tuple[str, int]]) -> None:
    street = Street(at_once=2, waiting=4)
    tasks: list[asyncio.Task[None]] = []
    for step, number in steps:
        if step == "go" and tasks:
            tasks[number % len(tasks)].cancel()
        elif step != "go":
            tasks.append(asyncio.get_running_loop().create_task(street.walk(step.removeprefix("come "))))
        if number % 2:
            await asyncio.sleep(0)
        assert street.load["asked"] <= 2
        assert street.load["waiting"] <= 4
    street.leave.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert street.load == {"asked": 0, "waiting": 0}
    await asyncio.wait_for(asyncio.gather(street.walk("c.1"), street.walk("c.2")), 5)
