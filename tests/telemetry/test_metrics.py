"""What `/metrics` shows, and what it must never show."""

import re

import msgspec
import prometheus_client
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from tests.laws.source import ROOT
from twinspeak.domain.caller import Caller
from twinspeak.domain.conversation import CourseRef
from twinspeak.domain.credits import FREE, Usage
from twinspeak.domain.institution import Institution
from twinspeak.domain.models import ModelSpec
from twinspeak.domain.turn import Ask, Face, Failure, TurnEnd, TurnPlan, TurnState
from twinspeak.telemetry import metrics as metrics_module
from twinspeak.telemetry.metrics import Metrics
from twinspeak.telemetry.turns import TurnTelemetry
from twinspeak.telemetry.watchdog import Watchdog

TURN = "0123456789abcdef01234567"


def plan(turn_id: str = TURN) -> TurnPlan:
    caller = Caller(user_id="user-7", email="ann@example.org", kind="user", session_id="s")
    ask = Ask(turn_id=turn_id, caller=caller, face=Face.SSE, question="my secret question", request_id="r9")
    model = ModelSpec(
        id="local", provider="local", wire_name="local", label="Local", context_window=1, max_output=1, price=FREE
    )
    return TurnPlan(
        ask=ask,
        institution=Institution(id="twin-3", public_id="p", name="Secret College", ai_name="Ada"),
        assistant=None,
        course=CourseRef(course_id=1),
        history=(),
        model=model,
        output_limit=10,
        effort="",
        search_vault=True,
        passages_only=False,
        show_thinking=True,
        payer_institution_id=None,
        tool_results_max_chars=100,
        passages_limit=6,
    )


def end(state: TurnState = TurnState.DONE, *, turn_id: str = TURN, failure: Failure | None = None) -> TurnEnd:
    return TurnEnd(
        turn_id=turn_id,
        state=state,
        output="my secret answer",
        usage=Usage(input=100, cached=40, completion=20),
        charge=3,
        duration_ms=1500,
        first_token_ms=200,
        failure=failure,
    )


def samples(metrics: Metrics) -> dict[str, float]:
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_a_turn_is_counted_and_timed():
    metrics = Metrics()
    turns = TurnTelemetry(metrics)
    turns.turn_began(plan())
    assert samples(metrics)["twinspeak_turns_running{}"] == 1
    turns.turn_ended(plan(), end())
    seen = samples(metrics)
    assert seen["twinspeak_turns_running{}"] == 0
    assert seen["twinspeak_turns_total{face=sse,provider=local,state=done}"] == 1
    assert seen["twinspeak_turn_duration_seconds_sum{face=sse,provider=local}"] == pytest.approx(1.5)
    assert seen["twinspeak_turn_first_token_seconds_sum{face=sse,provider=local}"] == pytest.approx(0.2)
    assert seen["twinspeak_tokens_total{kind=input,provider=local}"] == 100
    assert seen["twinspeak_tokens_total{kind=cached,provider=local}"] == 40
    assert seen["twinspeak_tokens_total{kind=completion,provider=local}"] == 20
    assert seen["twinspeak_credits_charged_total{}"] == 3


def test_a_failed_turn_is_counted_by_its_code():
    metrics = Metrics()
    turns = TurnTelemetry(metrics)
    for code, details in (("provider_failed", {"status": 529}), ("provider_timeout", {}), ("overloaded", {})):
        failure = Failure(code=code, status=502, type="api_error", message="no", details=details)
        turns.turn_ended(plan(), end(TurnState.FAILED, failure=failure))
    seen = samples(metrics)
    assert seen["twinspeak_turn_failures_total{code=provider_failed,provider=local}"] == 1
    assert seen["twinspeak_turn_failures_total{code=overloaded,provider=local}"] == 1
    upstream = {name: value for name, value in seen.items() if name.startswith("twinspeak_upstream_errors_total")}
    assert upstream == {
        "twinspeak_upstream_errors_total{provider=local,status=529}": 1,
        "twinspeak_upstream_errors_total{provider=local,status=none}": 1,
    }


