"""The turns that run here, those that wait to be saved, and the logs of those that ended a moment ago."""

import asyncio
from collections.abc import Collection

import structlog

from twinspeak.domain.errors import Conflict, Overloaded, ServerStopping
from twinspeak.domain.turn import Ask
from twinspeak.engine.control import CancelReason
from twinspeak.engine.limits import TurnLimits
from twinspeak.engine.ports import TurnPorts
from twinspeak.engine.tasks import Supervisor
from twinspeak.engine.turn import Turn

_LONGEST_DRAIN_AFTER_CANCEL_S = 10.0

_log = structlog.get_logger(__name__)


class TurnRegistry:
    """Starts turns and finds them again, each only for the user whose it is."""

    def __init__(self, ports: TurnPorts, limits: TurnLimits, *, keep_s: float = 60) -> None:
        """`keep_s` is how long an ended turn's log can still be read."""
        self._ports = ports
        self._limits = limits
        self._keep_s = keep_s
        self._supervisor = Supervisor("turns")
        self._running: dict[str, Turn] = {}
        self._finishing: dict[str, Turn] = {}
        self._ended: dict[str, Turn] = {}
        self._by_key: dict[tuple[str, str], Turn] = {}
        self._stopping = False

    def start(self, ask: Ask) -> Turn:
        """Start a turn. Raises ServerStopping, Overloaded when too many run, Conflict for an id that is taken.

        Turns that the database has not taken yet count as running: they bound what an outage may pile up.
        """
        if self._stopping:
            raise ServerStopping(retry_after_s=10)
        if len(self._running) + len(self._finishing) >= self._limits.max_running:
            raise Overloaded(retry_after_s=5)
        if any(ask.turn_id in turns for turns in (self._running, self._finishing, self._ended)):
            raise Conflict("A turn with this id exists already.")
        turn = Turn(ask, self._ports, self._limits, self._supervisor)
        self._running[ask.turn_id] = turn
        if ask.once is not None:
            self._by_key[ask.caller.user_id, ask.once.key] = turn
        self._supervisor.spawn_forever(self._run(turn), name=f"turn {ask.turn_id}")
        return turn

    @property
    def stopping(self) -> bool:
        """Whether no more turns are taken."""
        return self._stopping

    @property
    def unsaved(self) -> Collection[str]:
        """The ids of turns that this process has in hand: running, or waiting to be saved."""
        return self._running.keys() | self._finishing.keys()

    def __len__(self) -> int:
        """Return how many turns run."""
        return len(self._running)

    @property
    def finishing(self) -> int:
        """How many turns have ended and are not saved yet."""
        return len(self._finishing)

    def running(self, user_id: str) -> list[Turn]:
        """Return the user's running turns, oldest first, after those that wait to be saved."""
        found = (*self._finishing.values(), *self._running.values())
        return [turn for turn in found if turn.ask.caller.user_id == user_id]

    def find(self, turn_id: str, user_id: str) -> Turn | None:
        """Return the user's turn, running or just ended; None for an unknown id and for someone else's alike."""
        turn = self._running.get(turn_id) or self._finishing.get(turn_id) or self._ended.get(turn_id)
        return turn if turn is not None and turn.ask.caller.user_id == user_id else None

    def by_key(self, user_id: str, key: str) -> Turn | None:
        """Return the user's turn that was asked under an idempotency key and is here still; no refused one.

        A refusal may be over by the next time of asking (credits, limits), so it does not use a key up.
        """
        turn = self._by_key.get((user_id, key))
        return None if turn is None or turn.refused else turn

    def revoke(self, user_id: str, session_ids: Collection[str] | None = None) -> None:
        """End the user's running turns: all, or those of the sessions named (sign-out, suspension, password change)."""
        for turn in self.running(user_id):
            if session_ids is None or turn.ask.caller.session_id in session_ids:
                turn.cancel(CancelReason.REVOKED)

    def leave(self, user_id: str, institution_id: str) -> None:
        """End the user's running turns in a twin where the user may do less than before.

        A turn that does not know its twin yet ends too: it may have looked before the right went.
        """
        for turn in self.running(user_id):
            twin = turn.plan.institution if turn.plan else None
            if turn.plan is None or (twin is not None and twin.id == institution_id):
                turn.cancel(CancelReason.REVOKED)

    async def drain(self, patience_s: float) -> None:
        """Take no more turns; give the running ones `patience_s` to end, then cancel and save them."""
        self._stopping = True
        if await self._supervisor.settle(patience_s):
            return
        for turn in tuple(self._running.values()):
            turn.cancel(CancelReason.SERVER_STOPPING)
        await self._supervisor.settle(_LONGEST_DRAIN_AFTER_CANCEL_S)

    async def aclose(self) -> None:
        """End whatever is left; the database keeps what was checkpointed, and the next start settles that."""
        self._stopping = True
        if self._finishing:
            _log.error("turns left unsaved, the next start settles them", count=len(self._finishing))
        await self._supervisor.aclose()

    async def _run(self, turn: Turn) -> None:
        try:
            await turn.run()
            if turn.finishing:
                self._finishing[turn.turn_id] = turn
                del self._running[turn.turn_id]
                await turn.saved()
        finally:
            self._running.pop(turn.turn_id, None)
            self._finishing.pop(turn.turn_id, None)
            if turn.plan is not None and self._keep_s > 0 and not self._stopping:
                self._ended[turn.turn_id] = turn
                asyncio.get_running_loop().call_later(self._keep_s, self._forget, turn)
            else:
                self._forget(turn)

    def _forget(self, turn: Turn) -> None:
        self._ended.pop(turn.turn_id, None)
        once = turn.ask.once
        if once is not None and self._by_key.get((turn.ask.caller.user_id, once.key)) is turn:
            del self._by_key[turn.ask.caller.user_id, once.key]
