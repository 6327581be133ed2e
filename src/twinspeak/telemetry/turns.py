"""Turns as an operator sees them: counted, timed, and one log record each when they end."""

from twinspeak.domain.errors import CodedError, ProviderFailed, ProviderTimeout
from twinspeak.domain.turn import TurnEnd, TurnPlan, TurnState
from twinspeak.telemetry import logs
from twinspeak.telemetry.metrics import Metrics

_log = logs.get("turn")
_UPSTREAM = frozenset({ProviderFailed.code, ProviderTimeout.code})
_TROUBLE = frozenset({TurnState.FAILED, TurnState.INTERRUPTED})


class TurnTelemetry:
    """An `engine.ports.TurnObserver`. Never blocks, never raises, never sees the words of a turn."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._running: set[str] = set()

    def turn_began(self, plan: TurnPlan) -> None:
        """Count `plan`'s turn as running."""
        self._running.add(plan.ask.turn_id)
        self._metrics.turns_running.set(len(self._running))
        _log.debug("turn began", **_ids(plan), face=plan.ask.face.value, model=plan.model.id)

    def turn_fell_back(self, plan: TurnPlan, error: CodedError) -> None:
        """Count that the model of `plan` did not answer, and another one is asked."""
        provider = plan.model.provider
        self._metrics.fallbacks.labels(provider=plan.model.measured_as, code=error.code).inc()
        _log.warning("turn fell back", **_ids(plan), provider=provider, model=plan.model.id, error_code=error.code)

    def turn_ended(self, plan: TurnPlan, end: TurnEnd) -> None:
        """Count how `plan`'s turn ended and what it took."""
        self._running.discard(end.turn_id)
        self._metrics.turns_running.set(len(self._running))
        self._measure(plan, end)
        fields = {
            **_ids(plan),
            "request_id": plan.ask.request_id or None,
            "state": end.state.value,
            "face": plan.ask.face.value,
            "provider": plan.model.provider,
            "model": plan.model.id,
            "duration_ms": end.duration_ms,
            "first_token_ms": end.first_token_ms,
            "tokens_in": end.usage.input,
            "tokens_out": end.usage.completion,
            "credits": end.charge,
            "tools_run": len(end.tools),
            "output_chars": len(end.output),
            "error_code": end.failure.code if end.failure else None,
        }
        tell = _log.warning if end.state in _TROUBLE else _log.info
        tell("turn ended", **{name: value for name, value in fields.items() if value is not None})

    def _measure(self, plan: TurnPlan, end: TurnEnd) -> None:
        metrics, face, provider = self._metrics, plan.ask.face.value, plan.model.measured_as
        metrics.turns.labels(state=end.state.value, face=face, provider=provider).inc()
        metrics.duration.labels(face=face, provider=provider).observe(max(0, end.duration_ms) / 1000)
        if end.first_token_ms is not None:
            metrics.first_token.labels(face=face, provider=provider).observe(max(0, end.first_token_ms) / 1000)
        usage = end.usage
        for kind, count in (("input", usage.input), ("cached", usage.cached), ("completion", usage.completion)):
            if count > 0:
                metrics.tokens.labels(kind=kind, provider=provider).inc(count)
        if end.charge > 0:
            metrics.credits.inc(end.charge)
        if end.failure:
            metrics.failures.labels(code=end.failure.code, provider=provider).inc()
            if end.failure.code in _UPSTREAM:
                status = end.failure.details.get("status")
                metrics.upstream_error(provider, status if isinstance(status, int) else None)


def _ids(plan: TurnPlan) -> dict[str, str]:
    ids = {"turn_id": plan.ask.turn_id, "user_id": plan.ask.caller.user_id}
    if plan.institution:
        ids["institution_id"] = plan.institution.id
    return ids
