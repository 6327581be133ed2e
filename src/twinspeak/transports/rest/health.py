"""Whether the server is well: for people, for load balancers, for Prometheus. No tenant's data, no secret."""

import asyncio
from typing import Literal

from fastapi import Request, Response
from pydantic import BaseModel, Field

from twinspeak.domain.clock import iso, monotonic, now_ms
from twinspeak.telemetry import metrics, process
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http.routes import OPERATOR, PUBLIC, Services, router, services_of
from twinspeak.transports.http.schemas import failures
from twinspeak.transports.wire_names import HealthStatus

ROUTER = router("Operations")

_DATABASE_WAIT_S = 2.0


class EventLoopLag(BaseModel):
    """How late timers ran over about the last minute, in milliseconds."""

    mean_ms: float = Field(serialization_alias="meanMs")
    p50_ms: float = Field(serialization_alias="p50Ms")
    p95_ms: float = Field(serialization_alias="p95Ms")
    p99_ms: float = Field(serialization_alias="p99Ms")
    max_ms: float = Field(serialization_alias="maxMs")


class Database(BaseModel):
    """`state` is 1 when the database answers, 0 when it does not."""

    state: int
    label: str = Field(examples=[wire.CONNECTED], description="`connected` or `disconnected`.")


class Memory(BaseModel):
    """Bytes. Python has one heap, so the four heap figures tell of what its allocator holds."""

    rss: int
    heap_total: int = Field(serialization_alias="heapTotal")
    heap_used: int = Field(serialization_alias="heapUsed")
    external: int
    array_buffers: int = Field(serialization_alias="arrayBuffers")
    limit_bytes: int | None = Field(serialization_alias="limitBytes", description="The container's limit, if any.")
    rss_ratio: float | None = Field(serialization_alias="rssRatio", description="Of that limit.")


class Dependencies(BaseModel):
    """`up` or `down`."""

    database: Literal["up", "down"]


class Health(BaseModel):
    """What `GET /api/test/health` tells (reference admin 3.10, with `database` in place of a vendor's name)."""

    status: HealthStatus
    uptime: float = Field(description="Seconds.")
    timestamp: str
    summary: str
    event_loop_lag: EventLoopLag = Field(serialization_alias="eventLoopLag")
    database: Database
    memory: Memory
    dependencies: Dependencies


class Alive(BaseModel):
    """The event loop answers."""

    status: HealthStatus = HealthStatus.OK


class Ready(BaseModel):
    """Whether to send requests here."""

    status: HealthStatus
    summary: str


@ROUTER.get("/api/test/health", summary="Tell how the server is", dependencies=[PUBLIC])
async def health(request: Request) -> Health:
    """Return lag, memory and the state of what the server depends on. Always 200: `status` tells."""
    services = services_of(request)
    status, summary, up = await _look(services)
    lag = services.watchdog.lag()
    return Health(
        status=status,
        uptime=round(monotonic() - services.started, 1),
        timestamp=iso(now_ms()),
        summary=summary,
        event_loop_lag=EventLoopLag(
            mean_ms=lag.mean_ms, p50_ms=lag.p50_ms, p95_ms=lag.p95_ms, p99_ms=lag.p99_ms, max_ms=lag.max_ms
        ),
        database=Database(state=int(up), label=wire.CONNECTED if up else "disconnected"),
        memory=_memory(),
        dependencies=Dependencies(database="up" if up else "down"),
    )


@ROUTER.get("/healthz", summary="Tell whether the process lives", dependencies=[PUBLIC])
async def alive() -> Alive:
    """Answer, which a stuck event loop cannot; restart the process when this does not."""
    return Alive()


@ROUTER.get(
    "/readyz",
    summary="Tell whether to send requests here",
    responses={503: {"model": Ready}},
    dependencies=[PUBLIC],
)
async def ready(request: Request, response: Response) -> Ready:
    """Return 503 while the database does not answer, the event loop is or just was stuck, or the server stops."""
    status, summary, _ = await _look(services_of(request))
    if status != HealthStatus.OK:
        response.status_code = 503
    return Ready(status=status, summary=summary)


@ROUTER.get(
    "/metrics",
    summary="Read the metrics",
    response_class=Response,
    responses={
        200: {
            "content": {"text/plain": {"example": "twinspeak_turns_running 0.0\n"}},
            "description": "Prometheus text",
        },
        **failures(401),
    },
    dependencies=[OPERATOR],
)
async def read_metrics(request: Request) -> Response:
    """Return Prometheus' text format, to this machine itself or to a Bearer of `TWINSPEAK_METRICS_TOKEN`."""
    return Response(services_of(request).metrics.render(), headers={"content-type": metrics.CONTENT_TYPE})


async def _look(services: Services) -> tuple[HealthStatus, str, bool]:
    try:
        async with asyncio.timeout(_DATABASE_WAIT_S):
            up = await services.database()
    except TimeoutError:
        up = False
    if services.stopping():
        return HealthStatus.STOPPING, "The server is stopping and takes no new questions.", up
    if not up:
        return HealthStatus.DEGRADED, "The database does not answer.", up
    if services.watchdog.stuck:
        return HealthStatus.DEGRADED, "The event loop is, or just was, stuck: something blocks it.", up
    return HealthStatus.OK, "Everything works.", up


def _memory() -> Memory:
    memory = process.memory()
    return Memory(
        rss=memory.rss,
        heap_total=memory.heap_total,
        heap_used=memory.heap_used,
        external=memory.external,
        array_buffers=0,
        limit_bytes=memory.limit,
        rss_ratio=round(memory.rss / memory.limit, 4) if memory.limit else None,
    )
