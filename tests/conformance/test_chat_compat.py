"""The institution switch `chatCompletionOpenAICompat`: the real thing for clients that need it (contract 4.4)."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio

from tests.conformance.chat_readers import CHAT_READERS, Call, ChatReader, whole
from tests.conformance.node import Judge
from tests.conformance.scripts import EMOJI, LINE_ENDS, PLAIN
from tests.conformance.stage import Stage
from tests.fakes.upstream import CUT, Reply, text_reply, text_steps

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

USAGE = {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}
CLIENTS = ("python", "node")


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _compatible(stage: Stage) -> AsyncGenerator[None]:
    await stage.set_twin(chat_completion_openai_compat=True)
    yield
    await stage.set_twin(chat_completion_openai_compat=False)


@pytest.fixture(params=CHAT_READERS)
def reader(request: pytest.FixtureRequest) -> ChatReader:
    return CHAT_READERS[request.param]


def counted(usage: dict[str, Any] | None) -> dict[str, int]:
    assert usage
    return {name: usage[name] for name in USAGE}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("text", [PLAIN, EMOJI, LINE_ENDS])
async def test_a_whole_reply(client: str, text: str, stage: Stage, judge: Judge):
    stage.upstream.script(text_reply(text))
    chat = await whole(client, stage, judge, Call())
    assert chat.failed is None
    assert chat.whole
    assert chat.whole["object"] == "chat.completion"
    assert chat.whole["model"] == "twinspeak"
    choice = chat.whole["choices"][0]
    assert choice["message"]["role"] == "assistant"
    assert (choice["message"]["content"], choice["finish_reason"]) == (text, "stop")
    assert counted(chat.whole["usage"]) == USAGE


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_whole_reply_that_was_cut_says_length(client: str, stage: Stage, judge: Judge):
    stage.upstream.script(text_reply(PLAIN, finish="length"))
    chat = await whole(client, stage, judge, Call())
    assert chat.whole
    assert chat.whole["choices"][0]["finish_reason"] == "length"


async def test_usage_comes_in_a_chunk_of_its_own(reader: ChatReader, stage: Stage, judge: Judge):
    stage.upstream.script(text_reply(PLAIN))
    chat = await reader(stage, judge, Call({"stream_options": {"include_usage": True}}))
    assert chat.failed is None
    assert chat.text == PLAIN
    *chunks, last = chat.chunks
    assert last["choices"] == []
    assert counted(last["usage"]) == USAGE
    assert all(chunk["choices"] and chunk["usage"] is None for chunk in chunks)
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    if chat.whole:
        assert counted(chat.whole["usage"]) == USAGE


async def test_no_usage_comes_unasked(reader: ChatReader, stage: Stage, judge: Judge):
    stage.upstream.script(text_reply(PLAIN))
    chat = await reader(stage, judge, Call())
    assert chat.text == PLAIN
    assert all(chunk.get("usage") is None and chunk["choices"] for chunk in chat.chunks)


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
async def test_sampling_reaches_the_model(limit: str, reader: ChatReader, stage: Stage, judge: Judge):
    stage.upstream.script(text_reply(PLAIN))
    chat = await reader(stage, judge, Call({limit: 17, "temperature": 0.25, "stop": ["END", "\n\n"]}))
    assert chat.text == PLAIN
    sent = stage.upstream.exchanges[-1].json
    assert (sent["temperature"], sent["stop"]) == (0.25, ["END", "\n\n"])
    assert 17 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))


async def test_one_stop_may_be_a_text(stage: Stage, judge: Judge):
    stage.upstream.script(text_reply(PLAIN))
    await whole("python", stage, judge, Call({"stop": "END"}))
    assert stage.upstream.exchanges[-1].json["stop"] == ["END"]


@pytest.mark.parametrize("client", CLIENTS)
async def test_the_built_in_model_obeys_the_limit(client: str, stage: Stage, judge: Judge):
    await stage.set_twin(conversation_model="local", rag_ignore=False)
    try:
        chat = await whole(client, stage, judge, Call({"max_completion_tokens": 5}))
    finally:
        await stage.set_twin(conversation_model="", rag_ignore=True)
    assert chat.whole
    assert chat.whole["choices"][0]["finish_reason"] == "length"
    assert 0 < chat.whole["usage"]["completion_tokens"] <= 5


async def test_the_built_in_model_obeys_a_stop(stage: Stage, judge: Judge):
    await stage.set_twin(conversation_model="local", rag_ignore=False)
    try:
        free = await whole("python", stage, judge, Call())
        assert free.whole
        text: str = free.whole["choices"][0]["message"]["content"]
        stop = text.split()[3]
        chat = await whole("python", stage, judge, Call({"stop": [stop]}))
    finally:
        await stage.set_twin(conversation_model="", rag_ignore=True)
    assert chat.whole
    assert chat.whole["choices"][0]["message"]["content"] == text.partition(stop)[0]


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_whole_reply_that_fails_is_the_clients_own_error(client: str, stage: Stage, judge: Judge):
    stage.upstream.script(Reply([*text_steps(PLAIN), CUT]))
    chat = await whole(client, stage, judge, Call())
    assert chat.failed
    assert (chat.failed.kind, chat.failed.status, chat.failed.code) == ("InternalServerError", 502, "provider_failed")
