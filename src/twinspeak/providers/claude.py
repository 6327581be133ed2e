"""How Claude models are told how much to think; the same fields at Anthropic and, as additional ones, at Bedrock.

Source: the vendor's pages "Effort", "Adaptive thinking", "Extended thinking" and each model's migration guide
(platform.claude.com/docs/en/models), read in November 2026.
"""

from enum import StrEnum
from typing import Any

import msgspec

_EFFORTS = {"none": "low", "low": "low", "medium": "medium", "high": "high", "max": "max"}
_BUDGETS = {"low": 2_048, "medium": 8_192, "high": 16_384, "max": 32_768}
_LEAST_BUDGET = 1_024


class Thinking(StrEnum):
    """What a model makes of `thinking`.

    ALWAYS: it cannot be switched off. BETWEEN: only down to notes between tool calls. DEFAULT: on unless it is switched
    off. ASKED: off unless `adaptive` is asked for. BUDGET: off unless it is given a number of tokens. NEVER: the field
    is unknown.
    """

    ALWAYS = "always"
    BETWEEN = "between"
    DEFAULT = "default"
    ASKED = "asked"
    BUDGET = "budget"
    NEVER = "never"


class ClaudeQuirks(msgspec.Struct, frozen=True):
    """How one model wants to be asked.

    `has_max`: the effort `max` is known. `hides`: thinking comes back empty unless its summary is asked for.
    `sampling`: a temperature is accepted (while it does not think).
    """

    thinking: Thinking = Thinking.NEVER
    has_max: bool = True
    hides: bool = True
    sampling: bool = False


def thinking_fields(quirks: ClaudeQuirks, effort: str, limit: int) -> dict[str, Any]:
    """Return `thinking` and `output_config` for `effort` ("" = as the vendor has it) within `limit` output tokens."""
    kind = quirks.thinking
    if kind is Thinking.NEVER:
        return {}
    if kind is Thinking.BUDGET:
        return _budgeted(effort, limit)
    if kind is Thinking.ASKED and effort in {"", "none"}:
        return {}
    if kind is Thinking.DEFAULT and effort == "none":
        return {"thinking": {"type": "disabled"}}
    fields: dict[str, Any] = {"thinking": _adaptive(quirks, effort)}
    if word := _EFFORTS.get(effort):
        fields["output_config"] = {"effort": "high" if word == "max" and not quirks.has_max else word}
    return fields


def may_sample(quirks: ClaudeQuirks, fields: dict[str, Any]) -> bool:
    """Tell whether a temperature may stand beside the thinking `fields`."""
    return quirks.sampling and "thinking" not in fields


def _adaptive(quirks: ClaudeQuirks, effort: str) -> dict[str, Any]:
    if quirks.thinking is Thinking.BETWEEN and effort == "none":
        return {"type": "between_tools"}
    return {"type": "adaptive", "display": "summarized"} if quirks.hides else {"type": "adaptive"}


def _budgeted(effort: str, limit: int) -> dict[str, Any]:
    """At most half of the output goes to thinking, or nothing would be left to answer with."""
    budget = min(_BUDGETS.get(effort, 0), limit // 2)
    return {"thinking": {"type": "enabled", "budget_tokens": budget}} if budget >= _LEAST_BUDGET else {}
