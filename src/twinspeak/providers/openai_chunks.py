"""The shapes of chat-completion chunks, and two ways to read them: typed and fast, or by hand and forgiving.

Shapes: the vendor's reference, "Chat Completions > Streaming > the chat completion chunk object", and what servers that
call themselves compatible add to it: `reasoning_content` (DeepSeek, xAI, vLLM), `reasoning` (Groq, OpenRouter), content
as a list of parts (Mistral), usage under `x_groq` or inside the choice, an `error` beside or in place of the choices.
"""

import json
from typing import Any

import msgspec

from twinspeak.domain.events import ModelUsage
from twinspeak.providers.wire.loose import is_mapping, items, mapping, text, whole


class GarbledChunk(ValueError):
    """The data is no JSON object."""


class Part(msgspec.Struct, gc=False):
    """An element of list content: text, or thinking with text in `thinking` (a string or parts) or in `text`."""

    type: str = "text"
    text: str | None = None
    thinking: "str | list[Part] | None" = None
    refusal: str | None = None


class Function(msgspec.Struct, gc=False):
    """The called function; `arguments` is JSON in fragments."""

    name: str | None = None
    arguments: str | None = None


class ToolCallDelta(msgspec.Struct, gc=False):
    """A piece of a tool call."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Delta(msgspec.Struct, gc=False):
    """What a choice adds."""

    content: str | list[Part] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class PromptDetails(msgspec.Struct, gc=False):
    """Of the prompt's tokens."""

    cached_tokens: int | None = None


class CompletionDetails(msgspec.Struct, gc=False):
    """Of the completion's tokens."""

    reasoning_tokens: int | None = None


class ChunkUsage(msgspec.Struct, gc=False):
    """Tokens; `prompt_cache_hit_tokens` is DeepSeek's."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None


class Groq(msgspec.Struct, gc=False):
    """Groq's own corner."""

    usage: ChunkUsage | None = None


class Choice(msgspec.Struct, gc=False):
    """One answer of those asked for; we ask for one."""

    index: int | None = 0
    delta: Delta | None = None
    finish_reason: str | None = None
    usage: ChunkUsage | None = None


class Chunk(msgspec.Struct, gc=False):
    """One event of the stream."""

    choices: list[Choice] | None = None
    usage: ChunkUsage | None = None
    error: Any = None
    x_groq: Groq | None = None


_decoder = msgspec.json.Decoder(Chunk)


def read_chunk(data: bytes) -> Chunk:
    """Read one event's data. Raises GarbledChunk when it is not a JSON object.

    What the typed reader refuses is read again by hand: bytes that are not UTF-8 (replaced, as the event-stream
    specification says), half a surrogate pair (a server that cuts UTF-16 text), NaN, a member of another type.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        payload = json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise GarbledChunk("not JSON") from error
    if not is_mapping(payload):
        raise GarbledChunk("not a JSON object")
    return _chunk(mapping(payload))


def _chunk(raw: dict[str, Any]) -> Chunk:
    return Chunk(
        choices=[_choice(mapping(choice)) for choice in items(raw.get("choices"))],
        usage=_usage(raw.get("usage")),
        error=raw.get("error"),
        x_groq=Groq(usage=_usage(mapping(raw.get("x_groq")).get("usage"))),
    )


def _choice(raw: dict[str, Any]) -> Choice:
    delta = mapping(raw.get("delta"))
    content = delta.get("content")
    return Choice(
        index=whole(raw.get("index")),
        finish_reason=text(raw.get("finish_reason")),
        usage=_usage(raw.get("usage")),
        delta=Delta(
            content=[_part(part) for part in items(content)] if items(content) else text(content),
            reasoning_content=text(delta.get("reasoning_content")),
            reasoning=text(delta.get("reasoning")),
            refusal=text(delta.get("refusal")),
            tool_calls=[_tool_call(mapping(call)) for call in items(delta.get("tool_calls"))],
        ),
    )


def _part(value: object) -> Part:
    if isinstance(value, str):
        return Part(text=value)
    raw = mapping(value)
    thinking = raw.get("thinking")
    return Part(
        type=text(raw.get("type")) or "text",
        text=text(raw.get("text")),
        thinking=[_part(part) for part in items(thinking)] if items(thinking) else text(thinking),
        refusal=text(raw.get("refusal")),
    )


def _tool_call(raw: dict[str, Any]) -> ToolCallDelta:
    function = mapping(raw.get("function"))
    arguments = function.get("arguments")
    return ToolCallDelta(
        index=whole(raw.get("index")),
        id=text(raw.get("id")),
        function=Function(
            name=text(function.get("name")),
            arguments=json.dumps(arguments) if is_mapping(arguments) else text(arguments),
        ),
    )


def _usage(value: object) -> ChunkUsage | None:
    if not is_mapping(value):
        return None
    raw = mapping(value)
    return ChunkUsage(
        prompt_tokens=whole(raw.get("prompt_tokens")),
        completion_tokens=whole(raw.get("completion_tokens")),
        total_tokens=whole(raw.get("total_tokens")),
        prompt_tokens_details=PromptDetails(whole(mapping(raw.get("prompt_tokens_details")).get("cached_tokens"))),
        completion_tokens_details=CompletionDetails(
            whole(mapping(raw.get("completion_tokens_details")).get("reasoning_tokens"))
        ),
        prompt_cache_hit_tokens=whole(raw.get("prompt_cache_hit_tokens")),
    )


def counted(usage: ChunkUsage) -> ModelUsage | None:
    """Normalise tokens (contract section 4); None for the zeros that some servers put into every chunk.

    Completions include thinking, except at xAI, which counts it beside them: there the total tells.
    """
    prompt = max(0, usage.prompt_tokens or 0)
    completion = max(0, usage.completion_tokens or 0)
    details, thought = usage.completion_tokens_details, 0
    if details:
        thought = max(0, details.reasoning_tokens or 0)
    if thought and usage.total_tokens == prompt + completion + thought:
        completion += thought
    if not prompt and not completion:
        return None
    cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else None
    cached = cached or usage.prompt_cache_hit_tokens or 0
    return ModelUsage(input=prompt, cached=min(max(0, cached), prompt), completion=completion)
