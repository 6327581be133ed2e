"""A session's clock, on both event loops: uvloop's timers of a time that has come know no time."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from tests.transports.socketio.clients import eventually
from twinspeak.engine.buffer import TextBuffer
from twinspeak.engine.log import LogReader, TurnLog
from twinspeak.transports.socketio.link import Link, Peer
from twinspeak.transports.socketio.wire.connection import ConnectionLimits, SioConnection
from twinspeak.transports.socketio.wire.engine import EngineLimits, EngineSession, Transport

NewLoop = Callable[[], asyncio.AbstractEventLoop]
LOOPS = pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])


def a_link(limits: EngineLimits) -> Link:
    async def heard(*_: object) -> None:
        return None

    now = asyncio.get_running_loop().time()
    return Link(
        EngineSession("s", limits, now=now, transport=Transport.POLLING),
        SioConnection(frozenset({"/"}), ConnectionLimits(), now=now),
        Peer(address="127.0.0.1"),
        on_happening=heard,
        on_closed=lambda _: None,
    )


@LOOPS
def test_an_upgrade_that_begins_is_timed_however_often_its_session_is_touched(loop: NewLoop):
    async def story() -> None:
        link = a_link(EngineLimits(upgrade_timeout_s=0.05))
        assert link.session.attach()  # its deadline is the time by which it asks for its time: now, or before
        link.touch()
        link.touch()
        await eventually(lambda: link.session.abandoned)
        assert not link.closed
        link.close("seen enough")

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(story())


@LOOPS
def test_a_session_whose_peer_is_silent_ends_in_its_time(loop: NewLoop):
    async def story() -> None:
        link = a_link(EngineLimits(ping_interval_s=0.02, ping_timeout_s=0.02))
        async with asyncio.timeout(5):
            await link.over()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(story())


@LOOPS
def test_a_reader_may_be_told_of_a_time_that_has_come_before_its_timer_rang(loop: NewLoop):
    async def story() -> None:
        log = TurnLog("epoch", text=TextBuffer(), thinking=TextBuffer())
        reader = LogReader(log)
        gone = asyncio.get_running_loop().time() - 1
        reader._be_woken_by(gone)
        reader._be_woken_by(gone - 1)
        with pytest.raises(TimeoutError):
            await reader.next(idle_s=0.01)
        reader.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(story())
