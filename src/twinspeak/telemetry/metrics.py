"""Prometheus metrics of this process, in a registry of their own.

No label ever names a person, a twin or a conversation (contract section 3), and every label's values come from a list
that cannot grow with traffic: a route is its template, an unknown method is `OTHER`, and models are left to the log,
because an administrator of a twin can write any model's name.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

from twinspeak import __version__
from twinspeak.telemetry.watchdog import Watchdog

# Importing the library reads /proc, and importing us must do nothing: so it is imported where it is used.
if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector

_QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_FIRST_TOKEN = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)
_TURN = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 900)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"
"""`Content-Type` of `Metrics.render()`."""


class Metrics:
    """Every instrument of the server. Make one in the composition root; observing never blocks and never raises."""

    def __init__(self) -> None:
        import prometheus_client
        from prometheus_client import CollectorRegistry, Gauge

        prometheus_client.disable_created_metrics()  # a second series for every counter that nobody reads
        self.registry = CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self.registry)
        prometheus_client.PlatformCollector(registry=self.registry)
        prometheus_client.GCCollector(registry=self.registry)
        self._make_turn_instruments()
        self._make_provider_instruments()
        self._make_request_instruments()
        Gauge("twinspeak_build_info", "Always 1; the version is a label.", ("version",), registry=self.registry).labels(
            version=__version__
        ).set(1)

    def _make_turn_instruments(self) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        self.turns_running = Gauge("twinspeak_turns_running", "Turns that run now.", registry=self.registry)
        self.turns = Counter(
            "twinspeak_turns", "Turns that ended.", ("state", "face", "provider"), registry=self.registry
        )
        self.first_token = Histogram(
            "twinspeak_turn_first_token_seconds",
            "From the question to the first piece of the answer.",
            ("face", "provider"),
            buckets=_FIRST_TOKEN,
            registry=self.registry,
        )
        self.duration = Histogram(
            "twinspeak_turn_duration_seconds",
            "From the question to the end of the turn.",
            ("face", "provider"),
            buckets=_TURN,
            registry=self.registry,
        )
        self.tokens = Counter(
            "twinspeak_tokens",
            "Tokens of ended turns; cached ones are part of input.",
            ("kind", "provider"),
            registry=self.registry,
        )
        self.credits = Counter("twinspeak_credits_charged", "Credits charged for turns.", registry=self.registry)
        self.failures = Counter(
            "twinspeak_turn_failures", "Turns that failed, by error code.", ("code", "provider"), registry=self.registry
        )

    def _make_provider_instruments(self) -> None:
        from prometheus_client import Counter, Gauge

        self.upstream_errors = Counter(
            "twinspeak_upstream_errors",
            "Turns that a model provider failed, by the HTTP status it gave.",
            ("provider", "status"),
            registry=self.registry,
        )
        self.fallbacks = Counter(
            "twinspeak_turn_fallbacks",
            "Turns that another model was asked for, because this provider's gave nothing.",
            ("provider", "code"),
            registry=self.registry,
        )
        self.provider_requests = Gauge(
            "twinspeak_provider_requests",
            "Requests to a model provider that run, or wait for their turn.",
            ("provider", "state"),
            registry=self.registry,
        )
        self.provider_asks_again = Counter(
            "twinspeak_provider_retries",
            "Requests made again before anything of their answer came.",
            ("provider",),
            registry=self.registry,
        )
        self.provider_pauses = Counter(
            "twinspeak_provider_circuit_openings",
            "How often a failing endpoint was given a pause.",
            ("provider",),
            registry=self.registry,
        )
        self.provider_paused = Gauge(
            "twinspeak_provider_circuits_open",
            "Endpoints that are given a pause now.",
            ("provider",),
            registry=self.registry,
        )

    def _make_request_instruments(self) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        self._request_series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.requests = Counter(
            "twinspeak_http_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self.request_seconds = Histogram(
            "twinspeak_http_request_seconds",
            "From the request to the last byte of its reply; streams are long by nature.",
            ("route",),
            buckets=_QUICK,
            registry=self.registry,
        )
        self.database_waiting = Gauge(
            "twinspeak_database_waiting",
            "Units of work that wait for the database.",
            ("queue",),
            registry=self.registry,
        )

    def http_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request. `route` is the route's template, "" when none matched."""
        known = method if method in _METHODS else "OTHER"
        series = self._request_series.get((known, route, status))
        if series is None:  # finding a series by its labels takes longer than counting does
            name = route or "none"
            counted = self.requests.labels(method=known, route=name, status=str(status))
            series = counted, self.request_seconds.labels(route=name)
            self._request_series[known, route, status] = series
        series[0].inc()
        series[1].observe(max(0.0, seconds))

    def upstream_error(self, provider: str, status: int | None) -> None:
        """Count one turn that a provider failed; `status` None means that it gave none: a stall, a cut, garbage."""
        self.upstream_errors.labels(provider=provider, status=str(status) if status else "none").inc()

    def provider_load(self, provider: str, *, asked: int, waiting: int) -> None:
        """Count requests to a provider: so many more (or fewer) run, or wait for their turn."""
        self.provider_requests.labels(provider=provider, state="running").inc(asked)
        self.provider_requests.labels(provider=provider, state="waiting").inc(waiting)

    def provider_asked_again(self, provider: str) -> None:
        """Count a request that is made again."""
        self.provider_asks_again.labels(provider=provider).inc()

    def provider_circuit(self, provider: str, *, opened: bool) -> None:
        """Count an endpoint that is left alone from now on, or no more."""
        self.provider_paused.labels(provider=provider).inc(1 if opened else -1)
        if opened:
            self.provider_pauses.labels(provider=provider).inc()

    def watch_database(self, queue: str, waiting: Callable[[], int]) -> None:
        """Read the length of a database queue (`read` or `write`) whenever metrics are asked for."""
        self.database_waiting.labels(queue=queue).set_function(lambda: float(waiting()))

    def watch_loop(self, watchdog: Watchdog) -> None:
        """Show the event loop's lag and its stuck episodes."""
        self.registry.register(cast("Collector", _LoopCollector(watchdog)))

    def render(self) -> bytes:
        """Return the metrics in Prometheus' text format; send it as `CONTENT_TYPE`."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry)


class _LoopCollector:
    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog

    def collect(self) -> "Iterable[Metric]":
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        lag = self._watchdog.lag()
        late = GaugeMetricFamily(
            "twinspeak_event_loop_lag_seconds", "How late timers ran over about a minute.", labels=["quantile"]
        )
        for quantile, value in (("0.5", lag.p50_ms), ("0.95", lag.p95_ms), ("0.99", lag.p99_ms), ("1", lag.max_ms)):
            late.add_metric([quantile], round(value / 1000, 6))
        yield late
        stuck = float(self._watchdog.stuck)
        yield GaugeMetricFamily("twinspeak_event_loop_stuck", "1 while the loop is, or just was, stuck.", value=stuck)
        episodes = float(self._watchdog.episodes)
        yield CounterMetricFamily("twinspeak_event_loop_stuck_episodes", "How often it was stuck.", value=episodes)
