"""What decoders of JSON over server-sent events share: `providers.relay.Decoder` without a vendor in it. No I/O."""

from abc import ABC, abstractmethod
from typing import Any

from twinspeak.domain.errors import ProviderFailed
from twinspeak.domain.events import ModelEvent, ModelStop, StopReason
from twinspeak.providers.refusals import failure_of, refusal_in
from twinspeak.providers.wire.loose import read_object
from twinspeak.providers.wire.sse import SseEvent, SseSplitter, SseTooLong


class SseDecoder(ABC):
    """Feed it the body of a 200 answer; it never raises there, so that nothing decoded before a failure is lost.

    When `finished`, or when the body has ended, `close` gives the last events or raises `ProviderFailed`: for an error
    inside the stream, for data that is no JSON object, for a stream that ended without saying so.
    """

    def __init__(self, provider: str, *, max_event_bytes: int = 8_000_000) -> None:
        self.finished = False
        self._provider = provider
        self._sse = SseSplitter(max_event_bytes=max_event_bytes)
        self._failure: ProviderFailed | None = None

    @property
    @abstractmethod
    def whole(self) -> bool:
        """True when the answer is complete, so that a connection that breaks now takes nothing with it."""

    @abstractmethod
    def _event(self, name: str, payload: dict[str, Any], found: list[ModelEvent]) -> None:
        """Take one event of the stream."""

    @abstractmethod
    def _stop(self) -> StopReason:
        """Say why the stream ended."""

    def _left(self) -> list[ModelEvent]:
        """Return what the stream left to be told at its end."""
        return []

    def feed(self, data: bytes) -> list[ModelEvent]:
        """Return what `data` completes, in the stream's order."""
        found: list[ModelEvent] = []
        if not self.finished:
            try:
                self._take(self._sse.feed(data), found)
            except SseTooLong:
                self._fail()
        return found

    def close(self) -> list[ModelEvent]:
        """Return the last events, the stop at the very end. Raises ProviderFailed."""
        found: list[ModelEvent] = []
        if not self.finished:
            self._take(self._sse.close(), found)
        if not self._failure and not self.whole:
            self._fail()
        if self._failure:
            raise self._failure
        self.finished = True
        return [*found, *self._left(), ModelStop(self._stop())]

    def _take(self, events: list[SseEvent], found: list[ModelEvent]) -> None:
        for name, data in events:
            if self.finished:
                return
            if data.strip() in {b"", b"[DONE]"}:
                continue
            payload = read_object(data)
            if payload is None:
                self._fail()
            else:
                self._event(name, payload, found)

    def _fail(self, error: dict[str, Any] | None = None) -> None:
        """Nothing after this counts. `error` is what the vendor sent, whole."""
        self._failure = failure_of(self._provider, refusal_in(error or {}))
        self.finished = True
