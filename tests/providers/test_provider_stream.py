"""The provider over a real socket: faults, retries, and above all that a cancelled turn closes its upstream."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

import pytest

from tests.fakes.upstream import (
    CUT,
    DONE,
    STALL,
    Exchange,
    Reply,
    Step,
    Upstream,
    chunk,
    ending,
    error_reply,
    frame,
    raw_reply,
    text_reply,
    text_steps,
    tool_reply,
)
from tests.laws import decode
from tests.providers.requests import SEARCH, request
from twinspeak.domain.errors import ProviderFailed
from twinspeak.domain.events import (
    ModelEvent,
    ModelStop,
    ModelText,
    ModelThinking,
    ModelToolDelta,
    ModelUsage,
    StopReason,
)
from twinspeak.domain.turn import ModelRequest
from twinspeak.egress.client import TrustedClient
from twinspeak.engine.ports import ModelProvider
from twinspeak.providers.access import Access, headers
from twinspeak.providers.catalogue.openai import openai_quirks
from twinspeak.providers.http import Endpoint
from twinspeak.providers.openai_chat import OpenAIChat
from twinspeak.providers.routing import Policy, Routed
from twinspeak.providers.vendors import OPENAI_SITE

KEY = "sk-test-1234567890"
FAST = Policy(first_wait_s=0.001, failures=0)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        yield server


@pytest.fixture
async def provider(upstream: Upstream) -> AsyncIterator[Routed]:
    client = TrustedClient.open(connect_s=2)
    yield _provider(client, upstream.base_url)
    await client.close()


def _provider(client: TrustedClient, base_url: str, policy: Policy = FAST) -> Routed:
    access = Access(api_key=KEY, base_url=base_url)
    key = {"Authorization": f"Bearer {KEY}"}
    endpoint = Endpoint("openai", access.url(OPENAI_SITE, "chat/completions"), headers() | key)
    chat = OpenAIChat(client, endpoint, lambda spec: openai_quirks(spec.wire_name, vendor=False))
    return Routed("openai", chat, policy)


async def collect(provider: ModelProvider, asked: ModelRequest | None = None) -> list[ModelEvent]:
    return [event async for batch in provider.stream(asked or request()) for event in batch]


def text_in(events: Iterable[ModelEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, ModelText))


async def failing(provider: ModelProvider) -> tuple[str, ProviderFailed]:
    """The text that came before the failure, and the failure."""
    events: list[ModelEvent] = []

    async def read() -> None:
        async for batch in provider.stream(request()):
            events.extend(batch)

    with pytest.raises(ProviderFailed) as failed:
        await read()
    assert KEY not in repr(failed.value) + failed.value.message + repr(failed.value.details)
    return text_in(events), failed.value


async def test_an_answer_comes_whole_and_the_key_goes_along(upstream: Upstream, provider: ModelProvider):
    upstream.script(text_reply("Grüße, 世界 👋!", size=3, thinking="Hmm, well."))
    events = await collect(provider)
    assert text_in(events) == "Grüße, 世界 👋!"
    assert "".join(event.text for event in events if isinstance(event, ModelThinking)) == "Hmm, well."
    assert events[-2:] == [ModelUsage(input=12, cached=0, completion=7), ModelStop(StopReason.END)]
    exchange = await upstream.exchange()
    assert exchange.path == "/v1/chat/completions"
    assert exchange.headers["authorization"] == f"Bearer {KEY}"
    assert exchange.headers["accept-encoding"] == "identity"
    assert exchange.json["stream_options"] == {"include_usage": True}


async def test_tool_calls_come_with_their_arguments(upstream: Upstream, provider: ModelProvider):
    upstream.script(tool_reply(("search_uploads", {"query": "fees"}), ("search_uploads", {"query": "größe"})))
    events = await collect(provider, request(tools=(SEARCH,)))
    deltas = [event for event in events if isinstance(event, ModelToolDelta)]
    for index, arguments in enumerate(['{"query": "fees"}', '{"query": "gr\\u00f6\\u00dfe"}']):
        assert "".join(delta.arguments for delta in deltas if delta.index == index) == arguments
    assert events[-1] == ModelStop(StopReason.TOOLS)


BODIES = {decode.name_of(path): path.read_bytes() for path in decode.own_recordings()}


@pytest.mark.parametrize("name", BODIES)
async def test_recordings_read_the_same_through_a_socket(upstream: Upstream, provider: ModelProvider, name: str):
    body = BODIES[name]
    upstream.script(raw_reply(body, size=97))
    events: list[ModelEvent] = []
    with contextlib.suppress(ProviderFailed):
        async for batch in provider.stream(request()):
            events += batch
    assert text_in(events) == decode.text_of(body)


async def test_a_body_without_chunks_is_read_to_its_end(upstream: Upstream, provider: ModelProvider):
    reply = text_reply("Until the end.")
    upstream.script(Reply(reply.steps, chunked=False))
    assert text_in(await collect(provider)) == "Until the end."


async def test_a_connection_is_used_again_after_a_whole_answer(upstream: Upstream, provider: ModelProvider):
    upstream.script(Reply([*text_steps("The end follows a little later."), *ending(), 0.01]))
    await collect(provider)
    first = await upstream.exchange()
    await collect(provider)
    await upstream.exchange()
    assert not first.closed.is_set()


async def test_text_is_there_as_soon_as_it_is_sent(upstream: Upstream, provider: ModelProvider):
    gate = asyncio.Event()
    upstream.script(Reply([*text_steps("First"), gate, chunk({"content": "second"}), *ending()]))
    stream = provider.stream(request())
    seen = ""
    while seen != "First":
        seen += text_in(await asyncio.wait_for(anext(stream), 5))
    gate.set()
    rest = [event async for batch in stream for event in batch]
    assert text_in(rest) == "second"


class TestTheUpstreamIsClosed:
    """Whatever ends the reading: cancel before the headers, in the stream, between batches; aclose; a forgotten one."""

    async def _reading(self, provider: ModelProvider, first: asyncio.Event) -> None:
        async for _ in provider.stream(request()):
            first.set()

    async def _cancelled(self, upstream: Upstream, provider: ModelProvider, steps: list[Step]) -> Exchange:
        upstream.script(Reply(steps))
        first = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._reading(provider, first))
            exchange = await upstream.exchange()
            if steps and isinstance(steps[0], bytes):
                await asyncio.wait_for(first.wait(), 5)
            task.cancel()
        return exchange

    async def test_when_its_task_is_cancelled_in_the_stream(self, upstream: Upstream, provider: ModelProvider):
        exchange = await self._cancelled(upstream, provider, [*text_steps("Half an answer"), STALL])
        assert await exchange.hung_up(within=2)

    async def test_when_its_task_is_cancelled_before_the_first_token(self, upstream: Upstream, provider: ModelProvider):
        exchange = await self._cancelled(upstream, provider, [STALL])
        assert await exchange.hung_up(within=2)

    async def test_when_its_task_is_cancelled_while_it_does_something_else(
        self, upstream: Upstream, provider: ModelProvider
    ):
        upstream.script(Reply([*text_steps("Half"), STALL]))
        busy = asyncio.Event()

        stream = provider.stream(request())  # held here, so that nothing but the task's end can close it

        async def read() -> None:
            async for _ in stream:
                busy.set()
                await asyncio.Event().wait()

        async with asyncio.TaskGroup() as group:
            task = group.create_task(read())
            exchange = await upstream.exchange()
            await asyncio.wait_for(busy.wait(), 5)
            task.cancel()
        assert await exchange.hung_up(within=2)
        await stream.aclose()

    async def test_when_the_stream_is_closed(self, upstream: Upstream, provider: ModelProvider):
        upstream.script(Reply([*text_steps("Half"), STALL]))
        stream = provider.stream(request())
        await anext(stream)
        exchange = await upstream.exchange()
        await stream.aclose()
        assert await exchange.hung_up(within=2)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    async def test_when_waiting_to_ask_again(self, upstream: Upstream):
        client = TrustedClient.open()
        slow = _provider(client, upstream.base_url, Policy(first_wait_s=600, longest_wait_s=600, budget_s=600))
        upstream.script(error_reply(503, "later"))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._reading(slow, asyncio.Event()))
            exchange = await upstream.exchange()
            await asyncio.wait_for(exchange.completed.wait(), 5)
            task.cancel()
        assert len(upstream.exchanges) == 1
        await client.close()

    async def test_when_the_answer_never_ends_after_done(self, upstream: Upstream, provider: ModelProvider):
        upstream.script(Reply([*text_steps("All"), chunk(finish="stop"), DONE, STALL]))
        assert text_in(await asyncio.wait_for(collect(provider), 5)) == "All"
        assert await (await upstream.exchange()).hung_up(within=2)


class TestFaultsAfterTheFirstByte:
    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param([CUT], id="reset"),
            pytest.param([], id="ends"),
            pytest.param([b"data: <html>\n\n", STALL], id="garbage"),
            pytest.param([frame({"error": {"message": "boom", "code": 500}}), STALL], id="error"),
            pytest.param([frame({"message": "boom"}, event="error"), STALL], id="error event"),
            pytest.param([chunk({"content": "x"})[:40]], id="half a chunk"),
        ],
    )
    async def test_the_text_is_kept_and_the_failure_told_once(
        self, upstream: Upstream, provider: ModelProvider, fault: list[Step]
    ):
        upstream.script(Reply([*text_steps("Half an answer"), *fault]))
        text, failure = await failing(provider)
        assert text == "Half an answer"
        assert failure.details["provider"] == "openai"
        exchange = await upstream.exchange()
        if STALL in fault:
            assert await exchange.hung_up(within=2)
        assert len(upstream.exchanges) == 1

    async def test_a_cut_after_the_finish_reason_takes_nothing(self, upstream: Upstream, provider: ModelProvider):
        upstream.script(Reply([*text_steps("All of it"), chunk(finish="length"), 0.05, CUT]))
        events = await collect(provider)
        assert text_in(events) == "All of it"
        assert events[-1] == ModelStop(StopReason.LENGTH)


class TestRefusals:
    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
    async def test_what_may_pass_is_asked_again(self, upstream: Upstream, provider: ModelProvider, status: int):
        upstream.script(error_reply(status, "wait", headers={"Retry-After": "0"}), Reply([b"<html>"], status))
        upstream.script(text_reply("There."))
        assert text_in(await collect(provider)) == "There."
        assert len(upstream.exchanges) == 3

    async def test_attempts_are_bounded(self, upstream: Upstream, provider: ModelProvider):
        upstream.default = lambda _: error_reply(503, "down")
        _, failure = await failing(provider)
        assert failure.details == {"provider": "openai", "status": 503}
        assert len(upstream.exchanges) == 3

    @pytest.mark.parametrize(
        ("reply", "words"),
        [
            (error_reply(401, f"Incorrect API key provided: {KEY}"), "key"),
            (error_reply(403, "no"), "key"),
            (error_reply(404, "no model", code="model_not_found"), "model"),
            (error_reply(400, "too long", code="context_length_exceeded"), "too long"),
            (error_reply(413, "too long"), "too long"),
            (error_reply(400, "bad"), "did not accept"),
            (error_reply(429, "empty", code="insufficient_quota"), "used up"),
            (error_reply(402, "pay"), "used up"),
            (error_reply(307, "there", headers={"Location": "http://127.0.0.1:1/"}), "did not accept"),
            (Reply([b"[1]"], 418), "did not accept"),
        ],
    )
    async def test_what_will_not_pass_is_told_at_once(
        self, upstream: Upstream, provider: ModelProvider, reply: Reply, words: str
    ):
        upstream.script(reply)
        _, failure = await failing(provider)
        assert words in failure.message
        assert failure.details == {"provider": "openai", "status": reply.status}
        assert len(upstream.exchanges) == 1

    async def test_a_long_wait_is_passed_on(self, upstream: Upstream, provider: ModelProvider):
        upstream.script(error_reply(429, "busy", headers={"Retry-After": "20"}))
        _, failure = await failing(provider)
        assert failure.retry_after_s == 20
        assert len(upstream.exchanges) == 1

    async def test_nobody_there(self, provider: ModelProvider, upstream: Upstream):
        client = TrustedClient.open(connect_s=1)
        async with Upstream() as gone:
            base_url = gone.base_url
        _, failure = await failing(_provider(client, base_url))
        assert failure.details == {"provider": "openai"}
        await client.close()

    async def test_a_connection_lost_before_the_headers_is_tried_again(
        self, upstream: Upstream, provider: ModelProvider
    ):
        await collect(provider)
        await upstream.drop_connections()
        upstream.script(text_reply("Again."))
        assert text_in(await collect(provider)) == "Again."


async def test_a_large_question_is_sent_whole(upstream: Upstream, provider: ModelProvider):
    await collect(provider, request(question="x" * 3_000_000))
    assert len((await upstream.exchange()).json["messages"][1]["content"]) == 3_000_000
