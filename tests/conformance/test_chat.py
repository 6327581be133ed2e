"""Every stream of the OpenAI-compatible face, read by OpenAI's own clients (contract 4.4)."""

import asyncio
from typing import Any

import openai
import pytest

from tests.conformance.chat_readers import CHAT_READERS, Call, Chat, ChatReader, Chunk
from tests.conformance.node import Judge
from tests.conformance.scripts import PLAIN, SCRIPTS, SEARCH, gated
from tests.conformance.stage import Stage
from tests.fakes.upstream import MODEL, text_reply, tool_reply

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]


@pytest.fixture(params=CHAT_READERS)
def reader(request: pytest.FixtureRequest) -> ChatReader:
    return CHAT_READERS[request.param]


@pytest.mark.parametrize("name", [name for name in SCRIPTS if "mode" not in name])
async def test_a_stream_is_read(name: str, reader: ChatReader, stage: Stage, judge: Judge):
    script = SCRIPTS[name]
    stage.upstream.script(*script.replies())
    chat = await reader(stage, judge, Call())
    assert_chunks(chat)
    if not script.text:
        assert chat.text == script.spoken
        assert_broke(chat)
    elif name == "tools":
        first, _, rest = script.text.partition("\n\n")
        assert chat.text.startswith(first)
        assert chat.text.endswith(rest)
        assert_finished(chat, "stop")
    else:
        assert chat.text == script.text
        assert_finished(chat, "stop")


async def test_a_tool_is_told_in_words(reader: ChatReader, stage: Stage, judge: Judge):
    stage.upstream.script(tool_reply(SEARCH), text_reply(PLAIN))
    chat = await reader(stage, judge, Call())
    acknowledged = chat.text.removesuffix(PLAIN)
    assert acknowledged.strip()
    assert acknowledged.endswith("\n\n")
    assert all("tool_calls" not in delta for delta in chat.deltas)


async def test_an_answer_that_is_cut_says_length(reader: ChatReader, stage: Stage, judge: Judge):
    stage.upstream.script(text_reply(PLAIN, finish="length"))
    chat = await reader(stage, judge, Call())
    assert chat.text == PLAIN
    assert chat.finish_reasons == ["length"]
    # OpenAI's helper for Python raises this for a cut answer of OpenAI's own too.
    assert chat.failed is None or chat.failed.kind == "LengthFinishReasonError"


async def test_a_cancelled_answer_ends_well(reader: ChatReader, stage: Stage, judge: Judge):
    stage.upstream.script(gated(PLAIN, asyncio.Event()))
    said: list[str] = []
    cancelling: list[asyncio.Task[Any]] = []

    def cancel(chunk: Chunk) -> None:
        said.append(chunk["choices"][0]["delta"].get("content") or "")
        if "".join(said) == PLAIN and not cancelling:
            cancelling.append(asyncio.create_task(cancel_running(stage)))

    chat = await reader(stage, judge, Call(), cancel)
    await asyncio.gather(*cancelling)
    assert chat.text == PLAIN
    assert_chunks(chat)
    assert_finished(chat, "stop")


async def test_silence_is_filled_with_empty_content(reader: ChatReader, beating: Stage, judge: Judge):
    enough = asyncio.Event()
    beating.upstream.script(gated(PLAIN, enough))
    said: list[str] = []

    def listen(chunk: Chunk) -> None:
        content = chunk["choices"][0]["delta"].get("content")
        said.append(content or "")
        if content == "" and "".join(said) == PLAIN:
            enough.set()

    chat = await reader(beating, judge, Call(), listen)
    assert chat.text == PLAIN
    assert_chunks(chat)
    assert_finished(chat, "stop")


