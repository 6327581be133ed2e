"""Every vendor's provider over a real socket: faults, retries, and above all that a cancelled turn closes its upstream.

Chat completions have the same tests, and more, in test_provider_stream.py.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fakes import anthropic, bedrock
from tests.fakes.speakers import KEY, SPEAKERS, Speaker
from tests.fakes.upstream import STALL, Exchange, Reply, Step, Upstream
from tests.providers.requests import SEARCH, request
from twinspeak.app.models import keys_of
from twinspeak.domain.errors import ProviderFailed
from twinspeak.domain.events import ModelEvent, ModelStop, ModelText, ModelThinking, ModelToolDelta, StopReason
from twinspeak.domain.turn import ModelRequest
from twinspeak.egress.client import TrustedClient
from twinspeak.engine.ports import ModelProvider
from twinspeak.providers.directory import Directory
from twinspeak.providers.routing import Policy, Routing
from twinspeak.providers.vendors import configured
from twinspeak.settings import Settings

FAST = Routing(Policy(first_wait_s=0.001, failures=0))


class Stage:
    """A vendor's fake, and our provider that is pointed at it."""

    def __init__(self, speaker: Speaker, upstream: Upstream, directory: Directory) -> None:
        self.speaker = speaker
        self.upstream = upstream
        self.directory = directory
        self.provider: ModelProvider = directory.provider(speaker.name)

    def script(self, *steps: Step) -> None:
        self.upstream.script(Reply(list(steps), headers=self.speaker.text_reply("").headers))

    def asked(self, **fields: Any) -> ModelRequest:
        return request(self.directory.spec(self.speaker.model), **fields)

    async def collect(self, asked: ModelRequest | None = None) -> list[ModelEvent]:
        return [event async for batch in self.provider.stream(asked or self.asked()) for event in batch]

    async def failing(self) -> tuple[str, ProviderFailed]:
        """The text that came before the failure, and the failure."""
        events: list[ModelEvent] = []

        async def read() -> None:
            async for batch in self.provider.stream(self.asked()):
                events.extend(batch)

        with pytest.raises(ProviderFailed) as failed:
            await read()
        assert KEY not in repr(failed.value) + failed.value.message + repr(failed.value.details)
        return text_in(events), failed.value


def text_in(events: list[ModelEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, ModelText))


@pytest.fixture(params=SPEAKERS, ids=lambda speaker: speaker.name)
async def stage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    speaker: Speaker = request.param
    for name, value in speaker.environment.items():
        monkeypatch.setenv(name, value)
    client = TrustedClient.open(connect_s=2)
    async with speaker.upstream() as upstream:
        settings = Settings.model_validate(speaker.settings(upstream))
        yield Stage(speaker, upstream, Directory(configured(client, keys_of(settings)), routing=FAST))
    await client.close()


async def test_an_answer_comes_whole(stage: Stage):
    stage.upstream.script(stage.speaker.text_reply("Grüße, 世界 👋!"))
    events = await stage.collect()
    assert text_in(events) == "Grüße, 世界 👋!"
    assert events[-1] == ModelStop(StopReason.END)
    exchange = await stage.upstream.exchange()
    assert exchange.headers["accept-encoding"] == "identity"
    stage.speaker.check(exchange)


async def test_tool_calls_come_with_their_arguments(stage: Stage):
    stage.upstream.script(stage.speaker.tool_reply("Hm.", "Look.", "search_uploads", {"query": "größe"}))
    events = await stage.collect(stage.asked(tools=(SEARCH,)))
    deltas = [event for event in events if isinstance(event, ModelToolDelta)]
    assert [delta.name for delta in deltas if delta.name] == ["search_uploads"]
    assert "gr\\u00f6" in "".join(delta.arguments for delta in deltas)
    assert "".join(event.text for event in events if isinstance(event, ModelThinking)) == "Hm."
    assert events[-1] == ModelStop(StopReason.TOOLS)
    stage.speaker.check(await stage.upstream.exchange())


async def test_a_connection_is_used_again_after_a_whole_answer(stage: Stage):
    await stage.collect()
    first = await stage.upstream.exchange()
    await stage.collect()
    await stage.upstream.exchange()
    assert not first.closed.is_set()


