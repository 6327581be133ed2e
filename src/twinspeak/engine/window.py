"""What fits a model's window: when a conversation has grown too long, the newest of it stays, and the older shortened.

Vendors count tokens in ways of their own, so a tenth of the window is left free for what the estimate misses.
"""

from collections.abc import Callable, Sequence

import msgspec

from twinspeak.domain.conversation import Exchange, compacted
from twinspeak.domain.errors import ContextTooLong
from twinspeak.domain.models import ModelSpec
from twinspeak.domain.turn import AssistantMessage, Message, Opaque, Passage, ToolMessage, ToolSpec, UserMessage

_OVERHEAD = 4
"""Tokens that a message costs besides its text."""
_LEAST_TOOL_CHARS = 200
"""A tool's result is not cut any shorter."""
CUT = "\n[… cut: it was too long for the model]"


_DIGITS = b"0123456789"
_MARKS = bytes(sign for sign in range(33, 127) if not chr(sign).isalnum())
_WIDE = bytes(range(0x80, 0x100))


def text_tokens(text: str) -> int:
    """Estimate the tokens of a text so that hardly any vendor counts more; a charge rests on `estimate_tokens`.

    A token per four letters is right for prose alone: tables of numbers, marks, and scripts that vendors' vocabularies
    know little of take up to four times as many, and a prompt of those would have been refused. In twelfths of a token.
    """
    data = text.encode("utf-8", "replace")
    size = len(data)
    digits = size - len(data.translate(None, _DIGITS))
    marks = size - len(data.translate(None, _MARKS))
    twelfths = (size - digits - marks) * 3 + digits * 12 + marks * 9
    if digits:
        twelfths += min(digits, data.count(b" ")) * 9  # a blank before a digit is a token of its own
    if not data.isascii():
        twelfths += size - len(data.translate(None, _WIDE)) + data.count(b"\xf0") * 24
    return -(-twelfths // 12)


def usable(model: ModelSpec) -> int:
    """Return the tokens of a model's window that are counted with: prompt and answer together."""
    return model.context_window * 9 // 10


def for_prompt(model: ModelSpec, output_limit: int, tools: int) -> int:
    """Return the tokens that a prompt may have: a quarter of the window, or all that may be answered, is kept."""
    room = usable(model)
    return max(0, room - min(output_limit, room // 4) - tools)


def tool_tokens(specs: Sequence[ToolSpec]) -> int:
    """Estimate what naming the tools costs."""
    return sum(
        text_tokens(spec.name + spec.description) + len(msgspec.json.encode(spec.parameters)) // 4 + 16
        for spec in specs
    )


def exchange_tokens(exchange: Exchange) -> int:
    """Estimate the tokens of a question and its answer."""
    return text_tokens(exchange.question) + text_tokens(exchange.answer) + 2 * _OVERHEAD


def message_tokens(message: Message, tokens: Callable[[str], int] = text_tokens) -> int:
    """Estimate the tokens of one message, its tool calls and reasoning included, with `tokens` for its texts."""
    size = tokens(message.text) + _OVERHEAD
    if isinstance(message, UserMessage):
        size += sum(attachment.tokens for attachment in message.attachments)
    if isinstance(message, AssistantMessage):
        size += tokens(message.thinking) + sum(tokens(call.raw) + 16 for call in message.tool_calls)
        # A round's state is sent in place of its parts, so the larger of both is what it can cost.
        size = max(size, sum(_state_tokens(state) for state in _states(message)))
    return size


def kept_passages(passages: Sequence[Passage], room: int) -> tuple[Passage, ...]:
    """Return the passages, best first, that fit into `room` tokens together."""
    kept: list[Passage] = []
    for passage in passages:
        room -= text_tokens(passage.text + passage.document_name + passage.section) + _OVERHEAD
        if room < 0:
            break
        kept.append(passage)
    return tuple(kept)


def kept_history(history: Sequence[Exchange], room: int) -> tuple[Exchange, ...]:
    """Return what of a conversation fits into `room` tokens: the newest as they are, the older shortened."""
    return compacted(history, room, exchange_tokens)


def within(messages: tuple[Message, ...], room: int) -> tuple[Message, ...]:
    """Return a round's messages within `room` tokens, cutting the longest results of tools where there is need.

    Raises ContextTooLong when that is not enough.
    """
    kept = list(messages)
    while (over := sum(message_tokens(message) for message in kept) - room) > 0:
        place = max(range(len(kept)), key=lambda at: len(kept[at].text) if isinstance(kept[at], ToolMessage) else -1)
        longest = kept[place]
        if not isinstance(longest, ToolMessage) or len(longest.text) <= _LEAST_TOOL_CHARS + len(CUT):
            raise ContextTooLong
        left = max(_LEAST_TOOL_CHARS, min(len(longest.text) // 2, len(longest.text) - over * 2))
        kept[place] = msgspec.structs.replace(longest, text=longest.text[:left].removesuffix(CUT) + CUT)
    return tuple(kept)


def _states(message: AssistantMessage) -> list[Opaque]:
    return [*message.state, *(call.state for call in message.tool_calls if call.state)]


def _state_tokens(state: Opaque) -> int:
    return len(msgspec.json.encode(state.value)) // 4 + 1