async def test_what_openai_clients_send_is_tolerated(reader: ChatReader, stage: Stage, judge: Judge):
    stage.upstream.script(text_reply(PLAIN))
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": "Be briefer."},
        {"role": "user", "content": "Before?"},
        {"role": "assistant", "content": "Said before.", "refusal": None},
        {"role": "user", "content": [{"type": "text", "text": "And"}, {"type": "text", "text": "now?"}]},
    ]
    params = {
        "messages": messages,
        "model": "gpt-4o",
        "temperature": 0.3,
        "top_p": 0.5,
        "n": 1,
        "max_tokens": 5,
        "stop": ["Answers"],
        "seed": 7,
        "user": "somebody",
        "logit_bias": {"1": 2},
        "stream_options": {"include_usage": True},
        "metadata": {"a": "b"},
    }
    chat = await reader(stage, judge, Call(params))
    assert chat.text == PLAIN
    assert {chunk["model"] for chunk in chat.chunks} == {"gpt-4o"}
    assert all(chunk["choices"] for chunk in chat.chunks), "usage is for twins that honour it"
    sent = stage.upstream.exchanges[-1].json
    assert sent.keys().isdisjoint({"temperature", "stop", "seed", "n"})
    assert [message["content"] for message in sent["messages"] if message["role"] != "system"] == [
        "Before?",
        "Said before.",
        "And\n\nnow?",
    ]


@pytest.mark.parametrize("client", ["python", "node"])
async def test_models_are_listed(client: str, stage: Stage, judge: Judge):
    if client == "node":
        listed = (await judge.ask("models", base=stage.base, key=stage.token))["listed"]
    else:
        async with openai.AsyncOpenAI(
            base_url=stage.base, api_key=stage.token, _strict_response_validation=True
        ) as opened:
            listed = [model.to_dict() async for model in opened.models.list()]
    assert "local" in {model["id"] for model in listed}
    assert [model["id"] for model in listed if model["default"]] == [MODEL]


async def test_passages_alone_are_an_answer(reader: ChatReader, stage: Stage, judge: Judge):
    await stage.set_twin(rag_only=True, rag_ignore=False)
    try:
        chat = await reader(
            stage, judge, Call({"messages": [{"role": "user", "content": "How are answers streamed?"}]})
        )
    finally:
        await stage.set_twin(rag_only=False, rag_ignore=True)
    assert_chunks(chat)
    assert_finished(chat, "stop")
    assert chat.text.lstrip().startswith("[1]")


async def cancel_running(stage: Stage) -> None:
    """Cancel the only running turn."""
    running = (await stage.get("/api/ai/turns"))["data"]
    assert len(running) == 1
    assert (await stage.post(f"/api/ai/turns/{running[0]['turnId']}/cancel", {}))["success"]


def assert_chunks(chat: Chat) -> None:
    """Each chunk has the same head; the first one gives the role, no other does."""
    first, *rest = chat.chunks
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "", "model": "twinspeak"}
    assert first["id"].startswith("chatcmpl-")
    heads = {(chunk["id"], chunk["object"], chunk["created"], chunk["model"]) for chunk in chat.chunks}
    assert heads == {(first["id"], "chat.completion.chunk", first["created"], "twinspeak")}
    assert all(set(choice) >= {"index", "delta", "finish_reason"} for chunk in rest for choice in chunk["choices"])
    assert all(not delta.get("role") and delta["model"] == "twinspeak" for delta in chat.deltas[1:])


def assert_finished(chat: Chat, reason: str) -> None:
    """One reason, in the last chunk, whose delta says nothing more; a helper's completion says what its chunks said."""
    assert chat.failed is None
    assert chat.finish_reasons == [reason]
    assert chat.chunks[-1]["choices"][0]["finish_reason"] == reason
    assert not chat.deltas[-1].get("content")
    if chat.whole:
        choice = chat.whole["choices"][0]
        assert (choice["message"]["content"], choice["finish_reason"]) == (chat.text, reason)


def assert_broke(chat: Chat) -> None:
    """A failure in mid-stream is the client's own APIError, without a status: the reply's was 200."""
    assert chat.failed
    assert (chat.failed.kind, chat.failed.code, chat.failed.type) == ("APIError", "provider_failed", "api_error")
    assert chat.failed.message
    assert chat.finish_reasons == []
