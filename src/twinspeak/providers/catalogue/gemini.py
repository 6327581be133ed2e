"""Google's Gemini models: limits, and how each wants to be asked. Data only.

Source: the vendor's model pages, changelog and its guides "Thinking" and "Gemini 3" (ai.google.dev/gemini-api/docs),
read in November 2026. Windows are what a prompt may have, and an answer comes on top of it.
"""

import re

from twinspeak.domain.attachments import JPEG, PDF, PNG, WEBP
from twinspeak.domain.credits import Price
from twinspeak.domain.models import ModelSpec
from twinspeak.providers.gemini_request import GeminiQuirks

GEMINI = "gemini"
DEFAULT = "gemini-3.5-flash-lite"
"""What a fresh server asks once it has a key: the vendor's cheapest current model."""

_WINDOW = 1_048_576
_OUTPUT = 65_536

_FLASH_LEVELS = {"none": "minimal", "low": "low", "medium": "medium", "high": "high", "max": "high"}
_PRO_LEVELS = {"none": "low", "low": "low", "medium": "medium", "high": "high", "max": "high"}
_FIRST_PRO_LEVELS = {"none": "low", "low": "low", "medium": "high", "high": "high", "max": "high"}

_READS = (PNG, JPEG, WEBP, PDF)
"""The vendor's list of images has no GIF."""

# The sampling parameters are deprecated from 3.5 Flash-Lite and 3.6 Flash on.
_FLASH = GeminiQuirks(levels=_FLASH_LEVELS, temperature=False)
_FLASH_3 = GeminiQuirks(levels=_FLASH_LEVELS)
_PRO = GeminiQuirks(levels=_PRO_LEVELS)
_PRO_3 = GeminiQuirks(levels=_FIRST_PRO_LEVELS)
_PRO_2_5 = GeminiQuirks(budgets={"none": 128, "low": 1_024, "medium": 8_192, "high": 24_576, "max": 32_768})
_FLASH_2_5 = GeminiQuirks(budgets={"none": 0, "low": 1_024, "medium": 8_192, "high": 24_576, "max": 24_576})
_PLAIN = GeminiQuirks()

_VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_SUFFIX = re.compile(r"-(preview|exp|latest|\d{3}|\d{2}-\d{2}|\d{2}-\d{4}|customtools)(?=-|\Z)")


def _model(name: str, label: str, quirks: GeminiQuirks) -> tuple[ModelSpec, GeminiQuirks]:
    spec = ModelSpec(
        id=name,
        provider=GEMINI,
        wire_name=name,
        label=label,
        context_window=_WINDOW,
        max_output=_OUTPUT,
        price=Price(),
        thinks=quirks.thinks,
        reads=_READS,
    )
    return spec, quirks


_ENTRIES = (
    _model("gemini-3.6-flash", "Gemini 3.6 Flash", _FLASH),
    _model("gemini-3.5-flash-lite", "Gemini 3.5 Flash-Lite", _FLASH),
    _model("gemini-3.5-flash", "Gemini 3.5 Flash", _FLASH_3),
    _model("gemini-3.1-pro-preview", "Gemini 3.1 Pro (preview)", _PRO),
    _model("gemini-3.1-flash-lite", "Gemini 3.1 Flash-Lite", _FLASH_3),
    _model("gemini-3-pro-preview", "Gemini 3 Pro (preview)", _PRO_3),
    _model("gemini-3-flash-preview", "Gemini 3 Flash (preview)", _FLASH_3),
    _model("gemini-pro-latest", "Gemini Pro (latest)", _PRO),
    _model("gemini-flash-latest", "Gemini Flash (latest)", _FLASH),
)
# Google has shut these down, or is about to: not offered, but asked as they want to be where they are still served.
_FORMER = {"gemini-2.5-pro": _PRO_2_5, "gemini-2.5-flash": _FLASH_2_5, "gemini-2.5-flash-lite": _FLASH_2_5}

MODELS: tuple[ModelSpec, ...] = tuple(model for model, _ in _ENTRIES)
_SPECS = {model.id: model for model in MODELS}
_QUIRKS = {model.id: quirks for model, quirks in _ENTRIES} | _FORMER
_STEMS = {_SUFFIX.sub("", name): name for name in _QUIRKS if not name.endswith("-latest")}


def family(name: str) -> str:
    """Return the catalogue's name of a version of a model: of `models/gemini-3.5-flash-001`, `gemini-3.5-flash`."""
    bare = name.removeprefix("models/")
    return bare if bare in _QUIRKS else _STEMS.get(_SUFFIX.sub("", bare), bare)


def claims(name: str) -> bool:
    """Tell whether `name` is plainly one of Google's."""
    return name.startswith(("gemini-", "models/gemini-", "tunedModels/"))


def spec(model_id: str, wire_name: str) -> ModelSpec:
    """Describe a model; what the catalogue does not know gets limits that every Gemini since 2.5 keeps."""
    known = _SPECS.get(family(wire_name))
    if known is not None:
        return ModelSpec(
            id=model_id,
            provider=GEMINI,
            wire_name=wire_name,
            label=known.label,
            context_window=known.context_window,
            max_output=known.max_output,
            price=known.price,
            thinks=known.thinks,
            reads=known.reads,
        )
    current = quirks(wire_name).thinks
    return ModelSpec(
        id=model_id,
        provider=GEMINI,
        wire_name=wire_name,
        label=wire_name,
        context_window=_WINDOW if current else 32_768,
        max_output=_OUTPUT if current else 8_192,
        price=Price(),
        thinks=current,
        reads=_READS if "gemini-" in wire_name else (),
    )


def quirks(wire_name: str) -> GeminiQuirks:
    """Tell how to ask for `wire_name`, also a model that came later: every Gemini from 3 on knows low and high."""
    known = _QUIRKS.get(family(wire_name))
    if known is not None:
        return known
    found = _VERSION.search(wire_name)
    major, minor = (int(found[1]), int(found[2] or 0)) if found else (0, 0)
    if major >= 3:
        return GeminiQuirks(levels=_FIRST_PRO_LEVELS, temperature=major == 3 and minor < 5)
    if (major, minor) == (2, 5):
        return _PRO_2_5 if "pro" in wire_name else _FLASH_2_5
    return _PLAIN
