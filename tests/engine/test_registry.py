"""The registry: whose turns are found, what ends them, and what is left of those that ended."""

import asyncio

import msgspec
import pytest

from tests.engine import models
from tests.engine.fakes import CALLER, World, an_ask, text
from tests.engine.test_turn import events_of, soon
from twinspeak.domain.errors import Overloaded, ServerStopping
from twinspeak.domain.turn import TurnState
from twinspeak.engine import registry

OTHER = msgspec.structs.replace(CALLER, user_id="b" * 24)
ELSEWHERE = msgspec.structs.replace(CALLER, session_id="t" * 24)


async def test_a_turn_is_found_by_its_user_only():
    world = World()
    gate = asyncio.Event()
    turn = world.start([text("a"), gate])
    assert world.registry.running(CALLER.user_id) == [turn]
    assert world.registry.find(turn.turn_id, CALLER.user_id) is turn
    assert world.registry.running(OTHER.user_id) == []
    assert world.registry.find(turn.turn_id, OTHER.user_id) is None
    gate.set()
    await events_of(turn)
    assert world.registry.running(CALLER.user_id) == []
    assert world.registry.find(turn.turn_id, CALLER.user_id) is turn
    assert models.joined([event async for event in turn.log]) == "a"
    assert world.registry.find(turn.turn_id, OTHER.user_id) is None


async def test_an_ended_turn_is_forgotten_after_a_while():
    world = World(keep_s=0.01)
    turn = world.start([text("a")])
    await events_of(turn)
    assert world.registry.find(turn.turn_id, CALLER.user_id) is turn
    await asyncio.sleep(0.03)
    assert world.registry.find(turn.turn_id, CALLER.user_id) is None


async def test_a_turn_that_never_began_is_forgotten_at_once():
    world = World()
    world.resolver.error = Overloaded()
    turn = world.start([text("a")])
    await events_of(turn)
    assert world.registry.find(turn.turn_id, CALLER.user_id) is None


async def test_no_more_run_than_may():
    world = World(max_running=1)
    gate = asyncio.Event()
    turn = world.start([gate, text("a")])
    with pytest.raises(Overloaded):
        world.registry.start(an_ask())
    gate.set()
    await events_of(turn)
    await events_of(world.start([text("b")]))


async def test_signing_out_ends_the_turns_of_that_session():
    world = World()
    gate = asyncio.Event()
    script = [text("a"), gate]
    turns = [world.start(script, script, script, caller=caller) for caller in (CALLER, ELSEWHERE, OTHER)]
    for turn in turns:
        await soon(turn.admitted())
    world.registry.revoke(CALLER.user_id, {CALLER.session_id})
    await events_of(turns[0])
    assert world.end(turns[0]).state is TurnState.CANCELLED
    assert len(world.registry) == 2
    world.registry.revoke(CALLER.user_id)
    await events_of(turns[1])
    assert world.registry.running(OTHER.user_id) == [turns[2]]
    gate.set()
    await events_of(turns[2])
    assert world.end(turns[2]).state is TurnState.DONE


async def test_draining_lets_turns_end():
    world = World()
    gate = asyncio.Event()
    turn = world.start([text("a"), gate, text("b")])
    await soon(world.provider.reached.wait())
    draining = asyncio.ensure_future(world.registry.drain(5))
    await asyncio.sleep(0)
    with pytest.raises(ServerStopping):
        world.registry.start(an_ask())
    gate.set()
    await soon(draining)
    await events_of(turn)
    assert (world.end(turn).state, world.end(turn).output) == (TurnState.DONE, "ab")


async def test_draining_saves_what_takes_too_long():
    world = World()
    turn = world.start([text("a"), asyncio.Event()])
    await soon(world.provider.reached.wait())
    await soon(world.registry.drain(0.01))
    await events_of(turn)
    end = world.end(turn)
    assert (end.state, end.output, end.charge) == (TurnState.INTERRUPTED, "a", 1)
    assert turn.reply is not None
    assert turn.reply.cancelled
    assert world.store.held == 0


async def test_draining_ends_though_a_turn_does_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry, "_LONGEST_DRAIN_AFTER_CANCEL_S", 0.01)
    world = World()
    world.store.gates["finish"] = asyncio.Event()
    turn = world.start([text("a")])
    await soon(world.store.entered.wait())
    await soon(world.registry.drain(0.01))
    await soon(world.registry.aclose())
    await events_of(turn)
    assert world.row(turn).state is TurnState.RUNNING


async def test_draining_with_nothing_to_do():
    world = World()
    await soon(world.registry.drain(5))
    await soon(world.registry.aclose())
