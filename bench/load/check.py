"""One stream as its client sees it: when text came, and whether every word came once, in order, and cumulatively."""

import re
from array import array

from bench.answers import TEXT, WORD

_NUMBER = re.compile(r"w(\d{4}) ")


class Check:
    """Takes text as it comes. `lost`, `doubled` and `garbled` count words and frames that are not as they were sent."""

    def __init__(self, gaps: "array[float]", *, started: float) -> None:
        """`gaps` is shared by the streams of a job; `started` is when the question was sent (monotonic)."""
        self.started = started
        self.first: float | None = None
        self.frames = 0
        self.words = 0
        self.lost = 0
        self.doubled = 0
        self.garbled = 0
        self._gaps = gaps
        self._last = 0.0
        self._next = 0
        self._told = 0

    def take(self, delta: str, prompt: str | None, now: float) -> None:
        """Take one frame's text; `prompt` is the cumulative text where the mode has one."""
        if not delta:
            return
        if self.first is None:
            self.first = now
        else:
            self._gaps.append(now - self._last)
        self._last = now
        self.frames += 1
        at = self._next * WORD
        if TEXT[at : at + len(delta)] == delta and len(delta) % WORD == 0:
            self.words += len(delta) // WORD
            self._next += len(delta) // WORD
        else:
            self._words_of(delta)
        self._told += len(delta)
        if prompt is not None and not (len(prompt) == self._told and TEXT.startswith(prompt)):
            self.garbled += not (self.lost or self.doubled)

    def finish(self, words: int, whole: str | None) -> None:
        """Count what has not come; `whole` is the answer as the face gives it at the end, None where it does not."""
        self.lost += max(0, words - self._next)
        if whole is not None and whole != TEXT[: words * WORD]:
            self.garbled += 1

    def _words_of(self, delta: str) -> None:
        """Count word by word: something is wrong, or a word was cut in two."""
        numbers = [int(number) for number in _NUMBER.findall(delta)]
        if len(numbers) * WORD != len(delta):
            self.garbled += 1
        for number in numbers:
            if number < self._next:
                self.doubled += 1
                continue
            self.lost += number - self._next
            self.words += 1
            self._next = number + 1
