"""What the health routes tell, and that they tell it to anybody who may know."""

import asyncio
from pathlib import Path

import pytest

from tests.transports.http.harness import World, served
from twinspeak.telemetry import process
from twinspeak.telemetry.watchdog import Lag, Watchdog


class StuckWatchdog(Watchdog):
    @property
    def stuck(self) -> bool:
        return True

    def lag(self) -> Lag:
        return Lag(mean_ms=1.5, p50_ms=1.0, p95_ms=2.0, p99_ms=3.0, max_ms=5_000.0)


async def test_a_healthy_server_says_so():
    async with served(World()) as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "ok")
        health = (await client.get("/api/test/health")).json()
    assert set(health) == {
        *("status", "uptime", "timestamp", "summary", "eventLoopLag", "database", "memory", "dependencies"),
    }
    assert set(health["eventLoopLag"]) == {"meanMs", "p50Ms", "p95Ms", "p99Ms", "maxMs"}
    assert set(health["memory"]) == {
        *("rss", "heapTotal", "heapUsed", "external", "arrayBuffers", "limitBytes", "rssRatio"),
    }
    assert health["database"] == {"state": 1, "label": "connected"}
    assert health["dependencies"] == {"database": "up"}
    assert health["uptime"] >= 0
    assert health["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("world", "status", "up"),
    [
        (World(database_up=False), "degraded", False),
        (World(watchdog=StuckWatchdog()), "degraded", True),
        (World(stopping=True), "stopping", True),
    ],
)
async def test_a_server_that_is_not_well_takes_no_traffic_but_lives(world: World, status: str, up: bool):  # noqa: FBT001
    async with served(world) as client:
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, status)
        health = await client.get("/api/test/health")
        assert (health.status_code, health.json()["status"]) == (200, status)
        assert health.json()["dependencies"] == {"database": "up" if up else "down"}
        assert (await client.get("/healthz")).status_code == 200


async def test_lag_is_shown_as_measured():
    async with served(World(watchdog=StuckWatchdog())) as client:
        lag = (await client.get("/api/test/health")).json()["eventLoopLag"]
    assert lag == {"meanMs": 1.5, "p50Ms": 1.0, "p95Ms": 2.0, "p99Ms": 3.0, "maxMs": 5000.0}


async def test_a_database_that_hangs_is_down(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("twinspeak.transports.rest.health._DATABASE_WAIT_S", 0.05)

    class Hanging(World):
        async def database(self) -> bool:
            await asyncio.Event().wait()
            return True

    async with served(Hanging()) as client:
        assert (await client.get("/readyz")).status_code == 503


async def test_metrics_are_prometheus_text():
    async with served(World()) as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "# TYPE twinspeak_turns_running gauge" in answer.text


def test_memory_is_read_from_linux():
    memory = process.memory()
    assert 0 < memory.heap_used <= memory.rss
    assert memory.rss < 1 << 40


@pytest.mark.parametrize(("text", "limit"), [("1073741824\n", 1 << 30), ("max\n", None), (f"{(1 << 63) - 4096}", None)])
def test_a_containers_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, limit: int | None):
    (tmp_path / "max").write_text(text)
    monkeypatch.setattr(process, "_LIMITS", (tmp_path / "missing", tmp_path / "max"))
    assert process.memory().limit == limit


def test_elsewhere_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process, "_STATUS", tmp_path / "missing")
    monkeypatch.setattr(process, "_LIMITS", ())
    assert process.memory() == process.Memory()
