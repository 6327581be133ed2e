"""What can go wrong with providers, tools, the search, the store and time, and what is left of the turn then."""

import asyncio
from typing import Any

import pytest

from tests.engine.fakes import END, TOOLS, World, a_passage, call, text
from tests.engine.test_turn import events_of, soon
from twinspeak.domain.errors import Overloaded, ProviderFailed, ToolError
from twinspeak.domain.events import AnswerReady, ModelThinking, ModelUsage, ToolFinished, TurnFailed, TurnStarted
from twinspeak.domain.turn import ToolCall, ToolMessage, ToolOutcome, TurnState
from twinspeak.engine import saving
from twinspeak.engine.ports import ToolContext


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(saving, "LONGEST_PAUSE_S", 0.002)


@pytest.mark.parametrize(
    ("error", "code"),
    [(ProviderFailed(details={"provider": "fake"}), "provider_failed"), (KeyError(), "internal_error")],
)
@pytest.mark.parametrize("said", ["", "Half an ans"])
async def test_a_provider_that_fails(error: Exception, code: str, said: str):
    world = World()
    turn = world.start([text(said), error])
    events = await events_of(turn)
    assert isinstance(events[-2], TurnFailed)
    assert events[-2].code == code
    assert turn.failure is not None
    end = world.end(turn)
    assert (end.state, end.output, end.charge) == (TurnState.FAILED, said, 0)
    assert end.failure == turn.failure
    assert (world.store.balance, world.store.held, world.provider.closed) == (50, 0, 1)


async def test_a_model_that_nobody_serves():
    world = World()
    world.models.missing = True
    turn = world.start([text("x")])
    await events_of(turn)
    assert turn.failure is not None
    assert turn.failure.code == "model_unavailable"
    assert world.store.held == 0


async def test_a_provider_that_cancels_itself_fails_the_turn_and_leaves_no_row_behind():
    world = World()
    turn = world.start([text("x"), asyncio.CancelledError()])
    await events_of(turn)
    assert (world.end(turn).state, world.end(turn).output) == (TurnState.FAILED, "x")


@pytest.mark.parametrize(
    ("limits", "script", "limit"),
    [
        ({"first_token_s": 0.02}, [], "first_token"),
        ({"silence_s": 0.02, "checkpoint_s": 0.01}, [text("Half")], "silence"),
        ({"total_s": 0.05}, [text("Half")], "turn"),
    ],
)
async def test_a_provider_that_is_too_slow(limits: dict[str, Any], script: list[list[ModelThinking]], limit: str):
    world = World(**limits)
    turn = world.start([*script, asyncio.Event(), text("never")])
    events = await events_of(turn)
    failure = events[-2]
    assert isinstance(failure, TurnFailed)
    assert (failure.code, failure.status) == ("provider_timeout", 504)
    assert failure.details == {"provider": "fake", "limit": limit}
    assert world.provider.closed == 1
    assert world.end(turn).output == ("Half" if script else "")


async def test_time_between_pieces_counts_from_the_last_one():
    world = World(silence_s=0.2)

    async def pause() -> None:
        await asyncio.sleep(0.08)

    turn = world.start([text("a"), pause, text("b"), pause, text("c"), pause, text("d"), END])
    await events_of(turn)
    assert turn.reply is not None
    assert turn.reply.output == "abcd"


async def test_a_tool_that_hangs_ends_with_the_turns_time():
    world = World(total_s=0.05)

    async def hang(one: ToolCall, context: ToolContext) -> ToolOutcome:
        await asyncio.Event().wait()
        raise AssertionError

    world.tools.tools["hang"] = hang
    turn = world.start([call("hang"), TOOLS])
    events = await events_of(turn)
    assert isinstance(events[-2], TurnFailed)
    assert world.end(turn).tools[0].response == "Stopped before it ended."


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ToolError("No such book."), "No such book."),
        (ValueError("secret"), "failed"),
        (asyncio.CancelledError(), "failed"),
    ],
)
async def test_a_tool_that_fails_fails_no_turn(error: BaseException, words: str):
    world = World()

    async def bad(one: ToolCall, context: ToolContext) -> ToolOutcome:
        raise error

    async def good(one: ToolCall, context: ToolContext) -> ToolOutcome:
        return ToolOutcome(text="fine")

    world.tools.tools |= {"bad": bad, "good": good}
    turn = world.start([call("bad"), call("good", index=1), TOOLS], [text("Well then.")])
    await events_of(turn)
    assert turn.reply is not None
    assert turn.reply.output == "Well then."
    results = [message for message in world.provider.requests[1].messages if isinstance(message, ToolMessage)]
    assert words in results[0].text
    assert "secret" not in results[0].text
    assert results[1].text == "fine"
    assert [tool.success for tool in sorted(world.end(turn).tools, key=lambda tool: tool.began)] == [False, True]


