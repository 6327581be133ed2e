"""Circuit breakers: an endpoint that keeps failing is left alone for a while, then tried with one request.

    closed --failures in a row--> open --time--> half-open --an answer--> closed
                                    ^--------------failure---'

An endpoint is one model at one provider: that one model is overloaded says nothing of its sisters.
"""

from collections import OrderedDict
from collections.abc import Callable
from enum import StrEnum

from twinspeak.domain.clock import monotonic
from twinspeak.domain.errors import ProviderUnavailable

_MOST = 256
"""Endpoints in trouble that are remembered; a twin's administrator can write any model's name."""
_FORGET_S = 60.0
"""Failures further apart than this are not in a row."""
_LONGEST = 8
"""An endpoint that fails its trial is left alone for twice as long, up to so many times the first pause."""


class Outcome(StrEnum):
    """What an attempt says of its endpoint. A refusal is an answer; a cancelled attempt says nothing."""

    ANSWERED = "answered"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Ticket:
    """An attempt that was let through. `trial`: the one that an open circuit waits for, until it has been reported."""

    __slots__ = ("endpoint", "trial")

    def __init__(self, endpoint: str, *, trial: bool) -> None:
        self.endpoint = endpoint
        self.trial = trial


class _Circuit:
    """An endpoint in trouble. `open_until` None: closed, and counting `failures`; `opened` counts times in a row."""

    __slots__ = ("failures", "last_failure", "open_until", "opened", "trying")

    def __init__(self) -> None:
        self.failures = 0
        self.last_failure = 0.0
        self.open_until: float | None = None
        self.opened = 0
        self.trying = False


class Circuits:
    """The circuits of one provider: `failures` in a row open one for `open_s` seconds; 0 failures: none ever opens.

    `told` hears how the number of open ones changes.
    """

    def __init__(self, provider: str, *, failures: int, open_s: float, told: Callable[[int], None]) -> None:
        self._provider = provider
        self._failures = failures
        self._open_s = open_s
        self._told = told
        self._circuits: OrderedDict[str, _Circuit] = OrderedDict()

    def enter(self, endpoint: str) -> Ticket:
        """Let an attempt through. Raises ProviderUnavailable, with the seconds after which to come back."""
        circuit = self._circuits.get(endpoint)
        if circuit is None or circuit.open_until is None:
            return Ticket(endpoint, trial=False)
        wait = circuit.open_until - monotonic()
        if wait > 0 or circuit.trying:
            raise ProviderUnavailable(details={"provider": self._provider}, retry_after_s=max(1, round(wait + 0.5)))
        circuit.trying = True
        return Ticket(endpoint, trial=True)

    def heard(self, ticket: Ticket) -> None:
        """Say that an answer begins: others need not wait for the end of a trial."""
        if ticket.trial:
            self.report(ticket, Outcome.ANSWERED)

    def report(self, ticket: Ticket, outcome: Outcome) -> None:
        """Say how an attempt ended."""
        circuit = self._circuits.get(ticket.endpoint)
        if ticket.trial:
            ticket.trial = False
            if circuit:
                self._tried(ticket.endpoint, circuit, outcome)
        elif outcome is Outcome.FAILED and self._failures:
            self._failed(circuit or self._remember(ticket.endpoint))
        elif outcome is Outcome.ANSWERED and circuit and circuit.open_until is None:
            del self._circuits[ticket.endpoint]

    def _tried(self, endpoint: str, circuit: _Circuit, outcome: Outcome) -> None:
        """Close after a trial, or stay open for longer; one that was cancelled leaves the trial to the next."""
        circuit.trying = False
        if outcome is Outcome.FAILED:
            self._open(circuit)
        elif outcome is Outcome.ANSWERED:
            self._forget(endpoint)

    def _failed(self, circuit: _Circuit) -> None:
        """Count a failure; those of attempts that began before the circuit opened say nothing new."""
        if circuit.open_until is not None:
            return
        now = monotonic()
        circuit.failures = circuit.failures + 1 if now - circuit.last_failure <= _FORGET_S else 1
        circuit.last_failure = now
        if circuit.failures >= self._failures:
            self._open(circuit)
            self._told(1)

    def _open(self, circuit: _Circuit) -> None:
        circuit.open_until = monotonic() + self._open_s * min(2**circuit.opened, _LONGEST)
        circuit.opened += 1

    def _remember(self, endpoint: str) -> _Circuit:
        if len(self._circuits) >= _MOST:
            self._forget(next(iter(self._circuits)))
        self._circuits[endpoint] = _Circuit()
        return self._circuits[endpoint]

    def _forget(self, endpoint: str) -> None:
        if self._circuits.pop(endpoint).open_until is not None:
            self._told(-1)
