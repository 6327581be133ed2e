"""Asking again: when, how soon, and when not; what a circuit hears; cancelling while nothing comes."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.faults.stage import eventually
from tests.providers.requests import request
from twinspeak.domain.errors import ProviderBusy, ProviderFailed, ProviderUnavailable
from twinspeak.domain.events import ModelEvent, ModelStop, ModelText, ModelThinking, ModelUsage, StopReason
from twinspeak.domain.turn import ModelRequest
from twinspeak.providers import routing
from twinspeak.providers.gemini import GeminiDecoder
from twinspeak.providers.openai_chat import OpenAIChatDecoder
from twinspeak.providers.openai_responses import ResponsesDecoder
from twinspeak.providers.refusals import Refusal, failure_of
from twinspeak.providers.routing import Policy, Routed

END = ModelStop(StopReason.END)
HELLO: list[Any] = [[ModelText("Hello")], [END]]


def refusal(status: int, *, wait: float | None = None, code: str = "") -> ProviderFailed:
    return failure_of("openai", Refusal(status, code=code, retry_after_s=wait))


def lost() -> ProviderFailed:
    failure = ProviderFailed(details={"provider": "openai"})
    failure.__cause__ = aiohttp.ServerDisconnectedError()
    return failure


class Wire:
    """A provider that plays a script per attempt: batches are yielded, an exception raised, an Event waited for."""

    def __init__(self, *scripts: list[Any]) -> None:
        self.scripts = list(scripts)
        self.asked = 0
        self.reached = asyncio.Event()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent]]:
        script = self.scripts[min(self.asked, len(self.scripts) - 1)]
        self.asked += 1
        for step in script:
            if isinstance(step, BaseException):
                raise step
            if isinstance(step, asyncio.Event):
                self.reached.set()
                await step.wait()
            else:
                yield step


class Told:
    def __init__(self) -> None:
        self.load = {"asked": 0, "waiting": 0}
        self.again = 0
        self.open = 0

    def provider_load(self, provider: str, *, asked: int, waiting: int) -> None:
        self.load["asked"] += asked
        self.load["waiting"] += waiting

    def provider_asked_again(self, provider: str) -> None:
        self.again += 1

    def provider_circuit(self, provider: str, *, opened: bool) -> None:
        self.open += 1 if opened else -1


class Bed:
    """A routed wire and what it tells."""

    def __init__(self, wire: Wire, **policy: Any) -> None:
        self.wire = wire
        self.told = Told()
        self.routed = Routed(
            "openai", wire, msgspec.structs.replace(Policy(first_wait_s=0.001, failures=0), **policy), self.told
        )

    async def collect(self, **fields: Any) -> list[ModelEvent]:
        return [event async for batch in self.routed.stream(request(**fields)) for event in batch]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was waited for, instead of waiting."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(routing.asyncio, "sleep", sleep)
    return found


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
async def test_what_may_pass_is_asked_again(status: int):
    bed = Bed(Wire([refusal(status)], [lost()], HELLO))
    assert await bed.collect() == [ModelText("Hello"), END]
    assert (bed.wire.asked, bed.told.again) == (3, 2)


OVERLOADED = {
    "chat": (OpenAIChatDecoder(), b'data: {"error": {"message": "x", "type": "server_error", "code": null}}\n\n'),
    "chat, numbered": (OpenAIChatDecoder(), b'data: {"error": {"message": "x", "code": 502}}\n\n'),
    "deepseek": (
        OpenAIChatDecoder(),
        b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "insufficient_system_resource"}]}\n\n',
    ),
    "responses": (
        ResponsesDecoder(),
        b'data: {"type": "response.created"}\n\ndata: {"type": "error", "code": "server_error", "message": "x"}\n\n',
    ),
    "responses, failed": (
        ResponsesDecoder(),
        b'data: {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "x"}}}\n\n',
    ),
    "gemini": (GeminiDecoder(), b'data: {"error": {"code": 503, "status": "UNAVAILABLE", "message": "x"}}\n\n'),
}


@pytest.mark.parametrize("name", OVERLOADED)
async def test_a_stream_that_begins_with_an_error_that_may_pass_is_asked_for_again(name: str):
    decoder, body = OVERLOADED[name]
    assert decoder.feed(body) == []
    with pytest.raises(ProviderFailed) as raised:
        decoder.close()
    assert await Bed(Wire([raised.value], HELLO)).collect() == [ModelText("Hello"), END]


async def test_attempts_are_bounded():
    bed = Bed(Wire([refusal(503)]), attempts=4)
    with pytest.raises(ProviderFailed):
        await bed.collect()
    assert bed.wire.asked == 4


@pytest.mark.parametrize("failure", [refusal(401), refusal(400), refusal(0), refusal(429, code="insufficient_quota")])
async def test_what_will_not_pass_is_told_at_once(failure: ProviderFailed):
    bed = Bed(Wire([failure]))
    with pytest.raises(ProviderFailed):
        await bed.collect()
    assert bed.wire.asked == 1


@pytest.mark.parametrize("seen", [ModelText("H"), ModelThinking("Hm"), END])
async def test_never_after_something_came(seen: ModelEvent):
    bed = Bed(Wire([[seen], refusal(503)]))
    with pytest.raises(ProviderFailed):
        await bed.collect()
    assert bed.wire.asked == 1


async def test_counts_alone_are_nothing_that_anybody_saw():
    bed = Bed(Wire([[ModelUsage(9, 0, 0)], refusal(529)], HELLO))
    assert (await bed.collect())[-2:] == [ModelText("Hello"), END]


async def test_a_wait_that_was_asked_for_is_kept(waits: list[float]):
    bed = Bed(Wire([refusal(429, wait=3)], [refusal(529, wait=0.5)], HELLO))
    await bed.collect()
    assert 3 <= waits[0] <= 3.3
    assert 0.5 <= waits[1] < 0.6


async def test_a_wait_beyond_the_budget_is_passed_on(waits: list[float]):
    bed = Bed(Wire([refusal(429, wait=1)], [refusal(429, wait=30)]), budget_s=20)
    with pytest.raises(ProviderFailed) as raised:
        await bed.collect()
    assert raised.value.retry_after_s == 30
    assert (bed.wire.asked, len(waits)) == (2, 1)


def test_waits_of_those_who_failed_together_are_spread_over_a_bound_that_doubles():
    policy = Policy(first_wait_s=1, longest_wait_s=3)
    for attempt, bound in ((1, 1), (2, 2), (3, 3), (30, 3)):
        found = [policy.wait_s(attempt, None) for _ in range(300)]
        assert 0 <= min(found) < bound / 10
        assert bound * 0.9 < max(found) <= bound


async def test_a_cancel_ends_a_wait_and_gives_the_place_back():
    bed = Bed(Wire([refusal(503)]), first_wait_s=600, longest_wait_s=600, budget_s=600)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bed.collect())
        await eventually(lambda: bed.told.again)
        assert bed.told.load["asked"] == 0
        task.cancel()


async def test_a_cancel_in_the_queue_ends_it():
    bed = Bed(Wire([asyncio.Event()]), at_once=1)
    async with asyncio.TaskGroup() as group:
        first, second = (group.create_task(bed.collect()) for _ in range(2))
        await eventually(lambda: bed.told.load["waiting"])
        second.cancel()
        await asyncio.wait({second})
        assert bed.told.load == {"asked": 1, "waiting": 0}
        first.cancel()
    assert (bed.wire.asked, bed.told.load["asked"]) == (1, 0)


async def test_one_twins_burst_does_not_keep_another_one_waiting():
    gate = asyncio.Event()
    bed = Bed(Wire([gate, *HELLO]), at_once=1)
    order: list[str] = []

    async def ask(twin: str) -> None:
        await bed.collect(twin_id=twin, user_id="u")
        order.append(twin)

    async with asyncio.TaskGroup() as group:
        for twin in ("burst",) * 6 + ("small",):
            group.create_task(ask(twin))
            await asyncio.sleep(0)
        gate.set()
    assert order.index("small") <= 2


async def test_a_full_queue_is_told_with_a_wait():
    bed = Bed(Wire([asyncio.Event()]), at_once=1, waiting=0)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bed.collect())
        await bed.wire.reached.wait()
        with pytest.raises(ProviderBusy) as raised:
            await bed.collect()
        assert raised.value.retry_after_s
        task.cancel()


class TestTheCircuit:
    @pytest.mark.parametrize("failure", [refusal(500), refusal(529), refusal(0), lost()])
    async def test_opens_for_an_endpoint_that_fails(self, failure: ProviderFailed):
        bed = Bed(Wire([failure]), failures=2, attempts=1)
        for _ in range(2):
            with pytest.raises(ProviderFailed):
                await bed.collect()
        with pytest.raises(ProviderUnavailable):
            await bed.collect()
        assert (bed.wire.asked, bed.told.open, bed.told.load["asked"]) == (2, 1, 0)

    @pytest.mark.parametrize("failure", [refusal(400), refusal(401), refusal(429)])
    async def test_does_not_for_one_that_refuses(self, failure: ProviderFailed):
        bed = Bed(Wire([failure]), failures=2, attempts=1)
        for _ in range(5):
            with pytest.raises(ProviderFailed):
                await bed.collect()
        assert bed.told.open == 0

    async def test_opens_for_streams_that_break_every_time(self):
        bed = Bed(Wire([[ModelText("Half")], lost()]), failures=2)
        for _ in range(2):
            with pytest.raises(ProviderFailed):
                await bed.collect()
        assert bed.told.open == 1

    @pytest.mark.parametrize(("stall_s", "opened"), [(0.0, 1), (90.0, 0)])
    async def test_opens_for_silence_but_not_for_a_cancel(self, stall_s: float, opened: int):
        bed = Bed(Wire([asyncio.Event()]), failures=1, stall_s=stall_s)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(bed.collect())
            await bed.wire.reached.wait()
            task.cancel()
        assert bed.told.open == opened

    async def test_closes_with_the_first_word_of_a_trial(self):
        gate = asyncio.Event()
        bed = Bed(Wire([refusal(500)], [[ModelText("H")], gate, [END]]), failures=1, attempts=1, open_s=0.001)
        with pytest.raises(ProviderFailed):
            await bed.collect()
        await asyncio.sleep(0.01)
        async with asyncio.TaskGroup() as group:
            group.create_task(bed.collect())
            await bed.wire.reached.wait()
            assert bed.told.open == 0
            group.create_task(bed.collect())
            await eventually(lambda: bed.wire.asked == 3)
            gate.set()
