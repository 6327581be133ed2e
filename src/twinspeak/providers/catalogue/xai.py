"""xAI's Grok models: limits, and how each wants to be asked. Data only.

Source: the vendor's models page and its guide "Reasoning" (docs.x.ai), read in November 2026. xAI publishes no limit on
answers: what stands here is ours. Models that reason refuse `stop`; 4.20 reasons or not by its name alone.
"""

import re

from twinspeak.domain.attachments import JPEG, PNG
from twinspeak.domain.credits import Price
from twinspeak.domain.models import ModelSpec
from twinspeak.providers.openai_request import Quirks

XAI = "xai"
DEFAULT = "grok-4.3"
"""What a fresh server asks once it has a key: the vendor's cheapest current model for conversations."""

_FROM_LOW = Quirks(efforts=("low", "medium", "high"), stops=False, names_forbidden_tools=True)
_FROM_NONE = Quirks(efforts=("none", "low", "medium", "high"), stops=False, names_forbidden_tools=True)
_MINI = Quirks(efforts=("low", "high"), stops=False, names_forbidden_tools=True)
_ALWAYS = Quirks(stops=False, names_forbidden_tools=True)
_NEVER = Quirks(names_forbidden_tools=True)

_SNAPSHOT = re.compile(r"-(\d{4}|latest|beta)\b")


def _model(name: str, label: str, window: int, quirks: Quirks) -> tuple[ModelSpec, Quirks]:
    spec = ModelSpec(
        id=name,
        provider=XAI,
        wire_name=name,
        label=label,
        context_window=window,
        max_output=32_768,
        price=Price(),
        thinks=not quirks.stops,
        reads=_reads(name),
    )
    return spec, quirks


def _reads(name: str) -> tuple[str, ...]:
    """Grok 4 sees, JPEG and PNG only; of the coding models the vendor does not say so."""
    return (PNG, JPEG) if name.startswith("grok-4") else ()


_ENTRIES = (
    _model("grok-4.6", "Grok 4.6", 500_000, _FROM_LOW),
    _model("grok-4.5", "Grok 4.5", 500_000, _FROM_LOW),
    _model("grok-4.3", "Grok 4.3", 1_000_000, _FROM_NONE),
    _model("grok-4.20-reasoning", "Grok 4.20 (reasoning)", 1_000_000, _ALWAYS),
    _model("grok-4.20-non-reasoning", "Grok 4.20", 1_000_000, _NEVER),
    _model("grok-build-0.1", "Grok Build 0.1", 256_000, _ALWAYS),
)
# No longer offered, but asked as it wants to be where it is still served.
_FORMER = {"grok-3-mini": _MINI}

MODELS: tuple[ModelSpec, ...] = tuple(model for model, _ in _ENTRIES)
_SPECS = {model.id: model for model in MODELS}
_QUIRKS = {model.id: quirks for model, quirks in _ENTRIES} | _FORMER


def family(name: str) -> str:
    """Return the catalogue's name of a snapshot: of `grok-4.20-0309-reasoning`, `grok-4.20-reasoning`."""
    return name if name in _QUIRKS else _SNAPSHOT.sub("", name)


def claims(name: str) -> bool:
    """Tell whether `name` is plainly one of xAI's."""
    return name.startswith("grok-")


def spec(model_id: str, wire_name: str) -> ModelSpec:
    """Describe a model; what the catalogue does not know gets limits that every Grok since 3 keeps."""
    known = _SPECS.get(family(wire_name))
    return ModelSpec(
        id=model_id,
        provider=XAI,
        wire_name=wire_name,
        label=known.label if known else wire_name,
        context_window=known.context_window if known else 131_072,
        max_output=known.max_output if known else 16_384,
        price=Price(),
        thinks=not quirks(wire_name).stops,
        reads=_reads(wire_name),
    )


def quirks(wire_name: str) -> Quirks:
    """Tell how to ask for `wire_name`: a model that may reason is not told what it may refuse."""
    known = _QUIRKS.get(family(wire_name))
    return known or (_NEVER if "non-reasoning" in wire_name else _ALWAYS)