class TestTheUpstreamIsClosed:
    async def _cancelled(self, stage: Stage, *steps: Step) -> Exchange:
        stage.script(*steps)
        first = asyncio.Event()

        async def read() -> None:
            async for _ in stage.provider.stream(stage.asked()):
                first.set()

        async with asyncio.TaskGroup() as group:
            task = group.create_task(read())
            exchange = await stage.upstream.exchange()
            if len(steps) > 1:
                await asyncio.wait_for(first.wait(), 5)
            task.cancel()
        return exchange

    async def test_when_its_task_is_cancelled_in_the_stream(self, stage: Stage):
        exchange = await self._cancelled(stage, *stage.speaker.half("Half an answer"), STALL)
        assert await exchange.hung_up(within=2)

    async def test_when_its_task_is_cancelled_before_the_first_token(self, stage: Stage):
        exchange = await self._cancelled(stage, STALL)
        assert await exchange.hung_up(within=2)

    async def test_when_the_stream_is_closed(self, stage: Stage):
        stage.script(*stage.speaker.half("Half"), STALL)
        stream = stage.provider.stream(stage.asked())
        await anext(stream)
        exchange = await stage.upstream.exchange()
        await stream.aclose()
        assert await exchange.hung_up(within=2)

    async def test_when_the_answer_never_ends_after_its_end(self, stage: Stage):
        stage.script(*stage.speaker.half("All"), *stage.speaker.ending(), STALL)
        assert text_in(await asyncio.wait_for(stage.collect(), 5)) == "All"
        assert await (await stage.upstream.exchange()).hung_up(within=2)


async def test_faults_after_the_first_byte_keep_the_text_and_are_told_once(stage: Stage):
    for fault in stage.speaker.faults.values():
        stage.script(*stage.speaker.half("Half an answer"), *fault)
        text, failure = await stage.failing()
        assert text == "Half an answer"
        assert failure.details["provider"] == stage.speaker.name
        exchange = await stage.upstream.exchange()
        assert STALL not in fault or await exchange.hung_up(within=2)
    assert len(stage.upstream.exchanges) == len(stage.speaker.faults)


@pytest.mark.parametrize("status", [429, 500, 503, 529])
async def test_what_may_pass_is_asked_again(stage: Stage, status: int):
    stage.upstream.script(stage.speaker.refused(status, {"Retry-After": "0"}), stage.speaker.refused(status, {}))
    stage.upstream.script(stage.speaker.text_reply("There."))
    assert text_in(await stage.collect()) == "There."
    assert len(stage.upstream.exchanges) == 3
    for exchange in stage.upstream.exchanges:
        stage.speaker.check(exchange)


OVERLOADED: dict[str, list[Step]] = {
    "anthropic": [anthropic.start(), anthropic.PING, anthropic.error("overloaded_error"), STALL],
    "bedrock": [bedrock.start(), bedrock.exception("throttlingException"), STALL],
}


async def test_a_stream_that_begins_with_overloaded_is_asked_for_again(stage: Stage):
    stage.script(*OVERLOADED[stage.speaker.name])
    stage.upstream.script(stage.speaker.text_reply("There."))
    assert text_in(await stage.collect()) == "There."
    first, _ = stage.upstream.exchanges
    assert await first.hung_up(within=2)


@pytest.mark.parametrize(("status", "words"), [(401, "key"), (403, "key"), (404, "model"), (400, "not accept")])
async def test_what_will_not_pass_is_told_at_once(stage: Stage, status: int, words: str):
    stage.upstream.script(stage.speaker.refused(status, {}))
    _, failure = await stage.failing()
    assert words in failure.message
    assert failure.details == {"provider": stage.speaker.name, "status": status}
    assert len(stage.upstream.exchanges) == 1


async def test_a_long_wait_is_passed_on(stage: Stage):
    stage.upstream.script(stage.speaker.refused(429, {"Retry-After": "20"}))
    _, failure = await stage.failing()
    assert failure.retry_after_s == 20
    assert len(stage.upstream.exchanges) == 1
