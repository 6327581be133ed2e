"""OpenAI's models: limits, abilities, and how each wants to be asked. Data only.

Source: the vendor's model pages (developers.openai.com/api/docs/models), its deprecation list and its reasoning guide,
read in November 2026. A model that is not here can be used all the same; it gets careful defaults.
"""

import re

from twinspeak.domain.attachments import IMAGES, PDF
from twinspeak.domain.credits import Price
from twinspeak.domain.models import ModelSpec
from twinspeak.providers.catalogue.money import price_of
from twinspeak.providers.openai_request import Quirks

OPENAI = "openai"
OPENAI_DEFAULT = "gpt-6-luna"
"""What a fresh server asks once it has a key: the vendor's cheapest current model, and one that takes tools here."""

_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_FOREIGN = re.compile(
    r"^((us|eu|ap|apac|global)\.)?(anthropic\.|claude|gemini|grok|mistral|magistral|ministral|codestral|devstral|deepseek)|^(anthropic|bedrock|gemini|xai|mistral|local)/"
)

_REASONS = re.compile(r"gpt-([5-9]|\d\d)|o\d")

_NO_NONE = ("low", "medium", "high", "xhigh")
_FROM_NONE = ("none", *_NO_NONE)
_ALL = (*_FROM_NONE, "max")

_READS = (*IMAGES, PDF)
"""Every model here sees. Of a compatible server's nobody knows: images are passed on, and it says so if it cannot."""

_PLAIN = Quirks()
_MODERN = Quirks(efforts=_ALL, sampling=False, sampling_at_none=True, tools_at_none=True)
_GPT_5_5 = Quirks(efforts=_FROM_NONE, sampling=False, sampling_at_none=True, tools_at_none=True)
_GPT_5_2 = Quirks(efforts=_FROM_NONE, sampling=False, sampling_at_none=True)
_GPT_5_1 = Quirks(efforts=("none", "low", "medium", "high"), sampling=False, sampling_at_none=True)
_GPT_5 = Quirks(efforts=("minimal", "low", "medium", "high"), sampling=False)
_O = Quirks(efforts=("low", "medium", "high"), sampling=False)
_MILLION = 1_050_000


def _model(name: str, label: str, window: int, output: int, quirks: Quirks, *, tools: bool = True) -> ModelSpec:
    return ModelSpec(
        id=name,
        provider=OPENAI,
        wire_name=name,
        label=label,
        context_window=window,
        max_output=output,
        price=price_of(name),
        takes_tools=tools,
        thinks=bool(quirks.efforts),
        reads=_READS,
    )


# Chat completions refuse tools to Astra and to Sol 6.1, which have no effort "none"; over Responses they take them.
_ASTRA = Quirks(efforts=(*_NO_NONE, "max"), sampling=False)
_SOL_6_1 = Quirks(efforts=_NO_NONE, sampling=False)

_ENTRIES: tuple[tuple[ModelSpec, Quirks], ...] = (
    (_model("gpt-6-luna", "GPT-6 Luna", _MILLION, 128_000, _MODERN), _MODERN),
    (_model("gpt-6.1-terra", "GPT-6.1 Terra", _MILLION, 128_000, _MODERN), _MODERN),
    (_model("gpt-6.1-sol", "GPT-6.1 Sol", _MILLION, 128_000, _SOL_6_1, tools=False), _SOL_6_1),
    (_model("gpt-6-sol", "GPT-6 Sol", _MILLION, 128_000, _MODERN), _MODERN),
    (_model("gpt-6-astra", "GPT-6 Astra", _MILLION, 128_000, _ASTRA, tools=False), _ASTRA),
    (_model("gpt-5.6-luna", "GPT-5.6 Luna", _MILLION, 128_000, _MODERN), _MODERN),
    (_model("gpt-5.6-terra", "GPT-5.6 Terra", _MILLION, 128_000, _MODERN), _MODERN),
    (_model("gpt-5.6-sol", "GPT-5.6 Sol", _MILLION, 128_000, _MODERN), _MODERN),
    (_model("gpt-5.5", "GPT-5.5", _MILLION, 128_000, _GPT_5_5), _GPT_5_5),
    (_model("gpt-5.4", "GPT-5.4", _MILLION, 128_000, _GPT_5_5), _GPT_5_5),
    (_model("gpt-5.4-mini", "GPT-5.4 mini", 400_000, 128_000, _GPT_5_5), _GPT_5_5),
    (_model("gpt-5.4-nano", "GPT-5.4 nano", 400_000, 128_000, _GPT_5_5), _GPT_5_5),
    (_model("gpt-5.2", "GPT-5.2", 400_000, 128_000, _GPT_5_2), _GPT_5_2),
    (_model("gpt-5.1", "GPT-5.1", 400_000, 128_000, _GPT_5_1), _GPT_5_1),
    (_model("gpt-5", "GPT-5", 400_000, 128_000, _GPT_5), _GPT_5),
    (_model("gpt-5-mini", "GPT-5 mini", 400_000, 128_000, _GPT_5), _GPT_5),
    (_model("gpt-5-nano", "GPT-5 nano", 400_000, 128_000, _GPT_5), _GPT_5),
    (_model("o3", "o3", 200_000, 100_000, _O), _O),
    (_model("gpt-4.1", "GPT-4.1", 1_047_576, 32_768, _PLAIN), _PLAIN),
    (_model("gpt-4.1-mini", "GPT-4.1 mini", 1_047_576, 32_768, _PLAIN), _PLAIN),
    (_model("gpt-4o", "GPT-4o", 128_000, 16_384, _PLAIN), _PLAIN),
    (_model("gpt-4o-mini", "GPT-4o mini", 128_000, 16_384, _PLAIN), _PLAIN),
)

