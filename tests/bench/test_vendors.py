"""The wires of the benchmark's upstream say what its answers say, as our decoders read them."""

from collections.abc import Callable

import pytest

from bench import wire
from bench.answers import Answer, text_of
from bench.vendors import VENDORS, Vendor, script, vendor_of
from twinspeak.domain.events import ModelStop, ModelText, ModelUsage, StopReason
from twinspeak.providers.anthropic import AnthropicDecoder
from twinspeak.providers.bedrock import BedrockDecoder
from twinspeak.providers.gemini import GeminiDecoder
from twinspeak.providers.openai_responses import ResponsesDecoder
from twinspeak.providers.relay import Decoder

DECODERS: dict[str, Callable[[str], Decoder]] = {
    "Messages": AnthropicDecoder,
    "ConverseStream": BedrockDecoder,
    "streamGenerateContent": GeminiDecoder,
    "Responses": ResponsesDecoder,
}


def body_of(pieces: bytes) -> bytes:
    """Take the HTTP chunks apart."""
    body = b""
    while pieces:
        size, _, rest = pieces.partition(b"\r\n")
        length = int(size, 16)
        body += rest[:length]
        assert rest[length : length + 2] == b"\r\n"
        pieces = rest[length + 2 :]
    return body


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_an_answer_is_whole(vendor: Vendor):
    steps = script(vendor, Answer(words=20))
    assert len(steps) == 20
    assert steps[-1].endswith(wire.LAST_CHUNK)
    decoder = DECODERS[vendor.name]("fake")
    events = decoder.feed(body_of(b"".join(steps)))
    events += decoder.close()
    assert "".join(event.text for event in events if isinstance(event, ModelText)) == text_of(20)
    usage = [event for event in events if isinstance(event, ModelUsage)]
    assert (usage[-1].input, usage[-1].completion) == (60, 20)
    assert events[-1] == ModelStop(StopReason.END)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"/v1/messages", "Messages"),
        (b"/model/us.amazon.nova-pro-v1%3A0/converse-stream", "ConverseStream"),
        (b"/v1beta/models/gemini-3.5-flash:streamGenerateContent?alt=sse", "streamGenerateContent"),
        (b"/v1/responses", "Responses"),
        (b"/v1/chat/completions", None),
    ],
)
def test_a_path_says_which_wire_it_is(path: bytes, name: str | None):
    vendor = vendor_of(path)
    assert (vendor.name if vendor else None) == name
