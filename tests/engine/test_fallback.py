"""Another model answers where the twin's admin chose one: when, at which price, and when never."""

import asyncio
from typing import Any

import msgspec
import pytest

from tests.engine.fakes import END, MODEL, TOOLS, World, call, text
from tests.engine.test_turn import events_of, soon
from twinspeak.domain.credits import FREE, Price
from twinspeak.domain.errors import (
    CodedError,
    ModelUnavailable,
    Overloaded,
    ProviderBusy,
    ProviderFailed,
    ProviderUnavailable,
)
from twinspeak.domain.events import AnswerReady, ModelThinking, ModelUsage, ThinkingDelta, TurnFailed
from twinspeak.domain.turn import Fallback, ToolOutcome, TurnState

DOWN = ProviderFailed(details={"provider": "fake"})


def other(name: str = "other-1", *, price: Price | None = None, show_thinking: bool = True) -> Fallback:
    model = msgspec.structs.replace(MODEL, id=name, provider=name[:5], wire_name=name, price=price or Price())
    return Fallback(model, output_limit=700, show_thinking=show_thinking)


@pytest.mark.parametrize("error", [DOWN, ProviderBusy(), ProviderUnavailable(), ModelUnavailable()])
async def test_another_model_answers_and_the_reply_says_which(error: CodedError):
    world = World()
    turn = world.start([error], [text("Hello"), END], fallbacks=(other(),))
    events = await events_of(turn)
    assert isinstance(events[-2], AnswerReady)
    assert (events[-2].reply.output, events[-2].reply.model) == ("Hello", "other-1")
    assert [asked.model.id for asked in world.provider.requests] == ["fake-1", "other-1"]
    assert world.provider.requests[1].output_limit == 700
    assert turn.plan is not None
    assert (world.row(turn).model, turn.plan.model.id) == ("other-1", "other-1")
    assert world.observer.fell_back == [("fake-1", error.code)]
    assert world.provider.closed == 2


async def test_one_that_is_silent_is_given_up_in_time():
    world = World(first_token_s=0.05)
    turn = world.start([asyncio.Event()], [text("Hello"), END], fallbacks=(other(),))
    await events_of(turn)
    assert (world.end(turn).output, world.observer.fell_back) == ("Hello", [("fake-1", "provider_timeout")])


async def test_the_whole_list_is_walked_and_the_last_failure_is_told():
    world = World()
    last = ProviderFailed("The last one.", details={"provider": "third"})
    turn = world.start([DOWN], [DOWN], [last], fallbacks=(other(), other("third-1")))
    await events_of(turn)
    assert turn.failure is not None
    assert turn.failure.message == "The last one."
    assert [asked.model.id for asked in world.provider.requests] == ["fake-1", "other-1", "third-1"]
    assert (world.end(turn).charge, world.store.held) == (0, 0)


@pytest.mark.parametrize(
    "came",
    [text("H"), [ModelThinking("Hm")], call("search_uploads")],
    ids=["text", "thinking", "call"],
)
@pytest.mark.parametrize("shown", ["shown", ""])
async def test_never_once_anything_came(came: list[Any], shown: str):
    world = World()
    turn = world.start([came, DOWN], [text("never"), END], fallbacks=(other(),), show_thinking=bool(shown))
    await events_of(turn)
    assert world.end(turn).state is TurnState.FAILED
    assert len(world.provider.requests) == 1


async def test_never_in_a_later_round():
    world = World()

    async def tool(*_: Any) -> ToolOutcome:
        return ToolOutcome(text="nothing")

    world.tools.tools["look"] = tool
    turn = world.start([call("look"), TOOLS], [DOWN], [text("never"), END], fallbacks=(other(),))
    await events_of(turn)
    assert turn.failure is not None
    assert turn.failure.code == "provider_failed"
    assert len(world.provider.requests) == 2


@pytest.mark.parametrize("error", [ProviderFailed("unsafe", elsewhere=False), Overloaded(), KeyError()])
async def test_never_against_safety_rules_or_for_trouble_of_our_own(error: Exception):
    world = World()
    turn = world.start([error], [text("never"), END], fallbacks=(other(),))
    events = await events_of(turn)
    assert isinstance(events[-2], TurnFailed)
    assert len(world.provider.requests) == 1


async def test_without_a_list_a_failure_is_told():
    world = World()
    await events_of(world.start([DOWN], [text("never"), END]))
    assert len(world.provider.requests) == 1


async def test_the_price_is_that_of_the_model_that_answered():
    world = World(balance=100)
    dear = other(price=Price(input=0, cached=0, completion=1_000_000))
    usage = [ModelUsage(input=50_000, cached=0, completion=1)]
    counted = [ModelUsage(input=10, cached=0, completion=7)]
    turn = world.start([usage, DOWN], [text("Hello"), counted, END], fallbacks=(dear,))
    await events_of(turn)
    end = world.end(turn)
    assert (end.usage.input, end.usage.completion, end.charge) == (10, 7, 7)
    assert (world.store.balance, world.store.held) == (93, 0)


async def test_a_free_model_costs_nothing():
    world = World()
    turn = world.start([DOWN], [text("Hello"), END], fallbacks=(other(price=FREE),))
    await events_of(turn)
    assert (world.end(turn).charge, world.store.balance) == (0, 50)


async def test_one_that_cannot_be_paid_is_not_asked():
    world = World(balance=5)
    dear = other(price=Price(completion=50_000_000))
    turn = world.start([DOWN], [text("never"), END], fallbacks=(dear,))
    await events_of(turn)
    assert turn.failure is not None
    assert turn.failure.code == "insufficient_credits"
    assert len(world.provider.requests) == 1
    assert (world.store.balance, world.store.held) == (5, 0)


async def test_thinking_is_shown_as_the_model_that_answers_has_it():
    world = World()
    script = [ModelThinking("Hm")], text("Hello"), END
    turn = world.start([DOWN], script, fallbacks=(other(show_thinking=False),))
    assert not [event for event in await events_of(turn) if isinstance(event, ThinkingDelta)]


async def test_a_cancel_between_the_two_ends_the_turn():
    world = World()
    world.store.gates["switch"] = asyncio.Event()
    turn = world.start([DOWN], [text("never"), END], fallbacks=(other(),))
    await soon(world.store.entered.wait())
    turn.cancel()
    world.store.gates["switch"].set()
    await events_of(turn)
    assert world.end(turn).state is TurnState.CANCELLED
    assert len(world.provider.requests) == 1
