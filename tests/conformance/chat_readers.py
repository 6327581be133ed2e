"""OpenAI's own clients, each behind the same function: a stage, a judge, parameters in; chunks or an error out."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import openai

from tests.conformance.node import ANSWER_S, Judge
from tests.conformance.stage import QUESTION, Stage

Chunk = dict[str, Any]
Seen = Callable[[Chunk], None]


def ignore(_: Chunk) -> None:
    """See a chunk and do nothing."""


@dataclass
class Failed:
    """The client's own exception: the name of its class, and what it says."""

    kind: str
    message: str
    status: int | None = None
    code: str | None = None
    type: str | None = None
    param: str | None = None


@dataclass
class Chat:
    """What a client made of a reply. `whole` is a completion: asked for as one, or put together by a helper."""

    chunks: list[Chunk] = field(default_factory=list)
    whole: dict[str, Any] | None = None
    failed: Failed | None = None

    @property
    def deltas(self) -> list[dict[str, Any]]:
        """The deltas of all chunks that have a choice."""
        return [choice["delta"] for chunk in self.chunks for choice in chunk["choices"]]

    @property
    def text(self) -> str:
        """The joined content."""
        return "".join(delta.get("content") or "" for delta in self.deltas)

    @property
    def finish_reasons(self) -> list[str]:
        """The finish reasons that were given."""
        reasons = [choice["finish_reason"] for chunk in self.chunks for choice in chunk["choices"]]
        return [reason for reason in reasons if reason]


@dataclass(frozen=True)
class Call:
    """What is asked: parameters of OpenAI's, headers beside the key, the key."""

    params: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    key: str | None = None

    def sent(self) -> dict[str, Any]:
        """Return every parameter; `stream` is the reader's."""
        return {"model": "twinspeak", "messages": [{"role": "user", "content": QUESTION}], **self.params}


class ChatReader(Protocol):
    """One way to use one client."""

    async def __call__(self, stage: Stage, judge: Judge, call: Call, seen: Seen = ignore, /) -> Chat:
        """Ask, read to the end; call `seen` with each chunk as it comes."""
        ...


def _options(stage: Stage, call: Call) -> dict[str, Any]:
    return {
        "base_url": stage.base,
        "api_key": stage.token if call.key is None else call.key,
        "default_headers": call.headers,
        "max_retries": 0,
        "timeout": ANSWER_S,
        "_strict_response_validation": True,
    }


def _failed(error: openai.OpenAIError) -> Failed:
    if not isinstance(error, openai.APIError):
        return Failed(type(error).__name__, str(error))
    status = error.status_code if isinstance(error, openai.APIStatusError) else None
    return Failed(type(error).__name__, error.message, status, error.code, error.type, error.param)


async def python_async(stage: Stage, _judge: Judge, call: Call, seen: Seen = ignore) -> Chat:
    """`AsyncOpenAI`, `create(stream=True)`."""
    chat = Chat()
    async with openai.AsyncOpenAI(**_options(stage, call)) as client:
        try:
            async for chunk in await client.chat.completions.create(**call.sent(), stream=True):
                chat.chunks.append(chunk.to_dict())
                seen(chat.chunks[-1])
        except openai.OpenAIError as error:
            chat.failed = _failed(error)
    return chat


async def python_async_helper(stage: Stage, _judge: Judge, call: Call, seen: Seen = ignore) -> Chat:
    """`AsyncOpenAI`, the `stream()` helper."""
    chat = Chat()
    async with openai.AsyncOpenAI(**_options(stage, call)) as client:
        try:
            async with client.chat.completions.stream(**call.sent()) as stream:
                async for event in stream:
                    if event.type == "chunk":
                        chat.chunks.append(event.chunk.to_dict())
                        seen(chat.chunks[-1])
                chat.whole = (await stream.get_final_completion()).to_dict()
        except openai.OpenAIError as error:
            chat.failed = _failed(error)
    return chat


def _create(client: openai.OpenAI, call: Call, chat: Chat, seen: Seen) -> None:
    for chunk in client.chat.completions.create(**call.sent(), stream=True):
        chat.chunks.append(chunk.to_dict())
        seen(chat.chunks[-1])


def _stream(client: openai.OpenAI, call: Call, chat: Chat, seen: Seen) -> None:
    with client.chat.completions.stream(**call.sent()) as stream:
        for event in stream:
            if event.type == "chunk":
                chat.chunks.append(event.chunk.to_dict())
                seen(chat.chunks[-1])
        chat.whole = stream.get_final_completion().to_dict()


def _in_thread(use: Callable[[openai.OpenAI, Call, Chat, Seen], None]) -> ChatReader:
    async def read(stage: Stage, _judge: Judge, call: Call, seen: Seen = ignore) -> Chat:
        loop = asyncio.get_running_loop()
        chat = Chat()

        def work() -> None:
            with openai.OpenAI(**_options(stage, call)) as client:
                try:
                    use(client, call, chat, lambda chunk: loop.call_soon_threadsafe(seen, chunk) and None)
                except openai.OpenAIError as error:
                    chat.failed = _failed(error)

        await asyncio.to_thread(work)
        return chat

    return read


def _in_node(*, helper: bool) -> ChatReader:
    async def read(stage: Stage, judge: Judge, call: Call, seen: Seen = ignore) -> Chat:
        result = await judge.ask(
            "chat",
            seen=lambda data: seen(json.loads(data)),
            base=stage.base,
            key=stage.token if call.key is None else call.key,
            headers=call.headers,
            params=call.sent(),
            helper=helper,
        )
        failed = Failed(**result["error"]) if "error" in result else None
        return Chat(result["chunks"], result.get("whole"), failed)

    return read


CHAT_READERS: dict[str, ChatReader] = {
    "python, async": python_async,
    "python, async helper": python_async_helper,
    "python": _in_thread(_create),
    "python, helper": _in_thread(_stream),
    "node": _in_node(helper=False),
    "node, helper": _in_node(helper=True),
}


async def whole(client: str, stage: Stage, judge: Judge, call: Call) -> Chat:
    """Ask for one reply with `stream: false`; `client` is "python" or "node"."""
    if client == "node":
        call = Call({**call.params, "stream": False}, call.headers, call.key)
        return await _in_node(helper=False)(stage, judge, call)
    async with openai.AsyncOpenAI(**_options(stage, call)) as opened:
        try:
            return Chat(whole=(await opened.chat.completions.create(**call.sent(), stream=False)).to_dict())
        except openai.OpenAIError as error:
            return Chat(failed=_failed(error))
