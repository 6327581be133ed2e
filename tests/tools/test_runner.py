"""Whatever a tool or a model does, running a call gives an outcome."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from twinspeak.domain.errors import Overloaded, ToolError
from twinspeak.domain.events import DisplayInfo
from twinspeak.domain.turn import ToolCall, ToolOutcome
from twinspeak.engine.ports import ToolContext
from twinspeak.tools.registry import Registry, Tool
from twinspeak.tools.runner import Runner

SHOWN = DisplayInfo(icon="bell", label="Testing")
stopped: list[str] = []


async def echo(context: ToolContext, text: str) -> ToolOutcome:
    context.progress("call", SHOWN, 0.5)
    return ToolOutcome(text=text)


async def refuse(context: ToolContext) -> ToolOutcome:
    raise ToolError("Ask for something smaller.")


async def busy(context: ToolContext) -> ToolOutcome:
    raise Overloaded


async def broken(context: ToolContext) -> ToolOutcome:
    raise RuntimeError("postgresql://secret@inside")


async def timed_out_inside(context: ToolContext) -> ToolOutcome:
    raise TimeoutError("of its own")


async def hangs(context: ToolContext) -> ToolOutcome:
    try:
        await asyncio.Event().wait()
    finally:
        stopped.append("hangs")
    return ToolOutcome(text="never")


FUNCTIONS = (echo, refuse, busy, broken, timed_out_inside, hangs)


@pytest.fixture
def runner() -> Runner:
    stopped.clear()
    tools = [Tool(function, description="", display=SHOWN) for function in FUNCTIONS]
    hidden = Tool(_hidden, description="", display=SHOWN, offered=lambda plan: not plan.search_vault)
    return Runner(Registry([*tools, hidden]), timeout_s=0.05, max_result_chars=10)


async def _hidden_body(context: ToolContext) -> ToolOutcome:
    return ToolOutcome(text="seen")


_hidden = _hidden_body
_hidden.__name__ = "hidden"


def call(name: str, arguments: dict[str, Any] | None = None) -> ToolCall:
    return ToolCall(call_id="call", name=name, arguments={} if arguments is None else arguments)


async def test_a_call_runs_and_tells_its_progress(runner: Runner, make_context: Any) -> None:
    context = make_context()
    assert await runner.run(call("echo", {"text": "hi"}), context) == ToolOutcome(text="hi")
    assert context.told == [("call", 0.5)]


async def test_an_unknown_tool_is_told_which_there_are(runner: Runner, make_context: Any) -> None:
    outcome = await runner.run(call("teleport"), make_context())
    assert not outcome.success
    assert "'teleport'" in outcome.text
    assert "broken, busy, echo, hangs, refuse, timed_out_inside" in outcome.text
    assert len((await runner.run(call("x" * 5000), make_context())).text) < 300


async def test_arguments_that_are_no_object(runner: Runner, make_context: Any) -> None:
    outcome = await runner.run(ToolCall("call", "echo", None, raw='{"text": '), make_context())
    assert outcome == ToolOutcome(text="The arguments of echo must be one JSON object.", success=False)


async def test_arguments_that_do_not_fit(runner: Runner, make_context: Any) -> None:
    outcome = await runner.run(call("echo", {"txt": "hi"}), make_context())
    assert not outcome.success
    assert "echo" in outcome.text
    assert "txt" in outcome.text


async def test_a_tools_own_words_reach_the_model(runner: Runner, make_context: Any) -> None:
    assert await runner.run(call("refuse"), make_context()) == ToolOutcome("Ask for something smaller.", success=False)
    assert await runner.run(call("busy"), make_context()) == ToolOutcome(Overloaded.default, success=False)


@pytest.mark.parametrize("name", ["broken", "timed_out_inside"])
async def test_what_breaks_inside_is_logged_and_not_told(runner: Runner, make_context: Any, name: str) -> None:
    with capture_logs() as logs:
        outcome = await runner.run(call(name), make_context())
    assert not outcome.success
    assert "secret" not in outcome.text
    assert "of its own" not in outcome.text
    assert [(entry["event"], entry["tool"], entry["log_level"]) for entry in logs] == [("tool_failed", name, "error")]


async def test_a_tool_that_hangs_is_stopped(runner: Runner, make_context: Any) -> None:
    outcome = await runner.run(call("hangs"), make_context())
    assert outcome == ToolOutcome("hangs took longer than 0.05 seconds and was stopped.", success=False)
    assert stopped == ["hangs"]


async def test_cancelling_the_turn_cancels_its_tool(make_context: Any) -> None:
    stopped.clear()
    patient = Runner(Registry([Tool(hangs, description="", display=SHOWN)]))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await patient.run(call("hangs"), make_context())
    assert stopped == ["hangs"]


async def test_a_long_result_is_cut_and_says_so(runner: Runner, make_context: Any) -> None:
    outcome = await runner.run(call("echo", {"text": "0123456789abc"}), make_context())
    assert outcome == ToolOutcome(text="0123456789\n[cut: 3 more characters]")


async def test_a_tool_that_is_not_offered_cannot_be_called(runner: Runner, make_context: Any) -> None:
    assert not (await runner.run(call("hidden"), make_context())).success
    assert (await runner.run(call("hidden"), make_context(search_vault=False))).text == "seen"
    assert "none" in (await runner.run(call("echo"), make_context(takes_tools=False))).text


def test_specs_are_those_offered(runner: Runner, make_context: Any) -> None:
    assert [spec.name for spec in runner.specs(make_context().plan)] == [each.__name__ for each in FUNCTIONS]
    assert "hidden" in [spec.name for spec in runner.specs(make_context(search_vault=False).plan)]
    assert runner.specs(make_context(takes_tools=False).plan) == ()


def test_display_of_known_and_unknown_tools(runner: Runner) -> None:
    assert runner.display("echo") == SHOWN
    assert runner.display("teleport") == DisplayInfo(icon="tool", label="teleport")
    assert len(runner.display("x" * 5000).label) == 64
    assert runner.display("").label
