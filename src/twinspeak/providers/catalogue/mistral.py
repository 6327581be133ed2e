"""Mistral's models: limits, and how each wants to be asked. Data only.

Source: the vendor's model cards, its pages "Reasoning" and "Function calling" (docs.mistral.ai), read in November 2026.
Mistral publishes no limit on answers: what stands here is ours. Its thinking is not for clients (contract 4.1).
"""

from twinspeak.domain.attachments import IMAGES
from twinspeak.domain.credits import Price
from twinspeak.domain.models import ModelSpec
from twinspeak.providers.openai_request import Quirks

MISTRAL = "mistral"
DEFAULT = "mistral-small-latest"
"""What a fresh server asks once it has a key: the vendor's cheapest model that can think."""

_FAMILIES = ("mistral-", "magistral-", "ministral-", "codestral-", "devstral-", "pixtral-", "voxtral-", "open-mi")
_K = 1_024

_PLAIN = Quirks(
    limit_field="max_tokens", asks_usage=False, thinking_parts=True, short_call_ids=True, names_forbidden_tools=True
)
_ADJUSTABLE = Quirks(
    efforts=("none", "high"),
    limit_field="max_tokens",
    asks_usage=False,
    thinking_parts=True,
    short_call_ids=True,
    names_forbidden_tools=True,
)


def _model(
    name: str, label: str, window: int, quirks: Quirks = _PLAIN, *, thinks: bool = False
) -> tuple[ModelSpec, Quirks]:
    spec = ModelSpec(
        id=name,
        provider=MISTRAL,
        wire_name=name,
        label=label,
        context_window=window,
        max_output=32_768,
        price=Price(),
        thinks=thinks or bool(quirks.efforts),
        shows_thinking=False,
        reads=_reads(name),
    )
    return spec, quirks


def _reads(name: str) -> tuple[str, ...]:
    """The vendor lists Large, Medium, Small and Ministral as models that see; PDFs go through its OCR, not in here."""
    return (
        IMAGES
        if name.startswith(("mistral-large", "mistral-medium", "mistral-small", "ministral-", "pixtral-"))
        else ()
    )


_ENTRIES = (
    _model("mistral-medium-latest", "Mistral Medium (latest)", 256 * _K, _ADJUSTABLE),
    _model("mistral-medium-3.5", "Mistral Medium 3.5", 256 * _K, _ADJUSTABLE),
    _model("mistral-medium-3-5", "Mistral Medium 3.5", 256 * _K, _ADJUSTABLE),
    _model("mistral-small-latest", "Mistral Small (latest)", 256 * _K, _ADJUSTABLE),
    _model("mistral-small-2603", "Mistral Small 4", 256 * _K, _ADJUSTABLE),
    _model("mistral-large-latest", "Mistral Large (latest)", 256 * _K),
    _model("mistral-large-2512", "Mistral Large 3", 256 * _K),
    _model("magistral-medium-latest", "Magistral Medium (latest)", 128 * _K, thinks=True),
    _model("magistral-small-latest", "Magistral Small (latest)", 128 * _K, thinks=True),
    _model("ministral-14b-latest", "Ministral 14B (latest)", 256 * _K),
    _model("ministral-8b-latest", "Ministral 8B (latest)", 256 * _K),
    _model("ministral-3b-latest", "Ministral 3B (latest)", 256 * _K),
    _model("devstral-latest", "Devstral (latest)", 256 * _K),
    _model("codestral-latest", "Codestral (latest)", 128 * _K),
)

MODELS: tuple[ModelSpec, ...] = tuple(model for model, _ in _ENTRIES)
_SPECS = {model.id: model for model in MODELS}
_QUIRKS = {model.id: quirks for model, quirks in _ENTRIES}


def claims(name: str) -> bool:
    """Tell whether `name` is plainly one of Mistral's."""
    return name.startswith(_FAMILIES)


def spec(model_id: str, wire_name: str) -> ModelSpec:
    """Describe a model; what the catalogue does not know gets limits that every current model keeps."""
    known = _SPECS.get(wire_name)
    return ModelSpec(
        id=model_id,
        provider=MISTRAL,
        wire_name=wire_name,
        label=known.label if known else wire_name,
        context_window=known.context_window if known else 32_768,
        max_output=known.max_output if known else 8_192,
        price=Price(),
        thinks=known.thinks if known else wire_name.startswith("magistral-"),
        shows_thinking=False,
        reads=_reads(wire_name),
    )


def quirks(wire_name: str) -> Quirks:
    """Tell how to ask for `wire_name`: an effort is only said where it is known to be understood."""
    return _QUIRKS.get(wire_name, _PLAIN)
