"""Turns that go on without a listener: how long, before they count as abandoned (contract 4.2)."""

import asyncio

from twinspeak.engine.control import CancelReason
from twinspeak.engine.turn import Turn


class Audience:
    """Counts who listens to a turn that may go on without its client. Nobody for `abandoned_s` seconds ends it."""

    def __init__(self, *, abandoned_s: float) -> None:
        """Nobody listens to anything yet."""
        self._abandoned_s = abandoned_s
        self._listeners: dict[str, int] = {}

    def enter(self, turn: Turn) -> None:
        """Count a listener."""
        self._listeners[turn.turn_id] = self._listeners.get(turn.turn_id, 0) + 1

    def leave(self, turn: Turn, *, watch: bool = True) -> None:
        """Count one less; when it was the last, the clock runs. `watch` False: somebody else still waits for it."""
        left = self._listeners.pop(turn.turn_id, 1) - 1
        if left > 0:
            self._listeners[turn.turn_id] = left
        elif watch:
            self.nobody(turn)

    def nobody(self, turn: Turn) -> None:
        """Run the clock for a turn that nobody listens to now."""
        asyncio.get_running_loop().call_later(self._abandoned_s, self._end_if_alone, turn)

    def _end_if_alone(self, turn: Turn) -> None:
        if turn.turn_id not in self._listeners:
            turn.cancel(CancelReason.ABANDONED)
