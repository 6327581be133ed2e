"""Watches the event loop: how late it runs its timers, and whether it is stuck.

One blocking call stops every stream of every person, and nothing on the loop can tell, because nothing there runs.
So a heartbeat on the loop stamps the time, and a thread beside it looks at the stamp (decision 012).
"""

import asyncio
import sys
import threading
import traceback
from collections import deque

import msgspec

from twinspeak.domain.clock import monotonic
from twinspeak.telemetry import logs

_log = logs.get("watchdog")


class Lag(msgspec.Struct, frozen=True):
    """How late timers ran over about the last minute, in milliseconds (reference admin 3.10, `eventLoopLag`)."""

    mean_ms: float = 0.0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0


class Watchdog:
    """Make one, run `run()` as a task for the life of the server, ask `lag()` and `stuck` from anywhere.

    `beat_s` is how often the loop stamps the time, `stuck_after_s` how old a stamp means stuck, `recent_s` how long
    `stuck` stays true afterwards, so that a probe that could not be answered meanwhile sees it at all.
    """

    def __init__(
        self, *, beat_s: float = 0.1, stuck_after_s: float = 5.0, recent_s: float = 10.0, window_s: float = 60.0
    ) -> None:
        self._beat_s = beat_s
        self._stuck_after_s = stuck_after_s
        self._recent_s = recent_s
        self._late: deque[float] = deque(maxlen=max(1, int(window_s / beat_s)))
        self._last_beat: float | None = None
        self._episode_end: float | None = None
        self._episodes = 0
        self._still_s = 0.0

    @property
    def episodes(self) -> int:
        """How often the loop has been found stuck since the start."""
        return self._episodes

    @property
    def stuck(self) -> bool:
        """True while the loop does not beat, and for `recent_s` after it did not; False before the first beat."""
        now = monotonic()
        if self._last_beat is not None and now - self._last_beat > self._stuck_after_s:
            return True
        return self._episode_end is not None and now - self._episode_end < self._recent_s

    def lag(self) -> Lag:
        """Return how late the loop's timers were; all zero when there is no sample yet."""
        late = sorted(self._late)
        if not late:
            return Lag()
        return Lag(
            mean_ms=_ms(sum(late) / len(late)),
            p50_ms=_ms(_quantile(late, 0.50)),
            p95_ms=_ms(_quantile(late, 0.95)),
            p99_ms=_ms(_quantile(late, 0.99)),
            max_ms=_ms(late[-1]),
        )

    async def run(self) -> None:
        """Beat until cancelled; the thread that looks on ends with it."""
        stop = threading.Event()
        self._last_beat = monotonic()
        watcher = threading.Thread(
            target=self._watch, args=(threading.get_ident(), stop), name="twinspeak-watchdog", daemon=True
        )
        watcher.start()
        try:
            while True:
                await asyncio.sleep(self._beat_s)
                self._beat()
        finally:
            stop.set()
            self._last_beat = None

    def _beat(self) -> None:
        now = monotonic()
        before = self._last_beat if self._last_beat is not None else now
        self._late.append(max(0.0, now - before - self._beat_s))
        if now - before > self._stuck_after_s:
            self._still_s, self._episode_end = now - before, now
        self._last_beat = now

    def _watch(self, loop_thread: int, stop: threading.Event) -> None:
        told: float | None = None
        while not stop.wait(self._stuck_after_s / 4):
            beat = self._last_beat
            if beat is None:
                return
            silent_s = monotonic() - beat
            if told is not None and beat != told:
                _log.warning("event loop runs again", still_s=round(self._still_s, 1))
                told = None
            if told is None and silent_s > self._stuck_after_s:
                told = beat
                self._episodes += 1
                _log.error("event loop is stuck", silent_s=round(silent_s, 1), stack=_stack_of(loop_thread))


def _stack_of(thread: int) -> str:
    # The documented way to see another thread's stack, underscore and all.
    frame = sys._current_frames().get(thread)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return "".join(traceback.format_stack(frame)) if frame else "the thread has ended"


def _quantile(ordered: list[float], fraction: float) -> float:
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
