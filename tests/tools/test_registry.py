"""Tools from typed functions: their schemas, and what arguments get through."""

from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from twinspeak.domain.errors import ToolError
from twinspeak.domain.events import DisplayInfo
from twinspeak.domain.turn import ToolOutcome
from twinspeak.engine.ports import ToolContext
from twinspeak.tools.registry import Registry, Tool

DICE = DisplayInfo(icon="dice", label="Rolling")


async def roll(
    context: ToolContext,
    sides: Annotated[int, Meta(ge=2, le=100, description="Of the die.")],
    times: int = 1,
    colour: Literal["red", "blue"] | None = None,
    *,
    loud: bool = False,
) -> ToolOutcome:
    return ToolOutcome(text=f"{sides} {times} {colour} {loud}")


@pytest.fixture
def tool() -> Tool:
    return Tool(roll, description="Roll a die.", display=DICE)


def test_the_signature_is_the_schema(tool: Tool) -> None:
    assert (tool.spec.name, tool.spec.description, tool.spec.icon) == ("roll", "Roll a die.", "dice")
    assert tool.spec.parameters == {
        "type": "object",
        "properties": {
            "sides": {"type": "integer", "minimum": 2, "maximum": 100, "description": "Of the die."},
            "times": {"type": "integer", "default": 1},
            "colour": {"anyOf": [{"enum": ["blue", "red"]}, {"type": "null"}], "default": None},
            "loud": {"type": "boolean", "default": False},
        },
        "required": ["sides"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"sides": 6}, "6 1 None False"),
        ({"sides": "6", "times": "2", "loud": "true"}, "6 2 None True"),
        ({"sides": 20, "colour": "red", "loud": True}, "20 1 red True"),
    ],
)
async def test_arguments_that_fit(tool: Tool, make_context: Any, arguments: dict[str, Any], text: str) -> None:
    assert (await tool(make_context(), arguments)).text == text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "sides"),
        ({"sides": 1}, ">= 2"),
        ({"sides": "six"}, r"\$\.sides"),
        ({"sides": None}, r"\$\.sides"),
        ({"sides": 6, "colour": "green"}, "green"),
        ({"sides": 6, "magic": True}, "magic"),
        ({"sides": [6]}, r"\$\.sides"),
    ],
)
async def test_arguments_that_do_not_fit_say_why(
    tool: Tool, make_context: Any, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(ToolError, match=says) as raised:
        await tool(make_context(), arguments)
    assert "roll" in raised.value.message


def test_signatures_that_cannot_be_a_schema() -> None:
    async def untyped(context: ToolContext, what) -> ToolOutcome:  # noqa: ANN001  # pyright: ignore[reportMissingParameterType]
        return ToolOutcome(text="")

    async def open_ended(context: ToolContext, **anything: str) -> ToolOutcome:
        return ToolOutcome(text="")

    for function in (untyped, open_ended):
        with pytest.raises(TypeError, match=function.__name__):
            Tool(function, description="", display=DICE)


def test_names_that_vendors_refuse() -> None:
    async def tool(context: ToolContext) -> ToolOutcome:
        return ToolOutcome(text="")

    for name in ("", "two words", "näme", "1st", "x" * 65):
        tool.__name__ = name
        with pytest.raises(ValueError, match="name"):
            Tool(tool, description="", display=DICE)


def test_two_tools_cannot_share_a_name(tool: Tool) -> None:
    with pytest.raises(ValueError, match="roll"):
        Registry([tool, tool])
