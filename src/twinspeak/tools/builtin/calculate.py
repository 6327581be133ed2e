"""The tool `calculate`: exact arithmetic, which models only guess."""

from typing import Annotated

from msgspec import Meta

from twinspeak.domain.errors import ToolError
from twinspeak.domain.events import DisplayInfo
from twinspeak.domain.turn import ToolOutcome
from twinspeak.engine.ports import ToolContext
from twinspeak.tools import arithmetic
from twinspeak.tools.registry import Tool

DISPLAY = DisplayInfo(icon="calculator", label="Calculating")
_DESCRIPTION = (
    "Work out an arithmetic expression exactly. Use it for every calculation. Numbers with a decimal point and without "
    "separators of thousands; + - * / // % ** and parentheses; sqrt, abs, round, floor, ceil, min, max, sum, gcd, "
    "factorial, comb, ln, log(x, base), exp, pi, e."
)

Expression = Annotated[
    str, Meta(min_length=1, max_length=arithmetic.MAX_CHARS, description="Such as (1299.90 - 15) * 1.19 ** 3.")
]


def calculate_tool() -> Tool:
    """Make the tool."""

    async def calculate(context: ToolContext, expression: Expression) -> ToolOutcome:
        del context
        try:
            return ToolOutcome(text=arithmetic.calculate(expression))
        except arithmetic.Wrong as wrong:
            raise ToolError(str(wrong)) from None

    return Tool(calculate, description=_DESCRIPTION, display=DISPLAY)
