"""The server process: one socket, uvicorn, and a shutdown that loses nothing.

uvicorn runs an application's shutdown only after every connection has ended, and a stream ends no sooner than its
answer. So the first signal to stop drains the turns while connections still live, and only then stops uvicorn; a
second one hurries.
"""

import asyncio
import gc
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn
import uvloop

from twinspeak.app.compose import Running, running
from twinspeak.app.offline import Ground, prepare
from twinspeak.domain.errors import OperatorError
from twinspeak.settings import Settings
from twinspeak.telemetry import logs

OnReady = Callable[[str, str, str | None, str, Path], None]
"""Told (url, the admin's e-mail, the password if this start made it, the default model, the data dir)."""

_BACKLOG = 2048
_COLLECT_AFTER = 10_000
"""More objects made than dropped before the youngest are looked through; Python's own 700 suits short programs."""
_SWITCH_S = 0.0005
_LONGEST_CLOSE_S = 5


class DrainingServer(uvicorn.Server):
    """uvicorn, which drains before it stops."""

    def __init__(self, config: uvicorn.Config, live: Running, on_ready: Callable[[], None]) -> None:
        """Serve `live`; call `on_ready` once connections are taken."""
        super().__init__(config)
        self._on_ready = on_ready
        self._live = live
        self._loop = asyncio.get_running_loop()
        self._signals = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start taking connections, then say so."""
        await super().startup(sockets)
        self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 -- a signal handler's signature
        """Drain on the first signal, hurry on the second, drop everything on the third."""
        self._signals += 1
        if self._signals == 1:
            self._loop.call_soon_threadsafe(self.begin_drain)
        else:
            self.should_exit = True
            self.force_exit = self._signals > 2

    def begin_drain(self) -> None:
        """Take no more turns, let the running ones end, then stop."""
        self._live.drain().add_done_callback(lambda _: self._stop())

    def _stop(self) -> None:
        self.should_exit = True


def serve(settings: Settings, *, on_ready: OnReady) -> None:
    """Prepare, bind, serve until stopped. Raises OperatorError."""
    logs.configure(settings.log_format, settings.log_level)
    with (
        listen(settings.host, settings.port, write_timeout_s=settings.stream_write_timeout_s) as bound,
        prepare(settings) as ground,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_serve(settings, ground, bound, on_ready))


async def _serve(settings: Settings, ground: Ground, bound: socket.socket, on_ready: OnReady) -> None:
    async with running(settings, ground) as live:

        def ready() -> None:
            url = settings.public_url or url_of(bound)
            on_ready(url, ground.admin_email, ground.admin_password, live.models.default_id, settings.data_dir)

        _tune()
        await DrainingServer(config_for(live, max_payload=settings.socket_max_payload_bytes), live, ready).serve(
            sockets=[bound]
        )


def _tune() -> None:
    """Keep what has been loaded out of garbage collections, and let the event loop's thread have the interpreter soon.

    Python's own defaults cost a stream 3 % in collections that find nothing, and let a searching thread hold up every
    stream for 5 ms (decision 028).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 50)
    sys.setswitchinterval(_SWITCH_S)


def config_for(live: Running, *, max_payload: int) -> uvicorn.Config:
    """Return how uvicorn is run: no access log of its own, no trust in proxies, no pings but Engine.IO's.

    Compression is off: a stream of small frames costs more to deflate than to send.
    """
    return uvicorn.Config(
        live.asgi,
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=max_payload + 1,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_LONGEST_CLOSE_S,
    )


def listen(host: str, port: int, *, write_timeout_s: float) -> socket.socket:
    """Bind and return the listening socket. Raises OperatorError when the address cannot be had.

    Connections inherit TCP_USER_TIMEOUT: a peer that takes nothing for twice the write time limit is cut by the
    system, because a connection whose buffers are full can no longer be closed politely. They inherit TCP_NODELAY too:
    asyncio's own loop sets it only on sockets that it made itself, and without it small frames wait 40 ms for an
    acknowledgement.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        bound = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise OperatorError(
            f"Cannot listen on {host}:{port} ({error.strerror or error}). Is another server running there? "
            "Choose another port with --port, or 0 for a free one."
        ) from None
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(2_000 * write_timeout_s))
    bound.setblocking(False)
    return bound


def url_of(bound: socket.socket) -> str:
    """Return the address that a person on this machine types."""
    host: str = bound.getsockname()[0]
    port: int = bound.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- not bound here, only named
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
