"""What stands between a turn and a vendor's wire: a queue, a circuit breaker, and asking again (decision 025).

`Routed` is an `engine.ports.ModelProvider` around another one. Only while nothing of an answer has come is a request
made again: then nobody has seen anything that could be taken back, whether the vendor refused with a status or with
the first event of a stream.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Protocol

import aiohttp
import msgspec
import structlog

from twinspeak.domain.clock import monotonic
from twinspeak.domain.errors import ProviderFailed
from twinspeak.domain.events import ModelEvent, ModelUsage
from twinspeak.domain.turn import ModelRequest
from twinspeak.engine.ports import ModelProvider
from twinspeak.providers.circuit import Circuits, Outcome, Ticket
from twinspeak.providers.gate import Gate
from twinspeak.providers.refusals import Refusal, Refused

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Policy(msgspec.Struct, frozen=True):
    """How a provider is asked. Times are in seconds.

    `attempts` in all, within `budget_s` from the first; waits grow from `first_wait_s` to `longest_wait_s`. `at_once`
    requests run, `waiting` wait for up to `patience_s`. `failures` in a row open a circuit for `open_s`; an attempt of
    which nothing was heard for `stall_s` counts as one.
    """

    attempts: int = 3
    budget_s: float = 15
    first_wait_s: float = 0.5
    longest_wait_s: float = 8
    at_once: int = 500
    waiting: int = 500
    patience_s: float = 30
    failures: int = 10
    open_s: float = 15
    stall_s: float = 90

    def wait_s(self, attempt: int, asked: float | None) -> float:
        """Return the wait after failed attempt number `attempt`, from 1.

        Never less than was asked for; else anything up to a bound that doubles (full jitter): that parts those who
        failed together.
        """
        if asked is not None:
            return asked + _up_to(asked / 10)
        return _up_to(min(self.longest_wait_s, self.first_wait_s * 2 ** (attempt - 1)))


class RoutingObserver(Protocol):
    """Is told how providers are asked, for metrics. Must not block, must not raise."""

    def provider_load(self, provider: str, *, asked: int, waiting: int) -> None:
        """So many requests more (or fewer) run, or wait for their turn."""
        ...

    def provider_asked_again(self, provider: str) -> None:
        """A request is made again."""
        ...

    def provider_circuit(self, provider: str, *, opened: bool) -> None:
        """An endpoint is left alone from now on, or no more."""
        ...


class Routing:
    """Makes `Routed` providers that share a policy."""

    def __init__(self, policy: Policy, observer: RoutingObserver | None = None) -> None:
        self._policy = policy
        self._observer = observer or _Nobody()

    def guard(self, name: str, provider: ModelProvider) -> "Routed":
        """Put a queue and circuits of its own before `provider`; `name` is how people and metrics know it."""
        return Routed(name, provider, self._policy, self._observer)


class Routed:
    """A provider with a queue, circuits and patience."""

    def __init__(
        self, name: str, provider: ModelProvider, policy: Policy, observer: RoutingObserver | None = None
    ) -> None:
        self._name = name
        self._provider = provider
        self._policy = policy
        self._observer = observer or _Nobody()
        self._gate = Gate(
            name,
            at_once=policy.at_once,
            waiting=policy.waiting,
            patience_s=policy.patience_s,
            told=lambda asked, waiting: self._observer.provider_load(name, asked=asked, waiting=waiting),
        )
        self._circuits = Circuits(name, failures=policy.failures, open_s=policy.open_s, told=self._circuit_told)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent]]:
        """Yield the answer's events in batches. Raises ProviderFailed, ProviderBusy and ProviderUnavailable.

        A cancelled task leaves the queue, or stops waiting to ask again, at once.
        """
        number, deadline = 1, None
        while True:
            attempt = _Attempt()
            try:
                async with self._admitted(request, attempt), aclosing(self._provider.stream(request)) as batches:
                    async for batch in batches:
                        if not attempt.heard and any(not isinstance(event, ModelUsage) for event in batch):
                            attempt.heard = True
                            self._circuits.heard(attempt.ticket)
                        yield batch
                return
            except ProviderFailed as failure:
                deadline = deadline or attempt.began + self._policy.budget_s
                wait = None if attempt.heard else self._wait_after(failure, number, deadline)
                if wait is None:
                    raise
            number += 1
            _log.info("provider_asked_again", provider=self._name, attempt=number, wait_s=round(wait, 3))
            self._observer.provider_asked_again(self._name)
            await asyncio.sleep(wait)

    @asynccontextmanager
    async def _admitted(self, request: ModelRequest, attempt: "_Attempt") -> AsyncGenerator[None]:
        """Wait for a turn, and tell the endpoint's circuit what becomes of it."""
        async with self._gate.passed(request.twin_id or request.user_id, request.user_id):
            attempt.ticket = self._circuits.enter(request.model.wire_name)
            attempt.began = monotonic()
            outcome = None
            try:
                yield
                outcome = Outcome.ANSWERED
            except ProviderFailed as failure:
                outcome = _outcome_of(failure)
                raise
            finally:
                self._circuits.report(attempt.ticket, outcome or self._silence(attempt))

    def _silence(self, attempt: "_Attempt") -> Outcome:
        """Judge an attempt that was cancelled: by a person it says nothing, out of patience it does."""
        stalled = not attempt.heard and monotonic() - attempt.began >= 0.9 * self._policy.stall_s
        return Outcome.FAILED if stalled else Outcome.UNKNOWN

    def _wait_after(self, failure: ProviderFailed, number: int, deadline: float) -> float | None:
        """Return how long to wait before asking again; None when that does not help, or would come too late."""
        refusal = _refusal_of(failure)
        if number >= self._policy.attempts or refusal is None or not refusal.transient:
            return None
        wait = self._policy.wait_s(number, refusal.retry_after_s)
        return wait if monotonic() + wait <= deadline else None

    def _circuit_told(self, change: int) -> None:
        _log.warning("provider_circuit_opened" if change > 0 else "provider_circuit_closed", provider=self._name)
        self._observer.provider_circuit(self._name, opened=change > 0)


class _Attempt:
    """One request of several. `heard`: something of its answer came."""

    __slots__ = ("began", "heard", "ticket")

    def __init__(self) -> None:
        self.ticket = Ticket("", trial=False)
        self.began = 0.0
        self.heard = False


class _Nobody:
    """An observer for who wants none."""

    def provider_load(self, provider: str, *, asked: int, waiting: int) -> None: ...

    def provider_asked_again(self, provider: str) -> None: ...

    def provider_circuit(self, provider: str, *, opened: bool) -> None: ...


def _refusal_of(failure: ProviderFailed) -> Refusal | None:
    """Return what the vendor said; a broken connection is as good as `unavailable`; None: it was not even asked."""
    cause = failure.__cause__
    if isinstance(cause, Refused):
        return cause.refusal
    return Refusal(503) if isinstance(cause, aiohttp.ClientError | OSError) else None


def _outcome_of(failure: ProviderFailed) -> Outcome:
    """A refusal for what was asked, or for how often, comes from an endpoint that works."""
    refusal = _refusal_of(failure)
    if refusal is None:
        return Outcome.UNKNOWN
    return Outcome.FAILED if refusal.status >= 500 or refusal.status in {0, 408, 424} else Outcome.ANSWERED


def _up_to(most: float) -> float:
    return most * secrets.randbelow(1_000_001) / 1_000_000
