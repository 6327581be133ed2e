"""Anthropic's models: limits, and how each wants to be asked. Data only.

Source: the vendor's models overview, model pages, migration guides and deprecation list (platform.claude.com/docs/en/
models), read in November 2026. Where a window of a million tokens is an option and not the rule, the rule stands here.
"""

import re

from twinspeak.domain.attachments import IMAGES, PDF
from twinspeak.domain.credits import Price
from twinspeak.domain.models import ModelSpec
from twinspeak.providers.catalogue.money import price_of
from twinspeak.providers.claude import ClaudeQuirks, Thinking

ANTHROPIC = "anthropic"
DEFAULT = "claude-haiku-5-5"
"""What a fresh server asks once it has a key: the vendor's cheapest current model."""

READS = (*IMAGES, PDF)
"""Every Claude since 3 sees, and reads PDFs."""

_ALWAYS = ClaudeQuirks(Thinking.ALWAYS)
_BETWEEN = ClaudeQuirks(Thinking.BETWEEN)
_DEFAULT = ClaudeQuirks(Thinking.DEFAULT)
_ASKED = ClaudeQuirks(Thinking.ASKED)
_OPUS_4_6 = ClaudeQuirks(Thinking.ASKED, hides=False, sampling=True)
_SONNET_4_6 = ClaudeQuirks(Thinking.ASKED, hides=False, sampling=True, has_max=False)
_BUDGET = ClaudeQuirks(Thinking.BUDGET, hides=False, sampling=True)
_PLAIN = ClaudeQuirks(sampling=True)
_MILLION = 1_000_000

_VERSION = re.compile(r"claude-(?:[a-z]+-)*(\d+)(?:-(\d{1,2}))?(?![\d])")
_NAME = re.compile(r"claude-[a-z]+(?:-\d{1,2})+(?!\d)")


def _model(name: str, label: str, window: int, output: int, quirks: ClaudeQuirks) -> tuple[ModelSpec, ClaudeQuirks]:
    spec = ModelSpec(
        id=name,
        provider=ANTHROPIC,
        wire_name=name,
        label=label,
        context_window=window,
        max_output=output,
        price=price_of(name),
        thinks=True,
        reads=READS,
    )
    return spec, quirks


_ENTRIES = (
    _model("claude-haiku-5-5", "Claude Haiku 5.5", _MILLION, 128_000, _DEFAULT),
    _model("claude-sonnet-5-5", "Claude Sonnet 5.5", _MILLION, 128_000, _BETWEEN),
    _model("claude-opus-5-5", "Claude Opus 5.5", _MILLION, 128_000, _ALWAYS),
    _model("claude-fable-5-2", "Claude Fable 5.2", _MILLION, 128_000, _ALWAYS),
    _model("claude-fable-5-1", "Claude Fable 5.1", _MILLION, 128_000, _ALWAYS),
    _model("claude-fable-5", "Claude Fable 5", _MILLION, 128_000, _ALWAYS),
    _model("claude-opus-5", "Claude Opus 5", _MILLION, 128_000, _DEFAULT),
    _model("claude-sonnet-5", "Claude Sonnet 5", _MILLION, 128_000, _DEFAULT),
    _model("claude-opus-4-8", "Claude Opus 4.8", _MILLION, 128_000, _ASKED),
    _model("claude-opus-4-7", "Claude Opus 4.7", _MILLION, 128_000, _ASKED),
    _model("claude-opus-4-6", "Claude Opus 4.6", 200_000, 128_000, _OPUS_4_6),
    _model("claude-sonnet-4-6", "Claude Sonnet 4.6", 200_000, 64_000, _SONNET_4_6),
    _model("claude-opus-4-5", "Claude Opus 4.5", 200_000, 64_000, _BUDGET),
    _model("claude-sonnet-4-5", "Claude Sonnet 4.5", 200_000, 64_000, _BUDGET),
    _model("claude-haiku-4-5", "Claude Haiku 4.5", 200_000, 64_000, _BUDGET),
)

MODELS: tuple[ModelSpec, ...] = tuple(model for model, _ in _ENTRIES)
_SPECS = {model.id: model for model in MODELS}
_QUIRKS = {model.id: wanted for model, wanted in _ENTRIES}


def family(name: str) -> str:
    """Return the catalogue's name in `name`: of `us.anthropic.claude-haiku-4-5-20251001-v1:0`, `claude-haiku-4-5`."""
    found = _NAME.search(name)
    return found.group() if found else name


def claims(name: str) -> bool:
    """Tell whether `name` is plainly one of Anthropic's."""
    return name.startswith("claude-")


def spec(model_id: str, wire_name: str) -> ModelSpec:
    """Describe a model of the Messages wire; what the catalogue does not know gets limits that most servers keep."""
    known = _SPECS.get(family(wire_name))
    return ModelSpec(
        id=model_id,
        provider=ANTHROPIC,
        wire_name=wire_name,
        label=known.label if known else wire_name,
        context_window=known.context_window if known else 200_000,
        max_output=known.max_output if known else 8_192,
        price=Price(),
        thinks=quirks(wire_name).thinking is not Thinking.NEVER,
        reads=READS if known or "claude" in wire_name else (),
    )


def quirks(wire_name: str) -> ClaudeQuirks:
    """Tell how to ask for `wire_name`, also a model that came later: those take `adaptive`, and may not take less."""
    known = _QUIRKS.get(family(wire_name))
    if known is not None:
        return known
    found = _VERSION.search(wire_name)
    if not found:
        return _PLAIN
    version = (int(found[1]), int(found[2] or 0))
    if version >= (5, 0):
        return _ALWAYS
    if version >= (4, 7):
        return _ASKED
    # 3.7 and 4.0 to 4.5 think within a budget; what came before does not think.
    return _BUDGET if version >= (3, 7) else _PLAIN
