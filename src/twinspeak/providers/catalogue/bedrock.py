"""Bedrock's models: which names are its, limits, and how each wants to be asked. Data only.

Source: Bedrock's model cards and inference profiles (docs.aws.amazon.com/bedrock), read in November 2026. The `global`
profiles answer in every region, so those are listed; `us.`, `eu.` and the others, plain ids and ARNs work as well.
"""

import re

from twinspeak.domain.attachments import IMAGES, PDF
from twinspeak.domain.credits import Price
from twinspeak.domain.models import ModelSpec
from twinspeak.providers.bedrock_request import BedrockQuirks
from twinspeak.providers.catalogue import anthropic
from twinspeak.providers.claude import Thinking

BEDROCK = "bedrock"
DEFAULT = "global.anthropic.claude-haiku-4-5-20251001-v1:0"
"""What a fresh server asks: the cheapest Claude model that every region serves over Converse."""

_LISTED = (
    DEFAULT,
    "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "global.anthropic.claude-opus-4-5-20251101-v1:0",
    "global.anthropic.claude-sonnet-4-6",
    "global.anthropic.claude-opus-4-6-v1",
    "global.anthropic.claude-sonnet-5",
    "global.anthropic.claude-opus-5",
    "us.anthropic.claude-fable-5-1",
    "us.anthropic.claude-fable-5-2",
    "us.amazon.nova-micro-v1:0",
    "us.amazon.nova-lite-v1:0",
    "us.amazon.nova-pro-v1:0",
)
_NOVA = {"nova-micro": (128_000, 10_000), "nova-lite": (300_000, 10_000), "nova-pro": (300_000, 10_000)}
_SEES = re.compile(r"claude|nova-(2-)?(lite|pro|premier)")
_MAKERS = "ai21|amazon|anthropic|cohere|deepseek|meta|mistral|moonshotai?|nvidia|openai|qwen|writer|zai"
_CLAIMED = re.compile(rf"(?:(?:us|eu|ap|apac|jp|au|ca|us-gov|global)\.)?(?:{_MAKERS})\.[\w-]|arn:aws[\w-]*:bedrock:")


def claims(name: str) -> bool:
    """Tell whether `name` is plainly an id, an inference profile or an ARN of Bedrock."""
    return bool(_CLAIMED.match(name))


def spec(model_id: str, wire_name: str) -> ModelSpec:
    """Describe a model of Bedrock; what is not known gets limits that most models there keep."""
    if "claude" in wire_name:
        known = anthropic.spec(model_id, wire_name)
        window, output, label = known.context_window, known.max_output, known.label
    else:
        window, output = next((limits for name, limits in _NOVA.items() if name in wire_name), (32_768, 4_096))
        label = wire_name
    asked = quirks(wire_name)
    return ModelSpec(
        id=model_id,
        provider=BEDROCK,
        wire_name=wire_name,
        label=label if label == wire_name else f"{label} (Bedrock)",
        context_window=window,
        max_output=output,
        price=Price(),
        thinks=asked.reasoning or asked.claude.thinking is not Thinking.NEVER,
        reads=(*IMAGES, PDF) if _SEES.search(wire_name) else (),
    )


def quirks(wire_name: str) -> BedrockQuirks:
    """Tell how to ask for `wire_name`. Cache points are sent where they are known: elsewhere they are an error."""
    if "claude" in wire_name:
        return BedrockQuirks(
            claude=anthropic.quirks(wire_name), caches=not re.search(r"claude-(3-5|3-[a-z]|v2)", wire_name)
        )
    return BedrockQuirks(caches="amazon.nova" in wire_name, reasoning="nova-2" in wire_name)


MODELS: tuple[ModelSpec, ...] = tuple(spec(name, name) for name in _LISTED)