@pytest.mark.parametrize("error", [Overloaded(), ZeroDivisionError(), asyncio.CancelledError()])
async def test_a_search_that_fails_is_shown_and_the_model_answers_without(error: BaseException):
    world = World()
    world.retriever.error = error
    turn = world.start([text("From memory.")], search_vault=True)
    events = await events_of(turn)
    assert turn.reply is not None
    assert [event.success for event in events if isinstance(event, ToolFinished)] == [False]


async def test_a_search_that_fails_is_not_told_as_an_empty_vault():
    world = World()
    world.retriever.error = ZeroDivisionError()
    turn = world.start(search_vault=True, passages_only=True)
    await events_of(turn)
    assert turn.failure is not None
    assert world.end(turn).output == ""


async def test_credits_that_run_out_between_rounds_end_the_answer():
    world = World(balance=1)

    async def look(one: ToolCall, context: ToolContext) -> ToolOutcome:
        return ToolOutcome(text="word " * 100)

    world.tools.tools["look"] = look
    turn = world.start(
        [text("Let me see."), call("look"), TOOLS, [ModelUsage(input=9_000, cached=0, completion=900)]],
        [text("never")],
        output_limit=4_000,
    )
    await events_of(turn)
    end = world.end(turn)
    assert (end.state, end.output, end.stop_reason, end.charge) == (TurnState.DONE, "Let me see.", "length", 1)
    assert world.provider.opened == 1
    assert (world.store.balance, world.store.held) == (0, 0)


async def test_a_further_round_holds_what_it_may_cost():
    world = World(balance=50)

    async def look(one: ToolCall, context: ToolContext) -> ToolOutcome:
        return ToolOutcome(text="ok")

    world.tools.tools["look"] = look
    used = ModelUsage(input=20_000, cached=20_000, completion=0)
    gate = asyncio.Event()
    turn = world.start([call("look"), TOOLS, [used]], [gate, text("x"), [used]], output_limit=4_000)
    await soon(world.provider.reached.wait())
    assert world.store.calls == ["begin", "extend"]
    assert world.row(turn).hold == 2  # (20,000 - 20,000 / 2 + prompt + 4,000) / 10,000, rounded up
    gate.set()
    await events_of(turn)
    assert world.end(turn).charge == 2


async def test_an_output_is_cut_to_what_the_payer_can_hold():
    world = World(balance=1)
    turn = world.start([text("x")], output_limit=50_000)
    await events_of(turn)
    (request,) = world.provider.requests
    assert 9_000 < request.output_limit < 10_000
    assert world.end(turn).charge == 1


async def test_two_turns_never_hold_more_than_there_is():
    world = World(balance=3)
    gate = asyncio.Event()
    turns = [world.start([gate, text("x")], output_limit=15_000) for _ in range(3)]
    await soon(world.provider.reached.wait())
    assert world.store.held <= 3
    gate.set()
    for turn in turns:
        await events_of(turn)
    assert world.store.held == 0


@pytest.mark.parametrize("error", [Overloaded(), OSError()])
async def test_a_store_that_is_down_for_a_moment_saves_in_the_end(error: Exception):
    world = World()
    world.store.breaks["finish"] = [error, error]
    turn = world.start([text("x")])
    await events_of(turn)
    assert turn.reply is not None
    assert world.store.calls.count("finish") == 3


async def test_a_store_that_stays_down_delays_the_answer_only_a_little_and_settles_once_it_is_back():
    world = World(save_patience_s=0.02)
    gate = world.store.gates["finish"] = asyncio.Event()
    world.store.breaks["finish"] = [OSError() for _ in range(9)]
    turn = world.start([text("x")])
    events = await events_of(turn)
    assert isinstance(events[-2], AnswerReady)
    assert turn.reply is not None
    assert turn.reply.output == "x"
    assert not turn.reply.settled
    assert turn.reply.settlement.total_credits == 49
    assert turn.finishing
    assert world.row(turn).state is TurnState.RUNNING
    assert world.registry.find(turn.turn_id, turn.ask.caller.user_id) is turn
    assert turn.turn_id in world.registry.unsaved
    assert (len(world.registry), world.registry.finishing) == (0, 1)
    gate.set()
    await soon(turn.saved())
    await asyncio.sleep(0)
    assert not turn.finishing
    assert world.row(turn).settlement == turn.reply.settlement
    assert world.store.calls.count("finish") == 10
    assert len(world.observer.ended) == 1
    assert not world.registry.unsaved


