"""Circuit breakers: when they open, who may try, and that they remember a bounded number of endpoints."""

import pytest

from twinspeak.domain.errors import ProviderUnavailable
from twinspeak.providers import circuit
from twinspeak.providers.circuit import Circuits, Outcome, Ticket


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(circuit, "monotonic", clock)
    return clock


class Board:
    """Circuits that open after 3 failures for 10 seconds; `open` is how many are."""

    def __init__(self, *, failures: int = 3) -> None:
        self.open = 0
        self.circuits = Circuits("openai", failures=failures, open_s=10, told=self._told)

    def _told(self, change: int) -> None:
        self.open += change

    def attempt(self, outcome: Outcome, endpoint: str = "m") -> None:
        self.circuits.report(self.circuits.enter(endpoint), outcome)

    def broken(self, endpoint: str = "m") -> None:
        for _ in range(3):
            self.attempt(Outcome.FAILED, endpoint)

    def refused(self, endpoint: str = "m") -> int | None:
        with pytest.raises(ProviderUnavailable) as raised:
            self.circuits.enter(endpoint)
        assert raised.value.details == {"provider": "openai"}
        return raised.value.retry_after_s


def test_failures_in_a_row_open_it_and_say_how_long(clock: Clock):
    board = Board()
    board.broken()
    assert (board.open, board.refused()) == (1, 10)
    clock.now += 6.5
    assert board.refused() == 4
    board.attempt(Outcome.ANSWERED, "another model")


@pytest.mark.parametrize("between", [Outcome.ANSWERED, "a minute"])
def test_failures_that_are_not_in_a_row_do_not(clock: Clock, between: Outcome | str):
    board = Board()
    for _ in range(5):
        board.attempt(Outcome.FAILED)
        board.attempt(Outcome.FAILED)
        if isinstance(between, Outcome):
            board.attempt(between)
        else:
            clock.now += 61
    assert board.open == 0


def test_a_cancelled_attempt_says_nothing(clock: Clock):
    board = Board()
    for outcome in (Outcome.FAILED, Outcome.FAILED, Outcome.UNKNOWN, Outcome.FAILED):
        board.attempt(outcome)
    assert board.open == 1


def test_one_trial_at_a_time_and_an_answer_closes(clock: Clock):
    board = Board()
    board.broken()
    clock.now += 10
    trial = board.circuits.enter("m")
    assert board.refused() == 1
    board.circuits.heard(trial)
    assert board.open == 0
    board.attempt(Outcome.ANSWERED)
    board.circuits.report(trial, Outcome.FAILED)
    board.attempt(Outcome.FAILED)
    assert board.open == 0


def test_a_failed_trial_opens_for_longer_up_to_a_bound(clock: Clock):
    board = Board()
    board.broken()
    waits: list[int | None] = []
    for _ in range(5):
        clock.now += board.refused() or 0
        board.attempt(Outcome.FAILED)
        waits.append(board.refused())
    assert waits == [20, 40, 80, 80, 80]
    assert board.open == 1


def test_a_cancelled_trial_leaves_it_to_the_next(clock: Clock):
    board = Board()
    board.broken()
    clock.now += 10
    board.attempt(Outcome.UNKNOWN)
    board.attempt(Outcome.ANSWERED)
    assert board.open == 0


def test_late_failures_of_attempts_that_began_before_change_nothing(clock: Clock):
    board = Board()
    late: list[Ticket] = [board.circuits.enter("m") for _ in range(5)]
    board.broken()
    clock.now += 10
    for ticket in late:
        board.circuits.report(ticket, Outcome.FAILED)
    board.attempt(Outcome.ANSWERED)
    assert board.open == 0


def test_it_can_be_switched_off(clock: Clock):
    board = Board(failures=0)
    for _ in range(100):
        board.attempt(Outcome.FAILED)
    assert board.open == 0


def test_what_is_remembered_is_bounded(clock: Clock):
    board = Board()
    for number in range(1_000):
        board.broken(f"model-{number}")
    assert len(board.circuits._circuits) == board.open == circuit._MOST
    board.attempt(Outcome.ANSWERED, "model-0")