def test_running_turns_are_those_that_began_and_did_not_end():
    metrics = Metrics()
    turns = TurnTelemetry(metrics)
    for turn_id in ("a", "b", "b"):
        turns.turn_began(plan(turn_id))
    turns.turn_ended(plan("a"), end(turn_id="a"))
    turns.turn_ended(plan("a"), end(turn_id="a"))
    assert samples(metrics)["twinspeak_turns_running{}"] == 1


def test_odd_numbers_raise_nothing():
    metrics = Metrics()
    odd = msgspec.structs.replace(end(), duration_ms=-5, first_token_ms=-1, charge=-1, usage=Usage(input=-1))
    TurnTelemetry(metrics).turn_ended(plan(), odd)
    metrics.http_request("GET", "/x", 200, -1.0)


def test_no_label_names_a_person_a_twin_or_what_was_said():
    metrics = Metrics()
    turns = TurnTelemetry(metrics)
    turns.turn_began(plan())
    turns.turn_ended(plan(), end())
    text = metrics.render().decode()
    for word in ("user-7", "ann@", "twin-3", "Secret College", "secret", TURN):
        assert word not in text


def test_the_log_has_the_ids_and_never_the_words():
    with structlog.testing.capture_logs() as records:
        TurnTelemetry(Metrics()).turn_ended(plan(), end(TurnState.CANCELLED))
    (record,) = records
    assert record["turn_id"] == TURN
    assert (record["user_id"], record["institution_id"], record["request_id"]) == ("user-7", "twin-3", "r9")
    assert (record["state"], record["credits"], record["output_chars"]) == ("cancelled", 3, 16)
    assert "secret" not in str(record)


def test_requests_cannot_invent_labels():
    metrics = Metrics()
    metrics.http_request("GET", "/api/ai/turns/{turnId}", 200, 0.01)
    for number in range(50):
        metrics.http_request(f"HACK{number}", "", 404, 0.01)
    seen = [name for name in samples(metrics) if name.startswith("twinspeak_http_requests_total")]
    assert sorted(seen) == [
        "twinspeak_http_requests_total{method=GET,route=/api/ai/turns/{turnId},status=200}",
        "twinspeak_http_requests_total{method=OTHER,route=none,status=404}",
    ]


def test_database_and_loop_show():
    metrics = Metrics()
    metrics.watch_database("write", lambda: 4)
    metrics.watch_loop(Watchdog())
    seen = samples(metrics)
    assert seen["twinspeak_database_waiting{queue=write}"] == 4
    assert seen["twinspeak_event_loop_stuck{}"] == 0
    assert seen["twinspeak_event_loop_lag_seconds{quantile=0.99}"] == 0


def test_the_content_type_is_the_library_s():
    assert metrics_module.CONTENT_TYPE == prometheus_client.CONTENT_TYPE_LATEST


def test_every_own_metric_has_help_and_our_prefix():
    text = Metrics().render().decode()
    helps = dict(re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE))
    assert all(helps.values())
    assert all(name.startswith(("twinspeak_", "process_", "python_")) for name in helps)


def test_two_servers_in_one_process_count_apart():
    one, two = Metrics(), Metrics()
    one.http_request("GET", "/x", 200, 0.1)
    assert "twinspeak_http_requests_total" in str(samples(one))
    assert "twinspeak_http_requests_total{method" not in str(samples(two))


def test_every_metric_is_in_the_operators_handbook():
    metrics = Metrics()
    metrics.watch_loop(Watchdog())
    handbook = (ROOT / "docs" / "operating.md").read_text("utf-8")
    documented = re.findall(r"^\| `(twinspeak_\w+)` \| (\w+) \|", handbook, re.MULTILINE)
    shown = re.findall(r"^# TYPE (twinspeak_\w+) (\w+)$", metrics.render().decode(), re.MULTILINE)
    assert sorted(documented) == sorted(shown)
