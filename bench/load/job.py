"""What the load client is told to do, and what it saw."""

from typing import Literal

import msgspec

from bench.answers import Answer

Face = Literal[
    "direct", "openai", "sse", "delta", "socketio", "socketio-delta", "polling", "rest", "histories", "upload", "get"
]
"""`direct` is chat completions at any address: the upstream itself, a pass-through, another proxy. `rest` is the whole
reply at once, `histories` a page of history, `upload` a new document for the asker's vault, `get` a read of the job's
path; the others stream."""
Cancel = Literal["", "hangup", "rest", "socket"]
Hold = Literal["", "open", "frozen"]


class Job(msgspec.Struct, frozen=True):
    """`streams` clients at once, each asking `turns` times; the first question somewhere within `stagger_s`.

    `think_s` is the mean of the pauses between two questions of a client (exponential, from `seed`). `tokens` are given
    to the clients in turn (`bearer` goes to other proxies). `args` are `requestArgs`; `question` is what is asked,
    beside the spell.

    `cancel` ends each answer after `at_frame` text frames. `hold` stops there instead, with every stream open until
    `release` is said; `frozen`: and no more read.
    """

    url: str
    face: Face
    answer: Answer
    streams: int = 1
    turns: int = 1
    tokens: tuple[str, ...] = ("",)
    stagger_s: float = 0
    think_s: float = 0
    question: str = "What is a digital twin?"
    model: str = "bench-model"
    args: dict[str, bool] = {}
    path: str = "/v1/chat/completions"
    bearer: str = ""
    cancel: Cancel = ""
    hold: Hold = ""
    at_frame: int = 3
    receive_buffer: int = 0
    seed: int = 1


class Spread(msgspec.Struct, frozen=True):
    """A distribution in milliseconds."""

    count: int = 0
    p50: float = 0
    p90: float = 0
    p99: float = 0
    most: float = 0

    @staticmethod
    def of(seconds: "list[float]") -> "Spread":
        """Sum up; an empty list is all zeros."""
        if not seconds:
            return Spread()
        ordered = sorted(seconds)
        at = [ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000 for part in (0.5, 0.9, 0.99)]
        return Spread(count=len(ordered), p50=at[0], p90=at[1], p99=at[2], most=ordered[-1] * 1000)


class Seen(msgspec.Struct):
    """What the clients of a job saw. Times in seconds; `words` are those that came, `asked` those that should have."""

    turns: int = 0
    asked: int = 0
    words: int = 0
    frames: int = 0
    received: int = 0
    lost: int = 0
    doubled: int = 0
    garbled: int = 0
    failed: int = 0
    errors: list[str] = []
    first_s: list[float] = []
    gaps: Spread = Spread()
    cancelled: dict[str, float] = {}
    elapsed_s: float = 0
    client_cpu_s: float = 0

    @property
    def faults(self) -> int:
        """Everything that must not happen, in one number."""
        return self.lost + self.doubled + self.garbled + self.failed
