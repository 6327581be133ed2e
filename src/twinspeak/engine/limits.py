"""The bounds of a turn, and the clock that watches them."""

import msgspec

from twinspeak.domain.clock import monotonic
from twinspeak.domain.errors import ProviderTimeout


class TurnLimits(msgspec.Struct, frozen=True):
    """Durations in seconds. `least_output` is the fewest output tokens worth starting a round for.

    `save_patience_s` is how long a finished answer is held back for the database to take it.
    """

    first_token_s: float = 90
    silence_s: float = 90
    total_s: float = 900
    checkpoint_s: float = 1
    lease_renewal_s: float = 10
    max_rounds: int = 8
    max_answer_chars: int = 400_000
    max_running: int = 1_000
    least_output: int = 32
    save_patience_s: float = 3


class Watch:
    """Watches one step of a turn: how long until something is due, and what is too late.

    Touching it is all that a busy stream pays; the waiting is done by whoever waits for the step.
    """

    def __init__(self, limits: TurnLimits, *, started: float) -> None:
        """`started` is when the turn began (monotonic)."""
        self._limits = limits
        self._turn_deadline = started + limits.total_s
        self._provider = ""
        self._checkpoint_at = monotonic() + limits.checkpoint_s
        self._expects_stream = False
        self._began = monotonic()
        self._last: float | None = None

    def expect_stream(self, provider: str) -> None:
        """A provider is being asked: from now on its silence counts."""
        self._provider = provider
        self._expects_stream = True
        self._began = monotonic()
        self._last = None

    def expect_nothing(self) -> None:
        """The provider is done; only the whole turn's limit counts."""
        self._expects_stream = False

    def touch(self) -> None:
        """Something arrived."""
        self._last = monotonic()

    def next_wake_s(self) -> float:
        """Seconds until a limit passes or a checkpoint is due."""
        return max(0.0, min(self._deadline()[0], self._checkpoint_at) - monotonic())

    def check(self) -> None:
        """Raise ProviderTimeout when a limit has passed."""
        deadline, limit = self._deadline()
        if monotonic() >= deadline:
            raise ProviderTimeout(details={"provider": self._provider, "limit": limit})

    def checkpoint_due(self) -> bool:
        """Whether to save what there is now; the next time is a while later."""
        now = monotonic()
        if now < self._checkpoint_at:
            return False
        self._checkpoint_at = now + self._limits.checkpoint_s
        return True

    def _deadline(self) -> tuple[float, str]:
        if not self._expects_stream:
            return self._turn_deadline, "turn"
        if self._last is None:
            stream, limit = self._began + self._limits.first_token_s, "first_token"
        else:
            stream, limit = self._last + self._limits.silence_s, "silence"
        return (stream, limit) if stream < self._turn_deadline else (self._turn_deadline, "turn")