async def test_a_failed_turn_that_cannot_be_saved_tells_its_own_failure():
    world = World(save_patience_s=0.001)
    world.store.gates["finish"] = asyncio.Event()
    turn = world.start([text("x"), ProviderFailed()])
    await events_of(turn)
    assert turn.failure is not None
    assert turn.failure.code == "provider_failed"
    assert turn.finishing
    world.store.gates["finish"].set()
    await soon(turn.saved())
    assert world.end(turn).state is TurnState.FAILED


async def test_turns_that_wait_to_be_saved_count_as_running():
    world = World(save_patience_s=0.001, max_running=1)
    world.store.gates["finish"] = asyncio.Event()
    turn = world.start([text("x")])
    await events_of(turn)
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        world.start([text("y")])
    world.store.gates["finish"].set()
    await soon(turn.saved())
    await asyncio.sleep(0)
    await events_of(world.start([text("y")]))


async def test_a_turn_without_a_row_is_not_tried_for_ever():
    world = World()
    gate = asyncio.Event()
    turn = world.start([text("x"), gate])
    await soon(world.provider.reached.wait())
    del world.store.rows[turn.turn_id]
    gate.set()
    await events_of(turn)
    assert turn.reply is not None
    assert not turn.reply.settled
    assert not turn.finishing
    assert world.store.calls.count("finish") == 1


async def test_text_is_saved_while_it_comes():
    world = World(checkpoint_s=0.005)
    gate = asyncio.Event()
    turn = world.start([text("Half"), gate, text(" done")])
    await soon(world.store.called("checkpoint"))
    await asyncio.sleep(0)
    (snapshot, *_) = world.row(turn).snapshots
    assert snapshot.text == "Half"
    assert snapshot.usage.estimated
    assert snapshot.usage.completion == 1
    gate.set()
    await events_of(turn)
    assert world.end(turn).output == "Half done"


async def test_what_did_not_change_is_saved_again_only_to_renew_the_lease():
    world = World(checkpoint_s=0.001, lease_renewal_s=0.05)
    gate = asyncio.Event()
    turn = world.start([text("Half"), gate])
    began = asyncio.get_running_loop().time()
    await soon(world.store.called("checkpoint", 3))
    assert asyncio.get_running_loop().time() - began >= 0.09
    gate.set()
    await events_of(turn)


@pytest.mark.parametrize("error", [Overloaded(), OSError()])
async def test_a_checkpoint_that_fails_is_only_missed(error: Exception):
    world = World(checkpoint_s=0.002)
    world.store.breaks["checkpoint"] = [error, error]

    async def until_saved() -> None:
        await world.store.called("checkpoint", 3)
        await asyncio.sleep(0)

    turn = world.start([text("a"), until_saved, text("b")])
    await events_of(turn)
    assert turn.reply is not None
    assert turn.reply.output == "ab"
    assert world.row(turn).snapshots


async def test_a_slow_checkpoint_delays_no_text_and_no_limit_but_the_end_waits_for_it():
    world = World(checkpoint_s=0.002, silence_s=0.03)
    gate = world.store.gates["checkpoint"] = asyncio.Event()

    async def until_saving() -> None:
        await world.store.entered.wait()

    turn = world.start([text("a"), until_saving, text("b"), asyncio.Event()])
    await soon(world.store.entered.wait())
    await soon(world.provider.hung_up.wait())
    assert turn.log.text.text() == "ab"
    for _ in range(20):
        await asyncio.sleep(0)
    assert "finish" not in world.store.calls
    gate.set()
    await events_of(turn)
    assert world.store.calls.count("checkpoint") == 1
    assert world.end(turn).output == "ab"


async def test_an_observer_that_breaks_does_not_lose_the_turn():
    world = World()
    world.observer.error = RuntimeError()
    turn = world.start([text("x")])
    assert isinstance((await events_of(turn))[0], TurnStarted)
    assert world.end(turn).state is TurnState.FAILED
    assert world.store.held == 0


async def test_passages_found_before_a_failure_are_kept():
    world = World()
    world.retriever.passages = [a_passage(1)]
    turn = world.start([text("See [1"), ProviderFailed()], search_vault=True)
    await events_of(turn)
    assert world.end(turn).output == "See [1"
    assert len(world.end(turn).passages) == 1
