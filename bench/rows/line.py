"""One line of the table: a figure beside its target."""

import msgspec


class Line(msgspec.Struct, frozen=True):
    """`figure` meets its target when it is at most `limit` and there were no `faults`; without a limit it only informs.

    `spread` holds the figures of the rounds that `figure` is the median of.
    """

    row: str
    what: str
    figure: float
    unit: str
    limit: float | None = None
    spread: tuple[float, ...] = ()
    note: str = ""
    faults: int = 0

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.limit is None:
            return None
        return self.figure <= self.limit and not self.faults


class Scale(msgspec.Struct, frozen=True):
    """How much of everything a run does. Long answers take 20 s each, so the short run has no time for three rounds."""

    name: str
    rounds: int
    streams: int
    long_rounds: int
    long_streams: int
    first_token_turns: int
    cancels: int
    open_streams: int
    starts: int
    reads: int


SHORT = Scale(
    name="short",
    rounds=5,
    streams=40,
    long_rounds=0,
    long_streams=20,
    first_token_turns=400,
    cancels=110,
    open_streams=150,
    starts=3,
    reads=1_000,
)
FULL = Scale(
    name="full",
    rounds=5,
    streams=40,
    long_rounds=3,
    long_streams=20,
    first_token_turns=2_000,
    cancels=500,
    open_streams=300,
    starts=7,
    reads=3_000,
)
TINY = Scale(
    name="tiny",
    rounds=1,
    streams=4,
    long_rounds=0,
    long_streams=2,
    first_token_turns=20,
    cancels=5,
    open_streams=10,
    starts=1,
    reads=50,
)
"""For those who work on the harness: its figures mean nothing."""
