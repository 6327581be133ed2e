"""Turns that go on without the call that asked: how long nobody may listen before they are ended (contract 4.2)."""

import asyncio
from weakref import WeakKeyDictionary, ref

from twinspeak.engine.control import CancelReason
from twinspeak.engine.turn import Turn


class _Listening:
    """Who is there for one turn. `on_its_own`: no call need wait for it any more, so it lives by its listeners."""

    def __init__(self) -> None:
        self.count = 0
        self.calls = 0
        self.on_its_own = False
        self.clock: asyncio.TimerHandle | None = None


class Audience:
    """Counts who listens to a turn. One that is on its own ends after `abandoned_s` seconds without anybody.

    Turns are held weakly: a clock that runs keeps no log in memory.
    """

    def __init__(self, *, abandoned_s: float) -> None:
        """Nobody listens to anything yet."""
        self._abandoned_s = abandoned_s
        self._turns: WeakKeyDictionary[Turn, _Listening] = WeakKeyDictionary()

    def call(self, turn: Turn) -> None:
        """Count a call that asked for the turn: the one that began it, or one that joined it by its key."""
        self._turns.setdefault(turn, _Listening()).calls += 1

    def hang_up(self, turn: Turn) -> bool:
        """Count a call less; return whether the turn ends with it: it was the last, and nothing lets the turn go on."""
        state = self._turns.setdefault(turn, _Listening())
        state.calls -= 1
        return state.calls <= 0 and not state.on_its_own

    def enter(self, turn: Turn) -> None:
        """Count a listener; the clock stops."""
        state = self._turns.setdefault(turn, _Listening())
        state.count += 1
        if state.clock is not None:
            state.clock.cancel()
            state.clock = None

    def leave(self, turn: Turn) -> None:
        """Count one less."""
        state = self._turns[turn]
        state.count -= 1
        self._watch(turn, state)

    def let_go(self, turn: Turn) -> None:
        """The call that asked waits no longer, or never did: from now on the turn lives by its listeners."""
        state = self._turns.setdefault(turn, _Listening())
        state.on_its_own = True
        self._watch(turn, state)

    def _watch(self, turn: Turn, state: _Listening) -> None:
        if state.on_its_own and state.count == 0 and state.clock is None:
            loop = asyncio.get_running_loop()
            state.clock = loop.call_later(self._abandoned_s, _end, ref(turn))


def _end(held: "ref[Turn]") -> None:
    turn = held()
    if turn is not None:
        turn.cancel(CancelReason.ABANDONED)
