"""The clock, the calculator, and how often a tool may be called."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from twinspeak.domain.turn import ToolCall
from twinspeak.tools.builtin.calculate import calculate_tool
from twinspeak.tools.builtin.current_time import current_time_tool
from twinspeak.tools.registry import Registry
from twinspeak.tools.runner import Runner

RUNNER = Runner(Registry([calculate_tool(), current_time_tool()]))


@pytest.mark.parametrize(
    ("asked", "users", "shown"),
    [
        ("Europe/Berlin", "", "(Europe/Berlin)"),
        ("", "Asia/Tokyo", "+09:00 (Asia/Tokyo)"),
        ("utc", "Asia/Tokyo", "+00:00 (UTC)"),
        ("", "", "(UTC)"),
        ("", "../../etc/passwd", "(UTC)"),
    ],
)
async def test_the_time_of_a_zone(make_context: Callable[..., Any], asked: str, users: str, shown: str):
    context = make_context()
    context.plan = msgspec.structs.replace(context.plan, ask=msgspec.structs.replace(context.plan.ask, timezone=users))
    outcome = await RUNNER.run(ToolCall("call", "current_time", {"timezone": asked}), context)
    assert outcome.success
    assert shown in outcome.text


@pytest.mark.parametrize("zone", ["Mars/Base", "../../../etc/passwd", "/etc/passwd", "x" * 65, "Europe", "a\x00b"])
async def test_a_zone_that_is_none(make_context: Callable[..., Any], zone: str):
    assert not (await RUNNER.run(ToolCall("call", "current_time", {"timezone": zone}), make_context())).success


async def test_a_calculation_and_a_wrong_one(make_context: Callable[..., Any]):
    right = await RUNNER.run(ToolCall("call", "calculate", {"expression": "2 + 2"}), make_context())
    wrong = await RUNNER.run(ToolCall("call", "calculate", {"expression": "import os"}), make_context())
    assert (right.text, right.origin, right.success, wrong.success) == ("4", "", True, False)


async def test_a_tool_may_be_called_so_often_in_a_turn(make_context: Callable[..., Any]):
    context = make_context()
    context.calls = 17
    outcome = await RUNNER.run(ToolCall("call", "calculate", {"expression": "1"}), context)
    assert not outcome.success
    assert "16 times" in outcome.text