OPENAI_MODELS: tuple[ModelSpec, ...] = tuple(spec for spec, _ in _ENTRIES)
"""As they are over chat completions; `openai_spec` knows better where Responses are spoken."""
_SPECS = {spec.id: spec for spec in OPENAI_MODELS}
_QUIRKS = {spec.id: quirks for spec, quirks in _ENTRIES}


def family(name: str) -> str:
    """Return the catalogue's name of a dated snapshot or a tuned model: of `gpt-4o-mini-2024-07-18`, `gpt-4o-mini`."""
    base = name.removeprefix("ft:").partition(":")[0] if name.startswith("ft:") else name
    return _SNAPSHOT.sub("", base)


def known(name: str) -> bool:
    """Tell whether the catalogue has `name`, or a snapshot of it."""
    return family(name) in _SPECS


def foreign(name: str) -> bool:
    """Tell whether `name` is plainly another vendor's, so that OpenAI itself need not be asked for it."""
    return bool(_FOREIGN.match(name))


def openai_spec(model_id: str, wire_name: str, *, vendor: bool = False) -> ModelSpec:
    """Describe a model of the OpenAI adapter; what the catalogue does not know gets limits that most servers keep.

    `vendor`: at OpenAI itself, where every model takes tools, and one that came later is no smaller than these.
    """
    known = _SPECS.get(family(wire_name))
    if known is None:
        return ModelSpec(
            id=model_id,
            provider=OPENAI,
            wire_name=wire_name,
            label=wire_name,
            context_window=128_000 if vendor else 32_768,
            max_output=16_384 if vendor else 4_096,
            price=Price(),
            thinks=vendor and bool(openai_quirks(wire_name, vendor=True).efforts),
            reads=_READS if vendor else IMAGES,
        )
    return ModelSpec(
        id=model_id,
        provider=OPENAI,
        wire_name=wire_name,
        label=known.label,
        context_window=known.context_window,
        max_output=known.max_output,
        price=known.price,
        takes_tools=known.takes_tools or vendor,
        thinks=known.thinks,
        reads=known.reads,
    )


def openai_quirks(wire_name: str, *, vendor: bool) -> Quirks:
    """Tell how to ask for `wire_name`. `vendor`: at OpenAI itself, not at a server that calls itself compatible.

    Compatible servers know `max_tokens`, not all of them `max_completion_tokens`; and an effort that a twin's admin
    chose is passed on there, since a server that has none says so.
    """
    known = _QUIRKS.get(family(wire_name))
    if known is not None:
        return known
    if vendor:
        reasons = _REASONS.match(family(wire_name)) and "chat" not in wire_name
        return Quirks(efforts=("low", "medium", "high"), sampling=False) if reasons else _PLAIN
    return Quirks(
        efforts=("none", "low", "medium", "high"),
        limit_field="max_tokens",
        replays_reasoning="deepseek" in wire_name.lower(),
    )
